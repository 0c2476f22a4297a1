"""The record log's bulk statements: many rows a statement, the same text for both databases.

Each statement reads its rows from a table `n`: on SQLite a list of VALUES, on PostgreSQL `unnest` of an array a column.
So one statement works on many rows, which is more than speed. SQLite's driver gives up Python's lock for each row of an
`executemany`: a busy thread beside it held up every single row by milliseconds, while the transaction was open.
PostgreSQL's arrays go over in binary, bound by the server: written into the text they cost 30 times as much.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from syncs.engine.changes import Known
from syncs.models import Record, RecordChange, RecordKey, SyncHead

_RECORD, _CHANGE, _HEAD = Record._meta.db_table, RecordChange._meta.db_table, SyncHead._meta.db_table
_KEY = RecordKey._meta.db_table
_SQLITE_ROWS = 100  # a statement; more gains nothing

_TYPES = {
    "id": "bigint",
    "collection_id": "bigint",
    "upstream_id": "text",
    "seq": "bigint",
    "data": "text",
    "digest": "bytea",
    "operation": "text",
    "deleted": "boolean",
    "upstream_created_at": "timestamptz",
    "upstream_updated_at": "timestamptz",
    "read_no": "bigint",
    "key": "bigint",
    "record_pk": "bigint",
    "sync_id": "uuid",
    "first_seen_at": "timestamptz",
    "changed_at": "timestamptz",
}
INSERTED = (
    "seq",
    "collection_id",
    "upstream_id",
    "data",
    "digest",
    "upstream_created_at",
    "upstream_updated_at",
    "read_no",
)
UPDATED = (
    "id",
    "seq",
    "data",
    "digest",
    "operation",
    "deleted",
    "upstream_created_at",
    "upstream_updated_at",
    "read_no",
)


def known(collection_pk: int, upstream_ids: Sequence[str], *, with_times: bool) -> dict[str, Known]:
    """What the log holds of these records of one collection, by upstream id; change times only where asked for.

    On PostgreSQL each id is looked up by itself, on purpose. Asked for all of them at once, it read the whole
    collection for every group of records, as long as it had no statistics of it: all through a first backfill.
    """
    time = "upstream_updated_at" if with_times else "NULL"
    sql = f"SELECT upstream_id, id, digest, deleted, read_no, {time} FROM {_RECORD} WHERE collection_id = %s"
    if connection.vendor == "postgresql":
        each = f"LATERAL ({sql} AND upstream_id = n.upstream_id LIMIT 1) AS r"  # by LIMIT it stays a look-up of its own
        rows = _fetch(
            f"SELECT r.* FROM unnest(%s::text[]) AS n(upstream_id), {each}", [list(upstream_ids), collection_pk]
        )
    else:
        marks = ",".join(["%s"] * len(upstream_ids))
        rows = _fetch(f"{sql} AND upstream_id IN ({marks})", [collection_pk, *upstream_ids])
    return {key: Known(pk, digest, bool(gone), no, moment(at)) for key, pk, digest, gone, no, at in rows}


def advance_head(sync_id: UUID, by: int) -> int:
    """Hand out `by` sequence numbers and return the last: the sync's head, locked until the transaction ends."""
    sql = f"UPDATE {_HEAD} SET head_seq = head_seq + %s WHERE sync_id = %s RETURNING head_seq"
    key = sync_id if connection.vendor == "postgresql" else _plain(sync_id)
    return int(_fetch(sql, [by, key])[0][0])


def insert_records(rows: list[tuple[Any, ...]], *, sync_id: UUID, at: datetime) -> None:
    """Write new records; a row has the columns of `INSERTED`, in order."""
    shared = {"sync_id": sync_id, "operation": "create", "deleted": False, "first_seen_at": at, "changed_at": at}
    if connection.vendor == "postgresql":
        _copy(_RECORD, (*shared, *INSERTED), [(*shared.values(), *row) for row in rows])
        return
    names = ", ".join(INSERTED)
    marks = ", ".join(["%s"] * len(shared))
    sql = f"INSERT INTO {_RECORD} ({', '.join(shared)}, {names}) SELECT {marks}, {names} FROM n"
    _each(INSERTED, rows, sql, list(shared.values()))


def update_records(rows: list[tuple[Any, ...]], *, at: datetime) -> None:
    """Write changed records; a row has the columns of `UPDATED`, in order. data and times None keep what is there."""
    kept = {"data", "upstream_created_at", "upstream_updated_at"}
    sets = ", ".join(f"{c} = COALESCE(n.{c}, r.{c})" if c in kept else f"{c} = n.{c}" for c in UPDATED[1:])
    _each(UPDATED, rows, f"UPDATE {_RECORD} AS r SET {sets}, changed_at = %s FROM n WHERE r.id = n.id", [at])


