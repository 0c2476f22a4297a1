"""Where the sandbox keeps its records: one SQLite file, each record as the JSON text it is served as.

A *shelf* is one collection of one account: `salesforce/Contact`, `stripe/test/customers`. Versions count from 1 and
never stop: a record deleted for good and made again goes on where it was, so that an oracle can judge order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIVE, BINNED, GONE = 0, 1, 2
IS_NUMBER = "id NOT GLOB '*[^0-9]*'"

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY, shelf TEXT NOT NULL, id TEXT NOT NULL, created_ms INTEGER NOT NULL,
    stamp_ms INTEGER NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL, facet TEXT, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS records_by_id ON records (shelf, id);
CREATE INDEX IF NOT EXISTS records_by_stamp ON records (shelf, stamp_ms, id);
CREATE INDEX IF NOT EXISTS records_by_created ON records (shelf, created_ms, seq);
CREATE INDEX IF NOT EXISTS records_by_facet ON records (shelf, facet, created_ms, seq) WHERE facet IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_by_number ON records (shelf, CAST(id AS INTEGER)) WHERE {IS_NUMBER};
CREATE INDEX IF NOT EXISTS records_deleted ON records (shelf) WHERE deleted != 0;
CREATE TABLE IF NOT EXISTS pending (
    seq INTEGER PRIMARY KEY, visible_ms INTEGER NOT NULL, shelf TEXT NOT NULL, id TEXT NOT NULL,
    created_ms INTEGER NOT NULL, stamp_ms INTEGER NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL,
    facet TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS pending_by_id ON pending (shelf, id);
CREATE TABLE IF NOT EXISTS versions (
    shelf TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (shelf, id, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID;
"""
COLUMNS = "id, created_ms, stamp_ms, version, deleted, facet, body"
UPSERT = f"""
INSERT INTO records (shelf, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (shelf, id) DO UPDATE SET created_ms = excluded.created_ms, stamp_ms = excluded.stamp_ms,
    version = excluded.version, deleted = excluded.deleted, facet = excluded.facet, body = excluded.body
WHERE excluded.version > records.version
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One record. `facet` is the one value its lists filter by: the parent's id, an event's type."""

    id: str
    created_ms: int
    stamp_ms: int
    version: int
    deleted: int
    facet: str | None
    body: str

    def values(self) -> tuple[Any, ...]:
        return (self.id, self.created_ms, self.stamp_ms, self.version, self.deleted, self.facet, self.body)


