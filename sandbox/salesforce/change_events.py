"""Change Data Capture: an event for each change of a record of the chosen objects, kept for three days.

Source: Change Data Capture Developer Guide, v67.0: "Change Event Message Structure", "ChangeEventHeader Fields", "Gap
Events", "Overflow Events", "Subscription Channels"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.clock import DAY_MS
from sandbox.rawjson import dump, load
from sandbox.store import LIVE, Row

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org

KEPT_MS = 3 * DAY_MS
NOTES = "sf_event"
MOST_AT_ONCE = 200
ALL = "/data/ChangeEvents"
# Standard objects of this org that upstream can capture; of custom ones it can all.
CAPTURED = frozenset({
    "Account", "Asset", "Campaign", "CampaignMember", "Case", "Contact", "Contract", "EmailMessage", "Event", "Lead",
    "Opportunity", "OpportunityContactRole", "OpportunityLineItem", "Order", "OrderItem", "Pricebook2", "Product2",
    "Quote", "QuoteLineItem", "Task", "User",
})  # fmt: skip


def event_name(object_name: str) -> str:
    """`Account` as `AccountChangeEvent`, `Invoice__c` as `Invoice__ChangeEvent`."""
    custom = object_name.endswith("__c")
    return f"{object_name[:-1]}ChangeEvent" if custom else f"{object_name}ChangeEvent"


def is_captured(object_name: str) -> bool:
    return object_name in CAPTURED or object_name.endswith("__c")


class ChangeEvents:
    """The events of one org, by their replay ids, which only grow."""

    def __init__(self, org: Org, chosen: Any):
        self.org, self.store, self._chosen = org, org.store, chosen

    def chosen(self) -> list[str]:
        """The objects whose changes are captured, as an administrator ticks them in Setup."""
        return [name for name in self._chosen().replace(" ", "").split(",") if name]

    def note(self, object_name: str, rows: Sequence[Row], visible_ms: int) -> None:
        """What was just written becomes events, each when its record shows."""
        if object_name not in self.chosen():
            return
        for row in rows:
            if kind := self._kind(object_name, row):
                self.publish(object_name, kind, [row.id], at_ms=visible_ms)

    def publish(self, object_name: str, kind: str, record_ids: Sequence[str], *, at_ms: int | None = None) -> int:
        """One event; its replay id."""
        now_ms = self.org.clock.now_ms()
        replay = self.store.count_up("salesforce/events")
        header = {
            "entityName": object_name, "recordIds": list(record_ids), "changeType": kind, "changeOrigin": "",
            "transactionKey": f"00{replay:08x}-0000-0000-0000-000000000000", "sequenceNumber": 1,
            "commitTimestamp": now_ms, "commitNumber": now_ms * 1_000 + replay % 1_000,
            "commitUser": self.org.admin_id, "nulledFields": [], "diffFields": [], "changedFields": [],
        }  # fmt: skip
        event = {"schema": "sandbox", "payload": {"ChangeEventHeader": header}, "event": {"replayId": replay}}
        kept = {"at_ms": now_ms if at_ms is None else at_ms, "name": event_name(object_name), "event": event}
        self.store.keep_note(NOTES, f"{replay:015d}", dump(kept).decode())
        return replay

    def after(self, places: Mapping[str, int]) -> list[tuple[str, dict[str, Any]]]:
        """The next events of these channels, each after the replay id we have come to: (channel, event)."""
        if not places:
            return []
        now_ms = self.org.clock.now_ms()
        rows = self.store.read(
            "SELECT key, value FROM notes WHERE kind = ? AND key > ? ORDER BY key LIMIT 5000",
            (NOTES, f"{max(min(places.values()), 0):015d}"),
        )
        found: list[tuple[str, dict[str, Any]]] = []
        for key, value in rows:
            kept = load(value)
            if kept["at_ms"] > now_ms:
                break  # in their order: none overtakes one that does not show yet
            if kept["at_ms"] < now_ms - KEPT_MS:
                continue
            names = (f"/data/{kept['name']}", ALL)
            found += [(name, kept["event"]) for name in names if name in places and int(key) > places[name]]
            if len(found) >= MOST_AT_ONCE:
                break
        return found

    def newest(self) -> int:
        """The replay id of the latest event; 0 before any."""
        rows = self.store.read("SELECT max(key) FROM notes WHERE kind = ?", (NOTES,))
        return int(rows[0][0] or 0)

    def knows(self, replay: int) -> bool:
        """Whether this is the replay id of an event that is still kept."""
        note = self.store.note(NOTES, f"{replay:015d}")
        return note is not None and load(note)["at_ms"] >= self.org.clock.now_ms() - KEPT_MS

    def forget(self) -> int:
        """All that is kept goes, and with it the replay ids. Returns how many."""
        keys: Iterable[str] = list(self.store.notes(NOTES))
        for key in keys:
            self.store.drop_note(NOTES, key)
        return len(list(keys))

    def _kind(self, object_name: str, row: Row) -> str | None:
        """What happened to the record; None for what upstream does not tell: emptying the bin."""
        if row.version == 1:
            return "CREATE"
        before = self.store.read(
            "SELECT deleted FROM versions WHERE shelf = ? AND id = ? AND version = ?",
            (self.org.shelf(object_name), row.id, row.version - 1),
        )
        was_live = not before or before[0][0] == LIVE
        if row.deleted == LIVE:
            return "UPDATE" if was_live else "UNDELETE"
        return "DELETE" if was_live else None