def touch(rows: list[tuple[int, int]]) -> None:
    """Note newer reads that found nothing new; a row is (record pk, read_no)."""
    _each(("id", "read_no"), rows, f"UPDATE {_RECORD} AS r SET read_no = n.read_no FROM n WHERE r.id = n.id")


def copy_history(rows: Sequence[tuple[int, int, str]], *, seen_by: str, at: datetime) -> None:
    """Keep what is about to be overwritten; a row is (record pk, seq, kind)."""
    sql = (
        f"INSERT INTO {_CHANGE} (record_id, seq, kind, seen_by, at, previous) "
        f"SELECT r.id, n.seq, n.operation, %s, %s, r.data FROM n JOIN {_RECORD} r ON r.id = n.id"
    )
    _each(("id", "seq", "operation"), rows, sql, [seen_by, at])


def note_creation(seqs: list[int], *, sync_id: UUID, seen_by: str, at: datetime) -> None:
    """Note that the records at these places came to be."""
    each = f"(SELECT id FROM {_RECORD} r WHERE r.sync_id = %s AND r.seq = n.seq)"  # no join, for the reason of `known`
    sql = (
        f"INSERT INTO {_CHANGE} (record_id, seq, kind, seen_by, at, previous) "
        f"SELECT {each}, n.seq, 'create', %s, %s, NULL FROM n"
    )
    _each(("seq",), [(seq,) for seq in seqs], sql, [sync_id, seen_by, at])


def bury(rows: list[tuple[int, int]], *, seen_by: str) -> None:
    """Mark records as deleted at new places in the log, keeping their content; a row is (record pk, seq)."""
    now = datetime.now(UTC)
    copy_history([(pk, seq, "delete") for pk, seq in rows], seen_by=seen_by, at=now)
    sets = "seq = n.seq, operation = 'delete', deleted = TRUE, changed_at = %s"
    _each(("id", "seq"), rows, f"UPDATE {_RECORD} AS r SET {sets} FROM n WHERE r.id = n.id", [now])


def write_keys(rows: Sequence[tuple[int, int]]) -> None:
    """Note where records are; a row is (key, record pk), no key twice. Nothing is written for what is noted already."""
    sql = (
        f"INSERT INTO {_KEY} (key, record_pk) SELECT key, record_pk FROM n WHERE TRUE "  # SQLite's parser needs a WHERE
        "ON CONFLICT (key) DO UPDATE SET record_pk = excluded.record_pk "
        f"WHERE {_KEY}.record_pk <> excluded.record_pk"
    )
    _each(("key", "record_pk"), rows, sql)


def moment(value: Any) -> datetime | None:
    """A column read by raw SQL as an aware UTC datetime: SQLite gives naive text, PostgreSQL a datetime."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


# --- How each database takes it ------------------------------------------------------------------------------------


def _each(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], sql: str, constants: Sequence[Any] = ()) -> None:
    """Run a statement that reads the rows from `n`; the constants fill its own placeholders."""
    head = f"WITH n({', '.join(columns)}) AS"
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{_TYPES[name]}[]" for name in columns)
        values = [list(column) for column in zip(*rows, strict=True)]
        _run(f"{head} (SELECT * FROM unnest({arrays})) {sql}", [*values, *constants])
        return
    marks = f"({','.join(['?'] * len(columns))})"
    times = [place for place, name in enumerate(columns) if _TYPES[name] == "timestamptz"]
    for start in range(0, len(rows), _SQLITE_ROWS):
        part = rows[start : start + _SQLITE_ROWS]
        flat = [value for row in part for value in row]
        for place in times:
            flat[place :: len(columns)] = map(_plain, flat[place :: len(columns)])
        _run(f"{head} (VALUES {','.join([marks] * len(part))}) {sql}", [*flat, *map(_plain, constants)])


def _run(sql: str, values: Sequence[Any], read: Callable[[Any], Any] = lambda cursor: None) -> Any:
    """Run a statement written with %s in the way in which the database takes values fastest; return what `read` gives.

    SQLite's own marks are put in here, for Django would search the whole statement for places to put them. On
    PostgreSQL psycopg's own cursor binds on the server and in binary, where Django's writes values into the text.
    """
    if connection.vendor == "postgresql":
        import psycopg

        connection.ensure_connection()
        with connection.make_cursor(psycopg.Cursor(connection.connection)) as cursor:  # type: ignore[arg-type]
            cursor.execute(sql.replace("%s", "%b"), values)
            return read(cursor)
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("%s", "?"), values)
        return read(cursor)


def _copy(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write new rows into a table of PostgreSQL, by COPY."""
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types([_TYPES[name] for name in columns])
        for row in rows:
            copy.write_row(row)


def _fetch(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    return _run(sql, values, lambda cursor: cursor.fetchall())


def _plain(value: Any) -> Any:
    """A value as SQLite keeps it: moments as naive UTC text, UUIDs as 32 hex digits."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ")[:-6]
    return value.hex if isinstance(value, UUID) else value
