"""HubSpot's OAuth: scopes an app must have and those it may have, tokens of half an hour, refusals in two languages.

Docs    https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/oauth
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.hubspot.kinds import PORTAL, SCOPES
from sandbox.kit.consent import ASKED, asked_of, back, consent_page, unknown_app
from sandbox.kit.oauth import CodeFlow, Grant, OAuthRefusal, Rules

RULES = Rules("/oauth/authorize", "/oauth/2026-09/token", SCOPES, "CI", "na1-", access_life_s=1_800)
STATUSES = {"invalid_client": "BAD_CLIENT_SECRET", "invalid_grant": "BAD_REFRESH_TOKEN", "invalid_scope": "BAD_SCOPES"}


class HubSpotFlow(CodeFlow):
    """`optional_scope` beside `scope`; what the account does not have is left out without a word."""

    async def authorize(self, request: Request) -> Response:
        """GET shows the consent page; POST, from its buttons, goes back to the app."""
        asked, form = await asked_of(request, (*ASKED, "optional_scope"))
        refusal = unknown_app(request, asked)
        if refusal is not None:
            return refusal
        try:
            scopes = self._checked({**asked, "response_type": "code"})
            scopes = tuple(dict.fromkeys([*scopes, *self._had(self.checked_scopes(asked["optional_scope"]))]))
        except OAuthRefusal as error:
            return back(asked, {"error": error.error, "error_description": error.description})
        if request.method == "GET":
            words = [self.rules.scopes[name] for name in scopes]
            return consent_page(request, self.side.label, asked, words, f"account {PORTAL}")
        if form.get("answer") != "allow":
            return back(asked, {"error": "access_denied", "error_description": "User denied access"})
        return back(asked, {"code": self.issue_code(asked, scopes)})

    def _had(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        lacking = str(self.side.setting("lacking_scopes")).split()
        return tuple(scope for scope in scopes if scope not in lacking)

    def token_answer(self, grant: Grant, tokens: dict[str, Any]) -> dict[str, Any]:
        scopes = tokens.pop("scope").split()
        return {**tokens, "token_use": "access_token", "hub_id": PORTAL, "user_id": 99, "scopes": scopes}

    def _granted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        self.rules = replace(self.rules, rotates=bool(self.side.setting("rotate_refresh_tokens")))
        try:
            return super()._granted(form, client_id, client_secret)
        except OAuthRefusal as error:
            if error.error == "invalid_grant" and form.get("grant_type") == "authorization_code":
                raise OAuthRefusal("invalid_grant", "BAD_AUTH_CODE") from error
            raise

    def refused(self, error: OAuthRefusal) -> Response:
        """Always 400, in the words of the RFC and in HubSpot's own."""
        status = (
            error.description if error.description.startswith("BAD_") else STATUSES.get(error.error, "BAD_GRANT_TYPE")
        )
        message = "refresh token is invalid, expired or revoked" if status == "BAD_REFRESH_TOKEN" else error.description
        return JSONResponse(
            {"error": error.error, "error_description": message, "status": status, "message": message}, 400
        )
