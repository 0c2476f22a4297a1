"""Linear: one workspace behind one address, asked by GraphQL.

Docs    https://linear.app/developers/graphql; facts marked unverified in the reader are assumptions here, too:
        newest first in either order, cursors that may be forgotten, 250 records a page at most
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from sandbox.clock import SECOND_MS
from sandbox.faults import Fault
from sandbox.kit.access import Pass, Presented
from sandbox.kit.budget import Budget, Left
from sandbox.kit.oauth import CodeFlow, Grant, OAuthRefusal, Rules
from sandbox.kit.query import Select, Span, Wanted
from sandbox.kit.rest_side import RestSide
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Hook
from sandbox.linear import errors, hooks, schema
from sandbox.linear.document import Field, Operation, Unreadable, filled, parse
from sandbox.linear.tables import TABLES
from sandbox.rawjson import dump, join_object, load, view_object
from sandbox.refusals import Refusal
from sandbox.store import Row

ORGANIZATION = {"id": "0b9c7f2e-5a41-4d5e-9a53-1f2f6a3f7c10", "name": "Sandbox Coffee Works", "urlKey": "sandbox"}
DEAREST, POINTS_AN_HOUR = 10_000, 3_000_000
RULES = Rules("/oauth/authorize", "/oauth/token", {"read": "Read your workspace", "write": "Change it",
                                                   "admin": "Administer it"}, "lin_oauth_", "lin_refresh_",
              access_life_s=86_400, rotates=True, separator=",")  # fmt: skip


class LinearFlow(CodeFlow):
    """Client credentials as well: a token of 30 days, and none to renew it by."""

    def _granted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        if form.get("grant_type") != "client_credentials":
            return super()._granted(form, client_id, client_secret)
        if not self.side.sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthRefusal("invalid_client", "client authentication failed", 401)
        scopes = self.checked_scopes(str(form.get("scope", "")))
        tokens = self._tokens(Grant(self.store.count_up(f"{self.kind}/grants"), client_id, scopes))
        self._take("grant", tokens.pop("refresh_token"))
        return tokens


class Linear(RestSide):
    """One workspace. A fault's `path` may also name a list: it then strikes queries of that list alone."""

    key, label, catalogue = "linear", "Linear", TABLES
    rules, flow_type, sends_webhooks, undeletes = RULES, LinearFlow, True, True
    ready_keys = {"lin_api_sandbox_demo": Pass()}
    key_prefix = "lin_api_"
    page_token_mark = "cursor"
    lacks = frozenset({"lock_timeout", "no_read_right"})
    own_settings = {"budget_calls": 0, "token_ttl_s": 86_400}
    main_fields = {"issues": ("title", "description", "priority", "estimate"), "comments": ("body",)}
    system_fields = frozenset({"id", "createdAt", "updatedAt", "archivedAt", "trashed"})

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.points = Budget(self.clock, 3_600)

    def routes(self) -> Sequence[BaseRoute]:
        return [*self.flow.routes(),  # type: ignore[union-attr]
                self.get("/graphql", self.answer, "read", methods=("POST",))]  # fmt: skip

    # ---- queries

    async def answer(self, request: Request) -> Response:
        body = load(await request.body() or b"{}")
        try:
            asked = parse(str(body.get("query", "")))
        except Unreadable as error:
            raise errors.invalid(str(error)) from None
        variables = body.get("variables") or {}
        cost = schema.points(asked.fields, variables)
        request.state.points = (cost, self.points.spend(request.headers.get("authorization", ""), POINTS_AN_HOUR, cost))
        if cost > DEAREST:
            raise errors.bad_input(f"Query too complex: {cost}")
        found = {field.name: self._field(asked, field, variables, request) for field in asked.fields}
        return Response(b'{"data":' + join_object(found) + b"}", media_type="application/json")

    def _field(self, asked: Operation, field: Field, variables: Mapping[str, Any], request: Request) -> bytes:
        arguments = {name: filled(value, variables) for name, value in field.arguments.items()}
        if asked.kind == "query" and field.name in schema.LISTS:
            self._strike(field.name, arguments)
            schema.check_list(field.name, field, asked.variables)
            return self._list(field, arguments)
        if asked.kind == "query" and field.name in ("organization", "viewer"):
            schema.check("Organization" if field.name == "organization" else "User", field.selection)
            viewer = self.tables.page("users", order="created", limit=1)
            known = ORGANIZATION if field.name == "organization" else load(viewer[0].body)
            return dump({each.name: known.get(each.name) for each in field.selection})
        if field.name in hooks.FIELDS:
            if not request.state.caller.may("admin"):
                raise errors.FORBIDDEN
            return hooks.FIELDS[field.name](self, arguments)
        raise errors.invalid(f'Cannot query field "{field.name}" on type "{asked.kind.title()}".')

    def _strike(self, name: str, arguments: Mapping[str, Any]) -> None:
        """The faults that name this list, or a cursor, which stand in the body."""
        target = f"{name} cursor" if arguments.get("after") else name
        for fault in self.sandbox.faults.strike(self.key, target, named=True):
            if fault.kind in self.refusals(fault, ""):
                raise self.refusals(fault, "")[fault.kind]

    def _list(self, field: Field, asked: Mapping[str, Any]) -> bytes:
        name, order = field.name, "updated" if asked.get("orderBy") == "updatedAt" else "created"
        first = min(int(asked.get("first") or schema.USUAL_PAGE), self.sandbox.settings.page_size_cap or 250)
        if not 0 < first <= schema.LARGEST_PAGE:
            raise errors.bad_input(f"Argument Validation Error: first must not be greater than {schema.LARGEST_PAGE}")
        schema.check_filter(name, asked.get("filter") or {})
        select = self._select(name, asked)
        if asked.get("after"):
            place = self.page_tokens.read(str(asked["after"]))
            if place is None:
                raise errors.LOST_CURSOR
            select.follow(order, place, True)
        self.store.settle(self.clock.now_ms())
        rows = select.rows(self.store, order, True, first + 1, 0)
        more, rows = len(rows) > first, rows[:first]
        end = self.page_tokens.make(*self.tables.place(name, rows[-1], order)) if rows else None
        nodes = next((part.selection for part in field.selection if part.name == "nodes"), ())
        listed = b",".join(self._node(schema.LISTS[name]["type"], row, nodes) for row in rows)
        page_info = dump({"hasNextPage": more, "endCursor": end})
        return join_object({"nodes": b"[" + listed + b"]", "pageInfo": page_info})

    def _select(self, name: str, asked: Mapping[str, Any]) -> Select:
        wanted = asked.get("filter") or {}
        spans = tuple(_span(stamp, wanted[path]) for path, stamp in (("updatedAt", "updated"), ("createdAt", "created"))
                      if wanted.get(path))  # fmt: skip
        table = self.tables.table(name)
        shows_trash = bool(table.marks) and bool(asked.get("includeArchived"))
        select = Select(self.tables.shelf(name), table.numeric, Wanted(deleted=shows_trash, spans=spans))
        if not asked.get("includeArchived"):
            select.narrow("json_extract(body, '$.archivedAt') IS NULL")
        ids = wanted.get("id") or {}
        if among := ids.get("in") or ([ids["eq"]] if "eq" in ids else []):
            select.narrow(f"id IN ({', '.join('?' for _ in among)})", *among)
        return select

    def _node(self, type_name: str, row: Row, selection: tuple[Field, ...]) -> bytes:
        """What is asked of a record, in its own bytes; what nobody filled is null."""
        known = view_object(row.body)
        fields = {}
        for field in selection:
            if field.name == "issueCount":
                fields[field.name] = dump(self.tables.count("issues", Wanted(among={"team.id": [row.id]})))
                continue
            value = bytes(known.get(field.name, b"null"))
            if field.selection and value != b"null":
                inner = view_object(value)
                value = join_object({each.name: bytes(inner.get(each.name, b"null")) for each in field.selection})
            fields[field.name] = value
        return join_object(fields)

    # ---- limits and refusals

    def headers(self, request: Request, left: Left) -> Mapping[str, str]:
        limit, spare = (left.limit, left.left) if left.limit else (2_500, 2_499)
        told = {"X-RateLimit-Requests-Limit": str(limit), "X-RateLimit-Requests-Remaining": str(spare),
                "X-RateLimit-Requests-Reset": str(left.reset_ms)}  # fmt: skip
        cost, points = getattr(request.state, "points", (0, None))
        if points is not None:
            told |= {"X-Complexity": str(cost), "X-RateLimit-Complexity-Limit": str(points.limit),
                     "X-RateLimit-Complexity-Remaining": str(points.left),
                     "X-RateLimit-Complexity-Reset": str(points.reset_ms)}  # fmt: skip
        return told

    def answer_fault(self, fault: Fault, headers: Headers) -> Response | None:
        """Linear knows no Retry-After: a spent budget says when it is full again."""
        response = super().answer_fault(fault, headers)
        if response is not None and fault.retry_after is not None:
            del response.headers["Retry-After"]
            reset_ms = self.clock.now_ms() + round(fault.retry_after * SECOND_MS)
            response.headers.update({"X-RateLimit-Requests-Limit": "2500", "X-RateLimit-Requests-Remaining": "0",
                                     "X-RateLimit-Requests-Reset": str(reset_ms)})  # fmt: skip
        return response

    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        return errors.UNKNOWN

    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        return errors.FORBIDDEN

    def over_budget(self, left: Left) -> Refusal:
        return errors.LIMITED

    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        return {"rate_limit": errors.LIMITED, "quota": errors.LIMITED, "server_error": errors.TROUBLE,
                "lost_page_token": errors.LOST_CURSOR, "forbidden": errors.FORBIDDEN}  # fmt: skip

    # ---- webhooks

    def sign(self, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
        return {"Linear-Signature": hmac.digest(hook.secret.encode(), body, "sha256").hex(),
                "Linear-Timestamp": str(now_ms)}  # fmt: skip

    def told(self, change: Change) -> tuple[str, bytes] | None:
        return hooks.event_of(change, self.clock.now_ms(), ORGANIZATION["id"])


def _span(stamp: str, asked: Mapping[str, str]) -> Span:
    """Stamps have whole milliseconds, so `gt` is one more."""
    since = [_ms(asked["gte"])] if "gte" in asked else []
    since += [_ms(asked["gt"]) + 1] if "gt" in asked else []
    until = [_ms(asked["lt"])] if "lt" in asked else []
    until += [_ms(asked["lte"]) + 1] if "lte" in asked else []
    return Span(stamp, max(since, default=None), min(until, default=None))


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * SECOND_MS)
