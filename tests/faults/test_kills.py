"""Workers, scheduler and nats-server killed with SIGKILL in the middle of their work: nothing lost, nothing backwards.

Real processes (tests/faults), several feeds, three consumers: fenced and basic delivery to streams that keep every
message, and fenced delivery to a stream with the recommended settings. A kill counts only if a transaction or batch was
in flight at that moment (tests/faults/kills.py says how that is known); each test wants some, and tells how many.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.ground import on
from tests.faults.report import SEED
from tests.faults.stage import (
    CONSUMER_WORKER,
    PAGE,
    RECORDS,
    REST_S,
    SCHEDULER,
    SERVER,
    SYNC_WORKER,
    Stage,
    staged,
)
from tests.faults.world import running_world

pytestmark = pytest.mark.timeout(600)
Record = Callable[..., None]


def test_without_the_guard_of_invariant_1_such_kills_lose_records(tmp_path: Path) -> None:
    """The proof that kills and oracle see what they should: the cursor moves before its page is stored."""
    with running_world(
        tmp_path, records=RECORDS // 2, page_size=PAGE, streams={}, SEQUIN_FAULTS_CURSOR_FIRST="1"
    ) as world:
        stage = Stage(world, SEED * 1_000)
        world.start("syncs", "scheduler")
        for _ in range(2):
            stage.wait_for_log(RECORDS // 4)
            stage.kill(SYNC_WORKER)
        world.wait_for(world.is_read, REST_S, "history is not read")
        assert any("is not in the log" in problem for problem in stage.oracle.log_problems())


def test_without_the_guard_of_invariant_6_the_watcher_sees_it(tmp_path: Path) -> None:
    """The proof that "acknowledged too early" would be seen: the cursor moves a moment before the messages leave."""
    with staged(tmp_path, seed=9, records=50, SEQUIN_FAULTS_ACKED_FIRST="1") as stage:
        stage.world.start("syncs", "consumers", "scheduler")
        stage.wait_for_acks(200)
        stage.editor.stop()
        stage.oracle.settle(REST_S)
        early = [told for told in stage.oracle.judge(stage.watcher.stop()) if "acknowledged too early" in told]
        assert {told.partition(":")[0] for told in early} >= {"fenced", "basic"}


@on("sqlite")
def test_sync_worker_killed_mid_backfill(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """Invariants 1 and 2: a page that was being stored is read again, none is lost, none is skipped."""
    with staged(tmp_path, backend, seed=1) as stage:
        slow = {"provider": "salesforce", "kind": "slow", "path": "", "seconds": 0.3}
        stage.world.sandbox.control("POST", "faults", slow)  # else all is read before anybody can be killed
        stage.world.start("syncs", "consumers", "scheduler")

        def kill() -> None:
            stage.wait_for_log(stage.some(RECORDS // 2))
            assert not stage.world.is_read(), "history was read too fast to kill anybody in mid-backfill"

        kill()
        stage.kill_until_counted(SYNC_WORKER, after_each=kill)
        stage.world.sandbox.control("DELETE", "faults")
        stage.judge(record_fault)


@on("postgres-redis")
def test_consumer_worker_killed_mid_drain(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """Invariants 6 and 7: whatever of the batch was stored, the next worker learns it from the stream."""
    with staged(tmp_path, backend, seed=2) as stage:
        stage.world.start("syncs", "scheduler")
        stage.world.wait_for(stage.world.is_read, REST_S, "history is not read")
        stage.world.start("consumers")
        stage.kill_until_counted(CONSUMER_WORKER, after_each=lambda: stage.wait_for_acks(stage.some(RECORDS // 2)))
        stage.judge(record_fault)


@on("postgres")
def test_scheduler_killed_while_it_queues(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """Invariant 11: what it had half queued, its successor finds in the tables."""
    with staged(tmp_path, backend, seed=3) as stage:
        stage.world.start("syncs", "consumers", "scheduler")
        stage.kill_until_counted(SCHEDULER, after_each=lambda: stage.wait_for_log(stage.some(RECORDS // 4)))
        stage.judge(record_fault)


@on("postgres")
def test_nats_server_killed_mid_backfill(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """Invariant 6: what it had not acknowledged is settled by reading the stream, once it is back on the same store."""
    with staged(tmp_path, backend, seed=4) as stage:
        stage.world.start("syncs", "consumers", "scheduler")
        stage.kill_until_counted(SERVER, after_each=lambda: stage.wait_for_acks(stage.some(RECORDS // 2)))
        stage.judge(record_fault)
