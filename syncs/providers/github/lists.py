"""One page of a list: asked for, cut into records, and what comes after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.github.catalogue import Over, Resource
from syncs.providers.github.errors import NotThere, PlaceLost
from syncs.providers.github.places import PER_PAGE, Place, get
from syncs.providers.github.remembered import fetch
from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape, UpstreamFailed
from syncs.providers.kit.paging import LinkHeader, Request
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.times import parse_time, to_unix

LEAST_PER_PAGE = 25  # GitHub gives up on a page after 10 s: smaller ones are then asked for
AGAIN_AFTER_S = 1.0
_LINKS = LinkHeader()

Inner = dict[str, Any]
"""Where a walk stands within one place. `next`: the page's URL; `size`: rows a page, if fewer than usual."""


class _Head(msgspec.Struct):
    created_at: str | None = None
    updated_at: str | None = None
    submitted_at: str | None = None


_head = msgspec.json.Decoder(_Head)


@dataclass(frozen=True)
class ListPage:
    """One page of records, in GitHub's order; `next` is the URL of the page after it, empty on the last."""

    records: list[RawRecord]
    next: str
    read_no: int

    def stamps(self, *, by: str = "updated_at") -> list[int]:
        """The records' times, unix seconds."""
        times = [getattr(record, by) for record in self.records]
        if None in times:
            raise UnexpectedShape(f"GitHub sent a record without `{by}`.")
        return [to_unix(moment) for moment in times]


class Lists:
    """Reads pages of one account's lists."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.per_page = int(client.settings.get("page_size", PER_PAGE))

    async def page(
        self, resource: Resource, place: Place, inner: Inner, params: Mapping[str, Any] | None = None
    ) -> ListPage:
        """The page where a walk stands. Raises PlaceLost for one that GitHub does not know any more."""
        if inner.get("next"):
            return await self._page(resource, place, Request(inner["next"]))
        asked = {**dict(resource.params), "per_page": self.size(inner), **(params or {})}
        try:
            return await self._page(resource, place, Request(place.path + resource.path, asked))
        except PlaceLost as error:  # it did not come from a page
            raise UnexpectedShape("GitHub did not understand our request.", detail=error.detail) from None

    async def _page(self, resource: Resource, place: Place, request: Request) -> ListPage:
        answer = await self.patiently(request)
        rows = raw.records_at(answer.body, resource.rows) if answer.body else []
        following = _LINKS.after(answer, request)
        records = [self.record(resource, place, row, answer.read_no) for row in rows]
        return ListPage(records, following.path if following else "", answer.read_no)

    async def patiently(self, request: Request) -> Answer:
        """The answer; a 404 is asked for twice, for GitHub's copies lag behind one another."""
        try:
            return await get(self.client, request)
        except NotThere:
            await self.client.wait(AGAIN_AFTER_S)
        return await get(self.client, request)

    async def children(self, resource: Resource, place: Place, parent: RawRecord) -> list[RawRecord]:
        """All records that hang on this parent; none when it is gone."""
        named = raw.scalar(raw.split(parent.data or b"{}").get(resource.child_by))
        path = place.path + resource.child.format(named)
        request: Request | None = Request(path, {"per_page": self.per_page})
        records: list[RawRecord] = []
        try:
            while request is not None:
                answer = await get(self.client, request)
                rows = raw.split_list(answer.body)
                records += [self.record(resource, place, row, answer.read_no, parent) for row in rows]
                request = _LINKS.after(answer, request)
        except NotThere:
            return []
        return records

    async def one(self, resource: Resource, place: Place, keys: Sequence[str]) -> RawRecord:
        """One record by its keys. Raises NotThere, and Moved for an issue that is another repository's now."""
        answer = await fetch(self.client, Request(place.path + resource.single.format(*keys)))
        kept = ((name, value) for name, value in raw.split(answer.body).items() if name not in resource.extra)
        record = self.record(resource, place, msgspec.Raw(raw.join(kept)), answer.read_no)
        return msgspec.structs.replace(record, upstream_id="/".join((place.id, *keys)))

    def size(self, inner: Inner) -> int:
        return int(inner.get("size") or self.per_page)

    def smaller(self, inner: Inner, error: UpstreamFailed) -> Inner:
        """The same place in the walk, with fewer rows a page. Raises the error when that does not help any more."""
        size = self.size(inner) // 2
        if size < LEAST_PER_PAGE or not error.detail.startswith("5"):
            raise error
        return {**without_page(inner), "size": size}

    def record(
        self, resource: Resource, place: Place, row: msgspec.Raw, read_no: int, parent: RawRecord | None = None
    ) -> RawRecord:
        """A row as a record. Raises UnexpectedShape when it has no key."""
        data = raw.compact(bytes(row))
        parts = raw.split(data)
        key = raw.scalar(parts.get("id" if resource.child or resource.over is Over.ACCOUNT else resource.key))
        if resource.child and parent is None:  # a row of the parents' list
            key = raw.scalar(parts.get("number")) or raw.scalar(parts.get("id"))
        if key is None:
            raise UnexpectedShape("GitHub sent a record without its id.")
        if resource.over is Over.ORGANISATION and (parent is not None or not resource.child):
            data = raw.join({**parts, **_context(place, parent)}.items())
        head = _head.decode(data)
        made = head.created_at or head.submitted_at or raw.text_of(raw.find(data, "commit.committer.date"))
        return RawRecord(
            collection_id=resource.id,
            upstream_id="/".join(part for part in (parent.upstream_id if parent else place.id, str(key)) if part),
            data=data,
            read_no=read_no,
            created_at=_time(made),
            updated_at=_time(head.updated_at or head.submitted_at),
        )


def without_page(inner: Inner) -> Inner:
    return {key: value for key, value in inner.items() if key != "next"}


def _context(place: Place, parent: RawRecord | None) -> dict[str, msgspec.Raw]:
    """What a person's or team's row does not say: which organisation, and which team, it was listed for."""
    told = {"organization_id": msgspec.Raw(place.id.encode())}
    if parent is not None:
        told["team_id"] = msgspec.Raw(parent.upstream_id.rpartition("/")[2].encode())
    return told


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        raise UnexpectedShape("GitHub sent a time we do not understand.") from None
