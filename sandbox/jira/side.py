"""The Jira Cloud side: a site and the gateway before it, one user, and everything people do in Jira.

Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3, …/cloud/jira/software/rest
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.clock import SECOND_MS
from sandbox.faults import Fault
from sandbox.jira import hooks, people, signin
from sandbox.jira.errors import REMOVED, DeadLink, PlainRefusal, gateway, told
from sandbox.jira.follow import Follower
from sandbox.jira.issues import Issues
from sandbox.jira.lists import Lists
from sandbox.jira.members import Endpoint, Members
from sandbox.jira.small import SMALL
from sandbox.jira.times import jira_time
from sandbox.jira.work import WORK
from sandbox.kit.access import ALL, Pass, Presented
from sandbox.kit.budget import Left
from sandbox.kit.rest_side import RestSide
from sandbox.kit.table import iso_z
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Hook
from sandbox.refusals import Refusal

WORK_SCOPE, USER_SCOPE = "read:jira-work", "read:jira-user"
BOARD_SCOPE, SPRINT_SCOPE = "read:board-scope:jira-software", "read:sprint:jira-software"
HOOK_SCOPE = "manage:jira-webhook"
GATEWAY = "/ex/jira/{cloud_id}"


class Jira(RestSide):
    key, label, page_token_mark = "jira", "Jira Cloud", "/search/jql"
    catalogue = (*SMALL[:1], *WORK, *SMALL[1:])
    rules, flow_type = signin.RULES, signin.AtlassianFlow
    page_token_life_s = 7 * 86_400
    sends_webhooks, habits = True, hooks.HABITS
    ready_keys = {
        "sandbox-jira-token": Pass(user=people.USER_EMAIL),
        "sandbox-jira-scoped-token": Pass((WORK_SCOPE, USER_SCOPE, BOARD_SCOPE, SPRINT_SCOPE), user=people.USER_EMAIL),
    }
    key_prefix = "ATATT3x"
    own_settings = {
        "budget_calls": 0, "token_ttl_s": 3_600, "time_zone": "Europe/Berlin", "sites": 1, "refresh_leeway_s": 600.0,
        "worklog_hold_s": 60.0, "empty_pages": False, "repeat_tokens": False,
    }  # fmt: skip
    own_faults = {
        "captcha": "403 after too many wrong sign-ins, told by a header",
        "scope_mismatch": "401: the token lacks a scope",
        "dead_link": "404 with an HTML page",
    }
    system_fields = frozenset({"id", "self", "key", "created", "updated", "sandboxVersion"})

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.issues = Issues(self.tables, self.page_tokens, self.setting)
        self.members, self.lists = Members(self.tables, self.setting), Lists(self.tables)
        self.tables.listeners.append(Follower(self.tables).follow)

    # ---- routes

    def routes(self) -> Sequence[BaseRoute]:
        """The site's own paths, and all of them again behind the gateway."""
        flow: Sequence[BaseRoute] = self.flow.routes() if self.flow else ()
        return [
            *flow, self.get("/oauth/token/accessible-resources", self.accessible_resources),
            Route("/_edge/tenant_info", self.tenant_info), *self._api(""), *self._api(GATEWAY),
            *self._open("/rest/api/3/serverInfo", self.server_info),
        ]  # fmt: skip

    def _open(self, path: str, endpoint: Endpoint) -> list[Route]:
        return [Route(path, endpoint), Route(GATEWAY + path, endpoint)]

    def _api(self, prefix: str) -> list[Route]:
        """Everything that wants a caller."""
        api, agile, lists, issues, members = "/rest/api/3", "/rest/agile/1.0", self.lists, self.issues, self.members
        reads: list[tuple[str, Endpoint, str]] = [
            (f"{api}/myself", self.myself, USER_SCOPE),
            (f"{api}/search/jql", issues.search, WORK_SCOPE),
            (f"{api}/issue/{{issue}}/comment", members.of_issue("comment"), WORK_SCOPE),
            (f"{api}/issue/{{issue}}/worklog", members.of_issue("worklog"), WORK_SCOPE),
            (f"{api}/worklog/updated", members.worklogs(deleted=False), WORK_SCOPE),
            (f"{api}/worklog/deleted", members.worklogs(deleted=True), WORK_SCOPE),
            (f"{api}/project/search", lists.projects, WORK_SCOPE),
            (f"{api}/project/{{project}}/component", lists.of_project("component"), WORK_SCOPE),
            (f"{api}/project/{{project}}/version", lists.of_project("version"), WORK_SCOPE),
            (f"{api}/users/search", lists.users, USER_SCOPE),
            (f"{api}/group/bulk", lists.paged("group"), USER_SCOPE),
            (f"{api}/priority/search", lists.paged("priority"), WORK_SCOPE),
            (f"{api}/resolution/search", lists.paged("resolution"), WORK_SCOPE),
            (f"{api}/filter/search", lists.paged("filter", most=100), WORK_SCOPE),
            (f"{api}/dashboard", lists.paged("dashboard", path="dashboards"), WORK_SCOPE),
            (f"{api}/field", lists.at_once("field"), WORK_SCOPE),
            (f"{api}/issuetype", lists.at_once("issue_type"), WORK_SCOPE),
            (f"{api}/status", lists.at_once("status"), WORK_SCOPE),
            (f"{api}/statuscategory", lists.at_once("status_category"), WORK_SCOPE),
            (f"{api}/projectCategory", lists.at_once("project_category"), WORK_SCOPE),
            (f"{api}/issueLinkType", lists.at_once("issue_link_type", path="issueLinkTypes"), WORK_SCOPE),
            (f"{agile}/board", lists.paged("board"), BOARD_SCOPE),
            (f"{agile}/board/{{board}}/sprint", lists.sprints, SPRINT_SCOPE),
        ]
        posts: list[tuple[str, Endpoint, str]] = [
            (f"{api}/search/jql", issues.search, WORK_SCOPE),
            (f"{api}/search/approximate-count", issues.count, WORK_SCOPE),
            (f"{api}/issue/bulkfetch", issues.bulk_fetch, WORK_SCOPE),
            (f"{api}/changelog/bulkfetch", issues.changelogs, WORK_SCOPE),
            (f"{api}/comment/list", members.comments_by_id, WORK_SCOPE),
            (f"{api}/worklog/list", members.worklogs_by_id, WORK_SCOPE),
            ("/rest/webhooks/1.0/webhook", self.hooked(hooks.register_by_hand), HOOK_SCOPE),
        ]
        own = [("POST", "", hooks.register), ("GET", "", hooks.listed), ("DELETE", "", hooks.remove),
               ("PUT", "/refresh", hooks.refresh)]  # fmt: skip
        gone = [(f"/rest/api/{number}/search", self.removed, WORK_SCOPE) for number in (2, 3)]
        return [
            *(self._route(prefix, path, endpoint, scope, "GET") for path, endpoint, scope in (*reads, *gone)),
            *(self._route(prefix, path, endpoint, scope, "POST") for path, endpoint, scope in (*posts, *gone)),
            *(
                self._route(prefix, f"{api}/webhook{end}", self.hooked(call), HOOK_SCOPE, method)
                for method, end, call in own
            ),
        ]

    def _route(self, prefix: str, path: str, endpoint: Endpoint, scope: str, method: str) -> Route:
        async def placed(request: Request) -> Response:
            """Tokens with scopes are good behind the gateway alone, and there for the sites they open."""
            caller: Pass = request.state.caller
            cloud_id = request.path_params.get("cloud_id")
            if cloud_id is None and (ALL not in caller.scopes or caller.grant):
                raise PlainRefusal(401, "Client must be authenticated to access this resource.")
            if cloud_id is not None and cloud_id not in [found for found, _ in signin.SITES]:
                raise gateway(404, "Not Found")
            return await endpoint(request)

        return self.get(prefix + path, placed, scope, methods=(method,))

    # ---- who and where

    def identify(self, shown: Presented) -> Pass | None:
        """A token by itself, as bearer; one made by hand with its owner's address, as Basic."""
        found = self.passes.find(shown.secret)
        if found is None or (shown.scheme == "basic") != bool(found.user):
            return None
        return found if shown.user == found.user else None

    def make_key(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """`scopes` are left out for a token without any."""
        made = super().make_key({"user": people.USER_EMAIL, **asked})
        return {**made, "email": asked.get("user", people.USER_EMAIL)}

    async def accessible_resources(self, request: Request) -> Response:
        caller: Pass = request.state.caller
        if not caller.grant:
            raise gateway(401, "Unauthorized")
        return JSONResponse(signin.sites(int(self.setting("sites")), caller.scopes))

    async def tenant_info(self, request: Request) -> Response:
        return JSONResponse({"cloudId": signin.SITES[0][0]})

    async def server_info(self, request: Request) -> Response:
        """Tells anybody whose site it is."""
        number = next((n for n, (found, _) in enumerate(signin.SITES)
                       if found == request.path_params.get("cloud_id")), 0)  # fmt: skip
        return JSONResponse({
            "baseUrl": f"https://{signin.SITES[number][1]}.atlassian.net", "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0], "deploymentType": "Cloud", "serverTitle": "Jira",
            "serverTime": jira_time(self.clock.now_ms()), "serverTimeZone": "Europe/Berlin",
        })  # fmt: skip

    async def myself(self, request: Request) -> Response:
        return JSONResponse({
            "self": f"{people.SITE}/rest/api/3/user?accountId={people.account_id(1)}", "active": True,
            "accountId": people.account_id(1), "accountType": "atlassian", "emailAddress": people.USER_EMAIL,
            "displayName": people.OWN_NAME, "timeZone": self.setting("time_zone"), "locale": "en_GB",
        }, headers={"X-AACCOUNTID": people.account_id(1)})  # fmt: skip

    async def removed(self, request: Request) -> Response:
        raise REMOVED

    # ---- refusals and limits

    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        if shown.scheme == "basic":
            return PlainRefusal(401, "Client must be authenticated to access this resource.")
        return gateway(401, "Unauthorized")

    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        return gateway(401, "Unauthorized; scope does not match")

    def over_budget(self, left: Left) -> Refusal:
        return _slow_down("jira-quota-global-based", left.reset_ms - self.clock.now_ms(), left.reset_ms)

    def headers(self, request: Request, left: Left) -> Mapping[str, str]:
        """The structured limit headers, for callers that have a quota: those of OAuth apps, not of tokens."""
        if not left.limit:
            return {}
        reset_s = (left.reset_ms - self.clock.now_ms()) // SECOND_MS
        return {
            "RateLimit-Policy": f'"global-app-quota";q={left.limit};w={self.budget_s}',
            "RateLimit": f'"global-app-quota";r={left.left};t={reset_s}',
        }

    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        return {
            "rate_limit": told(429, "Rate limit exceeded.", headers={"RateLimit-Reason": "jira-burst-based"}),
            "quota": told(429, "Rate limit exceeded.", headers={"RateLimit-Reason": "jira-quota-global-based"}),
            "server_error": told(500, "Internal server error"),
            "lost_page_token": told(400, "The provided nextPageToken is invalid or has expired."),
            "forbidden": told(403, "You do not have permission to perform this operation."),
            "captcha": told(403, "Login denied.", headers={"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}),
            "scope_mismatch": gateway(401, "Unauthorized; scope does not match"),
            "dead_link": DeadLink(),
        }  # fmt: skip

    # ---- webhooks

    def hooked(self, endpoint: Callable[[Jira, Request], Awaitable[Response]]) -> Endpoint:
        async def entered(request: Request) -> Response:
            return await endpoint(self, request)

        return entered

    def sign(self, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
        return hooks.sign(self, hook, body, now_ms)

    def tell(self, change: Change) -> None:
        hooks.tell(self, change)


def _slow_down(reason: str, wait_ms: int, reset_ms: int) -> Refusal:
    headers = {"RateLimit-Reason": reason, "Retry-After": str(max(1, round(wait_ms / SECOND_MS))),
               "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": iso_z(reset_ms)}  # fmt: skip
    return told(429, "Rate limit exceeded.", headers=headers)
