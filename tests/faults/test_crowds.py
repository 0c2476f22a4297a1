"""Crowds: twenty workers and more schedulers than anybody needs, on one console. Harmless, and it converges.

A second `up` on one data folder is refused: tests/integration/test_up.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from sequin_console.up.watch import SCHEDULER as SCHEDULER_PROGRAM
from tests.faults.ground import on
from tests.faults.report import rounds
from tests.faults.stage import REST_S, SCHEDULER, Stage, staged

pytestmark = pytest.mark.timeout(600)
Record = Callable[..., None]
WORKERS = 10  # in each of two clusters
SCHEDULERS = 10
KILLS = rounds(2, 20)
RECORDS = rounds(200, 2_000)


def taken(stage: Stage) -> int:
    """How often a scheduler took the lease that lets it work."""
    rows = stage.world.query("SELECT lease_no FROM common_duty WHERE name = 'scheduler'")
    return int(rows[0][0]) if rows else 0


@on("sqlite")
def test_twenty_workers_and_ten_schedulers(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """One scheduler works at a time; killed in the middle of it, another takes over. Nothing is done in vain."""
    many = {"SEQUIN_WORKERS": str(WORKERS)}
    with staged(tmp_path, backend, seed=31, records=RECORDS, **many) as stage:
        for number in range(1, SCHEDULERS):
            node = f"more-{number}"
            stage.world.start_more(node, "manage.py", SCHEDULER_PROGRAM, SEQUIN_NODE=node)
        stage.world.start("syncs", "consumers", "scheduler")
        stage.wait_for_log(RECORDS // 2)
        for _ in range(KILLS):
            was = taken(stage)
            stage.kill(SCHEDULER)
            stage.world.wait_for(lambda was=was: taken(stage) > was, REST_S, "nobody takes over")
        stage.judge(record_fault)
        logs = "".join(log.read_text() for log in (tmp_path / "logs").glob("*.log"))
        assert "deadlock" not in logs.lower()
        record_fault(
            what=f"{2 * WORKERS} workers and {SCHEDULERS} schedulers at once",
            times=1,
            outcome=f"no deadlock; of the schedulers {KILLS} were killed at work, and the next took over",
            backend=stage.world.on.label,
            promise="fenced and basic",
        )
