"""A cluster that hangs because an idle worker died is noticed by its silence, and another works within 30 seconds.

An idle django-q2 worker holds the lock of its cluster's queue while it waits for a task. Killed then, it takes the lock
along: its siblings wait for ever, the cluster's processes live, SIGTERM does nothing. This is a real `up`, and the real
hang: workers are killed until it happens.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests import backends
from tests.faults.ground import LABELS
from tests.faults.processes import workers_of
from tests.faults.report import rounds
from tests.running_up import RunningUp, running_up

pytestmark = pytest.mark.timeout(600)
HANGS = rounds(1, 3)  # wanted
SILENT_S = 9.0  # a beat is asked for every 5 s: who leaves one out hangs
ALLOWED_S = 30.0
USUAL_START_S = 8.0  # from the start of workers to their first sign of life; a busy machine may need longer
Record = Callable[..., None]


def beat(up: RunningUp, queue: str) -> object:
    """The queue's newest sign of life, as it stands in the table."""
    sql = f"SELECT max(at) FROM common_heartbeat WHERE name LIKE '{queue}@%'"
    if url := up.given["DATABASE_URL"]:
        with psycopg.connect(url) as db:
            return db.execute(sql.encode()).fetchone()
    with closing(sqlite3.connect(f"file:{up.data_dir}/console.sqlite3?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchone()


def silence_s(up: RunningUp, queue: str, *, at_most: float) -> float:
    """How long it takes until the queue gives another sign of life."""
    began_s, last = time.monotonic(), beat(up, queue)
    while beat(up, queue) == last and time.monotonic() - began_s < at_most:
        time.sleep(0.05)
    return time.monotonic() - began_s


def silence_after_kill_s(up: RunningUp, queue: str) -> float:
    """Kill the worker that has waited longest, and see for how long nothing is done; short if its cluster lived on."""
    silence_s(up, queue, at_most=ALLOWED_S)  # just now it was well, and idle again a moment later
    time.sleep(0.5)
    os.kill(workers_of(up.facts["pids"][queue])[0], signal.SIGKILL)
    first = silence_s(up, queue, at_most=2 * ALLOWED_S)
    return first if first > SILENT_S else silence_s(up, queue, at_most=2 * ALLOWED_S)


def test_cluster_hung_by_an_idle_workers_death_is_replaced(tmp_path: Path, record_fault: Record) -> None:
    kills, hangs = 0, []
    with backends.console() as env, running_up(tmp_path / "data", "--no-demo", "--port", "0", env=env) as up:
        up.wait_until_said("workers and scheduler are starting")
        began_s = time.monotonic()
        up.wait_until_said("workers and scheduler are at work")
        slow_s = max(0.0, time.monotonic() - began_s - USUAL_START_S)
        while len(hangs) < HANGS and kills < 12 * HANGS:
            kills += 1
            seconds = silence_after_kill_s(up, "syncs")
            if seconds > SILENT_S:
                hangs.append(seconds)
                assert "syncs has given no sign of life" in up.output
        assert len(hangs) == HANGS, f"{kills} kills hung the cluster {len(hangs)} times only"
        up.wait_until_ready()
    print(f"{kills} kills, silent for {hangs} s")
    record_fault(
        what="SIGKILL of the idle worker that holds its queue's lock: the cluster hangs",
        times=kills,
        counted=len(hangs),
        outcome="another cluster at work within 30 s of the kill",
        backend=LABELS[backends.name()],
    )
    assert max(hangs) < ALLOWED_S + slow_s
