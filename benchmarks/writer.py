"""A process that appends to logs as a sync's worker does, at the pace and in the amount a benchmark asks for.

`python -m benchmarks.writer` in a product's environment; takes lines as benchmarks.hands does, whose deeds it has too.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

from benchmarks import hands
from benchmarks.upstream import make_record, record_id

LEASE_S = 7200
A_PAGE = 500
_logs: list["Log"] = []


class Log:
    """One sync's log, held by the lease of its feed."""

    def __init__(self, sync_id: str) -> None:
        from sequin_console.common import leases
        from syncs import log
        from syncs.models import Feed, SyncCollection

        self.sync_id, self.records, self._read_no = sync_id, 0, 0
        feed = leases.take(Feed, Feed.objects.get(sync_id=sync_id).pk, seconds=LEASE_S)
        assert feed is not None
        self.feed = feed
        self.rows = {row.collection_id: row for row in SyncCollection.objects.filter(sync_id=sync_id)}
        self.seq = log.head(feed.sync_id)

    def page(self, indexes: range | list[int], revision: int) -> list[Any]:
        """Records as reading would bring them."""
        from syncs.providers.kit.records import RawRecord

        self._read_no += 1
        number = (self.feed.lease_no << 20) + self._read_no
        return [RawRecord(hands.COLLECTION, record_id(i), make_record(i, revision), number) for i in indexes]

    def append(self, page: list[Any], seen_by: str, with_last: Callable[[], None] | None = None) -> int:
        """How many of them moved to the end of the log."""
        from syncs import log

        changed = log.append(self.feed, self.rows, page, seen_by=seen_by, with_last=with_last)
        self.seq += changed
        return changed


def open_logs(syncs: int, records: int) -> list[str]:
    """So many syncs, paused so that nobody reads upstream, with so many records each; their ids."""
    from syncs import services
    from syncs.models import Sync

    credential = hands.connect()
    for number in range(syncs):
        sync_id = hands.create_sync(f"log {number}", credential)["id"]
        services.pause_sync(Sync.objects.get(pk=sync_id), by=None)
        _logs.append(Log(sync_id))
        lay(number, records)
    return [log.sync_id for log in _logs]


def lay(number: int, records: int) -> float:
    """Fill a log up to so many records, as history; CPU seconds of this process for it."""
    log = _logs[number]
    spent_s = 0.0
    while log.records < records:
        page = log.page(range(log.records, min(records, log.records + A_PAGE)), 0)
        spent_s -= time.process_time()
        log.records += log.append(page, "backfill")
        spent_s += time.process_time()
    return spent_s


def update(number: int, records: int, revision: int, *, scattered: bool = False) -> float:
    """Change (or find unchanged, if the revision is theirs already) so many records; CPU seconds for it.

    They are the first ones, in order; or `scattered` over the whole log, where each lies on a page of its own.
    """
    log, spent_s = _logs[number], 0.0
    step = max(1, log.records // records) if scattered else 1
    wanted = list(range(0, log.records, step))[:records]
    for start in range(0, len(wanted), A_PAGE):
        page = log.page(wanted[start : start + A_PAGE], revision)
        spent_s -= time.process_time()
        log.append(page, "feed")
        spent_s += time.process_time()
    return spent_s


def change(rate: float, seconds: float, revision: int) -> list[tuple[str, int, float]]:
    """Changes one by one, round all logs at an even pace; (sync, seq, when its transaction had committed) of each."""
    from django.db import transaction

    committed: list[tuple[str, int, float]] = []
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        log = _logs[number % len(_logs)]
        page = log.page([number // len(_logs) % log.records], revision)
        stamps: list[float] = []
        log.append(page, "feed", lambda stamps=stamps: transaction.on_commit(lambda: stamps.append(time.time())))
        committed.append((log.sync_id, log.seq, stamps[0]))
    return committed


def peak_bytes() -> int:
    """The most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    hands.main((open_logs, lay, update, change, peak_bytes))
