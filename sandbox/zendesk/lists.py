"""Ordinary lists: by cursor where `page[size]` is asked for, else by page numbers, and single records.

Source: https://developer.zendesk.com/api-reference/introduction/pagination/
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.clock import SECOND_MS
from sandbox.kit.page_tokens import PageTokens
from sandbox.kit.query import Span, Wanted
from sandbox.kit.table import iso_z
from sandbox.kit.tables import Tables
from sandbox.rawjson import dump, join_object, split_object
from sandbox.store import Row
from sandbox.zendesk.errors import BAD_CURSOR, NOT_FOUND, TOO_DEEP

Endpoint = Callable[[Request], Awaitable[Response]]
MOST = 100
DEEPEST = 10_000


@dataclass(frozen=True)
class Listed:
    """How one table is listed.

    by_cursor   `page[size]` is understood; else it is ignored
    whole       all records come at once
    since       `start_time` and `end_time` narrow it
    deleted     deleted ones are listed, too
    orphans     they do not tell their ticket
    """

    name: str
    by_cursor: bool = True
    whole: bool = False
    since: bool = False
    deleted: bool = False
    orphans: bool = False


class Lists:
    """All lists of the side."""

    def __init__(self, tables: Tables, tokens: PageTokens):
        self.tables, self.tokens = tables, tokens

    def all(self, listed: Listed) -> Endpoint:
        """The list of a table."""

        async def endpoint(request: Request) -> Response:
            return self.page(request, listed, _wanted(request, listed), listed.name)

        return endpoint

    def of_ticket(self, name: str) -> Endpoint:
        """What belongs to one ticket; a deleted ticket is not found."""

        async def endpoint(request: Request) -> Response:
            ticket = request.path_params["ticket"]
            if self.tables.get("tickets", ticket) is None:
                raise NOT_FOUND
            return self.page(request, Listed(name, orphans=name == "comments"), Wanted(facet=ticket), name)

        return endpoint

    def page(self, request: Request, listed: Listed, wanted: Wanted, key: str) -> Response:
        """A page of a list, under a key, by whichever way of paging is asked for."""
        asked = request.query_params
        if listed.whole:
            rows = self.tables.page(listed.name, wanted, order="id", limit=DEEPEST)
            return answer(key, rows, {})
        if "page[size]" in asked and listed.by_cursor:
            return self._by_cursor(request, listed, wanted, key)
        return self._by_number(request, listed, wanted, key)

    def _by_cursor(self, request: Request, listed: Listed, wanted: Wanted, key: str) -> Response:
        asked = request.query_params
        size = min(max(int(asked["page[size]"]), 1), MOST)
        place, list_name = None, list_of(request)
        if after := asked.get("page[after]"):
            content = self.tokens.read(after)
            if content is None or content[0] != list_name:
                raise BAD_CURSOR
            place = content[1]
        rows = self._rows(listed, wanted, after=place, limit=size)
        last = self.tables.place(listed.name, rows[-1], "id") if rows else None
        more = bool(rows) and bool(self.tables.page(listed.name, wanted, order="id", after=last, limit=1))
        token = self.tokens.make(list_name, last) if rows else None
        link = None
        if token is not None:
            link = f"{request.url.replace(query='')}?page%5Bafter%5D={quote(token)}&page%5Bsize%5D={size}"
        meta = {"has_more": more, "after_cursor": token, "before_cursor": token}
        return answer(key, rows, {"meta": meta, "links": {"prev": link, "next": link}})

    def _rows(self, listed: Listed, wanted: Wanted, **part: Any) -> list[Row]:
        rows = self.tables.page(listed.name, wanted, order="id", **part)
        return [without_ticket(row) for row in rows] if listed.orphans else rows

    def _by_number(self, request: Request, listed: Listed, wanted: Wanted, key: str) -> Response:
        asked = request.query_params
        size, number = min(max(int(asked.get("per_page", MOST)), 1), MOST), max(int(asked.get("page", 1)), 1)
        if number * size > DEEPEST:
            raise TOO_DEEP
        rows = self._rows(listed, wanted, limit=size, offset=(number - 1) * size)
        count = self.tables.count(listed.name, wanted)
        base = request.url.replace(query="")
        following = f"{base}?page={number + 1}&per_page={size}" if number * size < count else None
        before = f"{base}?page={number - 1}&per_page={size}" if number > 1 else None
        return answer(key, rows, {"next_page": following, "previous_page": before, "count": count})

    def one(self, name: str, key: str, *, deleted: bool = False) -> Endpoint:
        """A single record."""

        async def endpoint(request: Request) -> Response:
            row = self.tables.get(name, request.path_params["id"], deleted=deleted)
            if row is None:
                raise NOT_FOUND
            return json_response(b'{"' + key.encode() + b'":' + row.body.encode() + b"}")

        return endpoint

    def many(self, name: str, *, deleted: bool = False) -> Endpoint:
        """`?ids=1,2`: those that are there, in an order of their own."""

        async def endpoint(request: Request) -> Response:
            ids = sorted(set(request.query_params.get("ids", "").split(",")))[:MOST]
            rows = [row for row in (self.tables.get(name, each, deleted=deleted) for each in ids) if row]
            return answer(name, rows[::-1], {"count": len(rows), "next_page": None, "previous_page": None})

        return endpoint

    def count(self, name: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            refreshed = iso_z(self.tables.clock.now_ms())
            return JSONResponse({"count": {"value": self.tables.count(name), "refreshed_at": refreshed}})

        return endpoint


def _wanted(request: Request, listed: Listed) -> Wanted:
    asked = request.query_params
    spans: tuple[Span, ...] = ()
    if listed.since:
        since, until = (asked.get(name) for name in ("start_time", "end_time"))
        spans = (Span("created", int(since) * SECOND_MS if since else None, int(until) * SECOND_MS if until else None),)
    shown = listed.deleted and (listed.name != "groups" or asked.get("exclude_deleted") == "false")
    return Wanted(deleted=shown, spans=spans)


def without_ticket(row: Row) -> Row:
    fields = {name: value for name, value in split_object(row.body).items() if name != "ticket_id"}
    return replace(row, body=join_object(fields).decode())


def list_of(request: Request) -> str:
    """What a cursor belongs to."""
    return request.url.path.removesuffix(".json")


def answer(key: str, rows: Sequence[Row], more: Mapping[str, object]) -> Response:
    """`{key: [records], …}`, the records as they are stored."""
    items = b"[" + b",".join(row.body.encode() for row in rows) + b"]"
    rest = b"".join(b"," + dump(name) + b":" + dump(value) for name, value in more.items())
    return json_response(b"{" + dump(key) + b":" + items + rest + b"}")


def json_response(body: bytes) -> Response:
    return Response(body, media_type="application/json; charset=utf-8")
