"""The SELECTs behind lists: keyset order, spans of time, equal values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.store import COLUMNS, IS_NUMBER, Row, Store

STAMPS = {"updated": "stamp_ms", "created": "created_ms"}


@dataclass(frozen=True)
class Span:
    """A stamp, `updated` or `created`, lies from `since_ms` on and before `until_ms`."""

    stamp: str = "updated"
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True)
class Wanted:
    """Which records a list has.

    deleted   tombstones too
    facet     those of one parent
    among     {path: values}: the value there is one of these
    """

    deleted: bool = False
    facet: str | None = None
    spans: tuple[Span, ...] = ()
    among: Mapping[str, Sequence[Any]] = field(default_factory=dict)


EVERYTHING = Wanted()


class Select:
    """One list of a shelf. A *place* is where a row stands in an order; a page token carries it."""

    def __init__(self, shelf: str, numeric: bool, wanted: Wanted):
        self.number = "CAST(id AS INTEGER)" if numeric else "id"
        self.where, self.params = ["shelf = ?"], [shelf]
        if numeric:
            self.where.append(IS_NUMBER)  # word for word the index's, or the index is not used
        if not wanted.deleted:
            self.where.append("deleted = 0")
        if wanted.facet is not None:
            self.narrow("facet = ?", wanted.facet)
        for path, values in wanted.among.items():
            self.narrow(f"json_extract(body, ?) IN ({_marks(values)})", f"$.{path}", *values)
        for span in wanted.spans:
            for sign, at_ms in ((">=", span.since_ms), ("<", span.until_ms)):
                if at_ms is not None:
                    self.narrow(f"{STAMPS[span.stamp]} {sign} ?", at_ms)

    def narrow(self, condition: str, *params: Any) -> None:
        self.where.append(condition)
        self.params += params

    def follow(self, order: str, after: Sequence[Any], descending: bool) -> None:
        """Only what comes after a place."""
        columns = self._columns(order)
        sign = "<" if descending else ">"
        self.narrow(f"({', '.join(columns)}) {sign} ({_marks(columns)})", *after)

    def rows(self, store: Store, order: str, descending: bool, limit: int, offset: int) -> list[Row]:
        by = ", ".join(f"{column} {'DESC' if descending else 'ASC'}" for column in self._columns(order))
        found = store.read(
            f"SELECT {COLUMNS} FROM records WHERE {' AND '.join(self.where)} ORDER BY {by} LIMIT ? OFFSET ?",
            [*self.params, limit, offset],
        )
        return [Row(*values) for values in found]

    def count(self, store: Store) -> int:
        return int(store.read(f"SELECT count(*) FROM records WHERE {' AND '.join(self.where)}", self.params)[0][0])

    def _columns(self, order: str) -> list[str]:
        return [self.number] if order == "id" else [STAMPS[order], self.number]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" for _ in values)
