"""What one change brings along: a ticket's first comment, audits, metrics; a comment that moves its ticket."""

from __future__ import annotations

from typing import Any

from sandbox.kit.tables import Change, Tables
from sandbox.rawjson import Fields, dump, load, split_object

BELONGING = ("comments", "audits", "ticket_metrics", "side_conversations")
WATCHED = ("status", "priority", "subject", "assignee_id", "group_id", "tags")


class Follower:
    """Listens to all tables. What it does itself has no consequences of its own."""

    def __init__(self, tables: Tables):
        self.tables, self._busy = tables, False

    def follow(self, change: Change) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            self._react(change)
        finally:
            self._busy = False

    def _react(self, change: Change) -> None:
        if change.table == "tickets":
            if change.what == "created":
                self._opened(change.row.id, split_object(change.row.body))
            elif change.what == "updated":
                self._noted(change)
            else:
                self._went_along(change.row.id, back=change.what == "restored")
        elif change.table in BELONGING and change.what in ("created", "updated") and change.row.facet:
            ticket = change.row.facet
            if change.table == "comments" and change.what == "created":
                body = load(split_object(change.row.body).get("body", b"null"))
                self._audited(ticket, {"type": "Comment", "body": body, "public": True})
            if self.tables.get("tickets", ticket) is not None:
                self.tables.update("tickets", ticket, {})

    def _opened(self, ticket: str, fields: Fields) -> None:
        first = self.tables.believable("comments", 1)[0]
        text = fields.get("description", b'""')
        author = {"author_id": fields.get("requester_id", b"null")}
        comment = {**first, **author, "body": text, "plain_body": text, "html_body": text, "ticket_id": ticket.encode()}
        self.tables.create("comments", [comment])
        self._audited(ticket, {"type": "Create", "field_name": "status", "value": "new"})
        made = self.tables.believable("ticket_metrics", 1)[0]
        self.tables.create("ticket_metrics", [{**made, "ticket_id": ticket.encode()}])

    def _noted(self, change: Change) -> None:
        """An audit with each field that changed, and the metrics' own change."""
        before, after = (split_object(row.body) for row in (change.before, change.row) if row)
        for name in WATCHED:
            if before.get(name) != after.get(name):
                old, new = (load(each.get(name, b"null")) for each in (before, after))
                event = {"type": "Change", "field_name": name, "value": new, "previous_value": old}
                self._audited(change.row.id, event)
        for metric in self._rows("ticket_metrics", change.row.id, deleted=0):
            self.tables.update("ticket_metrics", metric, {"status_updated_at": after["updated_at"]})

    def _audited(self, ticket: str, event: dict[str, Any]) -> None:
        made = self.tables.believable("audits", 1)[0]
        events = dump([{"id": self.tables.store.count_up("zendesk/serial/events"), **event}])
        self.tables.create("audits", [{**made, "ticket_id": ticket.encode(), "events": events}])

    def _went_along(self, ticket: str, *, back: bool) -> None:
        for name in BELONGING:
            for record in self._rows(name, ticket, deleted=1 if back else 0):
                (self.tables.undelete if back else self.tables.delete)(name, record)

    def _rows(self, name: str, ticket: str, *, deleted: int) -> list[str]:
        query = "SELECT id FROM records WHERE shelf = ? AND facet = ? AND deleted = ?"
        return [record for (record,) in self.tables.store.read(query, (self.tables.shelf(name), ticket, deleted))]
