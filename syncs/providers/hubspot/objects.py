"""CRM objects: listed in order of id, read by id, and searched for by the time of their last change.

Docs    https://developers.hubspot.com/docs/api-reference/crm-objects-v3 and …/search-v3 (read 2026-11-23)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.hubspot.catalogue import VERSION
from syncs.providers.hubspot.errors import inner
from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape, UpstreamFailed
from syncs.providers.kit.paging import PageToken, Request
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.times import from_unix, parse_time
from syncs.providers.kit.together import together

PAGE = 100  # the most HubSpot lists, and reads by id
SEARCH_PAGE = 200
SEARCHES_PER_S = 4  # HubSpot allows an account 5, and counts them apart
LONGEST_NAMES = 6_000  # characters of property names that fit into a URL with care
NEXT = PageToken("paging.next.after", "after")
MERGED = "hs_merged_object_ids"
_KEPT = ("id", "properties", "createdAt", "updatedAt", "archived", "archivedAt")


class _Head(msgspec.Struct):
    id: str
    createdAt: str | None = None
    updatedAt: str | None = None
    archived: bool = False


class Batch(msgspec.Struct):
    """A batch's results, and what it says of those that are missing."""

    results: list[msgspec.Raw]
    errors: list[dict[str, Any]] = []


class Property(msgspec.Struct):
    """One property as HubSpot describes it."""

    name: str
    type: str = ""
    label: str = ""
    calculated: bool = False


class _Properties(msgspec.Struct):
    results: list[Property]


_head = msgspec.json.Decoder(_Head)


@dataclass(frozen=True)
class Item:
    """One object of an answer, uncut."""

    id: str
    created: datetime | None
    updated: datetime | None
    raw: msgspec.Raw
    read_no: int


@dataclass(frozen=True)
class Listed:
    """Objects of one page, in order of id. after: where the next one begins; empty on the last."""

    items: list[Item]
    after: str
    read_no: int


@dataclass(frozen=True)
class Hit:
    """An object that a search found, and when it was changed last, as far as the index knows.

    merged   ids of those that were merged into it
    """

    id: str
    updated: datetime | None
    merged: tuple[str, ...]


@dataclass(frozen=True)
class Hits:
    """Hits of one page, in the order asked for. total: of all hits. moment: HubSpot's time when it answered."""

    hits: list[Hit]
    more: bool
    total: int
    moment: datetime


