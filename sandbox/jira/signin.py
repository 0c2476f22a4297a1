"""Atlassian's sign-in: OAuth 2.0 (3LO) with rotating refresh tokens, client credentials, and the sites a token opens.

Source: https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.clock import SECOND_MS
from sandbox.kit.consent import asked_of, back
from sandbox.kit.oauth import CodeFlow, Grant, OAuthRefusal, Rules
from sandbox.rawjson import dump, load

AUDIENCE = "api.atlassian.com"
SITES = (
    ("8d2f6c1e-0b7a-4f53-9e64-a1c7d0e2b935", "sandbox"),
    ("1b7ecf30-52aa-4d0e-8c0f-6f2d9b3e7a41", "sandbox-two"),
)
SCOPES = {
    "read:jira-work": "View Jira issue data", "read:jira-user": "View user profiles",
    "read:board-scope:jira-software": "View boards", "read:sprint:jira-software": "View sprints",
    "read:project:jira": "View projects", "read:issue-details:jira": "View issue details",
    "read:jql:jira": "View JQL", "manage:jira-webhook": "Manage Jira webhooks",
    "offline_access": "Read while you are away",
}  # fmt: skip
RULES = Rules(
    "/authorize", "/oauth/token", SCOPES, "eyJhbGciOi", "eyJraWQiOi", access_life_s=3_600,
    refresh_life_s=90 * 86_400, needs_scope="offline_access", rotates=True,
)  # fmt: skip


class AtlassianFlow(CodeFlow):
    """3LO as the rules allow, and what they do not: a leeway for the old refresh token, and service accounts."""

    def account(self, request: Request) -> str:
        return f"{SITES[0][1]}.atlassian.net"

    async def authorize(self, request: Request) -> Response:
        """The app must say whom the token is for, and send a state; a challenge is ignored."""
        if request.method == "GET":
            asked, query = await asked_of(request)
            for name, fits in (("audience", query.get("audience") == AUDIENCE), ("state", bool(asked["state"]))):
                if not fits and asked["redirect_uri"]:
                    return back(asked, {"error": "invalid_request", "error_description": f"{name} is missing"})
        return await super().authorize(request)

    def token_answer(self, grant: Grant, tokens: dict[str, Any]) -> dict[str, Any]:
        """Whose token it is, is remembered: webhooks belong to an app."""
        self.store.keep_note("jira_grant_client", str(grant.number), grant.client_id)
        return tokens

    def refused(self, error: OAuthRefusal) -> Response:
        status = 403 if error.error == "unauthorized_client" else error.status
        return JSONResponse({"error": error.error, "error_description": error.description}, status)

    def _granted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        if form.get("grant_type") != "client_credentials":
            return super()._granted(form, client_id, client_secret)
        if not self.side.sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthRefusal("access_denied", "Unauthorized", 401)
        scopes = tuple(name for name in SCOPES if name != "offline_access")
        return self._tokens(Grant(self.store.count_up(f"{self.kind}/grants"), client_id, scopes))

    def _refreshed(self, refresh_token: str, client_id: str) -> dict[str, Any]:
        """The old token works for some minutes more, so that a lost answer is no lost connection."""
        leeway_ms = round(self.side.setting("refresh_leeway_s") * SECOND_MS)
        spent = self.store.note(f"{self.kind}_spent", refresh_token)
        if spent and self.clock.now_ms() - load(spent)["at_ms"] < leeway_ms:
            kept = load(spent)["grant"]
            return self._tokens(Grant(**kept | {"scopes": tuple(kept["scopes"])}))
        note = self.store.note(f"{self.kind}_grant", refresh_token)
        try:
            answer = super()._refreshed(refresh_token, client_id)
        except OAuthRefusal:
            raise OAuthRefusal("unauthorized_client", "refresh_token is invalid") from None
        spent_now = dump({"at_ms": self.clock.now_ms(), "grant": load(note or "{}")})
        self.store.keep_note(f"{self.kind}_spent", refresh_token, spent_now.decode())
        return answer

    def end_grants(self, client_id: str | None = None) -> int:
        for token in self.store.notes(f"{self.kind}_spent"):
            self.store.drop_note(f"{self.kind}_spent", token)
        return super().end_grants(client_id)


def sites(count: int, scopes: tuple[str, ...]) -> list[dict[str, Any]]:
    """What `/oauth/token/accessible-resources` lists; a site of Confluence alone is never among the chosen ones."""
    granted = [scope for scope in scopes if scope != "offline_access"]
    return [
        {"id": cloud_id, "name": name, "url": f"https://{name}.atlassian.net", "scopes": granted,
         "avatarUrl": "https://site-admin-avatar-cdn.prod.public.atl-paas.net/avatars/240/flag.png"}
        for cloud_id, name in SITES[:count]
    ]  # fmt: skip
