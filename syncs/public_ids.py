"""Finding a record by its public id, which is a hash of what it is upstream.

Keys follow the log, some seconds behind, as consumers do; nothing is written when records are. An index on the record
itself would cost the hot path more than all the rest of an insert: a hash sorts new records over all of an index's
pages, so that each row writes a page of its own. Measured on SQLite with ids in order, half a million records held:
10 µs and 3.4 kB written a record without such an index, 25 µs and 11.3 kB with one, whether of 4, 8 or 16 bytes. Here
many keys are sorted first, so several go into a page (9 µs and 2.6 kB a record in all, a million records held), and the
scheduler does it, in small bites.

A key has 64 bits. Were there a billion records, two of them would share one with a probability of 3 %; the later one is
then found by it, the other by sync, collection and upstream id alone.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from syncs import log, log_reading, log_sql
from syncs.models import Record, RecordKey, SyncCollection, SyncHead
from syncs.states import SyncState

AT_ONCE = 30_000  # keys sorted together
_CHUNK = 1_000  # keys a transaction


def key_of(public_id: str) -> int:
    """What the table is sorted by: the first 8 bytes, as a signed number."""
    number = int(public_id[:8] + public_id[9:13] + public_id[14:18], 16)
    return number - 2**64 if number >= 2**63 else number


def candidates(public_id: UUID) -> Iterator[int]:
    """Primary keys of records that may have this public id; whoever asks compares it whole."""
    key = key_of(str(public_id))
    yield from RecordKey.objects.filter(pk=key).values_list("record_pk", flat=True)
    for head in _behind():
        yield from (pk for _, pk, own in _beyond(head, None) if own == key)


def follow(budget_s: float) -> int:
    """Bring keys up to date with the log until the budget ends; returns how many records were looked at."""
    late_at, done = time.monotonic() + budget_s, 0
    for head in _behind():
        while time.monotonic() < late_at:
            rows = list(_beyond(head, AT_ONCE))
            done += len(rows)
            _write(sorted((key, pk) for _, pk, key in rows))
            reached = rows[-1][0] if len(rows) == AT_ONCE else head.head_seq
            SyncHead.objects.filter(pk=head.pk).update(keyed_seq=reached)
            head.keyed_seq = reached
            if reached >= head.head_seq:
                break
    return done


def forget(sync_id: UUID, named: Iterable[tuple[str, str]]) -> None:
    """Drop the keys of records about to be deleted, each named by collection and upstream id."""
    keys = [key_of(str(log.public_id(sync_id, collection_id, upstream_id))) for collection_id, upstream_id in named]
    RecordKey.objects.filter(pk__in=keys)._raw_delete(connection.alias)


def _behind() -> list[SyncHead]:
    heads = SyncHead.objects.filter(head_seq__gt=F("keyed_seq")).exclude(sync__state=SyncState.REMOVING)
    return list(heads.order_by("sync_id"))


def _beyond(head: SyncHead, limit: int | None) -> Iterator[tuple[int, int, int]]:
    """(seq, record pk, key) of a sync's records whose keys may be missing, in order of the log.

    The head was read before them: what is appended meanwhile lies beyond it, and comes the next time (invariant 2).
    """
    collections = SyncCollection.objects.filter(sync_id=head.pk).values_list("pk", "collection_id")
    id_of = {pk: log_reading.public_ids(head.pk, collection_id) for pk, collection_id in collections}
    rows = Record.objects.filter(sync_id=head.pk, seq__gt=head.keyed_seq, seq__lte=head.head_seq).order_by("seq")
    columns = rows.values_list("seq", "pk", "collection_id", "upstream_id")[:limit]
    for seq, pk, collection_pk, upstream_id in columns.iterator():
        yield seq, pk, key_of(id_of[collection_pk](upstream_id))


def _write(pairs: Sequence[tuple[int, int]]) -> None:
    """In order; of two records that share a key the later one is found by it."""
    pairs = list(dict(pairs).items())
    for at in range(0, len(pairs), _CHUNK):
        with transaction.atomic():
            log_sql.write_keys(pairs[at : at + _CHUNK])
