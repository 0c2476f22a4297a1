"""Incremental exports: what changed since a time or a cursor, but nothing of the last minute.

Source: https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.clock import SECOND_MS
from sandbox.kit.page_tokens import PageTokens
from sandbox.kit.query import Span, Wanted
from sandbox.kit.tables import Tables
from sandbox.rawjson import dump, load
from sandbox.store import Row
from sandbox.zendesk.errors import BAD_EXPORT_CURSOR, TOO_RECENT, told
from sandbox.zendesk.lists import Endpoint, answer, json_response, list_of

PAGE = 1_000


class Exports:
    """All exports of the side."""

    def __init__(self, tables: Tables, tokens: PageTokens, setting: Callable[[str], Any]):
        self.tables, self.tokens, self.setting = tables, tokens, setting

    def by_cursor(self, name: str, key: str) -> Endpoint:
        """Tickets, users, records of own objects: in order of change, then of id."""

        async def endpoint(request: Request) -> Response:
            asked = request.query_params
            facet = request.path_params.get("object")
            excluded = "true" in (asked.get("exclude_deleted"), asked.get("filter[exclude_deleted]"))
            until_ms = await self._until_ms()
            wanted = Wanted(not excluded, facet, (Span("updated", None, until_ms),))
            after, may_be_empty = self._place(request, name, until_ms)
            rows = self.tables.page(name, wanted, after=after, limit=_size(request))
            is_empty = may_be_empty and self.setting("empty_pages")
            if is_empty:
                rows = []
            last = self.tables.place(name, rows[-1], "updated") if rows else after
            more = bool(self.tables.page(name, wanted, after=last, limit=1))
            token = self.tokens.make(list_of(request), last, is_empty)
            url = f"{request.url.replace(query='')}?cursor={token}"
            told_of = {"after_url": url, "after_cursor": token, "before_url": None, "before_cursor": None,
                       "end_of_stream": not more}  # fmt: skip
            beside = self._beside(asked.get("include", ""), rows)
            return answer(key, rows, told_of) if beside is None else with_list(key, rows, beside, told_of)

        return endpoint

    def by_time(self, name: str, key: str, shaped: Callable[[Row], bytes] | None = None) -> Endpoint:
        """Organizations and events: a page holds the whole of its last second, and the next one begins with it."""

        async def endpoint(request: Request) -> Response:
            until_ms = await self._until_ms()
            start_s = _start_s(request, until_ms)
            wanted = Wanted(True, None, (Span("updated", start_s * SECOND_MS, until_ms),))
            rows = self.tables.page(name, wanted, limit=_size(request))
            more = self._after(name, wanted, rows, 1)
            while more and self.setting("export_stretch") and _second(more[0]) == _second(rows[-1]):
                further = self._after(name, wanted, rows, PAGE)
                same = [row for row in further if _second(row) == _second(rows[-1])]
                rows += same
                more = further[len(same) :] or self._after(name, wanted, rows, 1)
            end_s = _second(rows[-1]) if rows else start_s
            following = f"{request.url.replace(query='')}?start_time={end_s}"
            told_of = {"count": len(rows), "end_of_stream": not more, "end_time": end_s, "next_page": following}
            if shaped is None:
                return answer(key, rows, told_of)
            items = b"[" + b",".join(map(shaped, rows)) + b"]"
            rest = b"".join(b"," + dump(each) + b":" + dump(value) for each, value in told_of.items())
            return json_response(b"{" + dump(key) + b":" + items + rest + b"}")

        return endpoint

    def _after(self, name: str, wanted: Wanted, rows: Sequence[Row], limit: int) -> list[Row]:
        if not rows:
            return []
        return self.tables.page(name, wanted, after=self.tables.place(name, rows[-1], "updated"), limit=limit)

    async def _until_ms(self) -> int:
        return await self.tables.clock.later_ms() - round(self.setting("hold_s") * SECOND_MS)

    def _place(self, request: Request, name: str, until_ms: int) -> tuple[list[Any], bool]:
        """Behind which record it goes on, and whether this page may be an empty one: neither the first nor twice."""
        cursor = request.query_params.get("cursor")
        if cursor is None:
            nothing = 0 if self.tables.table(name).numeric else ""
            return [_start_s(request, until_ms) * SECOND_MS, nothing], False
        content = self.tokens.read(cursor)
        if content is None or content[0] != list_of(request):
            raise BAD_EXPORT_CURSOR
        return content[1], not content[2]

    def _beside(self, include: str, rows: Sequence[Row]) -> bytes | None:
        """Side-loads: the metrics of these tickets."""
        if "metric_sets" not in include.split(","):
            return None
        found = [row for each in rows for row in
                 self.tables.page("ticket_metrics", Wanted(True, each.id), order="id", limit=1)]  # fmt: skip
        return b"[" + b",".join(row.body.encode() for row in found) + b"]"


def _start_s(request: Request, until_ms: int) -> int:
    """Where it begins by time. Refuses what lies within the minute held back."""
    text = request.query_params.get("start_time", "")
    if not text.isdigit():
        raise told(400, "StartTimeMissing", "Missing a required parameter: start_time")
    if int(text) * SECOND_MS > until_ms:
        raise TOO_RECENT
    return int(text)


def with_list(key: str, rows: Sequence[Row], beside: bytes, more: Mapping[str, object]) -> Response:
    items = b"[" + b",".join(row.body.encode() for row in rows) + b"]"
    rest = b"".join(b"," + dump(name) + b":" + dump(value) for name, value in more.items())
    return json_response(b"{" + dump(key) + b":" + items + b',"metric_sets":' + beside + rest + b"}")


def ticket_event(row: Row) -> bytes:
    """An audit as the export of ticket events writes it."""
    audit = load(row.body)
    return dump({
        "id": audit["id"], "ticket_id": audit["ticket_id"], "timestamp": row.created_ms // SECOND_MS,
        "created_at": audit["created_at"], "updater_id": audit["author_id"], "via": "Web form", "system": {},
        "event_type": "Audit", "child_events": audit["events"],
    })  # fmt: skip


def _size(request: Request) -> int:
    return min(max(int(request.query_params.get("per_page", PAGE)), 1), PAGE)


def _second(row: Row) -> int:
    return row.stamp_ms // SECOND_MS
