"""Zendesk's sign-in: code with PKCE, refresh that kills both old tokens, client credentials; a life the app chooses.

Source: https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from sandbox.kit.oauth import CodeFlow, Grant, OAuthRefusal, Rules
from sandbox.rawjson import load

USUAL_LIFE_S = 1_800
SHORTEST_S, LONGEST_S = 300, 172_800
REFRESH_LIFE_S = 30 * 86_400
SCOPES = {
    "read": "Read everything you can read", "write": "Change everything you can change",
    "tickets:read": "Read tickets", "users:read": "Read users", "organizations:read": "Read organizations",
    "macros:read": "Read macros", "triggers:read": "Read triggers", "automations:read": "Read automations",
    "satisfaction_ratings:read": "Read satisfaction ratings", "webhooks:read": "Read webhooks",
    "webhooks:write": "Change webhooks",
}  # fmt: skip
RULES = Rules("/oauth/authorizations/new", "/oauth/tokens", SCOPES, "", "", code_life_s=120,
              access_life_s=USUAL_LIFE_S, refresh_life_s=REFRESH_LIFE_S, rotates=True)  # fmt: skip
NO_SUCH_SCOPE = "-"


class ZendeskFlow(CodeFlow):
    """What Zendesk does beyond the rules."""

    asked_life_s: float = USUAL_LIFE_S

    def account(self, request: Request) -> str:
        return "sandbox.zendesk.com"

    def checked_scopes(self, asked: str) -> tuple[str, ...]:
        """An unknown scope is no error here: the token is simply refused everywhere."""
        names = tuple(asked.split()) or ("read",)
        return names if all(name in SCOPES for name in names) else (NO_SUCH_SCOPE,)

    def access_life_s(self) -> float:
        """As long as the app asks for; or as the setting `zendesk_token_ttl_s` says."""
        return float(self.side.setting("token_ttl_s")) or self.asked_life_s

    def token_answer(self, grant: Grant, tokens: dict[str, Any]) -> dict[str, Any]:
        if "refresh_token" in tokens:
            tokens["refresh_token_expires_in"] = REFRESH_LIFE_S
        return tokens

    def _granted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        """Clients of before 2026 get tokens without an end, unless they name one."""
        named = form.get("expires_in")
        if named is not None and not SHORTEST_S <= int(named) <= LONGEST_S:
            raise OAuthRefusal("invalid_request", "expires_in is out of range")
        is_eternal = named is None and self.side.setting("old_clients")
        self.asked_life_s = 0 if is_eternal else float(named or USUAL_LIFE_S)
        if form.get("grant_type") == "client_credentials":
            return self._minted(form, client_id, client_secret)
        tokens = super()._granted(form, client_id, client_secret)
        return self._without_refresh(tokens) if is_eternal else tokens

    def _minted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        if not self.side.sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthRefusal("invalid_client", "client authentication failed", 401)
        grant = Grant(self.store.count_up(f"{self.kind}/grants"), client_id, self.checked_scopes(form.get("scope", "")))
        return self._without_refresh(self._tokens(grant))

    def _without_refresh(self, tokens: dict[str, Any]) -> dict[str, Any]:
        self._take("grant", tokens.pop("refresh_token"))
        tokens.pop("refresh_token_expires_in")
        return tokens

    def _refreshed(self, refresh_token: str, client_id: str) -> dict[str, Any]:
        """A new pair; the old access token dies with the old refresh token."""
        note = self.store.note(f"{self.kind}_grant", refresh_token)
        if note and load(note)["client_id"] == client_id:
            self.passes.drop_grant(load(note)["number"])
        return super()._refreshed(refresh_token, client_id)
