"""The Zendesk side: one account, its people and its tickets.

Source: https://developer.zendesk.com/api-reference/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.clock import SECOND_MS
from sandbox.control import plain
from sandbox.faults import Fault
from sandbox.kit.access import Pass, Presented, presented
from sandbox.kit.budget import Budget, Left
from sandbox.kit.query import Wanted
from sandbox.kit.rest_side import Endpoint, RestSide
from sandbox.kit.table import iso_z
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Hook
from sandbox.rawjson import join_object, load, split_object
from sandbox.refusals import Refusal
from sandbox.store import GONE, Row
from sandbox.zendesk import desk, errors, hooks, signin, small
from sandbox.zendesk.events import events_of
from sandbox.zendesk.exports import Exports, ticket_event
from sandbox.zendesk.follow import Follower
from sandbox.zendesk.lists import Listed, Lists

API = "/api/v2"
MINUTE_S = 60

# Path below /api/v2, its table, and how that is listed. The path's last word is the key of the answer.
LISTS = (
    ("users", Listed("users")), ("organizations", Listed("organizations")), ("tickets", Listed("tickets")),
    ("ticket_metrics", Listed("ticket_metrics")), ("groups", Listed("groups", deleted=True)),
    ("brands", Listed("brands", deleted=True)), ("ticket_forms", Listed("ticket_forms", by_cursor=False)),
    ("slas/policies", Listed("sla_policies", by_cursor=False)),
    ("custom_statuses", Listed("custom_statuses", whole=True)),
    ("business_hours/schedules", Listed("schedules", whole=True)), ("custom_roles", Listed("custom_roles", whole=True)),
    ("custom_objects", Listed("custom_objects", whole=True)), ("skips", Listed("skips", since=True)),
    ("satisfaction_ratings", Listed("satisfaction_ratings", since=True)),
    *((name, Listed(name)) for name in ("group_memberships", "organization_memberships", "ticket_fields", "user_fields",
                                        "organization_fields", "macros", "views", "triggers", "automations", "tags")),
)  # fmt: skip
SINGLE = {"slas/policies": "sla_policy", "business_hours/schedules": "schedule", "custom_statuses": "custom_status"}


class Zendesk(RestSide):
    key, label, page_token_mark = "zendesk", "Zendesk", "page[after]="
    catalogue = (*small.FIRST, desk.ORGANIZATIONS, desk.USERS, small.FORMS, desk.TICKETS, desk.COMMENTS, desk.AUDITS,
                 desk.METRICS, desk.SIDE_CONVERSATIONS, desk.METRIC_EVENTS, small.RATINGS, small.SKIPS, *small.REST,
                 desk.OWN_RECORDS)  # fmt: skip
    rules, flow_type = signin.RULES, signin.ZendeskFlow
    budget_s, undeletes, sends_webhooks, habits = MINUTE_S, True, True, hooks.HABITS
    ready_keys = {
        "sandbox-zendesk-token": Pass(user=desk.ADMIN), "sandbox-zendesk-agent-token": Pass(user=desk.AGENT),
    }  # fmt: skip
    own_settings = {
        "budget_calls": 700, "token_ttl_s": 0.0, "export_calls": 10, "hold_s": 60.0, "export_stretch": True,
        "empty_pages": False, "old_headers": False, "old_clients": False,
    }  # fmt: skip
    own_faults = {
        "no_page": "403 in the words for pages that a role or plan does not have",
        "not_in_plan": "404: the endpoint does not exist in this plan",
        "gateway_timeout": "504 as plain text: the page was too heavy",
        "no_account": "404 with an HTML page: there is no such account",
    }
    system_fields = frozenset({"id", "url", "created_at", "updated_at", "generated_timestamp", "sandbox_version"})

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.lists = Lists(self.tables, self.page_tokens)
        self.exports = Exports(self.tables, self.page_tokens, self.setting)
        self.export_budget = Budget(self.clock, MINUTE_S)
        self.tables.listeners.insert(0, Follower(self.tables).follow)

    # ---- routes

    def routes(self) -> Sequence[BaseRoute]:
        lists, exports = self.lists, self.exports
        routes: list[BaseRoute] = [*(self.flow.routes() if self.flow else ())]
        for path, listed in LISTS:
            name = listed.name
            routes += self._both(path, lists.all(listed), name)
            routes += self._both(f"{path}/{{id}}", lists.one(name, _single(path), deleted=name == "users"), name)
        for name in ("tickets", "users", "organizations", "groups"):
            routes[:0] = self._both(f"{name}/count", lists.count(name), name)
            routes[:0] = self._both(f"{name}/show_many", lists.many(name, deleted=name == "users"), name)
        for name in ("comments", "audits", "side_conversations"):
            routes += self._both(f"tickets/{{ticket}}/{name}", lists.of_ticket(name), "tickets", name)
        for name in ("tickets", "users"):
            routes += self._export(f"{name}/cursor", exports.by_cursor(name, name), name)
        own = exports.by_cursor("custom_object_records", "custom_object_records")
        routes += self._export("custom_objects/{object}/cursor", own, "custom_object_records")
        routes += self._export("organizations", exports.by_time("organizations", "organizations"), "organizations")
        routes += self._export("ticket_events", exports.by_time("audits", "ticket_events", ticket_event), "tickets")
        events = exports.by_time("ticket_metric_events", "ticket_metric_events")
        routes += self._export("ticket_metric_events", events, "tickets")
        routes += self._both("custom_objects/{object}/records", self.own_records, "custom_object_records")
        routes += self._both("custom_objects/{object}/fields", self.own_fields, "custom_object_records")
        records = lists.one("custom_object_records", "custom_object_record")
        routes += self._both("custom_objects/{object}/records/{id}", records, "custom_object_records")
        routes += self._both("deleted_tickets", self.deleted_tickets, "tickets")
        routes += self._both("account/settings", self.account_settings)
        routes += self._both("oauth/tokens/current", self.token)
        routes += [Route(f"{API}/users/me{end}", self.me) for end in ("", ".json")]
        routes += hooks.routes(self)
        return sorted(routes, key=lambda route: "{id}" in getattr(route, "path", ""))  # fixed words come first

    def _both(self, path: str, endpoint: Endpoint, *of: str, methods: Sequence[str] = ("GET",)) -> list[Route]:
        """With and without `.json`. `read` lets in, and the finer scope of what it is about."""
        scopes = ("read", "write", *(f"{name}:read" for name in of))
        return [self.get(f"{API}/{path}{end}", endpoint, *scopes, methods=methods) for end in (".json", "")]

    def _export(self, path: str, endpoint: Endpoint, of: str) -> list[Route]:
        """Exports are for administrators, and have a bucket of their own."""

        async def allowed(request: Request) -> Response:
            if self.role_of(request.state.caller) != "admin":
                raise errors.NO_ACCESS
            left = self.export_budget.spend("", int(self.setting("export_calls")))
            wait_s = (left.reset_ms - self.clock.now_ms()) / SECOND_MS
            told = {self._spelt("zendesk-ratelimit-incremental-exports"):
                    f"total={left.limit}; remaining={left.left}; resets={max(1, round(wait_s))}"}  # fmt: skip
            try:
                if left.is_over:
                    raise errors.too_many(wait_s)
                response = await endpoint(request)
            except Refusal as refusal:
                response = refusal.response()
            response.headers.update(told)
            return response

        return self._both(f"incremental/{path}", allowed, of)

    async def own_records(self, request: Request) -> Response:
        key = request.path_params["object"]
        if self.tables.get("custom_objects", key) is None:
            raise errors.NOT_FOUND
        listed = Listed("custom_object_records")
        return self.lists.page(request, listed, Wanted(facet=key), "custom_object_records")

    async def own_fields(self, request: Request) -> Response:
        own = [{"id": 1, "key": "serial", "type": "text", "title": "Serial number"},
               {"id": 2, "key": "price", "type": "decimal", "title": "Price"}]  # fmt: skip
        return JSONResponse({"custom_object_fields": own})

    async def deleted_tickets(self, request: Request) -> Response:
        """Who deleted what. All on one page, as long as there are few."""
        rows = self.tables.store.read(
            "SELECT id, stamp_ms, body FROM records WHERE shelf = ? AND deleted = 1 ORDER BY stamp_ms LIMIT 100",
            (self.tables.shelf("tickets"),),
        )
        actor = {"id": 365_000_000_001, "name": "Ada Admin"}
        told = [{"id": int(number), "subject": load(body).get("subject"), "actor": actor, "previous_state": "open",
                 "deleted_at": iso_z(stamp_ms)} for number, stamp_ms, body in rows]  # fmt: skip
        return JSONResponse({"deleted_tickets": told, "meta": {"has_more": False, "after_cursor": None}})

    # ---- who

    def identify(self, shown: Presented) -> Pass | None:
        """An OAuth token as bearer; an API token with its owner's address and `/token`, as Basic."""
        found = self.passes.find(shown.secret)
        if found is None or (shown.scheme == "basic") != bool(found.user):
            return None
        return found if not found.user or shown.user == f"{found.user}/token" else None

    def make_key(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        made = super().make_key({"user": desk.ADMIN, **asked})
        return {**made, "email": asked.get("user", desk.ADMIN)}

    def role_of(self, caller: Pass) -> str:
        """OAuth tokens act for the administrator who made the client."""
        return str(self._user_of(caller)["role"])

    def _user_of(self, caller: Pass) -> dict[str, Any]:
        rows = self.tables.page("users", Wanted(among={"email": [caller.user or desk.ADMIN]}), order="id", limit=1)
        found: dict[str, Any] = load(rows[0].body)
        return found

    async def me(self, request: Request) -> Response:
        """Answers everybody: who is nobody is told so, with 200."""
        caller = self.identify(presented(request.headers))
        nobody = {"id": None, "name": "Anonymous user", "email": "invalid@example.com", "role": "end-user", "url": None}
        return JSONResponse({"user": self._user_of(caller) if caller else nobody})

    async def account_settings(self, request: Request) -> Response:
        return JSONResponse({"settings": {"active_features": {"customer_satisfaction": True}, "limits": {}}})

    async def token(self, request: Request) -> Response:
        caller: Pass = request.state.caller
        ends = iso_z(caller.expires_ms) if caller.expires_ms else None
        told = {"id": caller.grant, "client_id": 57, "user_id": 1, "scopes": list(caller.scopes), "expires_at": ends}
        return JSONResponse({"token": told})

    # ---- refusals and limits

    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        if shown.scheme == "bearer":
            return errors.JsonRefusal(401, {"error": "invalid_token", "error_description": (
                "The access token provided is expired, revoked, malformed or invalid for other reasons.")})  # fmt: skip
        return errors.JsonRefusal(401, {"error": "Couldn't authenticate you"})

    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        return errors.told(403, "Forbidden", f"You are missing the following required scopes: {scopes[0]}")

    def over_budget(self, left: Left) -> Refusal:
        return errors.too_many((left.reset_ms - self.clock.now_ms()) / SECOND_MS)

    def headers(self, request: Request, left: Left) -> Mapping[str, str]:
        reset_s = max(1, round((left.reset_ms - self.clock.now_ms()) / SECOND_MS))
        told = {"x-rate-limit": left.limit, "x-rate-limit-remaining": left.left}
        told |= {"ratelimit-limit": left.limit, "ratelimit-remaining": left.left, "ratelimit-reset": reset_s}
        return {self._spelt(name): str(value) for name, value in told.items() if left.limit}

    def _spelt(self, name: str) -> str:
        """Until 2024 Zendesk wrote `rate-limit`."""
        return name.replace("ratelimit", "rate-limit") if self.setting("old_headers") else name

    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        return {
            "rate_limit": errors.too_many(),
            "quota": errors.told(429, "APIRateLimitExceeded", "Rate limit exceeded"),
            "server_error": errors.told(500, "InternalServerError", "Something went wrong"),
            "lost_page_token": errors.BAD_EXPORT_CURSOR if "cursor=" in fault.path else errors.BAD_CURSOR,
            "forbidden": errors.RESTRICTED, "no_page": errors.NO_ACCESS, "not_in_plan": errors.NO_ENDPOINT,
            "gateway_timeout": errors.SLOW, "no_account": errors.NO_ACCOUNT,
        }  # fmt: skip

    # ---- webhooks

    def sign(self, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
        return hooks.sign(hook, body, now_ms)

    def tell(self, change: Change) -> None:
        if self.webhooks is not None and self.webhooks.all():
            for event, body in events_of(change, self.clock.now_ms()):
                self.webhooks.tell(event, body, among=hooks.is_on)

    # ---- what only Zendesk can be told

    @classmethod
    def control_routes(cls) -> Sequence[BaseRoute]:
        return [Route("/zendesk/tickets/{id}/system_update", system_update, methods=["POST"])]

    def system_update(self, ticket: str) -> Row:
        """What Zendesk does by itself: `generated_timestamp` is raised, `updated_at` is not."""
        row = self.tables.find("tickets", ticket)
        row = replace(row, stamp_ms=self.clock.now_ms(), version=row.version + 1)
        body = desk.finish_ticket(split_object(row.body), row)
        self._write("tickets", replace(row, body=join_object(body).decode()))
        return row

    def _write(self, name: str, row: Row) -> None:
        delay_ms = round(self.sandbox.settings.commit_delay_s * SECOND_MS)
        self.store.write(self.tables.shelf(name), [row], at_ms=self.clock.now_ms(), delay_ms=delay_ms)


@plain
async def system_update(request: Request) -> Any:
    """A ticket's generated_timestamp moves without its updated_at."""
    row = request.app.state.sandbox.side("zendesk").system_update(request.path_params["id"])
    return {"id": row.id, "version": row.version, "deleted": row.deleted == GONE}


def _single(path: str) -> str:
    return SINGLE.get(path) or path.removesuffix("s")
