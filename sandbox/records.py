"""Records of either provider under one set of verbs, for the control API, the pages and the churn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.faults import PROVIDERS
from sandbox.rawjson import Fields
from sandbox.store import GONE, Row
from sandbox.stripe.account import MODES
from sandbox.stripe.catalogue import KINDS


class Collections:
    """The collections of both providers, Stripe's in one mode."""

    def __init__(self, sandbox: Any, mode: str = "test"):
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        self.sandbox = sandbox
        self.mode = mode
        self.org = sandbox.salesforce.org
        self.account = sandbox.stripe.account

    def names(self, provider: str) -> list[str]:
        """All collections of a provider, in the order of its catalogue."""
        if provider == "stripe":
            return list(KINDS)
        return [name for name, sobject in self.org.objects.items() if sobject.queryable and not sobject.deprecated]

    def check(self, provider: str, name: str) -> None:
        """Raises ValueError for a collection that does not exist."""
        if provider not in PROVIDERS:
            raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}")
        if name not in self.names(provider):
            raise ValueError(f"{provider} has no collection {name!r}; it has {', '.join(self.names(provider))}")

    def unique_fields(self, provider: str, name: str) -> list[str]:
        """Fields no two records may share."""
        return (
            [field.name for field in self.org.object(name).fields if field.unique] if provider == "salesforce" else []
        )

    def shelf(self, provider: str, name: str) -> str:
        return self.account.shelf(self.mode, name) if provider == "stripe" else self.org.shelf(name)

    def create(self, provider: str, name: str, values: Sequence[Fields], *, at_ms: int | None = None) -> list[str]:
        """New records; their ids."""
        if provider == "stripe":
            tell = len(values) <= 1_000
            rows = self.account.create(self.mode, name, values, tell=tell)
        else:
            rows = self.org.create(name, values, at_ms=at_ms)
        return [row.id for row in rows]

    def update(self, provider: str, name: str, record: str, changes: Fields, *, keep_stamp: bool = False) -> Row:
        if provider == "stripe":
            return self.account.update(self.mode, name, record, changes)
        return self.org.update(name, record, changes, keep_stamp=keep_stamp)

    def delete(self, provider: str, name: str, record: str, *, hard: bool = False) -> Row:
        if provider == "stripe":
            return self.account.delete(self.mode, name, record, hard=hard)
        return self.org.delete(name, record, hard=hard)

    def undelete(self, provider: str, name: str, record: str) -> Row:
        if provider == "stripe":
            raise ValueError("Stripe has no undelete")
        return self.org.undelete(name, record)

    def find(self, provider: str, name: str, record: str) -> Row:
        """The newest version, deleted ones included. Raises KeyError when there is none."""
        row = self.sandbox.store.newest(self.shelf(provider, name), record)
        if row is None:
            raise KeyError(f"{name} has no record {record}")
        return row

    def told(self, provider: str, name: str, record: str) -> dict[str, Any]:
        row = self.find(provider, name, record)
        return {"id": row.id, "version": row.version, "deleted": row.deleted > 0}

    def current(self, provider: str, name: str) -> dict[str, dict[str, Any]]:
        """Id -> version and delete mark, by the newest version of each; records gone for good are left out."""
        rows = self.sandbox.store.read(
            "SELECT id, max(version), deleted FROM versions WHERE shelf = ? GROUP BY id", (self.shelf(provider, name),)
        )
        return {record: {"version": version, "deleted": deleted > 0} for record, version, deleted in rows
                if deleted != GONE}  # fmt: skip

    def bodies(self, provider: str, name: str) -> dict[str, bytes]:
        """Id -> the newest version of each record as JSON text, byte-true; deleted ones too, unless gone for good."""
        shelf = self.shelf(provider, name)
        rows = self.sandbox.store.read("SELECT id, body FROM records WHERE shelf = ? AND deleted <> ?", (shelf, GONE))
        return {record: body.encode() for record, body in rows}

    def versions(self, provider: str, name: str) -> list[dict[str, Any]]:
        """Every version ever made, oldest first."""
        rows = self.sandbox.store.read(
            "SELECT id, version, deleted, at_ms FROM versions WHERE shelf = ? ORDER BY at_ms, id, version",
            (self.shelf(provider, name),),
        )
        return [{"id": record, "version": version, "deleted": deleted, "at_ms": at_ms}
                for record, version, deleted, at_ms in rows]  # fmt: skip
