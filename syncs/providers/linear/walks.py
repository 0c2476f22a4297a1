"""Walks through Linear's lists: history by creation, changes by `updatedAt`, ids for sweeps.

Nothing relies on which end of a list comes first: a look for changes counts only once it has reached the other end.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from syncs.providers.kit.errors import CursorLost
from syncs.providers.kit.records import Cursor, IdPage, Page
from syncs.providers.kit.times import parse_time, to_millis_z
from syncs.providers.linear.lists import ListPage, Lists
from syncs.providers.linear.resource import Order, Resource

OVERLAP = timedelta(minutes=2)  # how late a change may show in lists; Linear promises nothing (unverified)
BACK = timedelta(minutes=15)


def start(moment: datetime) -> Cursor:
    """Fifteen minutes ago, by Linear's clock or ours, whichever is behind."""
    return {"t": to_millis_z(moment - BACK), "settled": False}


async def history(lists: Lists, resource: Resource, cursor: Cursor | None) -> AsyncIterator[Page]:
    """All records, in order of creation. Cursor: {"after": the next page's}."""
    after = (cursor or {}).get("after", "")
    while True:
        page = await lists.page(resource, Order.CREATED, after)
        after = page.after
        yield Page(page.records, {"after": after}, done=not after)
        if not after:
            return


async def ids(lists: Lists, resource: Resource, cursor: Cursor | None) -> AsyncIterator[IdPage]:
    """The ids of all that is not in the trash. Cursor: {"after": the next page's}."""
    after = (cursor or {}).get("after", "")
    while True:
        page = await lists.ids(resource, after)
        after = page.after
        live = [record.upstream_id for record in page.records if not record.deleted]
        yield IdPage(live, {"after": after}, done=not after)
        if not after:
            return


async def changes(lists: Lists, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
    """What was changed since the cursor.

    Cursor: {"t": every change up to here is read, "settled": none can show up late there any more}; while a look is
    under way also {"look": {"after": the next page's, "newest": the latest change seen, "until": when it began}}. What
    changes during a look may slip past it, and is found by the next: so the cursor never passes the look's beginning.
    A cursor that Linear has forgotten costs this look alone, which begins anew.
    """
    t = parse_time(cursor["t"])
    since = {"gt": cursor["t"]} if cursor.get("settled") else {"gte": to_millis_z(t - OVERLAP)}
    look: dict[str, Any] = cursor.get("look") or {"after": ""}
    while True:
        try:
            page = await lists.page(resource, Order.UPDATED, look["after"], {"updatedAt": since})
        except CursorLost:
            if not look["after"]:
                raise
            look = {"after": ""}
            continue
        look = _further(look, page, cursor["t"])
        if not page.after:
            break
        yield Page(page.records, {**cursor, "look": look}, done=False)
    reached = max(t, min(parse_time(look["newest"]), parse_time(look["until"])))
    yield Page(page.records, {"t": to_millis_z(reached), "settled": page.moment - reached >= OVERLAP}, done=True)


def _further(look: dict[str, Any], page: ListPage, t: str) -> dict[str, Any]:
    seen = [to_millis_z(record.updated_at) for record in page.records if record.updated_at]
    until = look.get("until") or to_millis_z(page.moment)
    return {"after": page.after, "newest": max([look.get("newest", t), *seen]), "until": until}
