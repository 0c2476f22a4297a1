"""What one change in Jira brings along: an issue's time moves, its changelog grows, what belongs to it goes with it."""

from __future__ import annotations

from sandbox.kit.tables import Change, Tables
from sandbox.rawjson import dump, load, split_object

WATCHED = ("summary", "status", "priority", "assignee", "labels", "customfield_10016")
BELONGING = ("comment", "worklog", "changelog")


class Follower:
    """Listens to all tables."""

    def __init__(self, tables: Tables):
        self.tables = tables

    def follow(self, change: Change) -> None:
        """Comments and worklogs move their issue's time when they are written, not when they are deleted."""
        if change.table == "issue":
            if change.what == "updated" and change.before:
                self._note_edit(change)
            elif change.what == "deleted":
                self._cascade(change.row.id)
        elif change.table in ("comment", "worklog") and change.what in ("created", "updated"):
            owner = change.row.facet
            if owner and self.tables.get("issue", owner) is not None:
                self.tables.update("issue", owner, {})

    def _note_edit(self, change: Change) -> None:
        """An entry of the changelog, with each field that people watch."""
        before, after = (split_object(split_object(row.body)["fields"]) for row in (change.before, change.row) if row)
        items = [
            {"field": name, "fieldtype": "jira", "fieldId": name, "fromString": spoken(before.get(name)),
             "toString": spoken(after.get(name))}
            for name in WATCHED if before.get(name) != after.get(name)
        ]  # fmt: skip
        if items:
            made = self.tables.believable("changelog", 1)[0]
            self.tables.create("changelog", [{**made, "issueId": dump(change.row.id), "items": dump(items)}])

    def _cascade(self, issue_id: str) -> None:
        shelves = {self.tables.shelf(name): name for name in BELONGING}
        marks = ", ".join("?" for _ in shelves)
        rows = self.tables.store.read(
            f"SELECT shelf, id FROM records WHERE facet = ? AND deleted = 0 AND shelf IN ({marks})",
            (issue_id, *shelves),
        )
        for shelf, record in rows:
            self.tables.delete(shelves[shelf], record)


def spoken(raw: bytes | None) -> str:
    """A value as the changelog writes it: the name of a thing, or the text."""
    value = load(raw or b"null")
    if isinstance(value, dict):
        return str(value.get("name") or value.get("displayName") or "")
    return "" if value is None else str(value)
