"""A GitHub App: its private key, its installations, and the tokens these hand out for an hour.

Source: https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import apps
from sandbox.clock import Clock
from sandbox.github import shapes
from sandbox.github.errors import said
from sandbox.kit.access import Passes, presented
from sandbox.kit.table import iso_z
from sandbox.refusals import Refusal
from sandbox.store import Store

APP_ID, APP_SLUG, INSTALLATION = 1001, "sandbox-console", 51_001
MOST_S, SLACK_S = 600, 60
PERMISSIONS = ("metadata", "issues", "pull_requests", "contents", "actions", "members")
ACTIVE, SUSPENDED, GONE = "active", "suspended", "gone"


class GitHubApp:
    """The one app there is; `installations` are those of the two organisations."""

    def __init__(self, store: Store, clock: Clock, passes: Passes):
        self.store, self.clock, self.passes = store, clock, passes

    def private_key(self) -> str:
        """The PEM; made when it is first asked for."""
        pem = self.store.note("github_app", "key")
        if pem is None:
            pem = RSAKey.generate_key(2048).as_pem(private=True).decode()
            self.store.keep_note("github_app", "key", pem)
        return pem

    def state(self, installation: int) -> str:
        """`active`, `suspended` or `gone`."""
        known = installation in (INSTALLATION, INSTALLATION + 1)
        return (self.store.note("github_app", f"installation {installation}") or ACTIVE) if known else GONE

    def set_state(self, installation: int, state: str) -> None:
        """Suspend, remove or restore an installation; its tokens die unless it is active."""
        if state not in (ACTIVE, SUSPENDED, GONE):
            raise ValueError(f"state must be one of {ACTIVE}, {SUSPENDED}, {GONE}")
        self.store.keep_note("github_app", f"installation {installation}", state)
        if state != ACTIVE:
            self.passes.drop_grant(installation)

    def check_proof(self, request: Request) -> None:
        """The app's own signature: RS256, at most ten minutes long, begun already. Raises 401."""
        shown = presented(request.headers)
        try:
            claims = jwt.decode(shown.secret, RSAKey.import_key(self.private_key()), algorithms=["RS256"]).claims
            issued, expires, issuer = int(claims["iat"]), int(claims["exp"]), str(claims["iss"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise said(401, "A JSON web token could not be decoded") from None
        now = self.clock.now_ms() // 1000
        if issuer not in (str(APP_ID), apps.DEFAULT_CLIENT_ID):
            raise said(401, "'Issuer' claim ('iss') must be the app's id or client id")
        if issued > now + SLACK_S:
            raise said(401, "'Issued at' claim ('iat') must be an Integer representing a time in the past")
        if expires <= now or expires > now + MOST_S:
            raise said(401, "'Expiration time' claim ('exp') is too far in the future, or has passed")

    def token(self, installation: int, life_s: float) -> dict[str, Any]:
        """A token of this installation: 300 characters and more. Raises 404 and 403."""
        state = self.state(installation)
        if state == GONE:
            raise said(404, "Not Found")
        if state == SUSPENDED:
            raise said(403, "This installation has been suspended")
        prefix = f"ghs_{APP_ID}_{'x' * 260}"
        token = self.passes.make(prefix, PERMISSIONS, life_s=life_s, grant=installation, user=f"{installation}")
        expires_at = iso_z(self.clock.now_ms() + round(life_s * 1000))
        return {"token": token, "expires_at": expires_at, "repository_selection": "all",
                "permissions": dict.fromkeys(PERMISSIONS, "read")}  # fmt: skip

    def installations(self) -> list[dict[str, Any]]:
        """Those that are not gone, as a signed-in user is shown them."""
        found = []
        for number, login in ((INSTALLATION, shapes.ORGANISATION), (INSTALLATION + 1, shapes.OTHER)):
            if self.state(number) != GONE:
                account, url = shapes.organisation(login), f"{shapes.API}/app/installations/{number}"
                found.append({
                    "id": number, "app_id": APP_ID, "app_slug": APP_SLUG, "target_id": account["id"],
                    "account": account, "target_type": "Organization", "single_file_name": None,
                    "repository_selection": "all",
                    "access_tokens_url": f"{url}/access_tokens", "html_url": shapes.WEB, "events": [],
                    "repositories_url": f"{shapes.API}/installation/repositories", "suspended_by": None,
                    "permissions": dict.fromkeys(PERMISSIONS, "read"), "suspended_at": None,
                    "created_at": "2026-01-05T08:00:00Z", "updated_at": "2026-01-05T08:00:00Z",
                })  # fmt: skip
        return found


async def access_tokens(request: Request) -> Response:
    """`POST /app/installations/{id}/access_tokens`, signed by the app itself."""
    side = request.scope["side"]
    try:
        side.app.check_proof(request)
        life_s = float(side.setting("installation_ttl_s"))
        return JSONResponse(side.app.token(request.path_params["id"], life_s), 201)
    except Refusal as refusal:
        return refusal.response()
