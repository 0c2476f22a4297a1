"""The record log's bulk statements: executemany on SQLite, unnest on PostgreSQL (PERFORMANCE.md, Storage)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from syncs.engine.changes import Known
from syncs.models import Record, RecordChange

_RECORD, _CHANGE = Record._meta.db_table, RecordChange._meta.db_table

_INSERTED = {
    "sync_id": "uuid",
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
    "first_seen_at": "timestamptz",
    "changed_at": "timestamptz",
}
_UPDATED = {
    "id": "bigint",
    "seq": "bigint",
    "data": "text",
    "digest": "bytea",
    "operation": "text",
    "deleted": "boolean",
    "upstream_created_at": "timestamptz",
    "upstream_updated_at": "timestamptz",
    "read_no": "bigint",
    "changed_at": "timestamptz",
}


def moment(value: Any) -> datetime | None:
    """A column read by raw SQL as an aware UTC datetime: SQLite gives naive text, PostgreSQL a datetime."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def known(collection_pk: int, upstream_ids: Sequence[str]) -> dict[str, Known]:
    """What the log holds of these records of one collection, by upstream id."""
    sql = (
        f"SELECT upstream_id, id, digest, deleted, read_no, upstream_updated_at FROM {_RECORD} WHERE collection_id = %s"
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{sql} AND upstream_id = ANY(%s)", [collection_pk, list(upstream_ids)])
        else:
            marks = ",".join(["%s"] * len(upstream_ids))
            cursor.execute(f"{sql} AND upstream_id IN ({marks})", [collection_pk, *upstream_ids])
        return {r[0]: Known(r[1], bytes(r[2]), bool(r[3]), r[4], moment(r[5])) for r in cursor.fetchall()}


def insert_records(rows: list[tuple[Any, ...]]) -> None:
    """Write new records; a row has the columns of `_INSERTED`, in order."""
    columns = ", ".join(_INSERTED)
    if connection.vendor == "postgresql":
        _unnest(f"INSERT INTO {_RECORD} ({columns}) SELECT * FROM unnest({{}})", _INSERTED, rows)
    else:
        _many(f"INSERT INTO {_RECORD} ({columns}) VALUES ({', '.join(['%s'] * len(_INSERTED))})", rows)


def update_records(rows: list[tuple[Any, ...]]) -> None:
    """Write changed records; a row has the columns of `_UPDATED`, in order. data and times None keep what is there."""
    kept = {"data", "upstream_created_at", "upstream_updated_at"}
    if connection.vendor == "postgresql":
        sets = ", ".join(
            f"{c} = COALESCE(n.{c}, r.{c})" if c in kept else f"{c} = n.{c}" for c in _UPDATED if c != "id"
        )
        names = ", ".join(_UPDATED)
        _unnest(f"UPDATE {_RECORD} r SET {sets} FROM unnest({{}}) AS n({names}) WHERE r.id = n.id", _UPDATED, rows)
    else:
        sets = ", ".join(f"{c} = COALESCE(%s, {c})" if c in kept else f"{c} = %s" for c in _UPDATED if c != "id")
        _many(f"UPDATE {_RECORD} SET {sets} WHERE id = %s", [(*row[1:], row[0]) for row in rows])


def touch(rows: list[tuple[int, int]]) -> None:
    """Note newer reads that found nothing new; a row is (read_no, record pk)."""
    _many(f"UPDATE {_RECORD} SET read_no = %s WHERE id = %s", rows)


def copy_history(rows: list[tuple[Any, ...]]) -> None:
    """Keep what is about to be overwritten; a row is (seq, kind, seen_by, at, record pk)."""
    _many(
        f"INSERT INTO {_CHANGE} (record_id, seq, kind, seen_by, at, previous) "
        f"SELECT id, %s, %s, %s, %s, data FROM {_RECORD} WHERE id = %s",
        rows,
    )


def note_creation(rows: list[tuple[Any, ...]]) -> None:
    """Note that records came to be; a row is (kind, seen_by, at, sync id, seq)."""
    _many(
        f"INSERT INTO {_CHANGE} (record_id, seq, kind, seen_by, at, previous) "
        f"SELECT id, seq, %s, %s, %s, NULL FROM {_RECORD} WHERE sync_id = %s AND seq = %s",
        rows,
    )


def _many(sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, [tuple(_plain(value) for value in row) for row in rows])


def _unnest(sql: str, columns: dict[str, str], rows: list[tuple[Any, ...]]) -> None:
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    with connection.cursor() as cursor:
        cursor.execute(sql.format(arrays), [list(column) for column in zip(*rows, strict=True)])


def _plain(value: Any) -> Any:
    """A value as the driver wants it: SQLite keeps moments as naive UTC text and UUIDs as 32 hex digits."""
    if connection.vendor == "postgresql":
        return value
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) else value


def bury(rows: list[tuple[int, int]], seen_by: str) -> None:
    """Mark records as deleted at new places in the log, keeping their content; a row is (seq, record pk)."""
    now = datetime.now(UTC)
    copy_history([(seq, "delete", seen_by, now, pk) for seq, pk in rows])
    _many(
        f"UPDATE {_RECORD} SET seq = %s, operation = 'delete', deleted = %s, changed_at = %s WHERE id = %s",
        [(seq, True, now, pk) for seq, pk in rows],
    )
