"""What belongs to tickets (comments, audits, side conversations): read anew for each ticket that an export names."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.records import Cursor, Page, RawRecord, Skipped
from syncs.providers.zendesk.catalogue import TICKET
from syncs.providers.zendesk.errors import ObjectGone
from syncs.providers.zendesk.exports import Exports
from syncs.providers.zendesk.lists import Lists
from syncs.providers.zendesk.objects import Head, head_of, id_of, is_deleted
from syncs.providers.zendesk.resource import Resource

PAGE = 100  # tickets of one export: their parts take as many requests, and a run is short
AT_ONCE = 20

Found = tuple[list[RawRecord], tuple[Skipped, ...]]


async def pages(exports: Exports, lists: Lists, wanted: Sequence[Resource], place: Cursor) -> AsyncIterator[Page]:
    """All parts of the tickets from a place on, some tickets a page. The last page has `done`.

    Inside a page of the export the place says which ticket was read last, {"handled": [its time, its id]}: the page is
    asked for again, and goes on behind that ticket. A deleted ticket has no parts any more.
    """
    size = min(PAGE, exports.page_size)
    handled = place.get("handled")
    place = {key: value for key, value in place.items() if key != "handled"}
    async for export in exports.walk(TICKET, place, size=size):
        heads = [head_of(item) for item in export.items]
        left = [head for head in heads if handled is None or _position(head) is None or _position(head) > handled]
        left = [head for head in left if not is_deleted(TICKET, head)]
        handled = None
        for start in range(0, len(left), AT_ONCE):
            part = left[start : start + AT_ONCE]
            records, skipped = await _parts(lists, wanted, part)
            at = _position(part[-1])
            yield Page(records, {**place, "handled": at} if at else None, done=False, skipped=skipped)
        place = export.place
        yield Page([], place, done=not export.more)


async def _parts(lists: Lists, wanted: Sequence[Resource], tickets: Sequence[Head]) -> Found:
    """The parts of these tickets. Those of a ticket that Zendesk cannot serve are set aside, unless it serves none."""
    asked = [(resource, id_of(TICKET, head)) for head in tickets for resource in wanted]
    outcomes = await asyncio.gather(*(_of_one(lists, *each) for each in asked), return_exceptions=True)
    records: list[RawRecord] = []
    skipped: list[Skipped] = []
    failed = [each for each in outcomes if isinstance(each, UpstreamFailed | UnexpectedShape)]
    for (resource, ticket), outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, UpstreamFailed | UnexpectedShape) and len(failed) < len(outcomes):
            skipped.append(Skipped(resource.id, "", f"Ticket {ticket}: {outcome.message}"))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            records += outcome[0]
            skipped += outcome[1]
    return records, tuple(skipped)


async def _of_one(lists: Lists, resource: Resource, ticket: str) -> Found:
    """One ticket's parts of one kind; none where the ticket is gone by now.

    A refusal names the collection it is about, so that its neighbours can go on without it.
    """
    records: list[RawRecord] = []
    skipped: tuple[Skipped, ...] = ()
    try:
        async for page in lists.pages(resource, path_of(resource, ticket)):
            records += page.records
            skipped += page.skipped
    except ObjectGone:
        return [], ()
    except (PermissionMissing, CollectionGone) as error:
        error.collection_id = resource.id
        raise
    return records, skipped


def path_of(resource: Resource, ticket: str) -> str:
    return resource.path.replace("{ticket}", ticket)


async def sample(lists: Lists, resource: Resource) -> msgspec.Raw | None:
    """One part of some ticket; None while there is no ticket."""
    ticket = await lists.sample(TICKET, TICKET.list_path)
    if ticket is None:
        return None
    try:
        return await lists.sample(resource, path_of(resource, id_of(TICKET, head_of(ticket))))
    except ObjectGone:
        return None


def _position(head: Head) -> Any:
    """Where a ticket stands in the export's order; None for one that does not say."""
    if isinstance(head.generated_timestamp, int) and isinstance(head.id, int):
        return [head.generated_timestamp, head.id]
    return None
