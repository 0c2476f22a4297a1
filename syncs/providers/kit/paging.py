"""Ways upstream lists go on. Each type shows a sample answer and has one pure method, `after`."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client, with_params
from syncs.providers.kit.errors import UnexpectedShape


@dataclass(frozen=True)
class Request:
    """A GET to come, or with `body` a POST of that JSON.

    A URL that came from upstream and has its query already needs no `params`.
    """

    path: str
    params: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    def param(self, name: str) -> Any:
        """What was asked for by this name: in the body of a POST, else in the query. None for nothing."""
        return ((self.params if self.body is None else self.body) or {}).get(name)

    def having(self, **asked: Any) -> "Request":
        """The same request with these parameters: in the body of a POST, else in the query."""
        if self.body is not None:
            return replace(self, body={**self.body, **asked})
        return replace(self, params={**(self.params or {}), **asked})

    def at(self, url: str) -> "Request":
        """The page at a URL that upstream has given, whole or relative to this request's. Its query is complete."""
        return replace(self, path=urljoin(self.path, url), params=None)


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


_LINK = re.compile(r'<([^>]*)>((?:[^",]|"(?:\\.|[^"\\])*")*)')
_LINK_PARAM = re.compile(r';\s*([\w-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s;"]+))')


@dataclass(frozen=True)
class LinkHeader:
    """The next page stands in the `Link` header (RFC 8288), beside others. It is asked for without parameters.

    Link: <https://api.github.com/repositories/1/issues?page=2&per_page=100>; rel="next",
          <https://api.github.com/repositories/1/issues?page=9&per_page=100>; rel="last"
    """

    rel: str = "next"

    def after(self, page: Answer, request: Request) -> Request | None:
        for url, params in _LINK.findall(page.headers.get("link", "")):
            rels = [quoted or plain for name, quoted, plain in _LINK_PARAM.findall(params) if name.lower() == "rel"]
            if rels and self.rel in rels[0].lower().split():
                return _moved(request, request.at(url))
        return None


@dataclass(frozen=True)
class NextUrl:
    """The next page's whole URL stands in the body. It is asked for without parameters.

    {"tickets":[…],"meta":{"has_more":true},"links":{"next":"https://acme.zendesk.com/api/v2/tickets.json?page[after]=e"}}
        NextUrl("links.next", more="meta.has_more")
    {"tickets":[…],"after_url":"https://…","end_of_stream":false}
        NextUrl("after_url", end="end_of_stream"), for an upstream that names a next URL on the last page, too

    more  path of a boolean that must be true; empty: none
    end   path of a boolean that is true on the last page; empty: none
    """

    path: str
    more: str = ""
    end: str = ""

    def after(self, page: Answer, request: Request) -> Request | None:
        url = _text_at(page, self.path)
        if not url or _is_last(page, self.more, self.end):
            return None
        return _moved(request, request.at(url))


@dataclass(frozen=True)
class PageToken:
    """The body holds a token for the next page; it is sent as a parameter (in a POST: among the body's keys).

    {"issues":[…],"nextPageToken":"CAEaAggB","isLast":false}
        PageToken("nextPageToken", "nextPageToken", end="isLast")
    {"results":[…],"paging":{"next":{"after":"NTI1Cg%3D%3D","link":"?after=NTI1Cg%3D%3D"}}}
        PageToken("paging.next.after", "after")

    A page may be empty and have a token; the same token twice raises UnexpectedShape, or the walk would never end.
    """

    path: str
    param: str
    more: str = ""
    end: str = ""

    def after(self, page: Answer, request: Request) -> Request | None:
        token = _text_at(page, self.path)
        if not token or _is_last(page, self.more, self.end):
            return None
        return _moved(request, request.having(**{self.param: token}))


@dataclass(frozen=True)
class Offset:
    """The next page starts after as many records as there were so far, whatever size was asked for.

    {"startAt":50,"maxResults":50,"total":117,"isLast":false,"values":[…]}
        Offset("values", total="total", end="isLast")
    [{…},{…}]  Offset(""): a bare list

    items  path of the list
    param  the parameter that says where the page starts
    total  path of the number of all records
    end    path of a boolean that is true on the last page; where it stands, it alone decides
    A page without records is the end in any case, and the only one where nothing tells: servers cut pages short.
    """

    items: str
    param: str = "startAt"
    total: str = ""
    end: str = ""

    def after(self, page: Answer, request: Request) -> Request | None:
        count = len(raw.records_at(page.body, self.items))
        reached = int(request.param(self.param) or 0) + count
        end, total = _value_at(page, self.end), _value_at(page, self.total)
        is_last = end if isinstance(end, bool) else isinstance(total, int) and reached >= total
        return None if is_last or not count else request.having(**{self.param: reached})


@dataclass(frozen=True)
class PageNumber:
    """Pages are counted. The last one has the number of all pages, or the one after it is empty.

    {"data":[…],"page":1,"total_pages":3}  PageNumber("data", pages="total_pages")

    items  path of the list
    pages  path of the number of pages
    first  the number of the first page
    A page without records is the end in any case, and the only one where nothing tells: servers cut pages short.
    """

    items: str
    param: str = "page"
    pages: str = ""
    first: int = 1

    def after(self, page: Answer, request: Request) -> Request | None:
        count = len(raw.records_at(page.body, self.items))
        asked = request.param(self.param)
        number = self.first if asked is None else int(asked)
        pages = _value_at(page, self.pages)
        is_last = isinstance(pages, int) and number - self.first + 1 >= pages
        return None if is_last or not count else request.having(**{self.param: number + 1})


async def walk(client: Client, request: Request, paging: Paging) -> AsyncIterator[Answer]:
    """All pages from this request on, one by one."""
    current: Request | None = request
    while current is not None:
        page = await fetch(client, current)
        yield page
        current = paging.after(page, current)


async def fetch(client: Client, request: Request) -> Answer:
    """The answer to one request."""
    if request.body is None:
        return await client.get(request.path, request.params, request.headers)
    return await client.post(with_params(request.path, request.params), request.body, request.headers)


def _moved(request: Request, following: Request) -> Request:
    """The following request. Raises UnexpectedShape where it is the same again: that walk would never end."""
    if following == request:
        raise UnexpectedShape("The provider named the same page as the next one.")
    return following


def _value_at(page: Answer, path: str) -> str | int | bool | None:
    return raw.scalar(raw.find(page.body, path)) if path else None


def _text_at(page: Answer, path: str) -> str:
    """The text at a path, or the number as text; empty for none."""
    value = _value_at(page, path)
    return "" if value is None or isinstance(value, bool) else str(value)


def _is_last(page: Answer, more: str, end: str) -> bool:
    return (more != "" and _value_at(page, more) is not True) or (end != "" and _value_at(page, end) is True)


_Kind = TypeVar("_Kind")


def _decode(page: Answer, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(page.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape("A page came in a form we do not know.", detail=str(error)[:200]) from None
