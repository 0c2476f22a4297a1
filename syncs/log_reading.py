"""How the record log is read, cheaply: plain rows of one table, times as the text that messages carry.

Collections are looked up once a reader, not joined to every row; moments are formatted by the database, for parsing and
formatting three a record cost more than all else together (docs/performance.md). consumers come in by log.py.
"""

import uuid
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, NamedTuple

from django.db import connection

from syncs.models import Record, SyncCollection

_TABLE = Record._meta.db_table
_NAMESPACE = uuid.UUID("6f3b1a52-2f5d-5c1e-9a57-0d7d2b1f4c11")
_VARIANT = "89ab" * 4  # of a UUID's 17th hex digit, by what the hash has there
_FETCH = 100  # rows at once, so that a few large records end a read early
SPAN = 2  # sequence numbers looked at for each entry wanted, before looking at the rest
ENTRY_BYTES = 1_000  # what an entry takes beside its data, about


class LogEntry(NamedTuple):
    """One record at its place in the log. `data` is the provider's JSON on one line; times are RFC 3339 in UTC."""

    seq: int
    record_id: int
    public_id: str
    collection_id: str
    upstream_id: str
    data: str
    deleted: bool
    operation: str
    upstream_created_at: str | None
    upstream_updated_at: str | None
    inserted_at: str


def public_id(sync_id: uuid.UUID | str, collection_id: str, upstream_id: str) -> uuid.UUID:
    """The record's id for the outside world: the same for ever, however often it is deleted and read again."""
    return uuid.uuid5(_NAMESPACE, f"{sync_id}\n{collection_id}\n{upstream_id}")


def public_ids(sync_id: uuid.UUID | str, collection_id: str) -> Callable[[str], str]:
    """`public_id` of one collection's records as text: the part they share is hashed once."""
    shared = sha1(_NAMESPACE.bytes + f"{sync_id}\n{collection_id}\n".encode(), usedforsecurity=False)

    def of(upstream_id: str) -> str:
        one = shared.copy()
        one.update(upstream_id.encode())
        digits = one.hexdigest()
        variant = _VARIANT[int(digits[16], 16)]
        return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"

    return of


class LogReader:
    """Reads one sync's log, of all collections or of some. Keep it for a drain: it remembers the collections."""

    def __init__(self, sync_id: uuid.UUID, collection_ids: Sequence[str] | None = None) -> None:
        self.sync_id, self.collection_ids = sync_id, collection_ids
        self._collections: dict[int, tuple[str, Callable[[str], str]]] = {}

    def after(
        self, seq: int, *, limit: int, most_bytes: int | None = None, head: int | None = None
    ) -> tuple[list[LogEntry], bool]:
        """The next entries in order, and whether they are all there are: at least one, not many over `most_bytes`.

        head  of the log, where known: who asks for no more need not look beyond
        The part of the log where that many entries lie when none has moved is read first. PostgreSQL, as long as it has
        no statistics of a table just filled, would else sort all that lies beyond, for every batch again.
        """
        near = seq + SPAN * limit
        rows, is_all = self._read("seq > %s AND seq <= %s", [seq, near], limit, most_bytes)
        if is_all and (head is None or near < head):
            rest = most_bytes and most_bytes - sum(len(row[4]) + ENTRY_BYTES for row in rows)
            more, is_all = self._read("seq > %s", [near], limit - len(rows), rest)
            rows += more
        return [self._entry(row) for row in rows], is_all

    def _read(
        self, where: str, params: list[Any], limit: int, most_bytes: int | None
    ) -> tuple[list[tuple[Any, ...]], bool]:
        where, params = f"sync_id = %s AND {where}", [_plain(self.sync_id), *params]
        if self.collection_ids is not None:
            wanted = self._pks_wanted()
            if not wanted:
                return [], True
            where += f" AND collection_id IN ({', '.join(['%s'] * len(wanted))})"
            params += wanted
        return _read(where, params, limit, most_bytes)

    def one(self, record_id: int) -> LogEntry | None:
        """One record at its present place; None when it is gone."""
        rows, _ = _read("sync_id = %s AND id = %s", [_plain(self.sync_id), record_id], 1, None)
        return self._entry(rows[0]) if rows else None

    def _entry(self, row: tuple[Any, ...]) -> LogEntry:
        seq, pk, collection_pk, upstream_id, data, deleted, *rest = row[:_COLUMNS]
        collection_id, id_of = self._collections.get(collection_pk) or self._learn(collection_pk)
        return LogEntry(seq, pk, id_of(upstream_id), collection_id, upstream_id, data, bool(deleted), *rest)

    def _learn(self, collection_pk: int) -> tuple[str, Callable[[str], str]]:
        for pk, name in SyncCollection.objects.filter(sync_id=self.sync_id).values_list("pk", "collection_id"):
            self._collections[pk] = name, public_ids(self.sync_id, name)
        return self._collections[collection_pk]

    def _pks_wanted(self) -> list[int]:
        names = self.collection_ids or ()
        rows = SyncCollection.objects.filter(sync_id=self.sync_id, collection_id__in=names)
        return list(rows.values_list("pk", flat=True))


