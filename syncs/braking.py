"""The brake on what upstream itself tells of: too many deletions at once count only after a person's word.

A key that lost a right may make a provider answer "gone" for each record it no longer shows. So deletions are counted
as they arrive. Beyond the sync's share they are not stored: ids are compared instead, which also finds those that were
held back, and the sweep asks (sweeping.py). Nothing is kept but a count: what is deleted upstream stays deleted there.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from sequin_console.common import audit
from syncs.engine.brake import Gone, is_mass_delete
from syncs.models import Record, Sync, SyncCollection
from syncs.providers.kit.records import RawRecord

if TYPE_CHECKING:
    from syncs.reading import FeedRun


def let_through(run: "FeedRun", records: list[RawRecord]) -> tuple[list[RawRecord], Callable[[], None]]:
    """The records less the deletions that are held back, and what notes the count, to be called as they are stored.

    Costs nothing for pages without deletions.
    """
    gone: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.deleted:
            gone[record.collection_id].append(record.upstream_id)
    counts: dict[int, Gone] = {}
    held = {key for key, ids in gone.items() if _is_too_much(run, run.rows[key], ids, counts)}
    if held:
        records = [record for record in records if not (record.deleted and record.collection_id in held)]

    def note() -> None:
        for pk, count in counts.items():
            since = datetime.fromtimestamp(count.since, UTC)
            SyncCollection.objects.filter(pk=pk).update(gone_count=count.count, gone_since=since)

    return records, note


def is_mass(sync: Sync, missing: int, live: int) -> bool:
    """Whether so many of so many are asked about, by the sync's own share."""
    return is_mass_delete(missing, live, share=sync.brake_percent / 100, at_least=sync.brake_at_least)


def _is_too_much(run: "FeedRun", row: SyncCollection, ids: Sequence[str], counts: dict[int, Gone]) -> bool:
    if run.specs[row.collection_id].sweep_every_h is None:  # nothing to compare with: what upstream says must do
        return False
    row.refresh_from_db(fields=["is_braked", "live_count", "gone_count", "gone_since", "held_deletes", "sweep_read_no"])
    if row.is_braked:
        return True
    live = Record.objects.filter(collection=row.pk, deleted=False, upstream_id__in=ids).count()
    before = Gone(row.gone_count, row.gone_since.timestamp() if row.gone_since else 0.0)
    now = before.more(live, now=timezone.now().timestamp())
    if live and is_mass(run.feed.sync, now.count, row.live_count + now.count - live):
        run.fenced(_brake, row, now.count)
        return True
    if live:
        counts[row.pk] = now
    return False


def _brake(row: SyncCollection, count: int) -> None:
    """Compare all ids, from the beginning: a comparison under way has met some before they went.

    A question that is open already is answered first; `sweeping` compares once more after it.
    """
    anew: dict[str, Any] = {"sweep_due_at": timezone.now(), "sweep_read_no": 0, "sweep_cursor": None}
    columns = {} if row.held_deletes else anew
    SyncCollection.objects.filter(pk=row.pk).update(is_braked=True, **columns)
    audit.record(None, "deletes.braked", row, {"told": count})
    row.refresh_from_db()
