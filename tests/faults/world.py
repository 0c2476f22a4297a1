"""A console made of real processes, in a folder of its own: `with running_world(tmp_path) as world: …`

sandbox, nats-server (operator mode, TLS) and database start as every test starts them. Clusters, scheduler and web
run under the supervisor's own crew and watch (sequin_console/up): a dead one is started again and a hung one replaced
as `up` does it, only sooner. Nothing here reads the console's tables by its own code: `query` is plain SQL.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sandbox import process as sandbox_process
from sandbox.process import RunningSandbox
from sequin_console.up import plan
from sequin_console.up.arguments import LOOPBACK
from sequin_console.up.crew import Crew
from sequin_console.up.process import Child, Spec
from sequin_console.up.watch import CLUSTERS, SCHEDULER, Watch
from tests import backends
from tests.children import free_port
from tests.faults.ground import DATABASE_ERRORS, Ground, Row, ground
from tests.faults.listener import REPUBLISH
from tests.faults.traces import Trace
from tests.nats_server import JwtServer, NatsServer, jwt_server, make_tls, run
from tests.running_up import ROOT, clean_environment

SYNCS = {"CRM": ["salesforce:contact", "salesforce:account"], "Sales": ["salesforce:lead", "salesforce:opportunity"]}
OBJECTS = {
    "salesforce:contact": "Contact",
    "salesforce:account": "Account",
    "salesforce:lead": "Lead",
    "salesforce:opportunity": "Opportunity",
}
SECOND_NODE = tuple(f"{name}, second node" for name in CLUSTERS)
NODE = "first-1"
PROGRAMS = {
    **{spec.name: spec for spec in plan.workers(NODE)},
    **{f"{spec.name}, second node": spec for spec in plan.workers("second-2") if spec.name in CLUSTERS},
}
# How each consumer delivers, and what its stream keeps. A stream that keeps every message shows the order of all that
# was ever stored; what the other stores is heard by a Listener.
STREAMS: dict[str, dict[str, Any]] = {
    "fenced": {"max_msgs_per_subject": -1},
    "basic": {"max_msgs_per_subject": -1, "allow_atomic": False},
    "latest": REPUBLISH,
}
READ_BEATS_S = 1.0
STOP = ((("web", SCHEDULER), 2.0), ((*CLUSTERS, *SECOND_NODE), 4.0))


class QuickCrew(Crew):
    """One that does not wait longer and longer for what a test kills again and again."""

    def _after_death(self, child: Child, code: int, now_s: float) -> None:
        child.failures = 0
        super()._after_death(child, code, now_s)


class World:
    """One console. `tick` must be called often: every wait of this package does."""

    def __init__(
        self, folder: Path, sandbox: RunningSandbox, nats: NatsServer, on: Ground, environ: Mapping[str, str]
    ) -> None:
        self.folder, self.sandbox, self.nats, self.on = folder, sandbox, nats, on
        self.data_dir = folder / "data"
        self.trace = Trace(folder / "trace.jsonl")
        self.said: list[str] = []
        self.streams: Mapping[str, dict[str, Any]] = {}
        self.asked: dict[str, Any] = {}  # what the workspace was made of, secrets and all
        self.ids: dict[str, Any] = {}
        self.environ = dict(environ)
        self.url = f"http://{LOOPBACK}:{environ['SEQUIN_PORT']}"
        self._crew = QuickCrew(folder / "logs", self.said.append)
        self._watch, self._beats_at = Watch(NODE), 0.0
        self._more: list[str] = []

    # --- Processes ---------------------------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start clusters (`syncs`, `consumers`, those of SECOND_NODE), the `scheduler` or the `web` process."""
        web = plan.web(SimpleNamespace(host=LOOPBACK, ports={"web": urlsplit(self.url).port}))  # type: ignore[arg-type]
        for name in names:
            spec = {**PROGRAMS, web.name: web}[name]
            self._crew.start(Spec(name, spec.argv, {**self.environ, **spec.env}))

    def start_more(self, name: str, *argv: str, **environ: str) -> None:
        """Start a program beyond those a console has."""
        self._more.append(name)
        self._crew.start(Spec(name, argv, {**self.environ, **environ}))

    def pid(self, name: str) -> int | None:
        return self._crew.pids().get(name)

    def tick(self) -> None:
        """Start again what has died, replace what hangs."""
        now_s = time.monotonic()
        self._crew.tick(now_s)
        if now_s >= self._beats_at:
            self._beats_at = now_s + READ_BEATS_S
            with contextlib.suppress(*DATABASE_ERRORS):
                self._watch.see(dict(self.query("SELECT name, at FROM common_heartbeat")), now_s)
            for name, why in self._watch.hung(self._crew.started_s(), now_s).items():
                self._crew.replace(name, why)

    def stop(self) -> None:
        self._crew.stop(((self._more, 2.0), *STOP))

    def wait_for(self, claim: Callable[[], Any], within_s: float, told: Callable[[], str] | str = "") -> Any:
        """What `claim` gives, as soon as it is something. Raises AssertionError with what is known of the world."""
        deadline = time.monotonic() + within_s
        while not (found := claim()):
            self.tick()
            if time.monotonic() > deadline:
                raise AssertionError(f"{told() if callable(told) else told}\n{self.state()}")
            time.sleep(0.02)
        return found

    # --- What is in the tables -------------------------------------------------------------------------------------

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Rows of the console's own database, read past its code. Raises one of DATABASE_ERRORS when it is away."""
        return self.on.query(sql, params)

    def heads(self) -> dict[str, int]:
        """The end of each sync's log."""
        return {as_uuid(pk): head for pk, head in self.query("SELECT sync_id, head_seq FROM syncs_synchead")}

    def is_read(self) -> bool:
        """Every collection's history has been read once."""
        return not self.query("SELECT 1 FROM syncs_synccollection WHERE backfilled_at IS NULL LIMIT 1")

    def is_delivered(self) -> bool:
        """Every consumer has been acknowledged everything there is."""
        lagging = self.query(
            "SELECT 1 FROM consumers_consumercursor c JOIN syncs_synchead h ON h.sync_id = c.sync_id "
            "WHERE c.acked_seq < h.head_seq LIMIT 1"
        )
        expected = len(self.ids["syncs"]) * len(self.ids["consumers"])
        return not lagging and self.query("SELECT count(*) FROM consumers_consumercursor") == [(expected,)]

    def state(self) -> str:
        """For a failing test: who is where, what went wrong, what the processes said last."""
        parts: list[Any] = [
            self.query("SELECT collection_id, phase, backfill_read, live_count, error FROM syncs_synccollection"),
            self.query("SELECT key, due_at, queued_until, lease_until, error FROM syncs_feed"),
            self.query("SELECT name, state, error, warning FROM consumers_natsconsumer"),
            self.query("SELECT sync_id, acked_seq, run, lease_until, queued_until FROM consumers_consumercursor"),
            self.said[-20:],
        ]
        if self.on.postgres is not None:
            sql = "SELECT pid, state, wait_event, now() - xact_start, left(query, 100) FROM pg_stat_activity"
            parts += self.query(f"{sql} WHERE backend_type = 'client backend' ORDER BY xact_start")
        logs = [f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted((self.folder / "logs").glob("*.log"))]
        return "\n".join([*map(str, parts), *logs])


