"""The pages of one described list: requests made, records cut out, and the place where the next page starts.

A place is JSON, so that a walk can go on from it after a crash: {"params": {…}} for the parameters that moved, or
{"url": …} for an address that upstream gave; beside it {"tail": [ids]} where a list may have shifted meanwhile.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from syncs.providers.custom import definition as described
from syncs.providers.custom.definition import CustomCollection, Definition
from syncs.providers.custom.errors import CHECK, RequestRefused
from syncs.providers.custom.offsets import Shifting
from syncs.providers.custom.values import moment_at, text_at
from syncs.providers.kit import paging, raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, CursorLost, UnexpectedShape
from syncs.providers.kit.paging import Paging, Request
from syncs.providers.kit.records import Cursor, RawRecord
from syncs.providers.kit.urls import without_params

MOST_ID = 400


@dataclass(frozen=True)
class Keyset:
    """The next page begins after the last record: its time and id, as upstream wrote them, go back as parameters.

    [{"id":7,"changed":"2026-11-20T08:15:00.123456Z"},{"id":9,"changed":"2026-11-20T08:15:00.123456Z"}]
        Keyset("", "id", "after_id", "changed", "changed_after"): changed > … or (changed = … and id > …)
        Keyset("", "id", "after_id"): id > …
    However many records share one time, none is skipped and none comes twice. An empty page is the end.
    """

    items: str
    id_at: str
    id_param: str
    time_at: str = ""
    time_param: str = ""
    more: str = ""

    def after(self, page: Answer, request: Request) -> Request | None:
        records = raw.records_at(page.body, self.items)
        if not records or (self.more and raw.scalar(raw.find(page.body, self.more)) is not True):
            return None
        asked = {self.id_param: text_at(records[-1], self.id_at)}
        if self.time_param:
            asked[self.time_param] = text_at(records[-1], self.time_at)
        following = request.having(**asked)
        if following == request or not all(asked.values()):
            raise UnexpectedShape(
                "The last record of a page does not tell where the next page starts.", next_step=CHECK
            )
        return following


@dataclass(frozen=True)
class OnePage:
    """All records come at once."""

    def after(self, page: Answer, request: Request) -> Request | None:
        return None


def paging_of(collection: CustomCollection) -> Paging:
    """How this list goes on, where it is not paged by offset (see Shifting)."""
    way, items = collection.paging, collection.list_at
    match way:
        case described.ByLinkHeader():
            return paging.LinkHeader(way.rel)
        case described.ByNextUrl():
            return paging.NextUrl(way.path, more=way.more)
        case described.ByPageToken():
            return paging.PageToken(way.path, way.param, more=way.more)
        case described.ByPageNumber():
            return paging.PageNumber(items, way.param, pages=way.pages, first=way.first)
        case described.ByKeyset():
            return Keyset(items, collection.id_at, way.id_param, collection.updated_at, way.time_param, way.more)
    return OnePage()


@dataclass(frozen=True)
class ListPage:
    """One page of a list.

    place   where the next one starts; None after the last
    answer  None where the API says that there is no such page
    seen    ids of all that came, those among it that the page before had already
    """

    records: list[RawRecord]
    place: Cursor | None
    answer: Answer | None
    seen: tuple[str, ...] = ()


class Lists:
    """Reads the lists of one account."""

    def __init__(self, definition: Definition, client: Client) -> None:
        self.definition, self.client = definition, client

    async def pages(
        self, collection: CustomCollection, place: Cursor | None = None, params: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ListPage]:
        """The pages from a place on (None: from the first). Raises CursorLost for a place that upstream forgot."""
        before: tuple[str, ...] = ()
        repeats = 0
        while True:
            page = await self._page(collection, place, params or {})
            repeats = repeats + 1 if page.seen and page.seen == before else 0
            if repeats == 2:  # once may be chance: as many new records in front as a page has
                raise UnexpectedShape(
                    "The next page has the same records again: the API does not turn pages this way.", next_step=CHECK
                )
            before = page.seen
            yield page
            if page.place is None:
                return
            place = page.place

    async def first(self, collection: CustomCollection, params: Mapping[str, Any] | None = None) -> ListPage:
        """The first page."""
        return await self._page(collection, None, params or {})

    async def request(self, collection: CustomCollection, place: Cursor | None, params: Mapping[str, Any]) -> Request:
        """The request for the page at a place."""
        if place and "url" in place:
            return Request(place["url"])
        base = (await self.client.access()).base_url
        asked: dict[str, Any] = {**collection.params, **params}
        if collection.size_param:
            asked[collection.size_param] = collection.size
        return Request(base + collection.path, {**asked, **((place or {}).get("params") or {})})

    async def _page(self, collection: CustomCollection, place: Cursor | None, params: Mapping[str, Any]) -> ListPage:
        request = await self.request(collection, place, params)
        shifting = Shifting.at(collection, request, place)
        try:
            answer = await paging.fetch(self.client, shifting.request if shifting else request)
        except (RequestRefused, CollectionGone) as error:
            if place is None:
                raise
            if isinstance(collection.paging, described.ByPageNumber):  # many call a number too high “not found”
                return ListPage([], None, None)
            raise CursorLost("The API no longer knows where the next page starts.", detail=error.detail) from None
        records = self.records(collection, answer)
        if shifting is not None:
            return await self._shifted(collection, shifting, records, answer)
        following = paging_of(collection).after(answer, request)
        place = await self._place(collection, following, params) if following else None
        return ListPage(records, place, answer, _ids(records))

    async def _shifted(
        self, collection: CustomCollection, shifting: Shifting, records: list[RawRecord], answer: Answer
    ) -> ListPage:
        """Pages by offset overlap a little. Where the overlap is not met, the list has moved: go back and meet it."""
        while not shifting.is_met(records):
            shifting = shifting.back()
            answer = await paging.fetch(self.client, shifting.request)
            records = self.records(collection, answer)
        new, place = shifting.taken(records, answer)
        return ListPage(new, place, answer, _ids(records))

    async def _place(self, collection: CustomCollection, following: Request, params: Mapping[str, Any]) -> Cursor:
        if following.params is None:
            return {"url": await self._own_url(following.path)}
        first = (await self.request(collection, None, params)).params or {}
        return {"params": {name: value for name, value in following.params.items() if first.get(name) != value}}

    async def _own_url(self, url: str) -> str:
        """An address upstream gave, below our base URL and without our key: behind a proxy it may call itself http."""
        access = await self.client.access()
        base, given = urlsplit(access.base_url), urlsplit(url)
        if given.hostname == base.hostname and given.scheme == "http" and base.scheme == "https":
            given = given._replace(scheme=base.scheme, netloc=base.netloc)
        return without_params(given.geturl(), access.params)

    def records(self, collection: CustomCollection, answer: Answer) -> list[RawRecord]:
        """The records of a page, as upstream wrote them. Raises UnexpectedShape for one without an id."""
        try:
            items: Sequence[msgspec.Raw] = raw.records_at(answer.body, collection.list_at)
        except UnexpectedShape as error:
            error.next_step = CHECK
            raise
        return [self.record(collection, item, answer.read_no) for item in items]

    def record(self, collection: CustomCollection, item: msgspec.Raw, read_no: int) -> RawRecord:
        """One record. Raises UnexpectedShape when it has no id, or one no log can hold."""
        upstream_id = text_at(item, collection.id_at)
        if not upstream_id or len(upstream_id) > MOST_ID:
            raise UnexpectedShape(
                f"A record of “{collection.title}” has no id at “{collection.id_at}”.", next_step=CHECK
            )
        return RawRecord(
            f"{self.definition.provider_key}:{collection.id}",
            upstream_id,
            raw.compact(bytes(item)),
            read_no,
            created_at=moment_at(item, collection.created_at),
            updated_at=moment_at(item, collection.updated_at),
        )


def _ids(records: Sequence[RawRecord]) -> tuple[str, ...]:
    return tuple(record.upstream_id for record in records)
