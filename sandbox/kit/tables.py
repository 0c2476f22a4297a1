"""Versioned tables of plain JSON records: all verbs of a side's collections, and the lists its routes serve.

A version becomes visible `commit_delay_s` after its stamp. A deleted record stays as a tombstone that lists leave out
unless asked; a hard delete leaves nothing. Values are stored as the JSON text they came in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox.clock import Clock
from sandbox.kit.maker import Maker
from sandbox.kit.paths import merged, value_at, with_value
from sandbox.kit.query import EVERYTHING, Select, Wanted
from sandbox.kit.table import Table
from sandbox.rawjson import Fields, dump, dump_fields, join_object, load, split_object
from sandbox.records import Records
from sandbox.settings import Settings
from sandbox.store import BINNED, GONE, LIVE, Row, Store

YEARS_DAYS = 700


@dataclass(frozen=True)
class Change:
    """What happened to a record. what: created, updated, deleted, restored. before: None for a new one."""

    table: str
    what: str
    row: Row
    before: Row | None


class Tables(Records):
    """The tables of one side. `listeners` are told of each change of those not made in bulk or by the seed."""

    def __init__(
        self, store: Store, clock: Clock, settings: Callable[[], Settings], rng: random.Random, key: str,
        tables: Iterable[Table],
    ):  # fmt: skip
        super().__init__(store, key)
        self.clock, self.settings, self.rng = clock, settings, rng
        self.tables = {table.name: table for table in tables}
        self.listeners: list[Callable[[Change], None]] = []

    def table(self, name: str) -> Table:
        """The table of this name. Raises ValueError."""
        self.check(name)
        return self.tables[name]

    # ---- verbs

    def names(self) -> list[str]:
        return list(self.tables)

    def shelf(self, name: str) -> str:
        return f"{self.key}/{name}"

    def unique_fields(self, name: str) -> Sequence[str]:
        return self.tables[name].unique

    def create(self, name: str, values: Sequence[Fields], stamps: Sequence[int] | None = None) -> list[str]:
        """New records; an id may be among the values. Listeners hear of each unless `stamps` are given."""
        now_ms = self.clock.now_ms()
        rows = self.plant(name, values, stamps or [now_ms] * len(values))
        if stamps is None:
            for row in rows:
                self._tell(name, "created", row, None)
        return [row.id for row in rows]

    def plant(
        self, name: str, values: Sequence[Fields], created: Sequence[int], updated: Sequence[int] | None = None
    ) -> list[Row]:
        """New records with stamps of their own; nobody is told."""
        table, shelf, rows = self.table(name), self.shelf(name), []
        with self.store.transaction():
            first = self.store.count_up(shelf, len(values))
            for number, fields, made_ms, changed_ms in zip(
                range(first, first + len(values)), values, created, updated or created, strict=True
            ):
                given = value_at(fields, table.ids[0])
                raw = dump(table.new_id(number)) if given == b"null" else given
                new_id = str(load(raw))
                version = 1 if given == b"null" else self.store.next_version(shelf, new_id)
                row = Row(new_id, cut(made_ms, table), cut(changed_ms, table), version, LIVE, None, "{}")
                for path in table.ids:
                    fields = with_value(fields, path, raw)
                rows.append(self._finished(table, fields, row))
            self._write(name, rows)
        return rows

    def update(self, name: str, record: str, changes: Fields, *, keep_stamp: bool = False) -> Row:
        """A new version; objects are merged into those that are there (`fields`, `properties`), lists replaced."""
        old, table = self.find(name, record), self.table(name)
        stamp_ms = old.stamp_ms if keep_stamp else cut(self.clock.now_ms(), table)
        fields = merged(split_object(old.body), changes)
        row = self._finished(table, fields, replace(old, stamp_ms=stamp_ms, version=old.version + 1))
        self._write(name, [row])
        self._tell(name, "updated", row, old)
        return row

    def delete(self, name: str, record: str, *, hard: bool = False) -> Row:
        return self._marked(name, record, GONE if hard else BINNED, "deleted")

    def undelete(self, name: str, record: str) -> Row:
        return self._marked(name, record, LIVE, "restored")

    def believable(self, name: str, count: int) -> list[Fields]:
        maker, make = Maker(self, self.rng), self.table(name).make
        return [dump_fields(make(maker)) for _ in range(count)]

    def plant_all(self, demo: bool, rng: random.Random) -> None:
        """The seed: each table's `demo` (or `always`) records, made and changed at times of the last years."""
        for table in self.tables.values():
            count, maker = table.demo if demo else table.always, Maker(self, rng)
            made = [dump_fields(table.make(maker)) for _ in range(count)]
            created = sorted(maker.moment_ms(-YEARS_DAYS) for _ in made)
            updated = [at_ms + round(rng.random() ** 3 * (maker.now_ms - at_ms)) for at_ms in created]
            self.plant(table.name, made, created, updated)

    # ---- lists, as routes need them

    def page(
        self, name: str, wanted: Wanted = EVERYTHING, *, order: str = "updated", descending: bool = False,
        after: Sequence[Any] | None = None, limit: int = 100, offset: int = 0,
    ) -> list[Row]:  # fmt: skip
        """Visible records in a total order: `updated` or `created` (ties by id), or `id`.

        after   the `place` of the last page's last row: those after it in this order follow
        """
        self.store.settle(self.clock.now_ms())
        select = Select(self.shelf(name), self.table(name).numeric, wanted)
        if after is not None:
            select.follow(order, after, descending)
        return select.rows(self.store, order, descending, min(limit, self.settings().page_size_cap or limit), offset)

    def count(self, name: str, wanted: Wanted = EVERYTHING) -> int:
        """How many records `page` would list in all."""
        self.store.settle(self.clock.now_ms())
        return Select(self.shelf(name), self.table(name).numeric, wanted).count(self.store)

    def place(self, name: str, row: Row, order: str) -> list[Any]:
        """Where a row stands in an order; what a page token carries."""
        record = int(row.id) if self.table(name).numeric else row.id
        stamp = {"updated": [row.stamp_ms], "created": [row.created_ms], "id": []}[order]
        return [*stamp, record]

    def get(self, name: str, record: str, *, deleted: bool = False) -> Row | None:
        """The record as readers see it now; None when there is none, or it is a tombstone and those are not asked."""
        self.store.settle(self.clock.now_ms())
        row = self.store.visible(self.shelf(name), record)
        return None if row is None or (row.deleted and not deleted) else row

    # ---- rows

    def _marked(self, name: str, record: str, deleted: int, what: str) -> Row:
        old, table = self.find(name, record), self.table(name)
        row = replace(old, stamp_ms=cut(self.clock.now_ms(), table), version=old.version + 1, deleted=deleted)
        row = self._finished(table, split_object(old.body), row)
        self._write(name, [row])
        self._tell(name, what, row, old)
        return row

    def _finished(self, table: Table, fields: Fields, row: Row) -> Row:
        """The row with stamps, version and mark written where its table has them."""
        for paths, value in (
            (table.created, table.time(row.created_ms)), (table.updated, table.time(row.stamp_ms)),
            (table.versions, table.version(row.version)), (table.marks, row.deleted != LIVE),
        ):  # fmt: skip
            for path in paths:
                fields = with_value(fields, path, dump(value))
        if table.finish:
            fields = table.finish(fields, row)
        facet = load(value_at(fields, table.facet)) if table.facet else None
        return replace(row, facet=None if facet is None else str(facet), body=join_object(fields).decode())

    def _write(self, name: str, rows: list[Row]) -> None:
        delay_ms = round(self.settings().commit_delay_s * 1000)
        self.store.write(self.shelf(name), rows, at_ms=self.clock.now_ms(), delay_ms=delay_ms)

    def _tell(self, name: str, what: str, row: Row, before: Row | None) -> None:
        for listener in self.listeners:
            listener(Change(name, what, row, before))


def cut(at_ms: int, table: Table) -> int:
    """A moment as precise as the table's stamps are."""
    return at_ms - at_ms % table.unit_ms
