"""OAuth of an OAuth app, and of a GitHub App's users: refusals come with 200, refresh tokens are good for one use.

Source: https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps and
https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.kit.oauth import CodeFlow, Grant, OAuthRefusal, Rules
from sandbox.rawjson import load

RULES = Rules(
    authorize_path="/login/oauth/authorize",
    token_path="/login/oauth/access_token",
    scopes={"repo": "Full control of private repositories", "read:org": "Read org and team membership",
            "read:user": "Read all user profile data", "read:project": "Read access of projects",
            "read:discussion": "Read all discussions", "offline_access": "Stay signed in",
            "admin:repo_hook": "Full control of repository hooks",
            "admin:org_hook": "Full control of organization hooks"},
    access_prefix="gho_", refresh_prefix="ghr_", access_life_s=0, refresh_life_s=15_811_200, rotates=True,
    separator=",", form_answers=True,
)  # fmt: skip
NAMES = {"invalid_client": "incorrect_client_credentials", "invalid_grant": "bad_verification_code"}


class Flow(CodeFlow):
    """GitHub's flow. Tokens live for ever unless `github_token_ttl_s` says otherwise; then they can be refreshed."""

    def checked_scopes(self, asked: str) -> tuple[str, ...]:
        """Scopes that do not exist are passed over."""
        return tuple(name for name in asked.replace(",", " ").split() if name in self.rules.scopes)

    def token_answer(self, grant: Grant, tokens: dict[str, Any]) -> dict[str, Any]:
        if "expires_in" not in tokens:
            tokens.pop("refresh_token", None)
        elif "refresh_token" in tokens:
            tokens["refresh_token_expires_in"] = round(self.rules.refresh_life_s)
        return tokens

    def refused(self, error: OAuthRefusal) -> Response:
        name = "bad_refresh_token" if "refresh token" in error.description else NAMES.get(error.error, error.error)
        answer = {"error": name, "error_description": error.description, "error_uri": "https://docs.github.com/apps"}
        return JSONResponse(answer)

    def _refreshed(self, refresh_token: str, client_id: str) -> dict[str, Any]:
        """Using a refresh token ends it, and the access token it came with."""
        note = self.store.note(f"{self.kind}_grant", refresh_token)
        answer = super()._refreshed(refresh_token, client_id)
        made = self.passes.find(answer["access_token"])
        if note and made:
            self.passes.drop_grant(load(note)["number"])
            self.passes.keep(answer["access_token"], made)
        return answer
