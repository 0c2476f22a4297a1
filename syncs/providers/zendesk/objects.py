"""One Zendesk object: what is read of it, when it is deleted, and in which form it is kept."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import RawRecord, Skipped
from syncs.providers.kit.times import from_unix, parse_time
from syncs.providers.zendesk.resource import Resource

TOMBSTONE = "[DELETED]"


class Head(msgspec.Struct):
    """What is read of an object. Everything may be null or missing."""

    id: Any = None
    key: Any = None
    name: Any = None
    created_at: Any = None
    updated_at: Any = None
    generated_timestamp: Any = None
    status: Any = None
    active: Any = None
    deleted: Any = None
    is_deleted: Any = None
    deleted_at: Any = None
    custom_object_fields: Any = None


def _is_tombstone(value: Any) -> bool:
    """A deleted custom object record is told of for 30 days, with its values replaced."""
    return isinstance(value, dict) and any(each == TOMBSTONE for each in value.values())


MARKS: dict[str, Callable[[Head], bool]] = {
    "": lambda head: False,
    "status": lambda head: head.status == "deleted",
    "active": lambda head: head.active is False,
    "deleted": lambda head: head.deleted is True,
    "is_deleted": lambda head: head.is_deleted is True,
    "deleted_at": lambda head: head.deleted_at is not None,
    "custom_object_fields": lambda head: head.name == TOMBSTONE or _is_tombstone(head.custom_object_fields),
}
_decoder = msgspec.json.Decoder(Head)


def head_of(item: bytes) -> Head:
    """Raises UnexpectedShape for what is no object."""
    try:
        return _decoder.decode(item)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Zendesk sent a record in a form we do not know.", detail=str(error)[:200]) from None


def id_of(resource: Resource, head: Head) -> str:
    """The record's id as text; empty for none."""
    found = getattr(head, resource.id_field)
    return str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""


def is_deleted(resource: Resource, head: Head) -> bool:
    return MARKS[resource.mark](head)


def changed_at(resource: Resource, head: Head) -> datetime | None:
    """The version's time. Tickets have `generated_timestamp`, which system updates raise, too.

    A ticket read without it bears none: its `updated_at` may be older than the version that is known.
    """
    if resource.name != "ticket":
        return moment(head.updated_at)
    stamp = head.generated_timestamp
    return from_unix(stamp) if isinstance(stamp, int | float) else None


def moment(value: Any) -> datetime | None:
    """A time as Zendesk writes it; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except ValueError:
        return None


def to_record(resource: Resource, item: msgspec.Raw, read_no: int) -> RawRecord | Skipped:
    """The object as a record, or why it is none."""
    try:
        head = head_of(item)
    except UnexpectedShape as error:
        return Skipped(resource.id, "", error.detail)
    upstream_id = id_of(resource, head)
    if not upstream_id:
        return Skipped(resource.id, "", "A record without an id.")
    data: bytes | None = without(item, resource.drop) if resource.drop else bytes(item)
    deleted = is_deleted(resource, head)
    if deleted and resource.mark == "custom_object_fields":
        data = None  # a tombstone's values say nothing: what we know stays
    changed = changed_at(resource, head)
    return RawRecord(resource.id, upstream_id, data, read_no, moment(head.created_at), changed, deleted)


def to_records(
    resource: Resource, items: Iterable[msgspec.Raw], read_no: int
) -> tuple[list[RawRecord], tuple[Skipped, ...]]:
    """The objects of a page, and what of it are none."""
    made = [to_record(resource, item, read_no) for item in items]
    records = [each for each in made if isinstance(each, RawRecord)]
    return records, tuple(each for each in made if isinstance(each, Skipped))


def without(item: msgspec.Raw, keys: tuple[str, ...]) -> bytes:
    """The object less these keys of its first level."""
    return raw.join((key, value) for key, value in raw.split(item).items() if key not in keys)
