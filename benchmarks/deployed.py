"""The product as it is deployed: clusters, scheduler, database, in a folder of its own."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import servers
from benchmarks.processes import Meter, cluster_roles, tree
from benchmarks.servers import ROOT, Jetstream, UpstreamServer, eventually
from sequin_console.up import plan
from sequin_console.up.crew import Crew
from sequin_console.up.process import Spec
from tests.nats_server import NatsServer, free_port
from tests.running_up import clean_environment

CLUSTERS, SCHEDULER = ("syncs", "consumers"), "scheduler"
WORKERS = 2  # a queue, as the settings have it
NODE = "bench-1"
WITHIN_S = 180.0
PREFIX, STREAM = "sequin-records", "SEQUIN-RECORDS"
_templates: dict[str, bytes] = {}


class Database:
    """Where a product keeps its tables: SQLite files in its folder, or a database of a PostgreSQL server."""

    def __init__(self, folder: Path, server: Any = None) -> None:
        self.folder, self.server = folder, server
        self.url = ""

    def make(self, environ: dict[str, str]) -> dict[str, str]:
        """Tables as migrations make them, copied from the first time; the environment that names them."""
        self.folder.mkdir(parents=True)
        if self.server is None:
            if not _templates:
                for database, apps in (("default", []), ("queue", ["django_q"])):
                    manage(environ, "migrate", *apps, "--database", database)
                _templates.update({file.name: file.read_bytes() for file in self.folder.glob("*.sqlite3")})
            for name, content in _templates.items():
                (self.folder / name).write_bytes(content)
            return environ
        if not getattr(self.server, "is_migrated", False):
            manage({**environ, "DATABASE_URL": self.server.create("migrated")}, "migrate")
            self.server.is_migrated = True
        self.url = self.server.create(self.folder.parent.name, template="migrated")
        return {**environ, "DATABASE_URL": self.url}

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows, read past the product's code. Parameters are marked by %s."""
        if self.server is None:
            with contextlib.closing(sqlite3.connect(f"file:{self.folder}/console.sqlite3?mode=ro", uri=True)) as db:
                return db.execute(sql.replace("%s", "?"), params).fetchall()
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql, params).fetchall()

    def size_bytes(self) -> dict[str, int]:
        """What the tables take on disk, by part."""
        if self.server is None:
            return {file.name: file.stat().st_size for file in sorted(self.folder.glob("console.sqlite3*"))}
        sql = "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class WHERE relname = 'syncs_record'"
        [(name, table, indexes)] = self.query(sql)
        return {name: table, f"{name} indexes": indexes, "database": self.query(_SIZE)[0][0]}

    def pids(self) -> list[int]:
        return tree(self.server.process.pid) if self.server else []


_SIZE = "SELECT pg_database_size(current_database())"


def manage(environ: dict[str, str], *words: str) -> None:
    """Run a manage.py command to its end. Raises RuntimeError with its complaint."""
    command = [sys.executable, "manage.py", *words, "--skip-checks", "-v", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])


