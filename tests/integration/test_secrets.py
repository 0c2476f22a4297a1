"""Invariant 10: secrets live in encrypted columns and nowhere else, whatever goes well or wrong.

A whole world of real processes syncs and delivers, renews, and meets every kind of failure. Then every byte it has left
behind is searched: tables (pages and rows that are freed, and write-ahead logs, too), queued tasks, logs, exports, and
what people were told. Every secret of it is known here, or begins in a way nothing else does.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from tests.faults.oracle import Oracle
from tests.faults.world import World, call, running_world
from tests.nats_server import NatsKey, free_port

pytestmark = pytest.mark.timeout(400)
WAIT_S = 120.0
POSTGRES = "postgres"  # the folder of a PostgreSQL of its own, where the run is on one
STREAMS: Mapping[str, dict[str, Any]] = {"fenced": {}}
# All tokens the sandbox gives out begin like this, so tokens got by renewal are found, too.
TELLING = 8  # base64 characters that do not come about by chance
BEGINNINGS = {"refresh token": "5Aep861", "access token": "00D5e000000Sand!AQEA", "Stripe key": "rk_live_"}


def markers(world: World) -> dict[str, str]:
    """What must not be found anywhere, by what it is."""
    nats = world.asked["consumers"][0]["nats"]
    lines = [line for line in nats["creds"].splitlines() if line and not line.startswith(("-", "*"))]
    jwt, seed = lines[0], lines[-1]
    key = "".join(line for line in nats["client_key"].splitlines() if not line.startswith("-"))
    return {
        **BEGINNINGS,
        "client secret": world.asked["grant"]["client_secret"],
        "refresh token as given": world.asked["grant"]["refresh_token"],
        "Stripe key as given": world.asked["stripe_key"],
        "NATS JWT": jwt.rpartition(".")[2],  # its signature: the claims are no secret, and shown
        "nkey seed": seed,
        "client certificate's key": key[30:60],
    }


def forms(text: str) -> Iterator[bytes]:
    """A text as it is, and as it may be written by JSON, a URL or base64 (at each of its three offsets).

    Of a short beginning, base64 leaves too few characters at some offsets: ciphertext has such four by chance.
    """
    yield from {text.encode(), json.dumps(text)[1:-1].encode(), quote(text, safe="").encode()}
    for offset in range(3):
        coded = base64.b64encode(b" " * offset + text.encode())
        if len(form := coded[4 if offset else 0 : -4]) >= TELLING:
            yield form


def left_behind(world: World) -> dict[str, bytes]:
    """Every file the console and its database have written, by name, and what a PostgreSQL's tables hold."""
    folders = (world.data_dir, world.folder / "logs", world.folder / POSTGRES)
    files = {path for folder in folders for path in folder.rglob("*")} | {world.trace.path}
    files -= {world.data_dir / "keys.json"}
    found = {str(path.relative_to(world.folder)): path.read_bytes() for path in files if path.is_file()}
    return {**found, **tables(world)}


def tables(world: World) -> dict[str, bytes]:
    """A PostgreSQL's tables as they are now: its files hold what was before, too, but long values are packed there."""
    if world.on.postgres is None:
        return {}
    found = {}
    with psycopg.connect(world.on.environ["DATABASE_URL"]) as database, database.cursor() as cursor:
        names = cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            query = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
            with cursor.copy(query) as rows:
                found[name] = b"".join(rows)
    return found


def leaks(world: World, said: Mapping[str, bytes]) -> list[str]:
    """Which secret was found where."""
    everything = {**left_behind(world), **said}
    return [
        f"{what} in {where}"
        for what, text in markers(world).items()
        for where, content in everything.items()
        if any(form in content for form in forms(text))
    ]


def errors(world: World, table: str, like: str = "%") -> list[Any]:
    return world.query(f"SELECT error FROM {table} WHERE error != '' AND error LIKE ?", (like,))


def go_through_everything(world: World) -> list[str]:
    """Success, renewal, and one failure after another; what people were told of what was refused."""
    world.start("syncs", "consumers", "scheduler")
    Oracle(world).settle(WAIT_S)
    _renew(world)
    _lose_upstream(world)
    _lose_nats(world)
    told = _be_refused(world)
    _lose_access(world)
    world.stop()
    return told


def _renew(world: World) -> None:
    """A rotated refresh token, and a record that arrives by it."""
    world.sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    world.sandbox.control("POST", "expire", {"provider": "salesforce"})
    world.sandbox.control("POST", "records/salesforce/Contact", {})
    Oracle(world).settle(WAIT_S)
    assert b"access renewed" in (world.folder / "logs" / "syncs.log").read_bytes()