@contextlib.contextmanager
def running_world(
    folder: Path,
    *,
    backend: str = "",
    records: int = 0,
    page_size: int = 0,
    streams: Mapping[str, dict[str, Any]] = STREAMS,
    stripe_mode: str = "",
    postgres_in: Path | None = None,
    **more_environ: str,
) -> Iterator[World]:
    """Sandbox, nats-server and a workspace of two syncs and a consumer for each of `streams`; nothing runs yet.

    backend       one of ground.BACKENDS; "" for the one this run is on
    records       believable ones in each of four collections
    page_size     rows a page of upstream's answers; 0 for its own
    stripe_mode   `test` or `live`: one more sync, of Stripe's customers, by a restricted key of that mode
    postgres_in   a folder for a PostgreSQL of its own
    more_environ  for the console's processes, over what is set here
    """
    backend = backend or backends.name()
    data_dir = folder / "data"
    environ = {
        **clean_environment(data_dir),
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "SEQUIN_TRACE_FILE": str(folder / "trace.jsonl"),
        "SEQUIN_TRACE_BEGINNINGS": "1",
        "SEQUIN_WORKERS": "2",
        "SEQUIN_LOG_JSON": "1",
        "SEQUIN_PORT": str(free_port()),
        **more_environ,
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    with (
        sandbox_process.running(folder / "sandbox", settings={"page_size_cap": page_size}) as sandbox,
        jwt_server(tls=make_tls()) as nats,
        ground(
            backend, folder, migrate=lambda url: migrate({**environ, "DATABASE_URL": url}), postgres_in=postgres_in
        ) as on,
    ):
        providers = {"salesforce": sandbox.salesforce, "stripe": sandbox.stripe}
        environ |= {**on.environ, "SEQUIN_PROVIDER_URLS": json.dumps(providers)}
        if backend == "sqlite":
            make_tables(data_dir, environ)
        world = World(folder, sandbox, nats, on, environ)
        if records:
            for name in OBJECTS.values():
                sandbox.control("POST", f"records/salesforce/{name}?count={records}&spread_s=3000", {})
        prepare(world, streams, stripe_mode)
        try:
            yield world
        finally:
            world.stop()


def migrate(environ: Mapping[str, str], *args: str) -> None:
    call(environ, "manage.py", "migrate", *args, "--skip-checks", "-v", "0")


def make_tables(data_dir: Path, environ: Mapping[str, str]) -> None:
    """SQLite: migrate, or take the tables that an earlier world of this process has migrated."""
    template = _templates.get(os.getpid())
    if template is None:
        migrate(environ)
        migrate(environ, "django_q", "--database", "queue")
        _templates[os.getpid()] = {file.name: file.read_bytes() for file in data_dir.glob("*.sqlite3")}
    else:
        for name, content in template.items():
            (data_dir / name).write_bytes(content)


_templates: dict[int, dict[str, bytes]] = {}


def prepare(world: World, streams: Mapping[str, dict[str, Any]], stripe_mode: str) -> None:
    """Streams, then connections, syncs and consumers."""
    nats = world.nats
    assert isinstance(nats, JwtServer)
    assert nats.tls is not None
    creds = nats.make_user().text
    world.streams = streams
    consumers = []
    for name, config in streams.items():
        run(nats.make_stream(name.upper(), prefix=name, **config))
        place = {"host": nats.host, "port": nats.port, "tls": True, "ca": nats.tls.ca_pem, "creds": creds}
        pair = {"client_cert": nats.tls.client_cert_pem, "client_key": nats.tls.client_key_pem}
        consumers.append({"name": name, "subject_prefix": name, "nats": place | pair})
    grant = world.sandbox.control("POST", "grants", {"provider": "salesforce"})
    key = (
        world.sandbox.control("POST", "keys", {"provider": "stripe", "mode": stripe_mode})["secret"]
        if stripe_mode
        else ""
    )
    world.asked = {"grant": grant, "syncs": SYNCS, "consumers": consumers, "stripe_key": key}
    world.ids = json.loads(call(world.environ, "-m", "tests.faults.prepare", told=json.dumps(world.asked)))
    expected = {name: "basic" if config.get("allow_atomic") is False else "fenced" for name, config in streams.items()}
    assert world.ids["promises"] == expected


def call(environ: Mapping[str, str], *args: str, told: str = "") -> str:
    """Run Python to its end with a world's environment; what it printed. Raises AssertionError with its complaint."""
    done = subprocess.run(
        [sys.executable, *args], cwd=ROOT, env=dict(environ), input=told, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def as_uuid(stored: str | UUID) -> str:
    """SQLite keeps UUIDs as 32 digits; subjects have them with dashes."""
    return str(UUID(str(stored)))
