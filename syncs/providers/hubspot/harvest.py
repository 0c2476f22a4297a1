"""What is made of objects found: the objects themselves, or what they are associated with.

Docs    https://developers.hubspot.com/docs/api-reference/crm-associations-v4 (read 2026-11-23)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from syncs.providers.hubspot.catalogue import VERSION, Resource
from syncs.providers.hubspot.objects import Listed, Objects, sick_ids, to_batch, to_record
from syncs.providers.kit import raw
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import RawRecord

LINKS_AT_ONCE = 1_000
_NONE_FOUND = ("OBJECT_NOT_FOUND", "NO_ASSOCIATIONS_FOUND")


@dataclass(frozen=True)
class Taken:
    """What came of some ids. gone: those without anything; sick: those that could not be read at the moment."""

    records: list[RawRecord]
    gone: tuple[str, ...] = ()
    sick: tuple[str, ...] = ()
    read_no: int = 0


class Harvest(Protocol):
    """Made for one walk: what HubSpot says of an object type is asked once."""

    resource: Resource

    async def listed(self, after: str) -> tuple[Taken, str]:
        """What one page of the list gives, and where the next begins; empty after the last."""

    async def of(self, ids: Sequence[str]) -> Taken:
        """What these objects give now."""


class Things:
    """The objects themselves, with all their properties."""

    def __init__(self, objects: Objects, resource: Resource) -> None:
        self.objects, self.resource = objects, resource
        self._names: tuple[str, ...] | None = None

    async def names(self) -> tuple[str, ...]:
        """The properties of the type, as HubSpot named them when they were first needed."""
        if self._names is None:
            self._names = await self.objects.names(self.resource.type)
        return self._names

    async def listed(self, after: str) -> tuple[Taken, str]:
        names = await self.names()
        if self.objects.fit_a_url(names):
            page = await self.objects.listed(self.resource.type, after, names)
            records = [to_record(self.resource.id, item, names) for item in page.items]
            return Taken(records, read_no=page.read_no), page.after
        page = await self.objects.listed(self.resource.type, after)
        taken = await self.of([item.id for item in page.items])
        return replace(taken, gone=()), page.after  # what went in between is found by the looks for changes

    async def of(self, ids: Sequence[str]) -> Taken:
        names = await self.names()
        items, sick, read_no = await self.objects.by_id(self.resource.type, ids, names)
        wanted = set(ids)
        records = [to_record(self.resource.id, item, names) for item in items if item.id in wanted]
        gone = wanted - {record.upstream_id for record in records} - sick
        return Taken(records, tuple(gone), tuple(sick), read_no)


class Links:
    """For each object, all it is associated with of one type, in order of id."""

    def __init__(self, client: Client, objects: Objects, resource: Resource) -> None:
        self.client, self.objects, self.resource = client, objects, resource
        self.path = f"/crm/associations/{VERSION}/{resource.type}/{resource.to}/batch/read"

    async def listed(self, after: str) -> tuple[Taken, str]:
        page: Listed = await self.objects.listed(self.resource.type, after)
        return await self.of([item.id for item in page.items]), page.after

    async def of(self, ids: Sequence[str]) -> Taken:
        """Lists longer than HubSpot sends at once go on from each object's own place."""
        found: dict[str, list[msgspec.Raw]] = {}
        sick: set[str] = set()
        first_no = 0
        inputs: list[dict[str, Any]] = [{"id": each} for each in ids]
        while inputs:
            now, inputs = inputs[:LINKS_AT_ONCE], inputs[LINKS_AT_ONCE:]
            answer = await self.client.post(self.path, {"inputs": now})
            first_no = first_no or answer.read_no
            batch = to_batch(answer)
            sick |= sick_ids(batch.errors, _NONE_FOUND)
            for result in batch.results:
                one = str(raw.scalar(raw.find(result, "from.id")))
                found.setdefault(one, []).extend(raw.split_list(raw.split(result).get("to") or b"[]"))
                place = raw.scalar(raw.find(result, "paging.next.after"))
                if place is not None:
                    inputs.append({"id": one, "after": str(place)})
        records = [self._to_record(each, found[each], first_no) for each in ids if found.get(each) and each not in sick]
        gone = set(ids) - {record.upstream_id for record in records} - sick
        return Taken(records, tuple(gone), tuple(sick), first_no)

    def _to_record(self, one: str, members: list[msgspec.Raw], read_no: int) -> RawRecord:
        """`{"from":{"id":"501"},"to":[{"toObjectId":601,"associationTypes":[…]}]}`, always in the same order."""
        ordered = sorted((_number(raw.find(each, "toObjectId")), _ordered(each)) for each in members)
        to = b"[" + b",".join(data for _, data in ordered) + b"]"
        data = raw.join([("from", raw.join([("id", raw.json_string(one))])), ("to", to)])
        return RawRecord(self.resource.id, one, data, read_no)


def tombstone(resource: Resource, upstream_id: str, read_no: int) -> RawRecord:
    return RawRecord(resource.id, upstream_id, None, read_no, deleted=True)


def _number(value: msgspec.Raw | None) -> int:
    found = raw.scalar(value)
    try:
        return int(found if found is not None else "")
    except ValueError:
        raise UnexpectedShape("HubSpot sent an association without an id.") from None


def _ordered(member: msgspec.Raw) -> bytes:
    """A member with its types in order: HubSpot promises none."""
    parts = raw.split(member)
    types = sorted(bytes(each) for each in raw.split_list(parts.get("associationTypes") or b"[]"))
    shaped = {"associationTypes": b"[" + b",".join(types) + b"]"}
    return raw.join((key, shaped.get(key, value)) for key, value in parts.items())
