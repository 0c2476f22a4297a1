"""Issues: search by JQL, by id, counted; and their changelogs.

The search index runs `commit_delay_s` late; by id the newest is served at once.
Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3 (issue search, issues)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.jira import jql
from sandbox.jira.errors import BAD_TOKEN, told
from sandbox.kit.page_tokens import PageTokens
from sandbox.kit.query import EVERYTHING, Select, Wanted
from sandbox.kit.tables import Tables
from sandbox.rawjson import dump, join_object, load, split_object
from sandbox.store import LIVE, Row

DEFAULT_PAGE, MOST_IDS, MOST_WHOLE = 50, 5_000, 100
MOST_BY_ID, MOST_CHANGELOGS = 100, 1_000
EMBEDDED = 20
EXPANDABLE = b'"renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations"'
MEMBERS = {"comment": "comments", "worklog": "worklogs"}


class Issues:
    """What the issue endpoints serve. `setting` gives this side's own settings."""

    def __init__(self, tables: Tables, page_tokens: PageTokens, setting: Callable[[str], Any]):
        self.tables, self.page_tokens, self.setting = tables, page_tokens, setting

    # ---- search

    async def search(self, request: Request) -> Response:
        """One page. Body, or query of a GET: jql, fields, maxResults, nextPageToken, expand."""
        asked = await asked_of(request)
        clauses, order = jql.parse(str(asked.get("jql") or ""))
        fields = list(asked.get("fields") or ["id"])
        only_ids = set(fields) <= {"id", "key"}
        limit = min(int(asked.get("maxResults") or DEFAULT_PAGE), MOST_IDS if only_ids else MOST_WHOLE)
        same = hashlib.sha256(dump({key: asked[key] for key in sorted(asked) if key != "nextPageToken"})).hexdigest()
        token, place = asked.get("nextPageToken"), None
        if token:
            content = self.page_tokens.read(str(token))
            if content is None or content[0] != same:
                raise BAD_TOKEN
            place = content[1]
        select = self._select(clauses)
        if place is not None:
            select.follow(order.by, place, order.descending)
        elif self.setting("empty_pages"):
            return self._page([], fields, self.page_tokens.make(same, self._before_all(order)))
        limit = min(limit, self.tables.settings().page_size_cap or limit)
        rows = select.rows(self.tables.store, order.by, order.descending, limit + 1, 0)
        more = len(rows) > limit
        following = self.page_tokens.make(same, self.tables.place("issue", rows[limit - 1], order.by)) if more else ""
        if more and self.setting("repeat_tokens") and token:
            following = str(token)
        return self._page(rows[:limit], fields, following, names="names" in str(asked.get("expand", "")))

    def _select(self, clauses: Sequence[tuple[str, str, str]]) -> Select:
        self.tables.store.settle(self.tables.clock.now_ms())
        select = Select(self.tables.shelf("issue"), True, EVERYTHING)
        jql.narrow(select, list(clauses), self.setting("time_zone"))
        return select

    @staticmethod
    def _before_all(order: jql.Order) -> list[int]:
        edge = 2**62 if order.descending else -1
        return [edge] if order.by == "id" else [edge, edge]

    def _page(self, rows: Sequence[Row], fields: Sequence[str], token: str, names: bool = False) -> Response:
        issues = b"[" + b",".join(self.shown(row, fields) for row in rows) + b"]"
        page = {"issues": issues, "isLast": dump(not token)}
        if names:
            page["names"] = dump({load(row.body)["id"]: load(row.body)["name"] for row in self.tables.page("field")})
        return json_response(join_object(page | ({"nextPageToken": dump(token)} if token else {})))

    async def count(self, request: Request) -> Response:
        clauses, _ = jql.parse(str((await asked_of(request)).get("jql") or ""))
        return json_response(dump({"count": self._select(clauses).count(self.tables.store)}))

    # ---- by id

    async def bulk_fetch(self, request: Request) -> Response:
        """Up to 100, in order of id; what is not there is left out, without a word."""
        asked = await asked_of(request)
        wanted = [str(each) for each in asked.get("issueIdsOrKeys", ())]
        if not 1 <= len(wanted) <= MOST_BY_ID:
            raise told(400, f"issueIdsOrKeys must have 1 to {MOST_BY_ID} entries.")
        fields = list(asked.get("fields") or ["*navigable"])
        rows = sorted((row for row in map(self._newest, wanted) if row), key=lambda row: int(row.id))
        issues = b"[" + b",".join(self.shown(row, fields) for row in rows) + b"]"
        return json_response(join_object({"issues": issues, "issueErrors": b"[]"}))

    def _newest(self, issue_id: str) -> Row | None:
        row = self.tables.store.newest(self.tables.shelf("issue"), issue_id)
        return row if row is not None and row.deleted == LIVE else None

    def shown(self, row: Row, wanted: Sequence[str]) -> bytes:
        """The issue with these fields: names, `*all`, `*navigable`, `-name`. Asked for `id` alone, it has no more."""
        body = split_object(row.body)
        if set(wanted) <= {"id"}:
            return join_object({"id": body["id"]})
        everything = "*all" in wanted or "*navigable" in wanted
        left_out = {name[1:] for name in wanted if name.startswith("-")}
        fields = split_object(body.pop("fields"))
        kept = {name: raw for name, raw in fields.items() if (everything or name in wanted) and name not in left_out}
        for name in MEMBERS:
            if ("*all" in wanted or name in wanted) and name not in left_out:
                kept[name] = self._members(row.id, name)
        return join_object({"expand": EXPANDABLE, **body, "fields": join_object(kept)})

    def _members(self, issue_id: str, name: str) -> bytes:
        """The first comments or worklogs of an issue, and how many there are."""
        wanted = Wanted(facet=issue_id)
        rows = self.tables.page(name, wanted, order="id", limit=EMBEDDED)
        total = self.tables.count(name, wanted)
        return listed(MEMBERS[name], [member(name, row) for row in rows], 0, EMBEDDED, total)

    # ---- changelogs

    async def changelogs(self, request: Request) -> Response:
        """Those of up to 1,000 issues, oldest first, over all of them."""
        asked = await asked_of(request)
        wanted = [str(each) for each in asked.get("issueIdsOrKeys", ())]
        if not 1 <= len(wanted) <= MOST_CHANGELOGS:
            raise told(400, f"issueIdsOrKeys must have 1 to {MOST_CHANGELOGS} entries.")
        limit, place = int(asked.get("maxResults") or MOST_CHANGELOGS), None
        if asked.get("nextPageToken"):
            place = self.page_tokens.read(str(asked["nextPageToken"]))
            if place is None:
                raise BAD_TOKEN
        limit = min(limit, self.tables.settings().page_size_cap or limit)
        rows = self.tables.page("changelog", Wanted(among={"issueId": wanted}), order="created", after=place,
                                limit=limit)  # fmt: skip
        logs: dict[str, list[bytes]] = {}
        for row in rows:
            logs.setdefault(row.facet or "", []).append(member("changelog", row))
        parts = [join_object({"issueId": dump(owner), "changeHistories": b"[" + b",".join(found) + b"]"})
                 for owner, found in logs.items()]  # fmt: skip
        page = {"issueChangeLogs": b"[" + b",".join(parts) + b"]"}
        if len(rows) == limit:
            page["nextPageToken"] = dump(self.page_tokens.make(*self.tables.place("changelog", rows[-1], "created")))
        return json_response(join_object(page))


async def asked_of(request: Request) -> Mapping[str, Any]:
    """The JSON body of a POST, or the query of a GET with its lists split at commas."""
    if request.method == "GET":
        query: dict[str, Any] = dict(request.query_params)
        return {**query, **({"fields": query["fields"].split(",")} if "fields" in query else {})}
    asked = load(await request.body() or b"{}")
    if not isinstance(asked, dict):
        raise told(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return asked


def member(table: str, row: Row) -> bytes:
    """A record that belongs to an issue, as served: only worklogs name their issue."""
    body = split_object(row.body)
    return join_object(body if table == "worklog" else {key: raw for key, raw in body.items() if key != "issueId"})


def listed(path: str, items: Sequence[bytes], start: int, size: int, total: int, **more: Any) -> bytes:
    """`{"startAt", "maxResults", "total", path: […]}`."""
    page = {key: dump(value) for key, value in {"maxResults": size, "startAt": start, "total": total, **more}.items()}
    return join_object({**page, path: b"[" + b",".join(items) + b"]"})


def json_response(body: bytes) -> Response:
    return Response(body, media_type="application/json")
