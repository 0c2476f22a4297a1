"""Walks over issues: their whole history, and what changed since a cursor. What is taken from them is a harvest.

The search index runs late, usually by seconds, at times by minutes or hours. So each look begins some minutes before
the cursor, and every few hours one begins half a day before it. JQL knows minutes only, in the user's time zone: a
minute is read again until nothing can show up late in it, and the zone is asked for again after every look.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from syncs.providers.jira import jql
from syncs.providers.jira.errors import PlaceGone
from syncs.providers.jira.harvest import Harvest
from syncs.providers.jira.search import Query, Search, SearchPage
from syncs.providers.kit.errors import UpstreamFailed
from syncs.providers.kit.records import Cursor, Page
from syncs.providers.kit.times import parse_time, to_millis_z

LATE = timedelta(minutes=5)  # the index, usually
VERY_LATE = timedelta(hours=12)  # the index, on a bad day
LONG_LOOK_EVERY = timedelta(hours=6)
ANY_ZONE = timedelta(hours=26)  # between the furthest of the world's clocks
EPOCH = "1990-01-01T00:00:00.000Z"
MOST_LOST = 3  # page tokens in a row, in one run
CREATED, UPDATED = ("created", "key"), ("updated", "key")


async def start(search: Search) -> Cursor:
    """The time of the newest change, and the zone to ask in."""
    newest, now = await search.newest()
    reached = to_millis_z(min(newest, now)) if newest else EPOCH
    return {"t": reached, "closed": False, "zone": await search.zone(), "long_at": to_millis_z(now)}


async def history(search: Search, harvest: Harvest, size: int, cursor: Cursor | None) -> AsyncIterator[Page]:
    """All issues in order of creation, which nobody can change under way.

    Cursor: {"token": of the next page, "where": what it belongs to, "created": of the last issue so far}.
    A token that Jira has forgotten (they live 7 days) is replaced by a query from that creation on.
    """
    place: dict[str, Any] = {"where": jql.EVERYTHING, "token": "", "created": None, **(cursor or {})}
    lost = 0
    while True:
        try:
            async for page in search.pages(Query(place["where"], CREATED, harvest.fields, size), place["token"]):
                made = [issue.created for issue in page.issues if issue.created]
                created = to_millis_z(made[-1]) if made else place["created"]
                place = {**place, "token": page.token, "created": created}
                yield Page(await harvest.records(page), place, done=not page.token)
            return
        except PlaceGone as error:
            lost = _once_more(lost, error)
            where = jql.EVERYTHING
            if place["created"]:
                since = jql.literal(parse_time(place["created"]) - ANY_ZONE, jql.zone("UTC"))
                where = f'created >= "{since}"'
            place = {**place, "where": where, "token": ""}


async def changes(search: Search, harvest: Harvest, size: int, cursor: Cursor) -> AsyncIterator[Page]:
    """Issues changed since the cursor, oldest change first; one that changes under way comes again at the end.

    Cursor: {"t": the newest change read, "closed": nothing more can show up in its minute, "zone": asked in,
    "long_at": begin of the last long look, "long": the next is one}; during a look also "look", see `_look`.
    """
    look = cursor.get("look") or _look(cursor, cursor.get("zone") or await search.zone())
    lost = 0
    while True:
        try:
            while not look["over"]:
                query = Query(look["where"], UPDATED, harvest.fields, size)
                async for page in search.pages(query, look["token"]):
                    look = _followed(look, page)
                    yield Page(await harvest.records(page), {**cursor, "look": look}, done=False)
        except PlaceGone as error:
            lost = _once_more(lost, error)
            reached = parse_time(look["newest"]) - LATE
            look = _from(max(reached, parse_time(look["since"])), look)
            continue
        zone = await search.zone()
        if zone == look["zone"]:
            break
        look = _from(parse_time(look["since"]), {**look, "zone": zone})  # asked in a zone that is not the user's
    yield Page([], _after(cursor, look), done=True)


def _look(cursor: Cursor, zone: str) -> dict[str, Any]:
    """A new look for changes.

    since   the moment it begins at        where   the same, as a query; it stays as it is from page to page
    token   of the next page               zone    in which `where` was written
    newest  the newest change seen         begun   Jira's time at the first page
    over    all pages were read
    """
    reached = parse_time(cursor["t"])
    since = reached - LATE
    if cursor.get("long"):
        since = reached - VERY_LATE
    elif cursor.get("closed"):
        since = reached.replace(second=0, microsecond=0) + jql.MINUTE
    return _from(since, {"zone": zone, "newest": cursor["t"], "begun": ""})


def _from(since: datetime, look: dict[str, Any]) -> dict[str, Any]:
    """The same look from this moment on."""
    where = f'updated >= "{jql.literal(since, jql.zone(look["zone"]))}"'
    return {**look, "since": to_millis_z(since), "where": where, "token": "", "over": False}


def _followed(look: dict[str, Any], page: SearchPage) -> dict[str, Any]:
    """The look after one more page."""
    stamps = [to_millis_z(issue.updated) for issue in page.issues if issue.updated]
    begun = look["begun"] or to_millis_z(page.moment)
    newest = max([look["newest"], *stamps])
    return {**look, "token": page.token, "over": not page.token, "begun": begun, "newest": newest}


def _after(cursor: Cursor, look: dict[str, Any]) -> Cursor:
    """The cursor after a whole look: at the newest change, but no later than the look began.

    What was changed some minutes before that is known to the index; so a minute that lay further back is done with.
    """
    begun = parse_time(look["begun"])
    reached = max(parse_time(cursor["t"]), min(parse_time(look["newest"]), begun))
    long_at = begun if cursor.get("long") else parse_time(cursor.get("long_at") or cursor["t"])
    return {
        "t": to_millis_z(reached),
        "closed": begun - reached >= LATE + jql.MINUTE,
        "zone": look["zone"],
        "long_at": to_millis_z(long_at),
        "long": begun - long_at >= LONG_LOOK_EVERY,
    }


def _once_more(lost: int, error: PlaceGone) -> int:
    """How many page tokens are lost now. Raises when it is no accident any more."""
    if lost + 1 >= MOST_LOST:
        raise UpstreamFailed("Jira forgets our place in a list again and again.", detail=error.detail) from None
    return lost + 1
