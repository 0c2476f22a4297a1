"""Changes by Stripe's one feed of events: each event is a hint which object to read again.

Docs    https://docs.stripe.com/api/events, kept 30 days, newest first, whole seconds; late ones appear out of order
Why     an event's own copy of the object is rendered in the account's default API version, whatever we ask for
"""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import CursorLost
from syncs.providers.kit.paging import Request
from syncs.providers.kit.records import Cursor, Page
from syncs.providers.kit.times import to_unix
from syncs.providers.stripe import objects
from syncs.providers.stripe.catalogue import BY_ID
from syncs.providers.stripe.hints import Told, event_of, hints
from syncs.providers.stripe.lists import PAGE, PAGING, Lists, created, decode_list
from syncs.providers.stripe.resource import Resource

PATH = "/v1/events"
OVERLAP_S = 15 * 60  # events show up late, and then among older ones
WINDOW_S = 3600  # a longer gap with many events is read hour by hour, oldest first, so that it can be resumed
DEEP_S = DEEP_EVERY_S = 24 * 3600  # some events show up hours late, after an incident at Stripe
FOLLOW_S = 12 * 3600  # how far behind a quiet account's cursor stays
KEPT_S = 30 * 24 * 3600 - 12 * 3600
SEEN_MAX = 2_000  # event ids remembered over the overlap; beyond, some objects are read twice
READ_TOGETHER = 50


async def changes(lists: Lists, collection_ids: Sequence[str], cursor: Cursor) -> AsyncIterator[Page]:
    """Everything events tell of since the cursor; once a day, also what turned up very late.

    Cursor: {"t": all events up to this creation time are told of, unix seconds, "seen": ids of events that will be met
    again, "settled": none can show up late below t any more, "deep_at": when the last long look back was}; while one is
    under way also {"deep": where it stands}. It moves by what was seen, not by the clock: a wrong one upstream must not
    carry it over unread events. Only a quiet account's follows at half a day's distance, lest events age out.
    Raises CursorLost when events have been dropped since.
    """
    wanted = [BY_ID[each] for each in collection_ids if each in BY_ID]
    since = int(cursor["t"])
    begin = since if cursor.get("settled") else since - OVERLAP_S
    first: Answer | None = await lists.client.get(PATH, _window(begin))
    now = to_unix(lists.client.server_now())
    if now - since > KEPT_S:
        raise CursorLost("Stripe keeps events for 30 days; the last look was longer ago.")
    kept = {"deep_at": cursor.get("deep_at", now)} | ({"deep": cursor["deep"]} if "deep" in cursor else {})
    is_long = first is not None and decode_list(first.body).has_more
    while is_long and now - since > WINDOW_S:
        until = since + WINDOW_S
        found = await _walk(lists, _window(begin, until))
        async for page in _read(lists, wanted, found, cursor, partial(_part_read, found, cursor)):
            yield page
        cursor = {**kept, "t": until, "seen": _seen(found, until - OVERLAP_S), "settled": False}
        yield Page([], cursor, done=False)
        since, begin, first = until, until - OVERLAP_S, None
    found = await _walk(lists, _window(begin), first)
    async for page in _read(lists, wanted, found, cursor, partial(_part_read, found, cursor)):
        yield page
    async for page in _lately_created(lists, wanted, since - OVERLAP_S):
        yield page
    cursor = kept | _reached(found, since, now)
    async for page in _look_deep(lists, wanted, cursor, now):
        yield page
        cursor = page.cursor or cursor
    yield Page([], cursor, done=True)


async def _look_deep(lists: Lists, wanted: Sequence[Resource], cursor: Cursor, now: int) -> AsyncIterator[Page]:
    """Once a day, the events of the 24 hours before the cursor once more, hour by hour if they are many.

    Under "deep" the cursor holds {"t": told of so far, "until": where the look ends}, unix seconds.
    """
    if "deep" not in cursor:
        if now - int(cursor["deep_at"]) < DEEP_EVERY_S:
            return
        cursor = {**cursor, "deep": {"t": int(cursor["t"]) - DEEP_S, "until": int(cursor["t"])}}
    at, until = cursor["deep"]["t"], cursor["deep"]["until"]
    step_s = max(until - at, 1)
    while at < until:
        first = await lists.client.get(PATH, _window(at, min(at + step_s, until)))
        if step_s > WINDOW_S and decode_list(first.body).has_more:
            step_s = WINDOW_S
            continue
        found = await _walk(lists, _window(at, min(at + step_s, until)), first)
        async for page in _read(lists, wanted, found, cursor, partial(_deep_read, cursor)):
            yield page
        at += step_s
        cursor = _deep_read(cursor, at)
        yield Page([], cursor, done=False)
    yield Page([], {key: value for key, value in cursor.items() if key != "deep"} | {"deep_at": now}, done=False)


