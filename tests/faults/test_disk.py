"""A database that cannot work for a while: its disk is full, somebody else holds it, it takes no more connections.

Work stops with words and goes on by itself; afterwards log = upstream = stream.
"""

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.faults.ground import on
from tests.faults.processes import descendants
from tests.faults.readiness import ask, readiness, start_all, wait_until_said
from tests.faults.report import rounds
from tests.faults.small_disk import small_disk
from tests.faults.stage import REST_S, Stage, staged
from tests.running_up import processes_of

pytestmark = pytest.mark.timeout(600)
Record = Callable[..., None]
HELD = "said so, then went on; nothing lost, nothing backwards"
SQLITE_MB, POSTGRESQL_MB = 48, 160  # the latter begins with some 100
RECORDS = 300  # in each of four collections
AWAY_S = rounds(5, 30)
HELD_S = rounds(10, 40)  # longer than a task's time-out and a lease; the long form outlives SQLite's own patience too


def wait(stage: Stage, seconds: float) -> None:
    """Let the trouble last."""
    ends_at = time.monotonic() + seconds
    stage.world.wait_for(lambda: time.monotonic() > ends_at, 2 * seconds + 30)


def postgres_processes(stage: Stage) -> list[int]:
    server = stage.world.on.postgres
    assert server is not None
    return [server.process.pid, *descendants(server.process.pid)] if server.process else []


def start_again(stage: Stage) -> None:
    """Its postmaster, if it is gone."""
    server = stage.world.on.postgres
    assert server is not None
    if server.process is None or server.process.poll() is not None:
        server.start()


@pytest.mark.only_on("sqlite")
def test_full_disk_of_sqlite(tmp_path: Path, record_fault: Record) -> None:
    """No corruption either: the pages of every table are whole afterwards."""
    folder = tmp_path / "data"
    with (
        small_disk(folder, SQLITE_MB, lambda: processes_of(folder)) as disk,
        staged(tmp_path, "sqlite", seed=21, records=RECORDS) as stage,
    ):
        start_all(stage)
        times = rounds(1, 5)
        for _ in range(times):
            stage.wait_for_log(200)
            disk.fill()
            wait_until_said(stage, "The disk of the database is full. Make room")
            assert ask(stage, "/healthz")[0] == 200
            wait(stage, 5)
            disk.free()
            stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "room is not noticed")
        stage.judge(record_fault)
        with contextlib.closing(sqlite3.connect(folder / "console.sqlite3")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    what, promise = "disk of the database full", "fenced and basic"
    record_fault(what=what, times=times, outcome=HELD, backend="SQLite", promise=promise)


@on("postgres", among=["postgres"])
def test_full_disk_of_postgresql(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """Refused writes, or a server that dies of it and that somebody starts again once there is room."""
    with (
        tempfile.TemporaryDirectory(prefix="sequin-small-") as place,  # another pytest would close tmp_path to others
        small_disk(folder := Path(place) / "disk", POSTGRESQL_MB, lambda: postgres_processes(stage)) as disk,
        staged(tmp_path, backend, seed=25, records=RECORDS, postgres_in=folder / "postgres") as stage,
    ):
        start_all(stage)
        times = rounds(1, 5)
        for _ in range(times):
            stage.wait_for_log(200)
            disk.fill()
            wait_until_said(stage, "The disk of the database is full. Make room", "The database does not answer.")
            assert ask(stage, "/healthz")[0] == 200
            wait(stage, 5)
            disk.free()
            start_again(stage)
            stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "room is not noticed")
        stage.judge(record_fault)
    what, promise = "disk of the database full", "fenced and basic"
    record_fault(what=what, times=times, outcome=HELD, backend="PostgreSQL", promise=promise)


@on("postgres", among=["postgres", "postgres-redis"])
def test_postgresql_is_away(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """It is stopped while there is much to read and to deliver, and comes back after a while."""
    with staged(tmp_path, backend, seed=26, records=RECORDS) as stage:
        start_all(stage)
        times = rounds(1, 5)
        for _ in range(times):
            stage.wait_for_log(100)
            postgres = stage.world.on.postgres
            assert postgres is not None
            postgres.stop()
            wait_until_said(stage, "The database does not answer. Check that it runs.")
            assert [ask(stage, path)[0] for path in ("/healthz", "/v1/syncs", "/")] == [200, 503, 503]
            wait(stage, AWAY_S)
            postgres.start()
            stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "its return is not noticed")
        stage.judge(record_fault)
        label = stage.world.on.label
    what, promise = f"PostgreSQL away for {AWAY_S} s", "fenced and basic"
    record_fault(what=what, times=times, outcome=HELD, backend=label, promise=promise)


@pytest.mark.only_on("sqlite")
def test_locked_sqlite(tmp_path: Path, record_fault: Record) -> None:
    """A stranger, a backup say, holds SQLite's own write lock."""
    with staged(tmp_path, "sqlite", seed=22, records=RECORDS) as stage:
        start_all(stage)
        times = rounds(1, 4)
        for _ in range(times):
            stage.wait_for_log(100)
            path = stage.world.data_dir / "console.sqlite3"
            with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as stranger:
                stranger.execute("BEGIN IMMEDIATE")
                ends_at = time.monotonic() + HELD_S
                wait_until_said(stage, "Another program holds the database.")
                assert ask(stage, "/healthz")[0] == 200
                stage.world.wait_for(lambda at=ends_at: time.monotonic() > at, 2 * HELD_S)
                stranger.execute("ROLLBACK")
            stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "it is not noticed that the lock is gone")
        stage.judge(record_fault)
    record_fault(
        what=f"database locked by a stranger for {HELD_S} s", times=times, outcome=HELD, backend="SQLite",
        promise="fenced and basic",
    )  # fmt: skip


