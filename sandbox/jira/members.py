"""Comments and worklogs: of one issue, by id, and the lists of worklogs that changed or went away.

Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3 (issue comments, issue worklogs)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.jira.errors import NO_ISSUE, told
from sandbox.jira.issues import MEMBERS, asked_of, json_response, listed, member
from sandbox.kit.query import Select, Span, Wanted
from sandbox.kit.tables import Tables
from sandbox.rawjson import dump
from sandbox.store import BINNED, LIVE

MOST = {"comment": 100, "worklog": 5_000}
MOST_BY_ID, MOST_CHANGED = 1_000, 1_000
Endpoint = Callable[[Request], Awaitable[Response]]


class Members:
    """What belongs to issues."""

    def __init__(self, tables: Tables, setting: Callable[[str], Any]):
        self.tables, self.setting = tables, setting

    def of_issue(self, name: str) -> Endpoint:
        """`/issue/{id}/comment` and `/issue/{id}/worklog`."""

        async def endpoint(request: Request) -> Response:
            issue_id = request.path_params["issue"]
            if self.tables.get("issue", issue_id) is None:
                raise NO_ISSUE
            start, size = paging_of(request, 50, MOST[name])
            wanted = Wanted(facet=issue_id)
            rows = self.tables.page(name, wanted, order="id", limit=size, offset=start)
            total = self.tables.count(name, wanted)
            return json_response(listed(MEMBERS[name], [member(name, row) for row in rows], start, size, total))

        return endpoint

    async def comments_by_id(self, request: Request) -> Response:
        items = await self._by_id(request, "comment")
        return json_response(listed("values", items, 0, 1_048_576, len(items), isLast=True))

    async def worklogs_by_id(self, request: Request) -> Response:
        return json_response(b"[" + b",".join(await self._by_id(request, "worklog")) + b"]")

    async def _by_id(self, request: Request, name: str) -> list[bytes]:
        ids = (await asked_of(request)).get("ids", ())
        if len(ids) > MOST_BY_ID or not all(isinstance(each, int) for each in ids):
            raise told(400, f"ids must be up to {MOST_BY_ID} numbers.")
        rows = (self.tables.get(name, str(each)) for each in ids)
        return [member(name, row) for row in rows if row is not None]

    def worklogs(self, *, deleted: bool) -> Endpoint:
        """`/worklog/updated` and `/worklog/deleted`: ids by time, oldest first; the last minute is kept back."""

        async def endpoint(request: Request) -> Response:
            since = int(request.query_params.get("since", "0"))
            store, held_ms = self.tables.store, round(self.setting("worklog_hold_s") * 1000)
            now_ms = await self.tables.clock.later_ms()
            store.settle(now_ms)
            span = Span("updated", since, now_ms - held_ms)
            select = Select(self.tables.shelf("worklog"), True, Wanted(deleted=True, spans=(span,)))
            select.narrow("deleted = ?", BINNED if deleted else LIVE)
            limit = min(MOST_CHANGED, self.tables.settings().page_size_cap or MOST_CHANGED)
            rows = select.rows(store, "updated", False, limit + 1, 0)
            shown, last = rows[:limit], len(rows) <= limit
            until = shown[-1].stamp_ms if shown else since
            values = [{"worklogId": int(row.id), "updatedTime": row.stamp_ms, "properties": []} for row in shown]
            url = str(request.url).partition("?")[0]
            page: dict[str, Any] = {"values": values, "since": since, "until": until, "lastPage": last,
                                    "self": f"{url}?since={since}"}  # fmt: skip
            return json_response(dump(page | ({} if last else {"nextPage": f"{url}?since={until}"})))

        return endpoint


def paging_of(request: Request, default: int, most: int) -> tuple[int, int]:
    """`startAt` and `maxResults` of a request, as far as they are granted."""
    query = request.query_params
    try:
        start, size = int(query.get("startAt", "0")), int(query.get("maxResults", str(default)))
    except ValueError:
        raise told(400, "startAt and maxResults must be numbers.") from None
    cap = request.app.state.sandbox.settings.page_size_cap or most
    return max(start, 0), min(max(size, 1), most, cap)
