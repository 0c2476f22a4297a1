"""The walks through one list or one feed: history, changes, ids."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord, Skipped
from syncs.providers.kit.times import to_unix
from syncs.providers.zendesk import tickets
from syncs.providers.zendesk.catalogue import TICKET
from syncs.providers.zendesk.errors import TooRecent
from syncs.providers.zendesk.exports import BACK_S, BEGINNING, ExportPage, Exports, items_of
from syncs.providers.zendesk.lists import Lists
from syncs.providers.zendesk.objects import head_of, id_of, is_deleted, to_records
from syncs.providers.zendesk.resource import Found, Resource

OVERLAP_S = 15 * 60


def start(resource: Resource, now: datetime) -> Cursor:
    """Where changes are looked for from `now` on."""
    since = to_unix(now) - BACK_S
    return {} if resource.found is Found.WHOLE else {"t": since}


# --- History ----------------------------------------------------------------------------------------------------------


async def backfill(exports: Exports, lists: Lists, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
    """All records: an export from the beginning of time, or the list from its first page."""
    if resource.found is Found.OF_TICKETS:
        async for page in tickets.pages(exports, lists, [resource], cursor or BEGINNING):
            yield page
    elif resource.found is Found.EXPORT or (resource.found is Found.TIMED and not resource.listed):
        async for page in _exported(exports, [resource], cursor or BEGINNING):
            yield page
    else:
        async for each in lists.pages(resource, resource.list_path, cursor):
            yield Page(each.records, each.place, done=not each.more, skipped=each.skipped)


async def _exported(exports: Exports, wanted: Sequence[Resource], cursor: Cursor) -> AsyncIterator[Page]:
    """The pages of an export as records of one list, or of tickets and what comes beside them."""
    beside = [each.beside for each in wanted if each.beside]
    params = {"include": ",".join(beside)} if beside else {}
    async for export in exports.walk(wanted[0], cursor, params):
        records: list[RawRecord] = []
        skipped: tuple[Skipped, ...] = ()
        for resource in wanted:
            items = items_of(export.body, resource.items)
            made, set_aside = to_records(resource, items, export.read_no)
            records += _buried(made, export) if resource.beside else made
            skipped += set_aside
        yield Page(records, export.place, done=not export.more, skipped=skipped)


def _buried(records: list[RawRecord], export: ExportPage) -> list[RawRecord]:
    """What comes beside tickets, deleted where its ticket is."""
    gone = {id_of(TICKET, head) for head in map(head_of, export.items) if is_deleted(TICKET, head)}
    if not gone:
        return records
    return [
        msgspec.structs.replace(record, deleted=str(raw.scalar(raw.find(record.data or b"", "ticket_id"))) in gone)
        for record in records
    ]


# --- Changes ----------------------------------------------------------------------------------------------------------


async def changes(exports: Exports, lists: Lists, wanted: Sequence[Resource], cursor: Cursor) -> AsyncIterator[Page]:
    """What changed since the cursor, by whatever way its lists have."""
    first = wanted[0]
    if first.found is Found.SINCE:
        walk = _since(lists, first, cursor)
    elif first.found is Found.WHOLE:
        walk = _whole(lists, first, cursor)
    elif first.found is Found.OF_TICKETS:
        walk = tickets.pages(exports, lists, wanted, cursor)
    else:
        walk = _exported(exports, wanted, cursor)
    try:
        async for page in walk:
            yield page
    except TooRecent:
        yield Page([], None, done=True)


async def _since(lists: Lists, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
    """What the list has since the cursor's time, less an overlap.

    Cursor: {"t": newest change seen, unix seconds}; while a look is under way also {"look": where it stands, "newest"}.
    """
    newest = int(cursor.get("newest") or cursor["t"])
    params = {resource.since: max(0, cursor["t"] - OVERLAP_S)}
    async for page in lists.pages(resource, resource.list_path, cursor.get("look"), params):
        seen = [each.updated_at or each.created_at for each in page.records]
        newest = max([newest, *(to_unix(each) for each in seen if each)])
        newest = min(newest, to_unix(lists.client.server_now()))  # a wrong clock must not carry us over later ones
        at = {"t": cursor["t"], "look": page.place, "newest": newest} if page.more else {"t": newest}
        yield Page(page.records, at, done=not page.more, skipped=page.skipped)


async def _whole(lists: Lists, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
    """The whole list once more: nothing tells of its changes. Cursor: {}, or {"look": where it stands}."""
    async for page in lists.pages(resource, resource.list_path, cursor.get("look")):
        yield Page(page.records, {"look": page.place} if page.more else {}, done=not page.more, skipped=page.skipped)


# --- Ids --------------------------------------------------------------------------------------------------------------

_WITHOUT_DELETED = {"status": {"exclude_deleted": "true"}, "custom_object_fields": {"filter[exclude_deleted]": "true"}}


async def sweep(exports: Exports, lists: Lists, resource: Resource, cursor: Cursor) -> AsyncIterator[IdPage]:
    """The ids of all that is not deleted."""
    if resource.found is Found.EXPORT:
        base = TICKET if resource.beside else resource
        params = _WITHOUT_DELETED.get(base.mark, {}) | ({"include": resource.beside} if resource.beside else {})
        async for export in exports.walk(resource, cursor or BEGINNING, params):
            items = items_of(export.body, resource.items)
            records, _ = to_records(resource, items, export.read_no)
            yield IdPage(_living(records), export.place, done=not export.more)
    else:
        async for page in backfill(exports, lists, resource, cursor):
            yield IdPage(_living(page.records), page.cursor, page.done)


def _living(records: Sequence[RawRecord]) -> list[str]:
    return [record.upstream_id for record in records if not record.deleted]