def _read(where: str, params: list[Any], limit: int, most_bytes: int | None) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows of `_columns`, and whether neither limit cut them short."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            return _read_postgresql(cursor, where, params, limit, most_bytes)
        cursor.execute(f"SELECT {_columns(_SQLITE_MOMENT)} FROM {_TABLE} WHERE {where} ORDER BY seq LIMIT %s",
                       [*params, limit])  # fmt: skip
        found: list[tuple[Any, ...]] = []
        size = 0
        while rows := cursor.fetchmany(_FETCH):  # read from the file as they are asked for
            for row in rows:
                found.append(row)
                size += len(row[4]) + ENTRY_BYTES
                if most_bytes is not None and size >= most_bytes:
                    return found, False
        return found, len(found) < limit


def _read_postgresql(
    cursor: Any, where: str, params: list[Any], limit: int, most_bytes: int | None
) -> tuple[list[tuple[Any, ...]], bool]:
    """The whole answer comes at once, so the server bounds it: sizes are known without reading long documents."""
    columns = _columns(_POSTGRESQL_MOMENT)
    if most_bytes is None:
        cursor.execute(f"SELECT {columns} FROM {_TABLE} WHERE {where} ORDER BY seq LIMIT %s", [*params, limit])
        found = cursor.fetchall()
        return found, len(found) < limit
    size = f"octet_length(data) + {ENTRY_BYTES}"
    cursor.execute(
        f"SELECT {columns}, upto FROM (SELECT *, {size} AS size, sum({size}) OVER (ORDER BY seq) AS upto FROM {_TABLE} "
        f"WHERE {where} ORDER BY seq LIMIT %s) AS next WHERE upto - size < %s ORDER BY seq",
        [*params, limit, most_bytes],
    )
    found = cursor.fetchall()
    return found, len(found) < limit and not (found and found[-1][-1] >= most_bytes)


_COLUMNS = 10
_SQLITE_MOMENT = "replace({0}, ' ', 'T') || 'Z'"  # stored as `2026-01-02 03:04:05[.678901]`, naive UTC
_POSTGRESQL_MOMENT = "replace(to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '.000000Z', 'Z')"


def _columns(moment: str) -> str:
    times = (moment.format(name) for name in ("upstream_created_at", "upstream_updated_at", "first_seen_at"))
    return ", ".join(("seq, id, collection_id, upstream_id, data, deleted, operation", *times))


def _plain(sync_id: uuid.UUID) -> Any:
    """As the driver wants it: SQLite keeps UUIDs as 32 hex digits."""
    return sync_id if connection.vendor == "postgresql" else sync_id.hex


def entries_after(
    sync_id: uuid.UUID, seq: int, *, limit: int, collection_ids: Sequence[str] | None = None
) -> list[LogEntry]:
    """The next entries of a sync's log in order, of all collections or of some."""
    return LogReader(sync_id, collection_ids).after(seq, limit=limit)[0]
