"""Any process, killed or stopped for longer than a lease, at moments that chance decides, under constant edits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.ground import BACKENDS, on
from tests.faults.processes import Chaos
from tests.faults.report import rounds
from tests.faults.stage import staged

pytestmark = pytest.mark.timeout(900)
STRIKES, RECORDS = rounds(8, 60), rounds(100, 400)
PAUSE_EDITS = 15  # at most so many edits upstream between two strikes
Record = Callable[..., None]


@on(*BACKENDS)
def test_any_process_killed_or_stopped_at_random(tmp_path: Path, backend: str, record_fault: Record) -> None:
    """All invariants at once; whoever comes back from a stop finds that others have taken its leases."""
    with staged(tmp_path, backend, seed=10, records=RECORDS) as stage:
        stage.world.start("syncs", "consumers", "scheduler", "web", "syncs, second node", "consumers, second node")
        stage.wait_for_acks(1)
        chaos = Chaos(stage)
        while stage.killer.sent.total() < STRIKES:
            stage.wait_for_edits(stage.some(PAUSE_EDITS))
            chaos.strike()
        chaos.calm()
        stage.judge(record_fault)