@on("postgres", among=["postgres"])
def test_locked_feeds_on_postgresql(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """Somebody holds the rows of all feeds and cursors; everything that needs none of them is served."""
    with staged(tmp_path, backend, seed=23, records=RECORDS) as stage:
        start_all(stage)
        stage.wait_for_log(100)
        with psycopg.connect(stage.world.on.environ["DATABASE_URL"]) as stranger:
            stranger.execute("SELECT 1 FROM syncs_feed FOR UPDATE")
            stranger.execute("SELECT 1 FROM consumers_consumercursor FOR UPDATE")
            ends_at = time.monotonic() + HELD_S
            while time.monotonic() < ends_at:
                stage.world.tick()
                assert ask(stage, "/healthz")[0] == 200
                assert readiness(stage)[0]
                time.sleep(0.5)
            stranger.rollback()
        stage.judge(record_fault)
    record_fault(
        what=f"rows of feeds and cursors locked for {HELD_S} s", times=1, outcome=HELD, backend="PostgreSQL",
        promise="fenced and basic",
    )  # fmt: skip


@on("postgres", among=["postgres"])
def test_no_more_connections_to_postgresql(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """All connections are taken by others: pages and API say so, workers go on once there are some."""
    with staged(tmp_path, backend, seed=24, records=RECORDS) as stage:
        start_all(stage)
        stage.wait_for_log(100)
        url = stage.world.on.environ["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as first, contextlib.ExitStack() as taken:
            others = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid != pg_backend_pid() AND NOT pid = ANY(%s) AND datname = current_database()"
            )
            ends_at, ours = time.monotonic() + HELD_S, [first.info.backend_pid]
            said = set()
            while time.monotonic() < ends_at:
                first.execute(others, [ours])
                with contextlib.suppress(psycopg.OperationalError):
                    while True:
                        ours.append(taken.enter_context(psycopg.connect(url)).info.backend_pid)
                stage.world.tick()
                assert ask(stage, "/healthz")[0] == 200
                said |= {readiness(stage)[1], *ask(stage, "/v1/syncs"), *ask(stage, "/")}
        assert any("PostgreSQL takes no more connections." in str(words) for words in said), said
        assert 503 in said
        assert 500 not in said
        stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "free connections are not noticed")
        stage.judge(record_fault)
    record_fault(
        what="PostgreSQL's max_connections used up by others", times=1, outcome=HELD, backend="PostgreSQL",
        promise="fenced and basic",
    )  # fmt: skip
