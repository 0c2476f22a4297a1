"""Crowds: twenty workers and more schedulers than anybody needs, on one console. Harmless, and it converges.

A second `up` on one data folder is refused: tests/integration/test_up.py.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sequin_console.up.process import Spec
from sequin_console.up.watch import SCHEDULER
from tests.faults.report import rounds
from tests.faults.stage import REST_S, staged
from tests.faults.world import World

pytestmark = pytest.mark.timeout(600)
Record = Callable[..., None]
WORKERS = 10  # in each of two clusters
SCHEDULERS = rounds(3, 10)
RECORDS = rounds(200, 2_000)


@contextmanager
def many_schedulers(world: World) -> Iterator[list[str]]:
    """Their names; each beats as a node of its own."""
    world.environ["SEQUIN_WORKERS"] = str(WORKERS)
    names = [f"{SCHEDULER}-{number}" for number in range(1, SCHEDULERS)]
    for name in names:
        world._crew.start(Spec(name, ("manage.py", SCHEDULER), {**world.environ, "SEQUIN_NODE": name}))
    try:
        yield [SCHEDULER, *names]
    finally:
        world._crew.stop(((names, 2.0),))


def taken(world: World) -> int:
    """How often the schedulers' lease was taken."""
    rows = world.query("SELECT lease_no FROM common_duty WHERE name = 'scheduler'")
    return rows[0][0] if rows else 0


def who_works(world: World) -> str:
    """The scheduler that beat last, by the name of its process."""
    rows = world.query("SELECT name FROM common_heartbeat WHERE name LIKE 'scheduler%' ORDER BY at DESC LIMIT 1")
    return rows[0][0].rpartition("@")[2]


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_twenty_workers_and_many_schedulers(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """One scheduler works at a time: when it dies without a word, another takes over, and nothing was done in vain."""
    with staged(tmp_path, backend, seed=31, records=RECORDS) as stage, many_schedulers(stage.world) as names:
        world = stage.world
        world.start("syncs", "consumers", "scheduler")
        world.wait_for(lambda: taken(world), REST_S, "no scheduler has ever worked")
        stage.wait_for_log(RECORDS // 2)
        times = rounds(2, 20)
        for _ in range(times):
            was, working = taken(world), who_works(world)
            assert working in names
            os.kill(world.pid(working) or 0, signal.SIGKILL)
            world.wait_for(lambda was=was: taken(world) > was, REST_S, "nobody takes over")
        stage.judge(record_fault)
        assert "deadlock" not in "".join(log.read_text() for log in (tmp_path / "logs").glob("*.log")).lower()
    record_fault(
        what=f"{2 * WORKERS} workers and {SCHEDULERS} schedulers at once", times=times, backend=stage.world.on.label,
        outcome="no deadlock, the schedulers' lease is handed over; nothing lost, nothing backwards",
        promise="fenced and basic",
    )  # fmt: skip
