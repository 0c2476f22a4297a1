"""What belongs to tickets (comments, audits, side conversations): read anew for each ticket that an export names."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from syncs.providers.kit import raw
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

    Inside a page of the export the place says how far it is read, {"handled": [time, ids of that second]}: the page is
    asked for again, and goes on behind those tickets. A deleted ticket has no parts any more.
    """
    size = min(PAGE, exports.page_size)
    handled = place.get("handled")
    place = {key: value for key, value in place.items() if key != "handled"}
    async for export in exports.walk(TICKET, place, size=size):
        heads = [head_of(item) for item in export.items]
        left = [head for head in heads if not is_deleted(TICKET, head) and not _is_handled(head, handled)]
        for start in range(0, len(left), AT_ONCE):
            part = left[start : start + AT_ONCE]
            records, skipped = await _parts(lists, wanted, part)
            handled = _handled(part, handled)
            yield Page(records, {**place, "handled": handled} if handled else None, done=False, skipped=skipped)
        handled = None
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
            records += [msgspec.structs.replace(each, data=owned(each.data or b"{}", ticket)) for each in page.records]
            skipped += page.skipped
    except ObjectGone:
        return [], ()
    except (PermissionMissing, CollectionGone) as error:
        error.collection_id = resource.id
        raise
    return records, skipped


def owned(data: bytes, ticket: str) -> bytes:
    """The part with `ticket_id`: comments come without, and would belong to nobody."""
    if raw.find(data, "ticket_id") is not None:
        return data
    return data[:-1] + (b"," if len(data) > 2 else b"") + b'"ticket_id":' + ticket.encode() + b"}"


def path_of(resource: Resource, ticket: str) -> str:
    return resource.path.replace("{ticket}", ticket)


async def sample(lists: Lists, resource: Resource) -> msgspec.Raw | None:
    """One part of some ticket; None while there is none."""
    found = await lists.sample(TICKET, TICKET.list_path)
    if found is None:
        return None
    ticket = id_of(TICKET, head_of(found))
    try:
        part = await lists.sample(resource, path_of(resource, ticket))
    except ObjectGone:
        return None
    return None if part is None else msgspec.Raw(owned(raw.compact(part), ticket))


Handled = list[Any] | None


def _handled(part: Sequence[Head], before: Handled) -> Handled:
    """How far a page is read after these tickets: the last one's second, and all that were read of it.

    None where tickets do not tell their time: the page is then read whole again.
    """
    at = part[-1].generated_timestamp
    if not isinstance(at, int):
        return None
    ids = [head.id for head in part if head.generated_timestamp == at]
    return [at, [*(before[1] if before and before[0] == at else []), *ids]]


def _is_handled(head: Head, handled: Handled) -> bool:
    at = head.generated_timestamp
    return (
        handled is not None
        and isinstance(at, int)
        and (at < handled[0] or (at == handled[0] and head.id in handled[1]))
    )
