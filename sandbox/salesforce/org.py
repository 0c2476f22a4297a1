"""The org: its objects, and everything that can happen to a record in it.

Lifecycle as upstream has it: a deleted record lies in the recycle bin with `IsDeleted` true and a fresh
`SystemModstamp`; undelete brings it back with another stamp; a hard delete leaves nothing.
Source: REST API guide (v67.0); SOAP API guide, "merge()" and "undelete()"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox.clock import Clock, parse_time, salesforce_date, salesforce_time, whole_second
from sandbox.rawjson import Fields, dump, join_object, load, split_object
from sandbox.salesforce.change_events import ChangeEvents
from sandbox.salesforce.derived import derive
from sandbox.salesforce.errors import ApiError, unsupported_object
from sandbox.salesforce.fields import Field
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.objects import STANDARD_OBJECTS, VERSION_FIELD, SObject
from sandbox.settings import Settings
from sandbox.store import BINNED, GONE, LIVE, Row, Store

SHELVES = "salesforce/"


class Org:
    """One Salesforce org, kept in the store."""

    def __init__(self, store: Store, clock: Clock, settings: Callable[[], Settings]):
        self.store = store
        self.clock = clock
        self.settings = settings
        self.objects: dict[str, SObject] = {}
        self.admin_id = record_id("005", 1)
        self.events: ChangeEvents | None = None
        self.load_objects()

    # ---- objects and their fields

    def load_objects(self) -> None:
        """Read the catalogue anew: the standard one, plus and minus what was changed by hand."""
        added: dict[str, list[Field]] = {}
        for note in self.store.notes("field").values():
            made = load(note)
            added.setdefault(made["object"], []).append(Field(made["name"], made["type"]))
        hidden = self.store.notes("hidden_field")
        self.objects = {
            sobject.name: sobject.with_fields(
                tuple(
                    field
                    for field in (*sobject.fields, *added.get(sobject.name, ()))
                    if f"{sobject.name}.{field.name}" not in hidden
                )
            )
            for sobject in STANDARD_OBJECTS
        }

    def object(self, name: str) -> SObject:
        """The object of this name. Raises INVALID_TYPE."""
        if name not in self.objects:
            raise unsupported_object(name)
        return self.objects[name]

    def add_field(self, object_name: str, field_name: str, kind: str) -> None:
        """Make a custom field, as an administrator does while a sync runs."""
        self.object(object_name)
        self.store.keep_note(
            "field",
            f"{object_name}.{field_name}",
            dump({"object": object_name, "name": field_name, "type": kind}).decode(),
        )
        self.store.drop_note("hidden_field", f"{object_name}.{field_name}")
        self.load_objects()

    def hide_field(self, object_name: str, field_name: str) -> None:
        """Take a field away, or the right to see it: the API answers the same."""
        self.store.keep_note("hidden_field", f"{object_name}.{field_name}", "1")
        self.load_objects()

    # ---- records

    def create(self, object_name: str, values: Iterable[Fields], *, stamps: Sequence[int] | None = None) -> list[Row]:
        """New records from raw field values; `Id`, `CreatedDate` and `SystemModstamp` may be among them.

        Without those, each gets its stamp of `stamps`, or all get the same: now.
        """
        sobject = self.object(object_name)
        batch = list(values)
        stamps = stamps or [self.clock.now_ms()] * len(batch)
        first = self.store.count_up(f"salesforce/{object_name}", len(batch))
        rows = []
        with self.store.transaction():
            for number, (fields, stamp) in enumerate(zip(batch, stamps, strict=True), first):
                new_id = load(fields["Id"]) if "Id" in fields else record_id(sobject.prefix, number)
                version = self.store.next_version(self.shelf(object_name), new_id) if "Id" in fields else 1
                created_ms = parse_time(load(fields["CreatedDate"])) if "CreatedDate" in fields else stamp
                stamp_ms = parse_time(load(fields["SystemModstamp"])) if "SystemModstamp" in fields else stamp
                rows.append(
                    self._row(sobject, new_id, fields, version, whole_second(created_ms), whole_second(stamp_ms))
                )
            self._write(object_name, rows)
        return rows

    def update(self, object_name: str, record: str, changes: Fields, *, keep_stamp: bool = False) -> Row:
        """A new version with some fields changed. `keep_stamp`: as when a formula's value moves by itself."""
        old = self.find(object_name, record)
        now_ms = old.stamp_ms if keep_stamp else self._later_stamp()
        fields = {**split_object(old.body), **changes}
        row = self._row(self.object(object_name), old.id, fields, old.version + 1, old.created_ms, now_ms, old.deleted)
        self._write(object_name, [row], is_told=not keep_stamp)
        return row

    def delete(self, object_name: str, record: str, *, hard: bool = False) -> Row:
        """Put a record in the recycle bin; with `hard`, or where the object has no bin, take it away for good."""
        old = self.find(object_name, record)
        if hard or not self.object(object_name).has_delete_mark:
            row = replace(old, version=old.version + 1, deleted=GONE)
        else:
            row = self._marked(object_name, old, BINNED)
        self._write(object_name, [row])
        return row

    def undelete(self, object_name: str, record: str) -> Row:
        """Bring a record back from the bin."""
        row = self._marked(object_name, self.find(object_name, record), LIVE)
        self._write(object_name, [row])
        return row

    def merge(self, object_name: str, winner: str, losers: Iterable[str]) -> list[Row]:
        """Losers go to the bin naming the winner in `MasterRecordId`; their children move to the winner."""
        if not self.object(object_name).mergeable:
            raise ApiError(400, "INVALID_TYPE", f"{object_name} records cannot be merged")
        self.find(object_name, winner)
        rows = []
        with self.store.transaction():
            for loser in losers:
                old = self.find(object_name, loser)
                fields = {**split_object(old.body), "MasterRecordId": dump(winner)}
                marked = self._marked(object_name, replace(old, body=join_object(fields).decode()), BINNED)
                self._write(object_name, [marked])
                self._move_children(object_name, old.id, winner)
                rows.append(marked)
        return rows

    def find(self, object_name: str, record: str) -> Row:
        """The newest version of a record. Raises NOT_FOUND."""
        row = self.store.newest(self.shelf(object_name), record)
        if row is None:
            raise ApiError(
                404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: " + record
            )
        return row

    @staticmethod
    def shelf(object_name: str) -> str:
        return SHELVES + object_name

    def _move_children(self, object_name: str, old_id: str, new_id: str) -> None:
        for child in self.objects.values():
            for field in child.fields:
                if object_name not in field.refers_to or field.name == "MasterRecordId":
                    continue
                found = self.store.read(
                    f"SELECT id FROM records WHERE shelf = ? AND json_extract(body, '$.{field.name}') = ?",
                    (self.shelf(child.name), old_id),
                )
                for (child_id,) in found:
                    self.update(child.name, child_id, {field.name: dump(new_id)})

    def _later_stamp(self) -> int:
        return whole_second(self.clock.now_ms())

    def _marked(self, object_name: str, old: Row, deleted: int) -> Row:
        fields = split_object(old.body)
        sobject, stamp_ms = self.object(object_name), self._later_stamp()
        return self._row(sobject, old.id, fields, old.version + 1, old.created_ms, stamp_ms, deleted)

    def _row(
        self, sobject: SObject, new_id: str, fields: Mapping[str, bytes], version: int, created_ms: int,
        stamp_ms: int, deleted: int = LIVE,
    ) -> Row:  # fmt: skip
        """The record with its system fields written anew. Names the object does not have are refused."""
        system: dict[str, Any] = {
            "Id": new_id, "IsDeleted": deleted == BINNED, "CreatedDate": salesforce_time(created_ms),
            "CreatedById": self.admin_id, "LastModifiedDate": salesforce_time(stamp_ms),
            "LastModifiedById": self.admin_id, "SystemModstamp": salesforce_time(stamp_ms), VERSION_FIELD: version,
        }  # fmt: skip
        known = sobject.names
        for name in fields:
            if name not in known and name not in system:
                raise ApiError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")
        kept = ("CreatedById",)
        body = {
            name: dump(value)
            for name, value in system.items()
            if name in known and not (name in kept and name in fields)
        }
        body.update({name: stored(value) for name, value in fields.items() if name not in body})
        if "OwnerId" in known and "OwnerId" not in body:
            body["OwnerId"] = dump(self.admin_id)
        derive(sobject.name, body, salesforce_date(stamp_ms))
        return Row(new_id, created_ms, stamp_ms, version, deleted, None, join_object(body).decode())

    def _write(self, object_name: str, rows: list[Row], *, is_told: bool = True) -> None:
        delay_ms, now_ms = round(self.settings().commit_delay_s * 1000), self.clock.now_ms()
        self.store.write(self.shelf(object_name), rows, at_ms=now_ms, delay_ms=delay_ms)
        if self.events is not None and is_told:  # a formula's new value is told to nobody
            self.events.note(object_name, rows, now_ms + delay_ms)


def stored(value: bytes) -> bytes:
    """A field's value as the org keeps it: empty text is null."""
    return b"null" if value == b'""' else value