def _deep_read(cursor: Cursor, reached: int) -> Cursor:
    return {**cursor, "deep": {**cursor["deep"], "t": max(reached, cursor["deep"]["t"])}}


def _reached(found: Told, since: int, now: int) -> Cursor:
    """The cursor after all these events are told of."""
    newest = max((event.created for event, _, _ in found), default=0)
    reached = max(since, min(newest, now), now - FOLLOW_S)
    settled = now - reached >= OVERLAP_S
    return {"t": reached, "seen": _seen(found, reached if settled else reached - OVERLAP_S), "settled": settled}


def _window(begin: int, until: int | None = None) -> dict[str, str | int]:
    return {"limit": PAGE, **created(gte=begin, lt=until)}


async def start(lists: Lists) -> Cursor:
    """The creation of the newest event; half a day ago in a quiet account. Every look begins 15 minutes earlier."""
    answer = await lists.client.get(PATH, {"limit": 1})
    now = to_unix(answer.moment())
    quiet = now - FOLLOW_S
    items = decode_list(answer.body).data
    newest = max((event_of(item).created for item in items), default=quiet)
    return {"t": max(newest, quiet), "seen": [], "settled": False, "deep_at": now}


async def _walk(lists: Lists, params: dict[str, str | int], first: Answer | None = None) -> Told:
    """All events of a window, newest first, each with the number of the read that brought it."""
    found: Told = []
    request: Request | None = Request(PATH, params)
    while request is not None:
        answer = first or await lists.client.get(request.path, request.params)
        first = None
        for item in decode_list(raw.compact(answer.body)).data:
            found.append((event_of(item), item, answer.read_no))
        request = PAGING.after(answer, request)
    return found


def _seen(found: Told, since: int) -> list[str]:
    """The ids of the events that the next look will meet again, newest first."""
    return [event.id for event, _, _ in found if event.created >= since][:SEEN_MAX]


async def _read(
    lists: Lists, wanted: Sequence[Resource], found: Told, cursor: Cursor, part_read: Callable[[int], Cursor | None]
) -> AsyncIterator[Page]:
    """The objects the events tell of, as they are now.

    Objects are read in the order of their first event. Once some are read, all events before the first one of the next
    object are told of: so far the cursor moves with each page, and a walk cut short goes on from there.
    """
    told = hints(found, wanted, frozenset(cursor.get("seen", ())))
    if told.events:
        yield Page(told.events, None, done=False)
    todo = sorted(told.changed.items(), key=lambda item: item[1].first)
    for start in range(0, len(todo), READ_TOGETHER):
        part, rest = todo[start : start + READ_TOGETHER], todo[start + READ_TOGETHER :]
        asked = [objects.Wanted(resource, each, heard.last, heard.members) for (resource, each), heard in part]
        records, skipped = await objects.read(lists, asked)
        yield Page(records, part_read(rest[0][1].first - 1) if rest else None, done=False, skipped=skipped)


def _part_read(found: Told, cursor: Cursor, reached: int) -> Cursor | None:
    if reached <= int(cursor["t"]):
        return None
    seen = [event.id for event, _, _ in found if reached - OVERLAP_S <= event.created <= reached][:SEEN_MAX]
    return {**cursor, "t": reached, "seen": seen, "settled": False}


async def _lately_created(lists: Lists, wanted: Sequence[Resource], since: int) -> AsyncIterator[Page]:
    """New objects of lists whose members appear without an event."""
    for resource in wanted:
        if resource.listed_too:
            async for page in objects.pages(lists, resource, created(gte=since)):
                yield Page(page.records, None, done=False, skipped=page.skipped)
