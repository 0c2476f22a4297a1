"""Records of any side under one set of verbs, for the control API, the pages and the churn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.rawjson import Fields
from sandbox.store import GONE, Row, Store


class Records(ABC):
    """All collections of one side, in one of its modes. A side writes the abstract verbs; what only reads is here.

    Values are raw JSON texts by field name. Sides of plain JSON records need none of this: `kit.tables.Tables` has it.
    """

    def __init__(self, store: Store, key: str, mode: str = ""):
        self.store, self.key, self.mode = store, key, mode

    @abstractmethod
    def names(self) -> list[str]:
        """All collections, in the order of the side's catalogue."""

    @abstractmethod
    def shelf(self, name: str) -> str:
        """Where the store keeps a collection; for an empty name, what all the shelves begin with."""

    @abstractmethod
    def create(self, name: str, values: Sequence[Fields], stamps: Sequence[int] | None = None) -> list[str]:
        """New records; their ids. `stamps`: when each was made and last changed, in ms; None for now."""

    @abstractmethod
    def update(self, name: str, record: str, changes: Fields, *, keep_stamp: bool = False) -> Row:
        """A new version with some fields changed. `keep_stamp`: as when a computed value moves by itself."""

    @abstractmethod
    def delete(self, name: str, record: str, *, hard: bool = False) -> Row:
        """Delete as upstream does; `hard` leaves nothing that could be found."""

    def undelete(self, name: str, record: str) -> Row:
        """Bring back what was deleted, where upstream can."""
        raise ValueError(f"{self.key} has no undelete")

    @abstractmethod
    def believable(self, name: str, count: int) -> list[Fields]:
        """Fields of new records as somebody might make them now."""

    # ---- what pages and bulk creation want to know, where there is something to know

    def shown(self) -> list[str]:
        """The collections people browse."""
        return self.names()

    def unique_fields(self, name: str) -> Sequence[str]:
        """Fields no two records may share."""
        return ()

    def choices(self, name: str) -> Mapping[str, Sequence[str]]:
        """Fields with a fixed set of values."""
        return {}

    # ---- reading

    def check(self, name: str) -> None:
        """Raises ValueError for a collection that does not exist."""
        if name not in self.names():
            raise ValueError(f"{self.key} has no collection {name!r}; it has {', '.join(self.names())}")

    def find(self, name: str, record: str) -> Row:
        """The newest version, deleted ones included. Raises KeyError when there is none."""
        row = self.store.newest(self.shelf(name), record)
        if row is None:
            raise KeyError(f"{name} has no record {record}")
        return row

    def told(self, name: str, record: str) -> dict[str, Any]:
        row = self.find(name, record)
        return {"id": row.id, "version": row.version, "deleted": row.deleted > 0}

    def current(self, name: str) -> dict[str, dict[str, Any]]:
        """Id -> version and delete mark, by the newest version of each; records gone for good are left out."""
        rows = self.store.read(
            "SELECT id, max(version), deleted FROM versions WHERE shelf = ? GROUP BY id", (self.shelf(name),)
        )
        return {record: {"version": version, "deleted": deleted > 0} for record, version, deleted in rows
                if deleted != GONE}  # fmt: skip

    def bodies(self, name: str) -> dict[str, bytes]:
        """Id -> the newest version of each record as JSON text, byte-true; deleted ones too, unless gone for good."""
        rows = self.store.read(
            "SELECT id, body FROM records WHERE shelf = ? AND deleted <> ?", (self.shelf(name), GONE)
        )
        return {record: body.encode() for record, body in rows}

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Every version ever made, oldest first."""
        rows = self.store.read(
            "SELECT id, version, deleted, at_ms FROM versions WHERE shelf = ? ORDER BY at_ms, id, version",
            (self.shelf(name),),
        )
        return [{"id": record, "version": version, "deleted": deleted, "at_ms": at_ms}
                for record, version, deleted, at_ms in rows]  # fmt: skip
