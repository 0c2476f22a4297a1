"""The servers that tests stand on: they survive a kill as the real ones do, and never outlive who started them."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
import redis

from tests import postgres_server, redis_server
from tests.backends import ROOT
from tests.faults.ground import ground
from tests.nats_server import is_alive

STARTER = """
import pathlib, sys, time
from tests import {module} as module
with module.running(pathlib.Path(sys.argv[1])) as server:
    print(server.process.pid, flush=True)
    time.sleep(60)
"""


def test_postgresql_is_paused_killed_and_recovers(tmp_path: Path) -> None:
    with postgres_server.running(tmp_path / "server") as server:
        url = server.create("one")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS n")
            server.pause()
            server.resume()
            assert connection.execute("SELECT n FROM t").fetchone() == (7,)
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT n FROM t")
        server.start()
        with psycopg.connect(server.create("two", template="one")) as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (7,)
        server.drop("two")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url_of("two"))


def test_a_world_can_be_asked_on_after_its_postgresql_was_killed() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="sequin-ground-") as place,
        ground("postgres", Path(place), migrate=lambda _url: None, postgres_in=Path(place) / "postgres") as on,
    ):
        assert on.query("SELECT ?", ("x",)) == [("x",)]
        assert on.postgres is not None
        on.postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            on.query("SELECT 1")
        on.postgres.start()
        assert on.query("SELECT 1") == [(1,)]
        on.postgres.kill()
        on.postgres.start()
        assert on.query("SELECT 1") == [(1,)], "the first to ask finds out that the connection is dead"


def test_redis_is_paused_killed_and_comes_back_empty(tmp_path: Path) -> None:
    with redis_server.running(tmp_path) as server:
        client = redis.Redis.from_url(server.url, socket_timeout=10)
        client.set("a", "1")
        assert redis.Redis.from_url(server.url_of(7)).get("a") is None
        server.pause()
        server.resume()
        assert client.get("a") == b"1"
        server.kill()
        server.start()
        assert client.get("a") is None


@pytest.mark.parametrize("module", ["postgres_server", "redis_server"])
def test_a_server_ends_with_who_started_it(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER.format(module=module), str(tmp_path / "server")]
    starter = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait(10)
    starter.stdout.close()
    deadline = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)
