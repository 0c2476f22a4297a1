"""A database that cannot work for a while: its disk is full, somebody else holds it, it takes no more connections.

Work stops with words and goes on by itself; afterwards log = upstream = stream.
"""

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults.ground import on
from tests.faults.report import rounds
from tests.faults.stage import REST_S, Stage, staged
from tests.running_up import processes_of

pytestmark = pytest.mark.timeout(600)
Record = Callable[..., None]
HELD = "said so, then went on; nothing lost, nothing backwards"
DISK_MB = 48
RECORDS = 300  # in each of four collections
HELD_S = rounds(10, 40)  # longer than a task's time-out and a lease; the long form outlives SQLite's own patience too


def ask(stage: Stage, path: str) -> tuple[int, str]:
    """Status and body; 0 when nothing answers."""
    somebody = {
        "Authorization": "Bearer sequin_unknown",
        "Cookie": "sequin_session=unknown-to-everybody",
    }  # to be looked up
    request = urllib.request.Request(stage.world.url + path, headers=somebody)
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def readiness(stage: Stage) -> tuple[bool, str]:
    """What /readyz says of the database."""
    _, body = ask(stage, "/readyz")
    part = json.loads(body)["database"] if body.startswith("{") else {"ok": False, "detail": body}
    return part["ok"], part["detail"]


def wait_until_said(stage: Stage, words: str) -> None:
    stage.world.wait_for(lambda: words in readiness(stage)[1], REST_S, lambda: f"not said: {words}: {readiness(stage)}")


class SmallDisk:
    """A folder on a disk of its own; where that is not ours to mount, a limit on what its processes may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
        self.is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self) -> None:
        if not self.is_mounted:
            self._limit(1)
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb") as ballast:  # closing writes, too
            while True:
                ballast.write(bytes(64 * 1024))
                ballast.flush()

    def free(self) -> None:
        if self.is_mounted:
            (self.folder / "ballast").unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in processes_of(self.folder):
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "data")
    yield made
    made.close()


def start_all(stage: Stage) -> None:
    stage.world.start("web", "syncs", "consumers", "scheduler")
    stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "the console does not come up")


@pytest.mark.only_on("sqlite")
def test_full_disk_of_the_database(tmp_path: Path, disk: SmallDisk, record_fault: Record) -> None:
    """No corruption either: the pages of every table are whole afterwards."""
    with staged(tmp_path, "sqlite", seed=21, records=RECORDS) as stage:
        start_all(stage)
        times = rounds(1, 5)
        for _ in range(times):
            stage.wait_for_log(200)
            disk.fill()
            wait_until_said(stage, "The disk of the database is full. Make room")
            assert ask(stage, "/healthz")[0] == 200
            stage.world.wait_for(lambda at=time.monotonic() + 5: time.monotonic() > at, 30)
            disk.free()
            stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "room is not noticed")
        stage.judge(record_fault)
        with contextlib.closing(sqlite3.connect(disk.folder / "console.sqlite3")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    record_fault(
        what="disk of the database full", times=times, outcome=HELD, backend="SQLite", promise="fenced and basic"
    )


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
