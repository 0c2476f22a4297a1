"""Stripe lists: read page by page, each object compacted and its nested lists completed.

Docs    https://docs.stripe.com/api/pagination
Answers are indented JSON; only white space between tokens is taken out.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import ProviderError, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.paging import Request, StartingAfter
from syncs.providers.kit.records import RawRecord, Skipped
from syncs.providers.kit.times import from_unix
from syncs.providers.kit.together import together
from syncs.providers.stripe.errors import ObjectGone
from syncs.providers.stripe.resource import Resource

PAGE = 100
PAGING = StartingAfter()
MORE = b'"has_more":true'
MOST_SICK = 20  # objects at once that Stripe cannot serve; beyond, it is not they that are sick


class Head(msgspec.Struct):
    """What is read of an object. Very old ones lack `created`."""

    id: str = ""
    object: str = ""
    created: float | None = None
    deleted: bool = False


class _List(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool = False


_head, _list = msgspec.json.Decoder(Head), msgspec.json.Decoder(_List)


@dataclass(frozen=True)
class Failed:
    """Why one object could not be read, where its neighbours were."""

    error: ProviderError


@dataclass(frozen=True)
class ListPage:
    """One page: its records in Stripe's order (newest first), the last one's creation, and whether more follow."""

    records: list[RawRecord]
    skipped: tuple[Skipped, ...]
    last_id: str
    last_created: int | None
    more: bool


class Lists:
    """The lists and objects of one account."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page = int(client.settings.get("page_size", PAGE))

    async def pages(self, resource: Resource, params: Mapping[str, str | int]) -> AsyncIterator[ListPage]:
        """The list's pages from these parameters on."""
        request: Request | None = Request(resource.path, {"limit": self.page, **dict(resource.params), **params})
        if resource.single:
            request = Request(resource.path)
        while request is not None:
            answer = await self.client.get(request.path, request.params)
            body = raw.compact(answer.body)  # a page at once: object by object it takes nearly twice the time
            found = _List([msgspec.Raw(body)]) if resource.single else decode_list(body)
            page = await self._to_page(resource, [bytes(item) for item in found.data], answer, found.has_more)
            request = PAGING.following(request, page.last_id) if page.more else None
            yield page

    async def _to_page(self, resource: Resource, items: list[bytes], answer: Answer, has_more: bool) -> ListPage:
        records: list[RawRecord] = []
        skipped: list[Skipped] = []
        failed: list[Failed] = []
        last_id, last_created = "", None
        for item, data in zip(items, await self._all_shaped(items), strict=True):
            try:
                head = _head.decode(item)
            except msgspec.MsgspecError as error:
                skipped.append(Skipped(resource.id, "", str(error)[:200]))
                continue
            if not head.id:
                skipped.append(Skipped(resource.id, "", "An object without an id."))
                continue
            last_id, last_created = head.id, int(head.created) if head.created is not None else last_created
            if isinstance(data, bytes):
                records.append(to_record(resource, head, data, answer.read_no))
            else:
                failed.append(data)
                skipped.append(Skipped(resource.id, head.id, data.error.message))
        if len(failed) > MOST_SICK:
            raise failed[0].error
        return ListPage(records, tuple(skipped), last_id, last_created, has_more and bool(last_id))

    async def _all_shaped(self, items: list[bytes]) -> list[bytes | Failed]:
        """The objects whole; only those that lack members of a nested list are asked for, side by side."""
        cut = [place for place, item in enumerate(items) if MORE in item]
        shaped: list[bytes | Failed] = [*items]
        for place, whole in zip(cut, await together(self._try_shape(items[place]) for place in cut), strict=True):
            shaped[place] = whole
        return shaped

    async def _try_shape(self, data: bytes) -> bytes | Failed:
        """The object whole, or why the rest of a nested list does not come."""
        try:
            return await self.shape(data)
        except (UpstreamFailed, UnexpectedShape, ObjectGone) as error:
            return Failed(error)

    async def probe(self, resource: Resource) -> None:
        """Read one member: raises what keeps us from the list."""
        params = None if resource.single else {**dict(resource.params), "limit": 1}
        await self.client.get(resource.path, params)

    async def one(
        self,
        resource: Resource,
        object_id: str,
        changed_at: float | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> RawRecord:
        """The object as it is now; gone (404, or a stub that says so) comes back as deleted."""
        path = resource.path if resource.single else f"{resource.path}/{object_id}"
        moment = from_unix(changed_at)
        try:
            answer = await self.client.get(path, params or None)
        except ObjectGone as gone:
            return RawRecord(resource.id, object_id, None, gone.read_no, updated_at=moment, deleted=True)
        data = await self.shape(raw.compact(answer.body))
        try:
            head = _head.decode(data)
        except msgspec.MsgspecError as error:
            raise UnexpectedShape("Stripe sent an object in a form we do not know.", detail=str(error)) from None
        if head.deleted:
            return RawRecord(resource.id, object_id, None, answer.read_no, updated_at=moment, deleted=True)
        return RawRecord(resource.id, head.id or object_id, data, answer.read_no, from_unix(head.created), moment)

    async def shape(self, data: bytes) -> bytes:
        """The object with each nested list whole: Stripe sends the first 10 members, and where the rest is."""
        if MORE not in data:
            return data
        parts = [(key, await self._completed(bytes(value))) for key, value in raw.split(data).items()]
        return raw.join(parts)

    async def _completed(self, value: bytes) -> bytes:
        """A nested list with all its members, `has_more` false. Read anew: a member may be gone by now."""
        if MORE not in value or value[:1] != b"{":
            return value
        parts = raw.split(value)
        url = raw.text_of(parts.get("url"))
        if raw.text_of(parts.get("object")) != "list" or not url or bytes(parts.get("has_more", b"")) != b"true":
            return value
        members = (await self.members(url)).items
        whole = {"data": b"[" + b",".join(members) + b"]", "has_more": b"false"}
        return raw.join((key, whole.get(key, part)) for key, part in parts.items())

    async def members(self, url: str) -> "Members":
        """All members of the list at an address."""
        request: Request | None = Request(url, {"limit": PAGE})
        items: list[msgspec.Raw] = []
        read_no = None
        while request is not None:
            answer = await self.client.get(request.path, request.params)
            read_no = answer.read_no if read_no is None else read_no
            items += decode_list(raw.compact(answer.body)).data
            request = PAGING.after(answer, request)
        return Members(items, read_no or 0)


@dataclass(frozen=True)
class Members:
    """A list that hangs on one object, whole. `read_no` is the first page's: older than any change seen meanwhile."""

    items: list[msgspec.Raw]
    read_no: int


def decode_list(body: bytes) -> _List:
    """A list's members, uncut. Raises UnexpectedShape."""
    try:
        return _list.decode(body)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Stripe sent a list in a form we do not know.", detail=str(error)[:200]) from None


def to_record(resource: Resource, head: Head, data: bytes, read_no: int) -> RawRecord:
    return RawRecord(resource.id, head.id, data, read_no, created_at=from_unix(head.created))


def created(*, gte: int | None = None, lt: int | None = None, lte: int | None = None) -> dict[str, str | int]:
    """`created[gte]=…` and the like."""
    bounds = {"gte": gte, "lt": lt, "lte": lte}
    return {f"created[{name}]": value for name, value in bounds.items() if value is not None}
