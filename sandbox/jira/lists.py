"""Whole lists: by startAt, or at once.

Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#pagination,
https://developer.atlassian.com/cloud/jira/software/rest (boards, sprints)
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from sandbox.jira.errors import NO_PROJECT, NO_SPRINTS, told
from sandbox.jira.issues import json_response, listed
from sandbox.jira.members import Endpoint, paging_of
from sandbox.kit.query import EVERYTHING, Wanted
from sandbox.kit.tables import Tables
from sandbox.rawjson import load
from sandbox.store import Row

ALL_ROWS = 100_000


class Lists:
    """The lists that tell of no changes."""

    def __init__(self, tables: Tables):
        self.tables = tables

    def paged(self, name: str, *, most: int = 50, path: str = "values") -> Endpoint:
        """A list by startAt."""

        async def endpoint(request: Request) -> Response:
            return self._page(request, name, EVERYTHING, most, path)

        return endpoint

    def at_once(self, name: str, *, path: str = "") -> Endpoint:
        """A bare list, or one in an object."""

        async def endpoint(request: Request) -> Response:
            items = b"[" + b",".join(bodies(self.tables.page(name, order="id", limit=ALL_ROWS))) + b"]"
            return json_response(b'{"' + path.encode() + b'":' + items + b"}" if path else items)

        return endpoint

    def of_project(self, name: str) -> Endpoint:
        """Components and versions of one project."""

        async def endpoint(request: Request) -> Response:
            project = request.path_params["project"]
            if self.tables.get("project", project) is None:
                raise NO_PROJECT
            return self._page(request, name, Wanted(facet=project), 50, "values")

        return endpoint

    async def projects(self, request: Request) -> Response:
        """Live ones, unless other states are asked for; those in the bin say `deleted`."""
        states = request.query_params.getlist("status") or ["live"]
        rows = self.tables.page("project", Wanted(deleted=True), order="id", limit=ALL_ROWS)
        return _part(request, [row for row in rows if _state(row) in states], 100)

    async def users(self, request: Request) -> Response:
        """A bare list, by startAt."""
        start, size = paging_of(request, 50, 1_000)
        rows = self.tables.page("user", order="created", limit=size, offset=start)
        return json_response(b"[" + b",".join(bodies(rows)) + b"]")

    async def sprints(self, request: Request) -> Response:
        row = self.tables.get("board", request.path_params["board"])
        if row is None:
            raise told(404, "Board does not exist or you do not have permission to see it.")
        if load(row.body).get("type") != "scrum":
            raise NO_SPRINTS
        return self._page(request, "sprint", Wanted(facet=row.id), 50, "values")

    def _page(self, request: Request, name: str, wanted: Wanted, most: int, path: str) -> Response:
        start, size = paging_of(request, 50, most)
        rows = self.tables.page(name, wanted, order="id", limit=size, offset=start)
        total = self.tables.count(name, wanted)
        more = {} if path != "values" else {"isLast": start + len(rows) >= total}
        return json_response(listed(path, bodies(rows), start, size, total, **more))


def bodies(rows: Sequence[Row]) -> list[bytes]:
    return [row.body.encode() for row in rows]


def _state(row: Row) -> str:
    if row.deleted:
        return "deleted"
    return "archived" if load(row.body).get("archived") else "live"


def _part(request: Request, rows: Sequence[Row], most: int) -> Response:
    start, size = paging_of(request, 50, most)
    part, total = rows[start : start + size], len(rows)
    return json_response(listed("values", bodies(part), start, size, total, isLast=start + len(part) >= total))
