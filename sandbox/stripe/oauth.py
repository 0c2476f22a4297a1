"""OAuth of a Stripe App: consent page, code for tokens, rotating refresh.

The token endpoint is authenticated by the app developer's secret key, whose mode must be the code's.
Source: https://docs.stripe.com/stripe-apps/api-authentication/oauth
"""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.apps import DEFAULT_CLIENT_SECRET
from sandbox.clock import DAY_MS, SECOND_MS
from sandbox.kit.consent import asked_of, back, consent_page, unknown_app
from sandbox.rawjson import dump, load
from sandbox.stripe.account import ACCOUNT_ID, MODES
from sandbox.stripe.keys import DEVELOPER_KEYS, Key, Keys, secret_of

CODE_LIFE_MS = 5 * 60 * SECOND_MS
REFRESH_LIFE_MS = 365 * DAY_MS
ASKED = ("client_id", "redirect_uri", "state", "scope", "response_type")


class AppGrants:
    """Codes and refresh tokens of installed apps."""

    def __init__(self, keys: Keys):
        self.keys = keys
        self.store = keys.store
        self.account = keys.account

    def issue_code(self, client_id: str, mode: str) -> str:
        code = f"ac_{secrets.token_urlsafe(24)}"
        note = {"client_id": client_id, "mode": mode, "made_ms": self.account.clock.now_ms(), "grant": ""}
        self.store.keep_note("stripe_code", code, dump(note).decode())
        return code

    def redeem(self, code: str, mode: str) -> dict[str, Any] | None:
        """Tokens for a code. A code used twice ends the grant it made: None, as for any bad code."""
        note = self.store.note("stripe_code", code)
        made = load(note) if note else None
        if made is None or made["mode"] != mode or made["made_ms"] < self.account.clock.now_ms() - CODE_LIFE_MS:
            return None
        if made["grant"]:
            self.end(made["grant"])
            return None
        made["grant"] = f"grant_{self.store.count_up('stripe/grants')}"
        self.store.keep_note("stripe_code", code, dump(made).decode())
        return self._tokens(made["grant"], mode)

    def refresh(self, refresh_token: str, mode: str) -> dict[str, Any] | None:
        """New tokens; the refresh token given is dead from now on."""
        note = self.store.note("stripe_refresh", refresh_token)
        made = load(note) if note else None
        if made is None or made["mode"] != mode or made["expires_ms"] < self.account.clock.now_ms():
            return None
        self.store.drop_note("stripe_refresh", refresh_token)
        return self._tokens(made["grant"], mode)

    def end(self, grant: str = "") -> int:
        """Take away one grant, or all: refresh tokens and access tokens. Returns how many access tokens died."""
        for token, note in self.store.notes("stripe_refresh").items():
            if grant in ("", load(note)["grant"]):
                self.store.drop_note("stripe_refresh", token)
        return self.keys.drop_grant(grant)

    def _tokens(self, grant: str, mode: str) -> dict[str, Any]:
        now_ms, life_s = self.account.clock.now_ms(), self.account.settings().stripe_token_ttl_s
        access_token, refresh_token = f"sk_{mode}_{secrets.token_hex(24)}", f"rt_{secrets.token_urlsafe(32)}"
        self.keys.keep(access_token, Key(mode, expires_ms=now_ms + round(life_s * SECOND_MS), grant=grant))
        kept = {"grant": grant, "mode": mode, "expires_ms": now_ms + REFRESH_LIFE_MS}
        self.store.keep_note("stripe_refresh", refresh_token, dump(kept).decode())
        return {
            "access_token": access_token, "refresh_token": refresh_token, "token_type": "bearer",
            "scope": "stripe_apps", "livemode": mode == "live", "stripe_user_id": ACCOUNT_ID,
            "stripe_publishable_key": f"pk_{mode}_sandbox",
        }  # fmt: skip


async def authorize(request: Request) -> Response:
    """GET shows the consent page with the mode to install in; POST goes back with a code or a refusal."""
    asked, form = await asked_of(request, ASKED)
    refusal = unknown_app(request, asked)
    if refusal is not None:
        return refusal
    if request.method == "GET":
        scopes = ["Read all objects of the account"]
        return consent_page(request, "Stripe", asked, scopes, "Sandbox Coffee Works", modes=MODES)
    mode = str(form.get("mode", "test"))
    if form.get("answer") != "allow" or mode not in MODES:
        answer = {"error": "access_denied", "error_description": "The user denied your request"}
    else:
        answer = {"code": request.scope["side"].grants.issue_code(asked["client_id"], mode), "scope": "stripe_apps"}
    return back(asked, answer)


async def token(request: Request) -> Response:
    """`POST /v1/oauth/token`: authorization_code and refresh_token."""
    grants: AppGrants = request.scope["side"].grants
    mode = developer_mode(secret_of(request.headers))
    if mode is None:
        return _refused("invalid_client", "No such API key", 401)
    form = await request.form()
    kind = form.get("grant_type")
    if kind == "authorization_code":
        answer, problem = grants.redeem(str(form.get("code", "")), mode), "Authorization code does not exist"
    elif kind == "refresh_token":
        answer, problem = grants.refresh(str(form.get("refresh_token", "")), mode), "Refresh token does not exist"
    else:
        return _refused("unsupported_grant_type", f"Unsupported grant type: {kind}")
    return JSONResponse(answer) if answer else _refused("invalid_grant", problem)


def developer_mode(secret: str) -> str | None:
    """The mode of a developer's key; the app's client secret stands for the test one."""
    if secret == DEFAULT_CLIENT_SECRET:
        return "test"
    return next((mode for mode, key in DEVELOPER_KEYS.items() if key == secret), None)


def _refused(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


ROUTES = [
    Route("/oauth/v2/authorize", authorize, methods=["GET", "POST"]),
    Route("/oauth/v2/{link}/authorize", authorize, methods=["GET", "POST"]),
    Route("/v1/oauth/token", token, methods=["POST"]),
]
