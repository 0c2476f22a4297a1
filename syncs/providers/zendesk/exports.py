"""Incremental exports: everything that changed since a place, oldest change first, nothing of the last minute.

Docs    https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api
Limits  ten pages a minute for all exports of an account, whoever asks
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CursorLost, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.records import Cursor
from syncs.providers.kit.times import to_unix
from syncs.providers.zendesk.errors import ExportsBusy, PlaceLost, TooSlow, exports_left
from syncs.providers.zendesk.objects import head_of, moment
from syncs.providers.zendesk.resource import Found, Resource

PAGE, LEAST_PAGE = 1_000, 100
BACK_S = 15 * 60  # where looking begins, before now: nothing of the last minute is told, and clocks differ
LEFT_TO_OTHERS = 2  # of the ten exports of a minute
BEGINNING: Cursor = {"t": 0}


@dataclass(frozen=True)
class ExportPage:
    """One page. `place` is where the next begins; `busy_s` how long it must wait, where the bucket is nearly empty."""

    body: raw.Split
    items: list[msgspec.Raw]
    read_no: int
    place: Cursor
    more: bool
    busy_s: float | None


class Exports:
    """The exports of one account.

    A place is {"t": newest time seen, unix seconds} and, where exports have one, {"after": cursor}.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page_size = int(client.settings.get("page_size", PAGE))

    async def walk(
        self, resource: Resource, place: Cursor, params: Mapping[str, str] | None = None, size: int = 0
    ) -> AsyncIterator[ExportPage]:
        """The pages from a place on. Raises ExportsBusy between two, where others need what is left of the minute.

        An unknown cursor is gone on from by time, a page too heavy for Zendesk is halved.
        """
        size = size or self.page_size
        while True:
            try:
                page = await self._page(resource, place, params or {}, size)
            except PlaceLost:
                if "after" not in place:
                    raise
                place = {"t": place["t"]}
                continue
            except TooSlow:
                if size <= LEAST_PAGE:
                    raise
                size = max(size // 2, LEAST_PAGE)
                continue
            yield page
            if not page.more:
                return
            if page.busy_s is not None:
                raise ExportsBusy(page.busy_s)
            place = page.place

    async def sample(self, resource: Resource) -> msgspec.Raw | None:
        """One record, or what keeps us from the export is raised; None while there is none."""
        answer = await self.client.get(resource.path, {"start_time": 0, "per_page": 1})
        found = raw.find(answer.body, resource.items)
        return next(iter(raw.split_list(found)), None) if found is not None else None

    async def _page(self, resource: Resource, place: Cursor, params: Mapping[str, str], size: int) -> ExportPage:
        at = {"cursor": place["after"]} if "after" in place else {"start_time": place["t"]}
        answer = await self.client.get(resource.path, {**at, "per_page": size, **params})
        body = raw.split(raw.compact(answer.body))
        items = items_of(body, "tickets" if resource.beside else resource.items)
        follow = _follow_time if resource.found is Found.TIMED else _follow_cursor
        following, more = follow(resource, body, items, place)
        now = to_unix(answer.moment())
        if not more and following["t"] > now:  # once that clock is put right, changes are stamped earlier than these
            following = {"t": now - BACK_S}
        return ExportPage(body, items, answer.read_no, following, more, _busy_s(answer))


def items_of(body: raw.Split, key: str) -> list[msgspec.Raw]:
    """The list under a key. Raises UnexpectedShape when there is none."""
    found = body.get(key)
    if found is None:
        raise UnexpectedShape(f"An answer of Zendesk has no list “{key}”.")
    return raw.split_list(found)


def _busy_s(answer: Answer) -> float | None:
    left = exports_left(answer.headers)
    return left[1] if left is not None and left[0] < LEFT_TO_OTHERS else None


def _follow_cursor(_: Resource, body: raw.Split, items: list[msgspec.Raw], place: Cursor) -> tuple[Cursor, bool]:
    """Only `end_of_stream` ends the walk: a page may be empty before. The last cursor is where the next look begins."""
    more = raw.scalar(body.get("end_of_stream")) is not True
    after = raw.text_of(body.get("after_cursor"))
    if after is None:
        if more:
            raise UnexpectedShape("An export of Zendesk neither ends nor says how it goes on.")
        return place, False
    if more and not items and after == place.get("after"):
        raise UpstreamFailed("An export of Zendesk stands still.")
    return {"after": after, "t": max([place["t"], *_stamps(items[-1:])])}, more


def _follow_time(resource: Resource, body: raw.Split, items: list[msgspec.Raw], place: Cursor) -> tuple[Cursor, bool]:
    """The next page begins at the time this one ended, and repeats that second.

    An end that does not move would go on for ever. Where there is a list, it is read whole again: a second with more
    records than a page has hides some of them. Elsewhere the walk steps over that second.
    """
    told = raw.scalar(body.get("end_time"))
    reached = max(place["t"], told if isinstance(told, int) else 0)
    more = raw.scalar(body.get("end_of_stream")) is not True
    if "end_of_stream" not in body:
        more = bool(items) and reached > place["t"]
    if more and reached == place["t"]:
        if resource.listed:
            raise CursorLost("Zendesk’s export by time stands still: too many records changed in one second.")
        reached += 1
    return {"t": reached}, more


def _stamps(items: list[msgspec.Raw]) -> list[int]:
    """The unix seconds these records were changed at, for those that say so."""
    heads = [head_of(item) for item in items]
    stamps = [head.generated_timestamp for head in heads if isinstance(head.generated_timestamp, int)]
    times = [moment(head.updated_at) for head in heads if head.generated_timestamp is None]
    return stamps + [to_unix(each) for each in times if each is not None]