class Objects:
    """The CRM objects of one account."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page = int(client.settings.get("page_size", PAGE))
        self.longest_names = int(client.settings.get("longest_names", LONGEST_NAMES))

    async def properties(self, kind: str) -> list[Property]:
        """All properties objects of a type have, by name. HubSpot sends a handful unless they are named."""
        answer = await self.client.get(f"/crm/properties/{VERSION}/{kind}")
        try:
            found = msgspec.json.decode(answer.body, type=_Properties).results
        except msgspec.MsgspecError as error:
            raise UnexpectedShape("HubSpot described properties in a form we do not know.", detail=str(error)) from None
        return sorted(found, key=lambda each: each.name)

    async def names(self, kind: str) -> tuple[str, ...]:
        return tuple(each.name for each in await self.properties(kind))

    async def listed(self, kind: str, after: str, names: Sequence[str] = (), *, archived: bool = False) -> Listed:
        """One page of the list. `after` is the id the page begins with: what is deleted meanwhile shifts nothing."""
        params: dict[str, Any] = {"limit": self.page, "properties": ",".join(names or ("hs_object_id",))}
        if after:
            params["after"] = after
        if archived:
            params["archived"] = "true"
        request = Request(f"/crm/objects/{VERSION}/{kind}", params)
        answer = await self.client.get(request.path, request.params)
        following = NEXT.after(answer, request)
        items = [to_item(each, answer.read_no) for each in raw.records_at(raw.compact(answer.body), "results")]
        return Listed(items, str(following.param("after")) if following else "", answer.read_no)

    def fit_a_url(self, names: Sequence[str]) -> bool:
        """Whether a list can be asked for these properties; else its objects are read by id."""
        return sum(len(name) + 3 for name in names) <= self.longest_names

    async def by_id(self, kind: str, ids: Sequence[str], names: Sequence[str]) -> tuple[list[Item], set[str], int]:
        """The objects that can be read, the ids of those that cannot at the moment, and the number of the first read.

        What is gone, archived or merged away is left out: HubSpot names it under `errors`, as OBJECT_NOT_FOUND.
        """
        parts = [ids[at : at + PAGE] for at in range(0, len(ids), PAGE)]
        answers = await together(self._some(kind, part, names) for part in parts)
        found: list[Item] = []
        sick: set[str] = set()
        for answer in answers:
            batch = to_batch(answer)
            found += [to_item(each, answer.read_no) for each in batch.results]
            sick |= sick_ids(batch.errors)
        return found, sick, min((answer.read_no for answer in answers), default=0)

    async def gone(self, kind: str, ids: Iterable[str]) -> tuple[list[str], int]:
        """Those of these ids that no object has any more, and the number of the read."""
        wanted = sorted(set(ids))
        found, sick, read_no = await self.by_id(kind, wanted, ("hs_object_id",))
        there = {item.id for item in found} | sick
        return [each for each in wanted if each not in there], read_no

    async def _some(self, kind: str, ids: Sequence[str], names: Sequence[str]) -> Answer:
        body = {"inputs": [{"id": each} for each in ids], "properties": list(names)}
        return await self.client.post(f"/crm/objects/{VERSION}/{kind}/batch/read", body)

    async def search(
        self, kind: str, modified: str, since: datetime | None = None, after: str = "", *, newest: bool = False
    ) -> Hits:
        """One page of objects changed from a moment on, with ids above `after`, in order of id.

        Never paged by HubSpot's `after`, which ends at 10,000, nor by time: a bulk job gives more than that one stamp.
        newest   the one changed last, alone
        """
        filters = []
        if since is not None:
            filters.append({"propertyName": modified, "operator": "GTE", "value": str(_millis(since))})
        if after:
            filters.append({"propertyName": "hs_object_id", "operator": "GT", "value": after})
        by, way = (modified, "DESCENDING") if newest else ("hs_object_id", "ASCENDING")
        body: dict[str, Any] = {"sorts": [{"propertyName": by, "direction": way}], "properties": [modified, MERGED]}
        body["limit"] = 1 if newest else min(SEARCH_PAGE, 2 * self.page)
        if filters:
            body["filterGroups"] = [{"filters": filters}]
        await self.client.turn("search", float(self.client.settings.get("searches_per_s", SEARCHES_PER_S)))
        answer = await self.client.post(f"/crm/objects/{VERSION}/{kind}/search", body)
        hits = [to_hit(each, modified) for each in raw.records_at(answer.body, "results")]
        total = raw.scalar(raw.find(answer.body, "total"))
        more = raw.find(answer.body, "paging.next.after") is not None
        return Hits(hits, more and bool(hits), total if isinstance(total, int) else len(hits), answer.moment())


def to_item(data: msgspec.Raw, read_no: int = 0) -> Item:
    """An object's head. Raises UnexpectedShape for one without an id, or with a time that is none."""
    try:
        head = _head.decode(data)
        return Item(head.id, _moment(head.createdAt), _moment(head.updatedAt), data, read_no)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnexpectedShape("A record came in a form we do not know.", detail=str(error)[:200]) from None


def to_hit(data: msgspec.Raw, modified: str) -> Hit:
    """A search's result: its time is the property searched by, whatever `updatedAt` says. Raises UnexpectedShape.

    `hs_merged_object_ids`: "503;504"
    """
    item = to_item(data)
    text = raw.text_of(raw.find(data, f"properties.{modified}")) or ""
    try:
        moment = from_unix(int(text) / 1000) if text.isdigit() else _moment(text)
    except ValueError as error:
        raise UnexpectedShape("HubSpot sent a time that is none.", detail=str(error)[:200]) from None
    merged = (raw.text_of(raw.find(data, f"properties.{MERGED}")) or "").split(";")
    return Hit(item.id, moment or item.updated, tuple(filter(None, merged)))


def to_record(collection_id: str, item: Item, names: Sequence[str]) -> RawRecord:
    """The object with these properties in this order, whatever route it came by; one that was left out is null."""
    parts = raw.split(item.raw)
    values: Mapping[str, msgspec.Raw | bytes] = raw.split(parts.get("properties") or b"{}")
    shaped = {"properties": raw.join((name, values.get(name, b"null")) for name in names)}
    data = raw.join((key, shaped.get(key, parts.get(key, b""))) for key in _KEPT if key in parts or key in shaped)
    return RawRecord(collection_id, item.id, data, item.read_no, item.created, item.updated)


def to_batch(answer: Answer) -> Batch:
    """A batch's results and errors; 207 and 200 look the same."""
    try:
        return msgspec.json.decode(raw.compact(answer.body), type=Batch)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("HubSpot answered a batch in a form we do not know.", detail=str(error)[:200]) from None


def sick_ids(errors: Sequence[Mapping[str, Any]], gone: Sequence[str] = ("OBJECT_NOT_FOUND",)) -> set[str]:
    """Ids of a batch that may be there and did not come. Raises UpstreamFailed for an error that names none."""
    sick: set[str] = set()
    for error in map(inner, errors):
        if error.category in gone:
            continue
        ids = [each for key, values in error.context.items() if "id" in key.lower() for each in values]
        if not ids:
            raise UpstreamFailed("HubSpot answered a batch in part.", detail=error.message[:200])
        sick.update(ids)
    return sick


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