def _lose_upstream(world: World) -> None:
    """Broken answers of every kind, in the API and at the sign-in."""
    for provider, path in (("salesforce", "FROM Contact"), ("stripe", "/v1/customers")):
        for kind in ("server_error", "truncated", "malformed"):
            world.sandbox.control("POST", "faults", {"provider": provider, "kind": kind, "times": 4})
        # One collection alone: what is forbidden is left for an hour, and nobody would miss the access lost below.
        world.sandbox.control("POST", "faults", {"provider": provider, "kind": "forbidden", "times": 4, "path": path})
    world.wait_for(
        lambda: errors(world, "syncs_feed") and errors(world, "syncs_synccollection"), WAIT_S, "no trouble upstream"
    )
    world.sandbox.control("DELETE", "faults")


def _lose_nats(world: World) -> None:
    """The server dies, and is back as it was."""
    world.nats.kill()
    world.query("SELECT 1")
    world.sandbox.control("POST", "records/stripe/customers?mode=live", {})
    world.wait_for(lambda: errors(world, "consumers_natsconsumer"), WAIT_S, "nobody missed the nats-server")
    world.nats.start()
    world.wait_for(lambda: not errors(world, "consumers_natsconsumer"), WAIT_S, "the consumer does not recover")


def _be_refused(world: World) -> list[str]:
    """Connections and consumers that cannot be made, each with real secrets in it."""
    grant, (consumer, *_) = world.asked["grant"], world.asked["consumers"]
    app = {"provider": "salesforce", "name": "Twin"} | {name: grant[name] for name in ("client_id", "client_secret")}
    token = grant["refresh_token"] + "x"
    place = {"instance_url": grant["instance_url"]}
    nats, foreign = consumer["nats"], NatsKey("user").seed
    creds = nats["creds"].splitlines()
    refused = {
        "oauth_app": app,
        "credentials": [
            {"provider": "salesforce", "kind": "salesforce", "secrets": {"refresh_token": token}, "settings": place},
            {"provider": "stripe", "kind": "stripe_key", "secrets": {"secret": world.asked["stripe_key"] + "x"}},
        ],
        "consumers": [
            {**consumer, "name": name, "subject_prefix": "x", "nats": {**nats, **change}}
            for name, change in (
                ("elsewhere", {"port": free_port()}),
                ("no pair", {"creds": "", "jwt": creds[1], "nkey_seed": foreign}),
                ("no key", {"client_key": nats["client_key"][:-60]}),
            )
        ],
    }
    return list(json.loads(call(world.environ, "-m", "tests.faults.prepare", told=json.dumps({"refused": refused}))))


def _lose_access(world: World) -> None:
    """Grants and keys are revoked: both connections ask for a person."""
    for asked in ({"provider": "salesforce"}, {"provider": "stripe", "secret": world.asked["stripe_key"]}):
        world.sandbox.control("POST", "revoke", asked)
    lost = "SELECT 1 FROM syncs_credential WHERE state = 'reconnect'"
    world.wait_for(lambda: len(world.query(lost)) == 2, WAIT_S, "nobody noticed that access is gone")


def test_invariant_10_secrets_are_nowhere_but_in_encrypted_columns(tmp_path: Path) -> None:
    with running_world(
        tmp_path, records=40, streams=STREAMS, stripe_mode="live", postgres_in=tmp_path / POSTGRES
    ) as world:
        told = go_through_everything(world)
        assert len(told) == 5
        exported = call(world.environ, "manage.py", "dumpdata", "--exclude", "django_q")
        said = {"what people were told": json.dumps(told).encode(), "an export": exported.encode()}
        assert leaks(world, said) == []
        assert len(world.query("SELECT 1 FROM common_auditevent")) > 5
        assert {"data/queue.sqlite3", "django_q_ormq"} & set(left_behind(world))


def test_invariant_10_scan_finds_every_secret_once_columns_are_plain(tmp_path: Path) -> None:
    """The guard taken out: columns that do not encrypt. A scan that misses a kind of secret proves nothing."""
    with running_world(
        tmp_path,
        streams=STREAMS,
        stripe_mode="live",
        postgres_in=tmp_path / POSTGRES,
        SEQUIN_FAULTS_PLAIN_SECRETS="1",
    ) as world:
        found = {leak.partition(" in ")[0] for leak in leaks(world, {})}
        assert found == set(markers(world))


def test_invariant_10_scan_finds_a_secret_in_a_log_or_a_task_however_it_is_written() -> None:
    text = 'sk"ü/secret+of our own!'
    for written in (
        text,
        json.dumps({"a": text}),
        quote(text, safe=""),
        base64.b64encode(b"x" + text.encode()).decode(),
    ):
        assert any(form in f"before {written} after".encode() for form in forms(text)), written
