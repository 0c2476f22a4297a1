"""A node freezes in mid-work for longer than its lease, another takes over, and then the frozen one goes on.

The worker is caught within a batch or a transaction; its whole cluster is stopped with it, for the guard would end a
worker that is late. It goes on only when somebody else has taken a lease that it held. What it then still sends or
stores, the stream and the tables must refuse. On PostgreSQL alone: where SQLite is, all is on one machine and freezes
together.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.ground import on
from tests.faults.processes import descendants
from tests.faults.report import rounds
from tests.faults.settings import LEASE_S
from tests.faults.stage import CAUGHT_S, CONSUMER_WORKER, REST_S, SPANS, SYNC_WORKER, Stage, staged
from tests.faults.world import CLUSTERS, SECOND_NODE

pytestmark = pytest.mark.timeout(600)
ROUNDS = rounds(1, 6)
MORE_TRIES = 4  # on a busy machine the others may be too slow to take over in time
SERVERS = ("postgres", "postgres-redis")
LEASED = ("consumers_consumercursor", "syncs_feed")
LONGER_THAN_A_LEASE_S = LEASE_S + 3.0
NEVER = datetime.max.replace(tzinfo=UTC)  # a unit that nobody holds
Record = Callable[..., None]


def leases(stage: Stage, table: str) -> dict[int, tuple[int, datetime]]:
    """Number and end of the leases that are held or ran out, by unit."""
    rows = stage.world.query(f"SELECT id, lease_no, lease_until FROM {table}")
    return {pk: (no, until or NEVER) for pk, no, until in rows}


class TakeOver:
    """Whether somebody took a unit whose lease had run out without being given back, as only who froze leaves it."""

    def __init__(self, stage: Stage, table: str) -> None:
        self.stage, self.table = stage, table
        self.before, self.run_out, self.taken = leases(stage, table), set[int](), False

    def happened(self) -> bool:
        now = leases(self.stage, self.table)
        self.run_out |= {pk for pk, lease in now.items() if lease == self.before[pk] and lease[1] < datetime.now(UTC)}
        self.taken = self.taken or any(now[pk][0] > self.before[pk][0] for pk in self.run_out)
        return self.taken


def freeze(stage: Stage, kind: str, *, meanwhile: Callable[[], None]) -> None:
    """Catch a worker in mid-work, stop its node, and let it go on after `meanwhile`; counted if it was overtaken."""
    caught = stage.killer.catch(*SPANS[kind], within_s=CAUGHT_S)
    assert caught is not None, stage.world.state()
    leaders = [pid for name in (*CLUSTERS, *SECOND_NODE) if (pid := stage.world.pid(name))]
    node = next([leader, *found] for leader in leaders if caught.pid in (found := descendants(leader)))
    for pid in node:
        os.kill(pid, signal.SIGSTOP)
    overtaken = [TakeOver(stage, table) for table in LEASED]
    try:
        deadline_s = time.monotonic() + LONGER_THAN_A_LEASE_S
        while not any(one.happened() for one in overtaken) and time.monotonic() < deadline_s:
            stage.world.tick()
            time.sleep(0.02)
        meanwhile()
    finally:
        for pid in node:
            with contextlib.suppress(ProcessLookupError):  # the watch may have replaced it
                os.kill(pid, signal.SIGCONT)
    stage.killer.note(
        f"SIGSTOP of a node in mid-work, {kind}; SIGCONT when overtaken", any(one.taken for one in overtaken)
    )


def haunt(stage: Stage, kind: str, record_fault: Record, *, meanwhile: Callable[[], None]) -> None:
    stage.world.start("scheduler", *CLUSTERS, *SECOND_NODE)
    stage.wait_for_acks(1)
    for done in range(ROUNDS + MORE_TRIES):
        if done < ROUNDS or not stage.killer.counted.total():
            freeze(stage, kind, meanwhile=meanwhile)
    stage.judge(record_fault)
    assert stage.killer.counted.total(), "nobody took over from a frozen worker"


@on("postgres-redis", among=SERVERS)
def test_worker_that_was_overtaken_in_mid_batch_does_no_harm(
    tmp_path: Path, backend: str, record_fault: Record
) -> None:
    with staged(tmp_path, backend, seed=20, records=300) as stage:
        haunt(stage, CONSUMER_WORKER, record_fault, meanwhile=lambda: None)


@on("postgres", among=SERVERS)
def test_worker_frozen_in_mid_transaction_does_no_harm_and_stops_nobody(
    tmp_path: Path, backend: str, record_fault: Record
) -> None:
    """It holds locks meanwhile; the scheduler and other feeds go on."""
    with staged(tmp_path, backend, seed=21, records=300) as stage:

        def others_go_on() -> None:
            frozen_at = datetime.now(UTC)
            told = "a frozen worker stops the others"
            looked = "SELECT 1 FROM syncs_feed WHERE looked_at > ?"
            stage.world.wait_for(lambda: stage.world.query(looked, (frozen_at,)), REST_S, told)

        haunt(stage, SYNC_WORKER, record_fault, meanwhile=others_go_on)
