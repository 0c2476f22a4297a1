"""What events tell of: each is a hint which object to read again, or of whose list the members. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import RawRecord
from syncs.providers.stripe import parts
from syncs.providers.stripe.catalogue import OWNERS, RELATED
from syncs.providers.stripe.lists import Head, to_record
from syncs.providers.stripe.owned import owner_of
from syncs.providers.stripe.resource import Found, Resource

DROPPED = frozenset({"invoice.upcoming"})  # a preview, no invoice


class _Data(msgspec.Struct):
    object: msgspec.Raw
    previous_attributes: msgspec.Raw = msgspec.Raw(b"{}")


class Event(msgspec.Struct):
    """One event, as far as we read it."""

    id: str
    type: str
    created: int
    data: _Data


Told = list[tuple[Event, msgspec.Raw, int]]  # event, its raw JSON, number of the read


@dataclass(frozen=True)
class Heard:
    """What the events read tell of an object: when the first and the last was created, unix seconds, and, of the owner
    of a list that is wanted, which members it had.
    """

    first: int
    last: int
    members: frozenset[str] = frozenset()

    def also(self, other: "Heard") -> "Heard":
        return Heard(min(self.first, other.first), max(self.last, other.last), self.members | other.members)


@dataclass
class Hints:
    """Which objects to read again, and when each changed; and the events themselves, where they are wanted."""

    changed: dict[tuple[Resource, str], Heard] = field(default_factory=dict)
    events: list[RawRecord] = field(default_factory=list)


def event_of(item: msgspec.Raw) -> Event:
    try:
        return msgspec.json.decode(item, type=Event)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Stripe sent an event in a form we do not know.", detail=str(error)[:200]) from None


def hints(found: Told, wanted: Sequence[Resource], seen: frozenset[str]) -> Hints:
    """What these events tell of, each object once. Pure."""
    by_object: dict[str, list[Resource]] = {}
    for resource in wanted:
        if name := told_as(resource):
            by_object.setdefault(name, []).append(resource)
    itself = next((resource for resource in wanted if resource.found is Found.SELF), None)
    told = Hints()
    for event, item, read_no in found:
        if event.id in seen:
            continue
        if itself is not None:
            told.events.append(to_record(itself, msgspec.json.decode(item, type=Head), bytes(item), read_no))
        if event.type in DROPPED:
            continue
        for name, object_id in named_objects(event):
            for resource in by_object.get(name, ()):
                heard = Heard(event.created, event.created, parts.shown(resource, event.data, object_id))
                known = told.changed.get((resource, object_id), heard)
                told.changed[resource, object_id] = known.also(heard)
    return told


def told_as(resource: Resource) -> str:
    """The object whose events tell of this list's changes: its members, or what they belong to; empty for none."""
    if resource.found is Found.OWNER:
        return owner_of(resource).object
    return resource.object if resource.found is Found.EVENTS else ""


def named_objects(event: Event) -> list[tuple[str, str]]:
    """The objects an event tells of, as (type, id): its own, those it belongs to, and those it is related to.

    A card's event tells of its customer, a refund's of its charge too. Objects without an id tell of nothing.
    """
    fields = raw.split(event.data.object)
    name, object_id = raw.text_of(fields.get("object")) or "", raw.text_of(fields.get("id"))
    named = [(name, object_id)] if object_id else []
    for key, owner in (*OWNERS.get(name, ()), *RELATED.get(name, ())):
        if owner_id := raw.text_of(fields.get(key)):
            named.append((owner, owner_id))
    return named
