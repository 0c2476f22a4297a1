"""How GitHub's lists are asked for: filters, order, and the Link header that says where they go on.

Source: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api. The issues list goes on by
cursor (`after`), and refuses numbered pages from row 10,000 on: google/go-github#3565.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from sandbox.clock import SECOND_MS, parse_time
from sandbox.github.errors import deep_page, said
from sandbox.kit.query import EVERYTHING, Span, Wanted
from sandbox.rawjson import dump

if TYPE_CHECKING:
    from sandbox.github.side import GitHub

MOST_PER_PAGE, USUAL_PER_PAGE = 100, 30
DEEPEST = 10_000
SEARCHED = 1_000  # "up to 1,000 results for each search": docs of GET /repos/{owner}/{repo}/actions/runs


def numbers_of(request: Request, most: int) -> tuple[int, int]:
    """Page and page size. What is no number counts as not given."""

    def number(name: str, usual: int) -> int:
        text = request.query_params.get(name, "")
        return max(1, int(text)) if text.isdigit() else usual

    return number("page", 1), min(number("per_page", USUAL_PER_PAGE), MOST_PER_PAGE, most)


def by_state(request: Request, wanted: Wanted) -> Wanted:
    """`state=open` (also when it is left out), `closed` or `all`."""
    state = request.query_params.get("state", "open")
    return wanted if state == "all" else replace(wanted, among={"state": [state]})


def since(request: Request, wanted: Wanted) -> Wanted:
    """`since`: changed at that second or later."""
    text = request.query_params.get("since")
    if not text:
        return wanted
    try:
        return replace(wanted, spans=(Span("updated", since_ms=parse_time(text)),))
    except ValueError:
        raise said(422, "Validation Failed", errors=[{"field": "since", "code": "invalid"}]) from None


def by_creation(request: Request, wanted: Wanted) -> Wanted:
    """`created`: `>=T`, `<=T`, `T..T` (both ends belong to it), with `*` for no end."""
    text = request.query_params.get("created", "")
    begin, dots, end = text.partition("..")
    if not dots:
        begin, end = (
            (text[2:], "") if text.startswith(">=") else ("", text[2:]) if text.startswith("<=") else (text, text)
        )
    try:
        since_ms = parse_time(begin) if begin not in ("", "*") else None
        until_ms = parse_time(end) + SECOND_MS if end not in ("", "*") else None
    except ValueError:
        raise said(422, "Validation Failed", errors=[{"field": "created", "code": "invalid"}]) from None
    return replace(wanted, spans=(Span("created", since_ms, until_ms),))


def answered(side: GitHub, request: Request, body: bytes, link: str = "") -> Response:
    """A good answer; 304 without a body for who has it already. ETags hold for one caller: tokens differ."""
    token = request.headers.get("authorization", "")
    etag = f'W/"{hashlib.sha256(token.encode() + body).hexdigest()}"'
    headers = {"ETag": etag, **({"Link": link} if link else {})}
    if request.headers.get("if-none-match") == etag:
        side.give_back(request)
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json; charset=utf-8")


def numbered(
    side: GitHub, request: Request, name: str, wanted: Wanted = EVERYTHING, *, path: str = "", order: str = "id",
    descending: bool = False, rows_key: str = "", most: int = 0,
) -> Response:  # fmt: skip
    """One page of a table, by its number.

    path      of the list, as the links name it
    rows_key  the answer is `{"total_count", rows_key: […]}`
    most      no more rows than this are ever listed
    """
    page, size = numbers_of(request, side.sandbox.settings.page_size_cap or MOST_PER_PAGE)
    total = side.tables.count(name, wanted)
    end = min(total, most or total)
    limit = min(size, max(0, end - (page - 1) * size))
    rows = side.tables.page(name, wanted, order=order, descending=descending, limit=limit, offset=(page - 1) * size)
    body = _list([row.body for row in rows] if limit else [])
    if rows_key:
        body = b'{"total_count":' + dump(total) + b',"' + rows_key.encode() + b'":' + body + b"}"
    pages = {"prev": page - 1 if page > 1 else 0, "next": page + 1 if page * size < end else 0}
    links = {rel: {**dict(request.query_params), "page": number} for rel, number in pages.items() if number}
    return answered(side, request, body, _link(side, request, path, links))


def by_cursor(
    side: GitHub, request: Request, name: str, wanted: Wanted, *, path: str, order: str, descending: bool
) -> Response:
    """One page of the issues: numbered pages work up to a depth, the cursor in the links always does."""
    page, size = numbers_of(request, side.sandbox.settings.page_size_cap or MOST_PER_PAGE)
    token, place = request.query_params.get("after"), None
    if token:
        content = side.page_tokens.read(token)
        if content is None:
            raise said(422, "The pagination cursor is invalid or has expired.")
        place = content[0]
    elif page * size >= DEEPEST:
        raise deep_page()
    offset = 0 if place else (page - 1) * size
    rows = side.tables.page(name, wanted, order=order, descending=descending, after=place, limit=size, offset=offset)
    links: dict[str, Mapping[str, Any]] = {}
    if rows:
        last = side.tables.place(name, rows[-1], order)
        if side.tables.page(name, wanted, order=order, descending=descending, after=last, limit=1):
            asked = {**dict(request.query_params), "after": side.page_tokens.make(last), "page": page + 1}
            links = {"next": asked}
    return answered(side, request, _list([row.body for row in rows]), _link(side, request, path, links))


def _list(bodies: list[str]) -> bytes:
    return ("[" + ",".join(bodies) + "]").encode()


def _link(side: GitHub, request: Request, path: str, links: Mapping[str, Mapping[str, Any]]) -> str:
    """`<…>; rel="prev", <…>; rel="next"`: whole URLs, by the repository's id and not by its name."""
    base = f"{request.url.scheme}://{request.headers['host']}/{side.key}{path}"
    return ", ".join(f'<{base}?{urlencode(asked)}>; rel="{rel}"' for rel, asked in links.items())
