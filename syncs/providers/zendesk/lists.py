"""Ordinary lists: pages of 100 by cursor, by number, or all at once, as each answer itself says.

Docs    https://developer.zendesk.com/api-reference/introduction/pagination/ (read 2026-11-23)
Trap    `links.next` is filled on the last page, too: only `meta.has_more` ends a list
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape, UpstreamFailed
from syncs.providers.kit.records import Cursor, RawRecord, Skipped
from syncs.providers.zendesk.errors import ObjectGone, PlaceLost
from syncs.providers.zendesk.exports import items_of
from syncs.providers.zendesk.objects import to_record, to_records
from syncs.providers.zendesk.resource import Resource

PAGE = 100
MOST_LOST = 3  # times a walk is begun anew without an end


@dataclass(frozen=True)
class ListPage:
    """One page, and where the next begins: {} after the last."""

    records: list[RawRecord]
    skipped: tuple[Skipped, ...]
    place: Cursor
    more: bool


class Lists:
    """The lists and single records of one account."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page_size = min(int(client.settings.get("page_size", PAGE)), PAGE)

    async def pages(
        self, resource: Resource, path: str, place: Cursor | None = None, params: Mapping[str, str | int] | None = None
    ) -> AsyncIterator[ListPage]:
        """The pages of a list from a place on; from its beginning again where Zendesk forgot that place."""
        place = dict(place or {})
        while True:
            try:
                page = await self._page(resource, path, place, params or {})
            except PlaceLost as error:
                lost = place.get("lost", 0) + 1
                if lost > MOST_LOST or not place:
                    raise UpstreamFailed("Zendesk loses our place again and again.", detail=error.detail) from None
                place = {"lost": lost}
                continue
            yield page
            if not page.more:
                return
            place = page.place

    async def _page(self, resource: Resource, path: str, place: Cursor, params: Mapping[str, str | int]) -> ListPage:
        at: dict[str, str | int] = {"page[size]": self.page_size} if resource.paged else {"per_page": self.page_size}
        if "page" in place:
            at = {"per_page": self.page_size, "page": place["page"]}
        elif "after" in place:
            at["page[after]"] = place["after"]
        answer = await self.client.get(path, {**at, **dict(resource.params), **params})
        body = raw.split(raw.compact(answer.body))
        records, skipped = to_records(resource, items_of(body, _key(resource)), answer.read_no)
        following = _following(body, place)
        kept = {"lost": place["lost"]} if "lost" in place else {}
        return ListPage(records, skipped, {**kept, **following} if following else {}, bool(following))

    async def sample(self, resource: Resource, path: str) -> msgspec.Raw | None:
        """One record of a list; None while it has none."""
        one = {"page[size]": 1} if resource.paged else {"per_page": 1}
        answer = await self.client.get(path, {**one, **dict(resource.params)})
        items = items_of(raw.split(answer.body), _key(resource))
        return items[0] if items else None

    async def one(self, resource: Resource, upstream_id: str) -> RawRecord:
        """The record as it is now; one that is not there any more comes back as deleted."""
        try:
            answer = await self.client.get(resource.one.replace("{id}", upstream_id))
        except ObjectGone as gone:
            return RawRecord(resource.id, upstream_id, None, gone.read_no, deleted=True)
        parts = raw.split(raw.compact(answer.body))
        name = "custom_object_record" if resource.name.startswith("custom_object:") else resource.name
        item = parts.get(name)
        record = None if item is None else to_record(resource, item, answer.read_no)
        if not isinstance(record, RawRecord):
            raise UnexpectedShape("Zendesk sent a record in a form we do not know.")
        return record

    async def many(self, resource: Resource, ids: Sequence[str]) -> list[RawRecord]:
        """Up to 100 records as they are now. What does not come is gone."""
        answer = await self.client.get(resource.many, {"ids": ",".join(ids)})
        records, _ = to_records(resource, items_of(raw.split(raw.compact(answer.body)), resource.items), answer.read_no)
        missing = set(ids) - {record.upstream_id for record in records}
        return records + [RawRecord(resource.id, each, None, answer.read_no, deleted=True) for each in missing]


def _key(resource: Resource) -> str:
    return "ticket_metrics" if resource.beside else resource.items


def _following(body: raw.Split, place: Cursor) -> Cursor:
    """Where the next page begins: after a cursor, or at the next number; {} for none."""
    meta = body.get("meta")
    if meta is not None and (parts := raw.split(meta)).get("has_more") is not None:
        if raw.scalar(parts["has_more"]) is not True:
            return {}
        after = raw.text_of(parts.get("after_cursor"))
        if after is None or after == place.get("after"):
            raise UnexpectedShape("A list of Zendesk neither ends nor says how it goes on.")
        return {"after": after}
    return {"page": place.get("page", 1) + 1} if raw.text_of(body.get("next_page")) else {}
