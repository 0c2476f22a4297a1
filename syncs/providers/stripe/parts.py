"""Lists that hang on each member of another: lines of invoices, items of subscriptions, reversals of transfers.

Stripe changes them with their owner and tells of that one alone. So an owner's list is read again whole. What an event
shows the owner to have had, and the list has no more, is gone; what no event shows is found by comparing ids.
A member's id here is `<owner>/<member>`: without its owner Stripe does not serve it.

Docs    https://docs.stripe.com/api/invoice-line-item, https://docs.stripe.com/api/transfer_reversals
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.times import from_unix
from syncs.providers.stripe.errors import ObjectGone
from syncs.providers.stripe.lists import Head, Lists, Members
from syncs.providers.stripe.resource import Resource

_head = msgspec.json.Decoder(Head)


class Told(Protocol):
    """An event's data: the object, and what changed fields held before."""

    object: msgspec.Raw
    previous_attributes: msgspec.Raw


def shown(part: Resource, told: Told, owner_id: str) -> frozenset[str]:
    """The members that an event shows its object to have had, ten at most; none where that is not the owner.

    "data": {"object": {"id": "sub_1", "items": {"data": [{"id": "si_1"}]}}, "previous_attributes": {"items": {…}}}
    """
    if not part.inside or raw.text_of(raw.find(told.object, "id")) != owner_id:
        return frozenset()
    items = [*_inside(part, told.object), *_inside(part, told.previous_attributes)]
    ids = (raw.text_of(raw.find(item, "id")) for item in items)
    return frozenset(each for each in ids if each)


def by_owner(ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Which owners to ask for these ids, and which of their members are meant; none: all there are."""
    found: dict[str, frozenset[str]] = {}
    for each in ids:
        owner, _, member = each.partition("/")
        found[owner] = found.get(owner, frozenset()) | ({member} if member else frozenset())
    return found


def inside(part: Resource, owner: RawRecord) -> Members:
    """The members of an owner that was read whole and bears them; none of one that is gone.

    An owner that should bear them and does not says nothing of them, least of all that they are gone.
    """
    if owner.data is None:
        return Members([], owner.read_no)
    if raw.find(owner.data, part.inside) is None:
        raise UnexpectedShape(f"Stripe sent a record without its {part.title.lower()}.")
    return Members(_inside(part, owner.data), owner.read_no)


async def listed(lists: Lists, part: Resource, owner_id: str) -> Members:
    """The members of an owner, asked for by themselves; none when it is gone."""
    try:
        return await lists.members(part.path.format(owner=owner_id))
    except ObjectGone as gone:
        return Members([], gone.read_no)


def records(
    part: Resource,
    owner_id: str,
    found: Members,
    named: frozenset[str] = frozenset(),
    changed_at: float | None = None,
) -> list[RawRecord]:
    """An owner's members, and as deleted those that were named and are not among them. Pure."""
    moment = from_unix(changed_at)
    members = [_record(part, owner_id, item, found.read_no, moment) for item in found.items]
    gone = {f"{owner_id}/{each}" for each in named} - {member.upstream_id for member in members}
    return members + [
        RawRecord(part.id, each, None, found.read_no, updated_at=moment, deleted=True) for each in sorted(gone)
    ]


def _inside(part: Resource, owner: msgspec.Raw | bytes) -> list[msgspec.Raw]:
    found = raw.find(owner, f"{part.inside}.data")
    return raw.split_list(found) if found is not None and raw.value_type(found) == "list" else []


def _record(part: Resource, owner_id: str, item: msgspec.Raw, read_no: int, changed_at: datetime | None) -> RawRecord:
    """One member, with the field that names its owner."""
    try:
        head = _head.decode(item)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Stripe sent an object in a form we do not know.", detail=str(error)[:200]) from None
    if not head.id:
        raise UnexpectedShape(f"Stripe sent one of the {part.title.lower()} without an id.")
    data = bytes(item)
    if raw.find(item, part.told_by) is None:
        data = data[:-1] + b"," + raw.json_string(part.told_by) + b":" + raw.json_string(owner_id) + b"}"
    upstream_id = f"{owner_id}/{head.id}"
    return RawRecord(part.id, upstream_id, data, read_no, from_unix(head.created), changed_at)
