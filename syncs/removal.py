"""Taking away syncs and unpicked collections: first what consumers must still tell, then the rows."""

import time

from django.conf import settings
from django.db import connection, transaction

from sequin_console.common import changes as pages
from sequin_console.common import leases
from sequin_console.common.models import Duty
from syncs import log, log_sql, public_ids
from syncs.models import Feed, Record, RecordChange, SeenBy, Sync, SyncCollection
from syncs.states import Phase, Removal, SyncState

DUTY = "removals"
BUDGET_S = 10.0  # a task; the next one goes on
_CHUNK = 200
_FORGOTTEN = 200  # rows a transaction


def is_under_way() -> bool:
    """Whether anything waits to be taken away."""
    unpicked = SyncCollection.objects.filter(phase=Phase.REMOVING)
    return unpicked.exists() or Sync.objects.filter(state=SyncState.REMOVING).exists()


def carry_on(budget_s: float = BUDGET_S) -> int:
    """Carry on every removal under way, in turn, until the budget ends or nothing more can be done now.

    One process does it at a time. Returns how many steps were done.
    """
    late_at = time.monotonic() + budget_s
    Duty.objects.get_or_create(name=DUTY)
    duty = leases.take(Duty, DUTY, seconds=settings.LEASE_S)
    if duty is None:
        return 0
    done = 0
    try:
        while (steps := _round(late_at)) and time.monotonic() < late_at:
            done += steps
        return done + steps
    finally:
        duty.release()


def _round(late_at: float) -> int:
    """A step of each removal; returns how many steps were done."""
    done = 0
    for row in SyncCollection.objects.filter(phase=Phase.REMOVING).exclude(sync__state=SyncState.REMOVING):
        done += _step(row.sync, row, row.removal, late_at)
    for sync in Sync.objects.filter(state=SyncState.REMOVING):
        done += _step(sync, None, sync.removal, late_at)
    return done


def _step(sync: Sync, row: SyncCollection | None, removal: str, late_at: float) -> int:
    """One step of one removal: bury some records, or delete the rows once every receiver agrees."""
    records = Record.objects.filter(collection=row) if row else Record.objects.filter(sync=sync)
    if removal == Removal.TOMBSTONES and bury(sync, records):
        return 1
    collection_id = row.collection_id if row else None
    answers = log.may_forget.send(sender=None, sync_id=sync.pk, collection_id=collection_id, removal=removal)
    if any(answer is False for _, answer in answers):
        return 0
    if _forget(sync, row, late_at):
        pages.announce(sync.topic, "syncs")
    return 1


def _stop_writers(sync: Sync) -> None:
    """Nobody appends to this sync's log until the transaction ends: who does holds the row of its feed (log.append)."""
    list(Feed.objects.filter(sync=sync).order_by("pk").select_for_update().values_list("pk"))


def bury(sync: Sync, records) -> int:
    """Move up to a chunk of live records to the end of the log as tombstones; returns how many there were."""
    with transaction.atomic():
        _stop_writers(sync)
        live = list(records.filter(deleted=False).order_by("seq").values_list("pk", "collection_id")[:_CHUNK])
        if live:
            head = log.advance_head(sync.pk, len(live))
            log_sql.bury([(pk, seq) for seq, (pk, _) in enumerate(live, head - len(live) + 1)], seen_by=SeenBy.REMOVAL)
            for collection_pk in {collection_pk for _, collection_pk in live}:
                n = sum(1 for _, other in live if other == collection_pk)
                log.count_deleted(collection_pk, n)
    if live:
        log.announce(sync.pk)
    return len(live)


def _forget(sync: Sync, row: SyncCollection | None, late_at: float) -> bool:
    """Delete the rows, history first, in small transactions so that nobody waits long; whether all are gone."""
    owned = {"collection": row} if row else {"sync": sync}
    columns = ("pk", "collection__collection_id", "upstream_id")
    while True:
        with transaction.atomic():
            _stop_writers(sync)  # so none can add to what is deleted here, or after the last of it
            rows = list(Record.objects.filter(**owned).order_by("seq").values_list(*columns)[:_FORGOTTEN])
            if not rows:
                _forget_owner(sync, row)
                return True
            pks = [pk for pk, _, _ in rows]
            RecordChange.objects.filter(record__in=pks)._raw_delete(connection.alias)
            public_ids.forget(sync.pk, [(collection_id, upstream_id) for _, collection_id, upstream_id in rows])
            Record.objects.filter(pk__in=pks)._raw_delete(connection.alias)
        if time.monotonic() >= late_at:
            return False


def _forget_owner(sync: Sync, row: SyncCollection | None) -> None:
    if row:
        row.delete()
        Feed.objects.filter(sync=sync, collections=None).delete()
    else:
        sync.delete()