class Hands:
    """benchmarks.hands as a process: `hands.do("create_sync", name=…)`."""

    def __init__(self, environ: dict[str, str], module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, deed: str, **told: Any) -> Any:
        """What the deed gives. Raises RuntimeError with its complaint."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"do": deed, **told}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


class Product:
    """One console with an upstream and a NATS server; `start` its processes, then act by `hands`."""

    def __init__(
        self, folder: Path, upstream: UpstreamServer, nats: NatsServer, jetstream: Jetstream, database: Database
    ) -> None:
        self.folder, self.database = folder, database
        self.upstream, self.nats, self.jetstream = upstream, nats, jetstream
        self.environ: dict[str, str] = {}
        self.module = "benchmarks.hands"
        self._crew = self._new_crew()
        self._hands: Hands | None = None

    def _new_crew(self) -> Crew:
        return Crew(self.folder / "logs", lambda text: print(f"  {text}", file=sys.stderr))

    def prepare(self, **more: str) -> None:
        """Tables and environment."""
        environ = {
            **clean_environment(self.database.folder),
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "sequin_console.settings",
            "SEQUIN_PROVIDER_URLS": json.dumps({"stripe": self.upstream.url}),
            "SEQUIN_WORKERS": str(WORKERS),
            **more,
        }
        self.environ = self.database.make(environ)

    def start(self, *, only: Sequence[str] = (), web: bool = False, port: int = 0) -> None:
        """Start clusters and scheduler as `up` would, and wait until each works. `only` must name the scheduler too."""
        specs = [spec for spec in plan.workers(NODE) if not only or spec.name in only]
        if web:
            address = (
                "--host",
                "127.0.0.1",
                "--port",
                str(port or free_port()),
                "--lifespan",
                "off",
                "--no-access-log",
            )
            specs.append(Spec("web", ("-m", "uvicorn", "sequin_console.asgi:application", *address)))
        started_at = time.time()
        for spec in specs:
            self._crew.start(Spec(spec.name, spec.argv, {**self.environ, **spec.env}))
        wanted = {spec.name for spec in specs} & {*CLUSTERS, SCHEDULER}
        eventually(lambda: wanted <= self._beating_since(started_at), WITHIN_S, f"{wanted} do not all beat")

    def _beating_since(self, moment: float) -> set[str]:
        rows = self.database.query("SELECT name, at FROM common_heartbeat")
        return {name.partition("@")[0] for name, at in rows if unix(at) > moment}

    @property
    def hands(self) -> Hands:
        """Whoever works at the console."""
        self._hands = self._hands or Hands(self.environ, self.module)
        return self._hands

    def roles(self) -> dict[str, list[int]]:
        """Which processes do what at present."""
        assert self.nats.process
        found: dict[str, list[int]] = {}
        for name, pid in self._crew.pids().items():
            if name in CLUSTERS and pid:
                found[f"{name} workers"], found[f"{name} helpers"] = cluster_roles(pid, WORKERS)
            elif pid:
                found[name] = tree(pid)
        found |= {"nats-server": [self.nats.process.pid], "upstream": [self.upstream.pid]}
        found["postgres"] = self.database.pids()
        return {role: pids for role, pids in found.items() if pids}

    def meter(self) -> Meter:
        """CPU of every process that works for us, from now on."""
        return Meter(self.roles)

    def stop(self) -> None:
        """End everything."""
        if self._hands is not None:
            self._hands.close()
        self.stop_processes()

    def stop_processes(self) -> None:
        """End what `start` has started; it can be started again."""
        self._crew.stop(plan.STOP)
        self._crew = self._new_crew()

    # --- What is in the tables -----------------------------------------------------------------------------------

    def cursor(self) -> tuple[int, int, float]:
        """(end of the log, acknowledged up to, when the last message was acknowledged), over all syncs."""
        rows = self.database.query(
            "SELECT SUM(h.head_seq), SUM(c.acked_seq), MAX(c.last_acked_at) FROM consumers_consumercursor c "
            "JOIN syncs_synchead h ON h.sync_id = c.sync_id"
        )
        head, acked, at = rows[0]
        return int(head or 0), int(acked or 0), unix(at)

    def read_at(self) -> float:
        """When all collections had been read to their end, unix seconds; 0 while one has not."""
        rows = self.database.query("SELECT phase, backfilled_at FROM syncs_synccollection")
        return max((unix(at) for _, at in rows), default=0.0) if all(phase == "live" for phase, _ in rows) else 0.0


def unix(moment: Any) -> float:
    if moment is None:
        return 0.0
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@contextlib.contextmanager
def running_product(
    upstream: UpstreamServer,
    nats: NatsServer,
    jetstream: Jetstream,
    *,
    server: Any = None,
    redis_url: str = "",
    keep: bool = False,
) -> Iterator[Product]:
    """A product with empty tables and no process yet; all is gone afterwards.

    server  a PostgreSQL server of tests.postgres_server; None for SQLite
    keep    leave the folder with its logs
    """
    folder = Path(tempfile.mkdtemp(prefix="sequin-bench-"))
    product = Product(folder, upstream, nats, jetstream, Database(folder / "data", server))
    try:
        product.prepare(**({"REDIS_URL": redis_url} if redis_url else {}))
        yield product
    finally:
        product.stop()
        if keep:
            print(f"  kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres() -> Iterator[Any]:
    """A PostgreSQL server as it comes, safe against power cuts."""
    from tests import postgres_server

    with (
        tempfile.TemporaryDirectory(prefix="sequin-bench-pg-") as folder,
        postgres_server.running(Path(folder) / "server", **servers.AS_IT_COMES) as server,
    ):
        yield server
