"""Memory stays bounded, whatever comes in and however little goes out: only the log grows."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.oracle import Oracle
from tests.faults.processes import descendants
from tests.faults.report import rounds
from tests.faults.world import OBJECTS, World, running_world

pytestmark = pytest.mark.timeout(rounds(300, 3_000))
Record = Callable[..., None]
RECORDS = rounds(2_500, 250_000)  # in each of four collections
PATIENCE_S = rounds(150, 1_200)
ALLOWED_MB = 200
MB = 1024 * 1024
HUGE_MB, ROWS = 25, 1_000  # of one page: rich text, as much as an API lets a row have
ALLOWED_WITH_HUGE_MB = ALLOWED_MB + 8 * HUGE_MB  # of three pages at once: their bytes, their records, what is stored


class Peak:
    """The most memory any process of a world's clusters ever had."""

    def __init__(self, world: World) -> None:
        self.world, self.mb = world, 0.0

    def look(self) -> None:
        """See what the kernel remembers of each (VmHWM); call it again and again, for who has ended is forgotten."""
        leaders = [self.world.pid(name) for name in ("syncs", "consumers")]
        for pid in (worker for leader in leaders if leader for worker in descendants(leader)):
            with contextlib.suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                self.mb = max(self.mb, int(found[1]) / 1024 if found else 0.0)

    def until(self, claim: Callable[[], bool], told: str) -> None:
        def is_true() -> bool:
            self.look()
            return claim()

        self.world.wait_for(is_true, PATIENCE_S, told)


def delivered(world: World) -> int:
    return int(world.query("SELECT coalesce(sum(delivered), 0) FROM consumers_consumercursor")[0][0])


def test_nats_is_away_for_a_whole_backfill(tmp_path: Path, record_fault: Record) -> None:
    """What cannot be delivered waits in the log, not in memory; once NATS is back, all of it arrives."""
    with running_world(tmp_path, records=RECORDS, streams={"latest": {}}) as world:
        peak = Peak(world)
        world.nats.kill()
        world.start("syncs", "consumers", "scheduler")
        peak.until(world.is_read, "history is not read while NATS is away")
        assert delivered(world) == 0
        world.nats.start()
        peak.until(world.is_delivered, "not delivered once NATS was back")
        total = RECORDS * len(OBJECTS)
        record_fault(
            what=f"NATS away while {total:,} records are read",
            times=1,
            outcome=f"no process of a cluster above {ALLOWED_MB} MB; all of it on the stream afterwards",
            backend=world.on.label,
            promise="fenced",
        )
        print(f"at most {peak.mb:.0f} MB")
        assert peak.mb < ALLOWED_MB
        assert len(Oracle(world).stored("latest")) == total
        assert Oracle(world).judge() == []


def test_huge_pages_upstream(tmp_path: Path, record_fault: Record) -> None:
    """Pages of 25 MB are read, stored and delivered; memory holds some copies of three pages, not of all."""
    with running_world(tmp_path, streams={"latest": {}}) as world:
        body = {"Description": "x" * (HUGE_MB * MB // ROWS)}
        for _ in range(rounds(2, 8)):
            world.sandbox.control("POST", f"records/salesforce/Contact?count={ROWS}&spread_s=3000", body)
        world.sandbox.control("POST", "settings", {"page_size_cap": ROWS})
        peak = Peak(world)
        world.start("syncs", "consumers", "scheduler")
        peak.until(lambda: world.is_read() and world.is_delivered(), "huge pages do not come through")
        record_fault(
            what=f"pages of {HUGE_MB} MB upstream",
            times=rounds(2, 8),
            outcome=f"no process of a cluster above {ALLOWED_WITH_HUGE_MB} MB; all delivered",
            backend=world.on.label,
            promise="fenced",
        )
        print(f"at most {peak.mb:.0f} MB")
        assert peak.mb < ALLOWED_WITH_HUGE_MB
        assert Oracle(world).judge() == []
