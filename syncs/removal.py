"""Taking away syncs and unpicked collections: first what consumers must still tell, then the rows."""

from django.db import connection, transaction

from sequin_console.common import changes as pages
from syncs import log, log_sql, public_ids
from syncs.models import Feed, Record, RecordChange, SeenBy, Sync, SyncCollection
from syncs.states import Phase, Removal, SyncState

_CHUNK = 200
_FORGOTTEN = 1000  # rows a transaction


def is_under_way() -> bool:
    """Whether anything waits to be taken away."""
    unpicked = SyncCollection.objects.filter(phase=Phase.REMOVING)
    return unpicked.exists() or Sync.objects.filter(state=SyncState.REMOVING).exists()


def carry_on(budget: int = 50) -> int:
    """Carry on every removal under way by at most `budget` steps in all; returns how many steps were done."""
    done = 0
    for row in SyncCollection.objects.filter(phase=Phase.REMOVING).exclude(sync__state=SyncState.REMOVING)[:budget]:
        done += _step(row.sync, row, row.removal)
    for sync in Sync.objects.filter(state=SyncState.REMOVING)[:budget]:
        done += _step(sync, None, sync.removal)
    return done


def _step(sync: Sync, row: SyncCollection | None, removal: str) -> int:
    """One step of one removal: bury some records, or delete the rows once every receiver agrees."""
    records = Record.objects.filter(collection=row) if row else Record.objects.filter(sync=sync)
    if removal == Removal.TOMBSTONES and bury(sync, records):
        return 1
    collection_id = row.collection_id if row else None
    answers = log.may_forget.send(sender=None, sync_id=sync.pk, collection_id=collection_id, removal=removal)
    if any(answer is False for _, answer in answers):
        return 0
    _forget(sync, row)
    pages.announce(sync.topic, "syncs")
    return 1


def bury(sync: Sync, records) -> int:
    """Move up to a chunk of live records to the end of the log as tombstones; returns how many there were."""
    with transaction.atomic():
        live = list(records.filter(deleted=False).order_by("pk").values_list("pk", "collection_id")[:_CHUNK])
        if live:
            head = log.advance_head(sync.pk, len(live))
            log_sql.bury([(pk, seq) for seq, (pk, _) in enumerate(live, head - len(live) + 1)], seen_by=SeenBy.REMOVAL)
            for collection_pk in {collection_pk for _, collection_pk in live}:
                n = sum(1 for _, other in live if other == collection_pk)
                log.count_deleted(collection_pk, n)
    if live:
        log.announce(sync.pk)
    return len(live)


def _forget(sync: Sync, row: SyncCollection | None) -> None:
    """Delete the rows, history first, in small transactions so that nobody waits long."""
    owned = {"collection": row} if row else {"sync": sync}
    columns = ("pk", "collection__collection_id", "upstream_id")
    while rows := list(Record.objects.filter(**owned).order_by("pk").values_list(*columns)[:_FORGOTTEN]):
        pks = [pk for pk, _, _ in rows]
        with transaction.atomic():
            RecordChange.objects.filter(record__in=pks)._raw_delete(connection.alias)
            public_ids.forget(sync.pk, [(collection_id, upstream_id) for _, collection_id, upstream_id in rows])
            Record.objects.filter(pk__in=pks)._raw_delete(connection.alias)
    with transaction.atomic():
        if row:
            row.delete()
            Feed.objects.filter(sync=sync, collections=None).delete()
        else:
            sync.delete()
