"""The record log: one row per record, moved to the end of its sync's log by every change. Consumers come in here.

Order is the promise (invariant 2): `seq` is handed out from the sync's head row inside the transaction that writes the
records, and that row stays locked until commit. So a reader that has seen *n* has seen all below it.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Sequence

from django.db import connection, transaction
from django.db.models import F, Sum
from django.dispatch import Signal
from django.utils import timezone

from sequin_console.common import changes as announcements
from sequin_console.common import trace
from sequin_console.common.leases import LeaseLost
from syncs import field_picks, log_sql
from syncs.engine.changes import Change, news
from syncs.log_reading import LogEntry as LogEntry
from syncs.log_reading import LogReader as LogReader
from syncs.log_reading import entries_after as entries_after
from syncs.log_reading import public_id as public_id
from syncs.log_sql import advance_head as advance_head
from syncs.models import Feed, SeenBy, SyncCollection, SyncHead
from syncs.providers.kit.records import RawRecord

appended = Signal()
"""Sent after commit with `sync_id`: there is something new to deliver."""

may_forget = Signal()
"""Sent with `sync_id`, `collection_id` (None: the whole sync) and `removal`, before rows are deleted. A receiver that
still has to deliver or clean up returns False; the question is put again a moment later."""

SQLITE_CHUNK = 1_000  # rows a transaction where writers take turns: 20 ms on an idle machine, so others wait little


# --- Writing -------------------------------------------------------------------------------------------------------


def append(
    feed: Feed,
    collections: dict[str, SyncCollection],
    records: Sequence[RawRecord],
    *,
    seen_by: str,
    with_last: Callable[[], None] | None = None,
) -> int:
    """Store what pages brought, and return how many records changed; in the last of its transactions also call
    `with_last`, which moves the cursor.

    Records and cursor thus commit together (invariant 1): a crash re-reads at most these pages. Every transaction first
    proves the feed's lease by its fencing number, so a worker that was overtaken writes nothing.
    Whatever route a record came by, it is compared and stored with the fields picked for its collection, and no others.
    Raises LeaseLost, also for a collection that was removed meanwhile.
    """
    records = field_picks.applied(collections, records)
    changed = 0
    size = SQLITE_CHUNK if connection.vendor == "sqlite" else max(len(records), 1)
    chunks = [records[i : i + size] for i in range(0, len(records), size)] or [[]]
    for number, chunk in enumerate(chunks, 1):
        with transaction.atomic():
            feed.prove_lease()
            with trace.span("transaction"):
                changed += _append_chunk(feed.sync_id, collections, chunk, seen_by)
                if number == len(chunks) and with_last is not None:
                    with_last()
    if changed:
        announce(feed.sync_id)
    return changed


def announce(sync_id: uuid.UUID) -> None:
    """Tell consumers and pages, once the transaction has committed, that a sync's log has grown."""
    transaction.on_commit(lambda: appended.send(sender=None, sync_id=sync_id))
    transaction.on_commit(lambda: announcements.announce(f"sync-{sync_id}"))


def _append_chunk(
    sync_id: uuid.UUID, collections: dict[str, SyncCollection], records: Sequence[RawRecord], seen_by: str
) -> int:
    by_collection: dict[str, list[RawRecord]] = {}
    for record in records:
        by_collection.setdefault(record.collection_id, []).append(record)
    changes: list[tuple[int, Change]] = []
    for collection_id, group in by_collection.items():
        collection = collections[collection_id]
        by_time = collection.spec.get("versioned_by_time", False)
        found = news(
            group,
            log_sql.known(collection.pk, [record.upstream_id for record in group], with_times=by_time),
            versioned_by_time=by_time,
            volatile=tuple(collection.spec.get("volatile", ())),
        )
        same = [change for change in found if change.kind == "same"]
        if same and seen_by != SeenBy.BACKFILL:  # history is read after, and stored after, all looks of its run
            log_sql.touch([(change.known.pk, change.record.read_no) for change in same if change.known])
        found = [change for change in found if change.kind != "same"] if same else found
        _count(collection.pk, found)
        changes.extend((collection.pk, change) for change in found)
    if changes:
        head = advance_head(sync_id, len(changes))
        _write(sync_id, changes, head - len(changes) + 1, seen_by)
    return len(changes)


def _write(sync_id: uuid.UUID, changes: list[tuple[int, Change]], first: int, seen_by: str) -> None:
    """Store changes at their places in the log, the first one at `first`."""
    now = timezone.now()
    new, old, past = [], [], []
    for seq, (collection_pk, change) in enumerate(changes, first):
        r, known = change.record, change.known
        data = r.data.decode() if r.data is not None else None
        times = (r.created_at, r.updated_at)
        if known is None:
            new.append((seq, collection_pk, r.upstream_id, data, change.digest, *times, r.read_no))
        else:
            past.append((known.pk, seq, change.kind))
            old.append((known.pk, seq, data, change.digest, change.kind, r.deleted, *times, r.read_no))
    if old:
        log_sql.copy_history(past, seen_by=seen_by, at=now)
        log_sql.update_records(old, at=now)
    if new:
        log_sql.insert_records(new, sync_id=sync_id, at=now)
        if seen_by != SeenBy.BACKFILL:
            log_sql.note_creation([row[0] for row in new], sync_id=sync_id, seen_by=seen_by, at=now)


def _count(collection_pk: int, changes: Sequence[Change]) -> None:
    kinds = Counter(change.kind for change in changes)
    revived = sum(change.kind == "create" and change.known is not None for change in changes)
    if changes:
        _move_counts(collection_pk, kinds["create"] - kinds["delete"], kinds["delete"] - revived)


def count_deleted(collection_pk: int, n: int) -> None:
    """Keep the collection's counts true after `n` of its live records were marked deleted."""
    _move_counts(collection_pk, -n, n)


def _move_counts(collection_pk: int, live: int, deleted: int) -> None:
    """The collection's row stays locked until commit: no records are left of one that is removed meanwhile."""
    rows = SyncCollection.objects.filter(pk=collection_pk)
    if not rows.update(
        live_count=F("live_count") + live, deleted_count=F("deleted_count") + deleted, changed_at=timezone.now()
    ):
        raise LeaseLost(f"collection {collection_pk} was removed")


# --- Reading: what consumers see -----------------------------------------------------------------------------------


def heads(sync_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The last sequence number of each of these syncs' logs; one query."""
    return dict(SyncHead.objects.filter(sync_id__in=sync_ids).values_list("sync_id", "head_seq"))


def head(sync_id: uuid.UUID) -> int:
    """The last sequence number of a sync's log; 0 when it is empty."""
    return SyncHead.objects.filter(sync_id=sync_id).values_list("head_seq", flat=True).first() or 0


def live_count(sync_id: uuid.UUID, *, collection_ids: Sequence[str] | None = None) -> int:
    """How many records exist upstream as far as the log knows."""
    rows = SyncCollection.objects.filter(sync_id=sync_id)
    if collection_ids is not None:
        rows = rows.filter(collection_id__in=collection_ids)
    return rows.aggregate(n=Sum("live_count"))["n"] or 0
