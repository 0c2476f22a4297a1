"""Walks over objects: their whole history, what changed since a cursor, and what lies in the recycle bin.

HubSpot's search index runs late, usually by moments. So a look begins two minutes before the newest change seen, and
one every quarter of an hour an hour before it, until nothing can show up late there any more. No look trusts a clock:
the cursor moves by the changes seen.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from syncs.providers.hubspot.catalogue import Resource
from syncs.providers.hubspot.harvest import Harvest, Taken, tombstone
from syncs.providers.hubspot.objects import Hits, Objects
from syncs.providers.kit.records import Cursor, Page, RawRecord, Skipped
from syncs.providers.kit.times import parse_time, to_millis_z

LATE = timedelta(minutes=2)  # the index, usually
VERY_LATE = timedelta(hours=1)  # the index, on a bad day
LONG_LOOK_EVERY = BIN_EVERY = timedelta(minutes=15)
BIN_PAGE_EVERY = timedelta(minutes=1)  # a large bin is read less often: it has no order but that of ids
INSTANT = timedelta(milliseconds=1)
EPOCH = "2000-01-01T00:00:00.000Z"


async def start(objects: Objects, resource: Resource) -> Cursor:
    """The time of the newest change."""
    found = await objects.search(resource.type, resource.modified, newest=True)
    stamps = [min(hit.updated, found.moment) for hit in found.hits if hit.updated]
    now = to_millis_z(found.moment)
    return {"t": to_millis_z(stamps[0]) if stamps else EPOCH, "at": now, "long_at": now, "bin_at": now}


async def history(harvest: Harvest, cursor: Cursor | None) -> AsyncIterator[Page]:
    """All objects in order of id, which no change moves. Cursor: {"after": the id the next page begins with}."""
    after = (cursor or {}).get("after", "")
    while True:
        taken, after = await harvest.listed(after)
        yield Page(all_of(harvest.resource, taken), {"after": after}, done=not after, skipped=_skipped(harvest, taken))
        if not after:
            return


async def changes(objects: Objects, harvest: Harvest, cursor: Cursor) -> AsyncIterator[Page]:
    """Objects changed since the cursor, in order of id, then at times those in the recycle bin.

    One that changes under way may lie behind us: it is found by the next look, which begins before this one began.
    Cursor: {"t": the newest change seen; "at", "long_at", "bin_at": when the last look, the last long one and the last
    look into the bin began; "bin_pages": its size}; while a look is under way also "look", see `_look`.
    """
    cursor = {"at": cursor["t"], "long_at": cursor["t"], "bin_at": cursor["t"], "bin_pages": 0, **cursor}
    look = cursor.get("look") or _look(cursor)
    resource = harvest.resource
    while not look["over"]:
        since = parse_time(look["since"])
        found = await objects.search(resource.type, resource.modified, since, look["after"])
        taken = await harvest.of([hit.id for hit in found.hits]) if found.hits else Taken([])
        records = [*all_of(resource, taken), *await _merged_away(objects, resource, found)]
        look = _followed(look, found)
        yield Page(records, {**cursor, "look": look}, done=False, skipped=_skipped(harvest, taken))
    after, now = _after(cursor, look), parse_time(look["begun"])
    pause = max(BIN_EVERY, cursor["bin_pages"] * BIN_PAGE_EVERY)
    if now - parse_time(cursor["bin_at"]) >= pause or look["bin_pages"]:
        while not look["bin_over"]:
            page = await objects.listed(resource.type, look["bin_after"], archived=True)
            pages = look["bin_pages"] + 1
            look = {**look, "bin_after": page.after, "bin_over": not page.after, "bin_pages": pages}
            gone = [tombstone(resource, item.id, page.read_no) for item in page.items]
            yield Page(gone, {**cursor, "look": look}, done=False)
        after |= {"bin_at": look["begun"], "bin_pages": look["bin_pages"]}
    yield Page([], after, done=True)


async def _merged_away(objects: Objects, resource: Resource, found: Hits) -> list[RawRecord]:
    """Tombstones: a merged object vanishes without a trace but its id on the survivor. Whether it is gone is asked."""
    named = {each for hit in found.hits for each in hit.merged} - {hit.id for hit in found.hits}
    gone, read_no = await objects.gone(resource.type, named) if named else ([], 0)
    return [tombstone(resource, each, read_no) for each in gone]


def _look(cursor: Cursor) -> dict[str, Any]:
    """A new look for changes.

    since   the moment it begins at            after     the id the last page ended with
    newest  the newest change seen             begun     HubSpot's time at the first page
    over    all changes were read              bin_…     the same of the recycle bin
    """
    newest, at = parse_time(cursor["t"]), parse_time(cursor["at"])
    is_long = at - parse_time(cursor["long_at"]) >= LONG_LOOK_EVERY
    late = VERY_LATE if is_long else LATE
    since = newest + INSTANT if at - newest >= late + LATE else newest - late
    return {"since": to_millis_z(since), "after": "", "newest": cursor["t"], "begun": "", "over": False,
            "long": is_long, "bin_after": "", "bin_over": False, "bin_pages": 0}  # fmt: skip


def _followed(look: dict[str, Any], found: Hits) -> dict[str, Any]:
    """The look after one more page."""
    newest = max([look["newest"], *(to_millis_z(hit.updated) for hit in found.hits if hit.updated)])
    after = found.hits[-1].id if found.hits else look["after"]
    begun = look["begun"] or to_millis_z(found.moment)
    return {**look, "after": after, "newest": newest, "begun": begun, "over": not found.more}


def _after(cursor: Cursor, look: dict[str, Any]) -> Cursor:
    """The cursor after a whole look: at the newest change, but no later than the look began, and never further back."""
    begun = look["begun"]
    reached = max(cursor["t"], min(look["newest"], begun))
    long_at = begun if look["long"] else min(cursor["long_at"], begun)
    return {"t": reached, "at": begun, "long_at": long_at, "bin_at": min(cursor["bin_at"], begun),
            "bin_pages": cursor["bin_pages"]}  # fmt: skip


def all_of(resource: Resource, taken: Taken) -> list[RawRecord]:
    """What came, and tombstones of what is gone."""
    return taken.records + [tombstone(resource, each, taken.read_no) for each in taken.gone]


def _skipped(harvest: Harvest, taken: Taken) -> tuple[Skipped, ...]:
    return tuple(Skipped(harvest.resource.id, each, "HubSpot could not read it.") for each in sorted(taken.sick))
