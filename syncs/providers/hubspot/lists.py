"""Lists that tell of no changes, read whole: owners and pipelines. Archived owners are a list of their own."""

from collections.abc import AsyncIterator
from typing import Any

from syncs.providers.hubspot.catalogue import Resource
from syncs.providers.hubspot.objects import NEXT, PAGE
from syncs.providers.kit import raw
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.paging import Request
from syncs.providers.kit.records import Cursor, Page, RawRecord
from syncs.providers.kit.times import parse_time


async def whole(
    client: Client, resource: Resource, cursor: Cursor | None, *, live: bool = False
) -> AsyncIterator[Page]:
    """The whole list, live members first. Cursor: {"after": page token, "bin": we are among the archived ones}."""
    place = cursor or {"after": "", "bin": False}
    size = int(client.settings.get("page_size", PAGE))
    while True:
        params: dict[str, Any] = {"limit": size} if resource.paged else {}
        params |= {"archived": "true"} if place["bin"] else {}
        params |= {"after": place["after"]} if place["after"] else {}
        request = Request(resource.path, params)
        answer = await client.get(request.path, request.params)
        following = NEXT.after(answer, request) if resource.paged else None
        items = raw.records_at(raw.compact(answer.body), "results")
        records = [_to_record(resource, each, answer.read_no, deleted=place["bin"]) for each in items]
        if following:
            place = {**place, "after": str(following.param("after"))}
        elif resource.binned and not live and not place["bin"]:
            place = {"after": "", "bin": True}
        else:
            yield Page(records, place, done=True)
            return
        yield Page(records, place, done=False)


async def one(client: Client, resource: Resource) -> None:
    """Read one member: raises what keeps us from the list."""
    await client.get(resource.path, {"limit": 1} if resource.paged else None)


def _to_record(resource: Resource, item: bytes, read_no: int, *, deleted: bool) -> RawRecord:
    parts = raw.split(item)
    record_id = raw.text_of(parts.get("id"))
    if not record_id:
        raise UnexpectedShape(f"HubSpot sent one of the {resource.title.lower()} without an id.")
    created, updated = (raw.text_of(parts.get(name)) for name in ("createdAt", "updatedAt"))
    try:
        times = (parse_time(created) if created else None, parse_time(updated) if updated else None)
    except ValueError as error:
        raise UnexpectedShape("HubSpot sent a time that is none.", detail=str(error)[:200]) from None
    return RawRecord(resource.id, record_id, bytes(item), read_no, *times, deleted=deleted)
