"""Ways upstream lists go on. Each type shows a sample answer and has one pure method, `after`."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape


@dataclass(frozen=True)
class Request:
    """A GET to come. A URL that came from upstream and has its query already needs no `params`."""

    path: str
    params: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Paging(Protocol):
    def after(self, page: Answer, request: Request) -> Request | None:
        """The request for the page after this one; None when this was the last."""


class _NextLink(msgspec.Struct):
    nextRecordsUrl: str | None = None
    done: bool = True


@dataclass(frozen=True)
class NextRecordsUrl:
    """Salesforce REST queries name the next page by path; it is asked for without parameters.

    {"totalSize":4811,"done":false,"nextRecordsUrl":"/services/data/v67.0/query/0r8XX0000000001-2000","records":[…]}
    {"totalSize":4811,"done":true,"records":[…]}
    """

    def after(self, page: Answer, request: Request) -> Request | None:
        link = _decode(page, _NextLink)
        if link.done or not link.nextRecordsUrl:
            return None
        return Request(link.nextRecordsUrl, headers=request.headers)


@dataclass(frozen=True)
class LocatorHeader:
    """Salesforce bulk results name the next page in a header. The end is the text `null`, not the header's absence.

    Sforce-NumberOfRecords: 25000
    Sforce-Locator: MjUwMDA
    """

    header: str = "Sforce-Locator"
    param: str = "locator"

    def after(self, page: Answer, request: Request) -> Request | None:
        locator = page.headers.get(self.header, "null")
        if locator in ("", "null"):
            return None
        return Request(request.path, {**(request.params or {}), self.param: locator}, request.headers)


class _IdOnly(msgspec.Struct):
    id: str | None = None


class _List(msgspec.Struct):
    data: list[_IdOnly]
    has_more: bool = False


@dataclass(frozen=True)
class StartingAfter:
    """Stripe lists go on after the last id of the page.

    {"object":"list","url":"/v1/customers","has_more":true,"data":[{"id":"cus_B2",…},{"id":"cus_A1",…}]}
    """

    param: str = "starting_after"

    def after(self, page: Answer, request: Request) -> Request | None:
        answer = _decode(page, _List)
        last = next((item.id for item in reversed(answer.data) if item.id), "")
        return self.following(request, last if answer.has_more else "")

    def following(self, request: Request, last_id: str) -> Request | None:
        """The request for what comes after that id; None for none. For readers that have decoded the page already."""
        if not last_id:
            return None
        return Request(request.path, {**(request.params or {}), self.param: last_id}, request.headers)


async def walk(client: Client, request: Request, paging: Paging) -> AsyncIterator[Answer]:
    """All pages from this request on, one by one."""
    current: Request | None = request
    while current is not None:
        page = await client.get(current.path, current.params, current.headers)
        yield page
        current = paging.after(page, current)


_Kind = TypeVar("_Kind")


def _decode(page: Answer, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(page.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape("A page came in a form we do not know.", detail=str(error)[:200]) from None