class Store:
    """One connection, used by one thread: the event loop's."""

    def __init__(self, path: Path):
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;")
        self._db.executescript(SCHEMA)
        self._has_pending = self._any_pending()

    def close(self) -> None:
        self._db.close()

    def read(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        return self._db.execute(sql, params).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within happens together or not at all; may be nested."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ---- records

    def newest(self, shelf: str, record_id: str) -> Row | None:
        """The latest version of a record, though it may not be visible yet. None when there is none or it is gone."""
        if self._has_pending:
            rows = self.read(
                f"SELECT {COLUMNS} FROM pending WHERE shelf = ? AND id = ? ORDER BY version DESC LIMIT 1",
                (shelf, record_id),
            )
            seen = self.visible(shelf, record_id)
            if rows and (seen is None or seen.version < Row(*rows[0]).version):
                return None if rows[0][4] == GONE else Row(*rows[0])
        return self.visible(shelf, record_id)

    def visible(self, shelf: str, record_id: str) -> Row | None:
        """The record as readers see it now."""
        rows = self.read(f"SELECT {COLUMNS} FROM records WHERE shelf = ? AND id = ?", (shelf, record_id))
        return Row(*rows[0]) if rows else None

    def next_version(self, shelf: str, record_id: str) -> int:
        """One more than the highest version ever given to this id."""
        rows = self.read("SELECT max(version) FROM versions WHERE shelf = ? AND id = ?", (shelf, record_id))
        return (rows[0][0] or 0) + 1

    def write(self, shelf: str, rows: Iterable[Row], *, at_ms: int, delay_ms: int = 0) -> None:
        """Store new versions of records, to be seen `delay_ms` from `at_ms` on; deleted == GONE takes them away."""
        batch = list(rows)
        with self.transaction():
            self._db.executemany(
                "INSERT INTO versions (shelf, id, version, deleted, at_ms) VALUES (?, ?, ?, ?, ?)",
                [(shelf, row.id, row.version, row.deleted, at_ms) for row in batch],
            )
            if delay_ms > 0:
                self._db.executemany(
                    f"INSERT INTO pending (visible_ms, shelf, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [(at_ms + delay_ms, shelf, *row.values()) for row in batch],
                )
                self._has_pending = True
            else:
                self._show(shelf, batch)

    def settle(self, now_ms: int) -> None:
        """Make visible what has waited long enough. Called before each read; free when nothing waits."""
        if not self._has_pending:
            return
        with self.transaction():
            due = self.read(
                f"SELECT seq, shelf, {COLUMNS} FROM pending WHERE visible_ms <= ? ORDER BY version", (now_ms,)
            )
            for _, shelf, *values in due:
                self._show(shelf, [Row(*values)])
            self._db.executemany("DELETE FROM pending WHERE seq = ?", [(row[0],) for row in due])
        self._has_pending = self._any_pending()

    def _show(self, shelf: str, rows: Sequence[Row]) -> None:
        self._db.executemany(UPSERT, [(shelf, *row.values()) for row in rows if row.deleted != GONE])
        gone = [(shelf, row.id, row.version) for row in rows if row.deleted == GONE]
        for table in ("records", "pending"):
            self._db.executemany(f"DELETE FROM {table} WHERE shelf = ? AND id = ? AND version < ?", gone)

    def _any_pending(self) -> bool:
        return bool(self.read("SELECT 1 FROM pending LIMIT 1"))

    def counts(self, prefix: str) -> dict[str, int]:
        """Live records of each shelf whose name starts with `prefix`."""
        bounds = (prefix, prefix + "\U0010ffff")  # counted all, less the few deleted: both from an index alone
        total = "SELECT shelf, count(*) FROM records WHERE shelf >= ? AND shelf < ?{} GROUP BY shelf"
        binned = dict(self.read(total.format(" AND deleted != 0"), bounds))
        counted = ((shelf, count - binned.get(shelf, 0)) for shelf, count in self.read(total.format(""), bounds))
        return {shelf: count for shelf, count in counted if count}

    def sample_ids(self, shelf: str, count: int) -> list[str]:
        """Ids of up to `count` live records from a random place of the shelf."""
        rows = self.read(
            "SELECT id FROM records WHERE shelf = ? AND deleted = 0 AND seq >= (SELECT min(seq) + abs(random()) %"
            " (max(seq) - min(seq) + 1) FROM records WHERE shelf = ?) ORDER BY seq LIMIT ?",
            (shelf, shelf, count),
        )
        return [row[0] for row in rows]

    # ---- counters and notes

    def count_up(self, name: str, by: int = 1) -> int:
        """Take `by` numbers of a counter that survives restarts; the first of them is returned."""
        rows = self._db.execute(
            "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ?"
            " RETURNING value",
            (name, by, by),
        ).fetchall()
        return rows[0][0] - by + 1

    def note(self, kind: str, key: str) -> str | None:
        """A small stored text: a grant, a code, a bulk job."""
        rows = self.read("SELECT value FROM notes WHERE kind = ? AND key = ?", (kind, key))
        return rows[0][0] if rows else None

    def notes(self, kind: str) -> dict[str, str]:
        return dict(self.read("SELECT key, value FROM notes WHERE kind = ?", (kind,)))

    def keep_note(self, kind: str, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO notes (kind, key, value) VALUES (?, ?, ?)", (kind, key, value))

    def drop_note(self, kind: str, key: str) -> None:
        self._db.execute("DELETE FROM notes WHERE kind = ? AND key = ?", (kind, key))

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in ("records", "pending", "versions", "counters", "notes"):
                self._db.execute(f"DELETE FROM {table}")
        self._has_pending = False
