"""A generic OAuth 2 code flow: consent page, token endpoint, refresh. A side describes its own by `Rules`.

What differs more than the rules allow is a method to override: `account`, `token_answer`, `refused`.
Source: RFC 6749, RFC 7636
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import SECOND_MS
from sandbox.kit.access import Passes
from sandbox.kit.consent import asked_of, back, challenge_of, client_of, consent_page, unknown_app
from sandbox.rawjson import dump, load

if TYPE_CHECKING:
    from sandbox.side import Side


@dataclass(frozen=True)
class Rules:
    """How one upstream does OAuth.

    scopes            those that exist, each in the words of its consent page
    access_life_s     0: access tokens never expire, and no `expires_in` is told
    refreshes         tokens come with a refresh token; `needs_scope`: only when this scope is asked for
    rotates           each refresh answers with a new refresh token, and the old one dies at once
    pkce_required     a code is not given without an S256 challenge
    separator         between scopes, in what is asked and told
    form_answers      the token endpoint answers as a form unless JSON is accepted (GitHub)
    """

    authorize_path: str
    token_path: str
    scopes: Mapping[str, str]
    access_prefix: str
    refresh_prefix: str = "r_"
    code_life_s: float = 600
    access_life_s: float = 3_600
    refresh_life_s: float = 0
    refreshes: bool = True
    needs_scope: str = ""
    rotates: bool = False
    pkce_required: bool = False
    separator: str = " "
    form_answers: bool = False


@dataclass(frozen=True)
class Grant:
    """One approval, as its refresh token finds it. `more`: what the side asked besides, such as the site chosen."""

    number: int
    client_id: str
    scopes: tuple[str, ...]
    redirect_uri: str = ""
    challenge: str = ""
    made_ms: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)


class OAuthRefusal(Exception):
    """`{"error": …, "error_description": …}`; 401 for a client that is not who it says, else 400."""

    def __init__(self, error: str, description: str, status: int = 400):
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


class CodeFlow:
    """The flow of one side. Codes, grants and tokens outlive a restart."""

    def __init__(self, side: Side, rules: Rules, passes: Passes):
        self.side, self.rules, self.passes = side, rules, passes
        self.store, self.clock, self.kind = side.store, side.clock, side.key

    def routes(self) -> list[Route]:
        return [Route(self.rules.authorize_path, self.authorize, methods=["GET", "POST"]),
                Route(self.rules.token_path, self.token, methods=["POST"])]  # fmt: skip

    # ---- what a side may say otherwise

    def account(self, request: Request) -> str:
        """Whose account the consent page speaks of."""
        return f"{self.side.label} of Sandbox Coffee Works"

    def token_answer(self, grant: Grant, tokens: dict[str, Any]) -> dict[str, Any]:
        """The token endpoint's answer, with what only this upstream adds."""
        return tokens

    def refused(self, error: OAuthRefusal) -> Response:
        """The token endpoint's refusal."""
        return JSONResponse({"error": error.error, "error_description": error.description}, error.status)

    def checked_scopes(self, asked: str) -> tuple[str, ...]:
        """The scopes asked for. Raises OAuthRefusal for one that does not exist."""
        names = tuple(asked.replace(self.rules.separator, " ").split())
        unknown = [name for name in names if name not in self.rules.scopes]
        if unknown:
            raise OAuthRefusal("invalid_scope", f"unknown scope: {' '.join(unknown)}")
        return names

    # ---- routes

    async def authorize(self, request: Request) -> Response:
        """GET shows the consent page; POST, from its buttons, goes back to the app with a code or a refusal."""
        asked, form = await asked_of(request)
        refusal = unknown_app(request, asked)
        if refusal is not None:
            return refusal
        try:
            scopes = self._checked(asked)
        except OAuthRefusal as error:
            return back(asked, {"error": error.error, "error_description": error.description})
        if request.method == "GET":
            words = [self.rules.scopes[name] for name in scopes]
            return consent_page(request, self.side.label, asked, words, self.account(request))
        if form.get("answer") != "allow":
            return back(asked, {"error": "access_denied", "error_description": "The user denied access."})
        return back(asked, {"code": self.issue_code(asked, scopes)})

    async def token(self, request: Request) -> Response:
        """Tokens for a code or a refresh token; the body is a form or JSON, the client's proof in it or in Basic."""
        is_json = request.headers.get("content-type", "").startswith("application/json")
        form = load(await request.body() or b"{}") if is_json else dict(await request.form())
        try:
            answer = self._granted(form, *client_of(request, form))
        except OAuthRefusal as error:
            return self.refused(error)
        if self.rules.form_answers and "json" not in request.headers.get("accept", ""):
            return Response(urlencode(answer), media_type="application/x-www-form-urlencoded")
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    # ---- codes and grants

    def issue_code(self, asked: Mapping[str, str], scopes: tuple[str, ...], **more: Any) -> str:
        """A code for a user who pressed Allow."""
        code, number = secrets.token_urlsafe(24), self.store.count_up(f"{self.kind}/grants")
        grant = Grant(number, asked["client_id"], scopes, asked["redirect_uri"], asked["code_challenge"],
                      self.clock.now_ms(), more)  # fmt: skip
        self._keep("code", code, grant)
        return code

    def open_grant(self, client_id: str, scopes: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        """Tokens as if a user had just approved; all scopes unless some are named."""
        number = self.store.count_up(f"{self.kind}/grants")
        return self._tokens(Grant(number, client_id, scopes or tuple(self.rules.scopes), more=more))

    def end_grants(self, client_id: str | None = None) -> int:
        """End all grants, or those of one app. Returns how many refresh tokens and access tokens died."""
        ended = 0
        for token, note in self.store.notes(f"{self.kind}_grant").items():
            grant = _read(note)
            if client_id in (None, grant.client_id):
                self.store.drop_note(f"{self.kind}_grant", token)
                ended += 1 + self.passes.drop_grant(grant.number)
        return ended

    def revoke(self, token: str) -> int:
        """End the grant of a refresh token, or one access token."""
        grant = self._take("grant", token)
        return 1 + self.passes.drop_grant(grant.number) if grant else self.passes.drop(token)

    def _checked(self, asked: Mapping[str, str]) -> tuple[str, ...]:
        if asked["response_type"] != "code":
            raise OAuthRefusal("unsupported_response_type", "response_type must be code")
        if asked["code_challenge"] and asked["code_challenge_method"] != "S256":
            raise OAuthRefusal("invalid_request", "code_challenge_method must be S256")
        if self.rules.pkce_required and not asked["code_challenge"]:
            raise OAuthRefusal("invalid_request", "code_challenge is missing")
        return self.checked_scopes(asked["scope"])

    def _granted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        if not self.side.sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthRefusal("invalid_client", "client authentication failed", 401)
        kind = form.get("grant_type", "authorization_code")
        if kind == "authorization_code":
            return self._tokens(self._redeemed(form, client_id))
        if kind == "refresh_token" and self.rules.refreshes:
            return self._refreshed(str(form.get("refresh_token", "")), client_id)
        raise OAuthRefusal("unsupported_grant_type", f"unsupported grant type: {kind}")

    def _redeemed(self, form: Mapping[str, Any], client_id: str) -> Grant:
        """The grant of a code. Each works once, for the app and the redirect URI it was made for."""
        grant = self._take("code", str(form.get("code", "")))
        if grant is None or grant.client_id != client_id:
            raise OAuthRefusal("invalid_grant", "the code is invalid")
        if grant.made_ms < self.clock.now_ms() - self.rules.code_life_s * SECOND_MS:
            raise OAuthRefusal("invalid_grant", "the code has expired")
        if form.get("redirect_uri", grant.redirect_uri) != grant.redirect_uri:
            raise OAuthRefusal("invalid_grant", "redirect_uri is not the one the code was made for")
        if grant.challenge and challenge_of(str(form.get("code_verifier", ""))) != grant.challenge:
            raise OAuthRefusal("invalid_grant", "code_verifier does not fit the challenge")
        return grant

    def _refreshed(self, refresh_token: str, client_id: str) -> dict[str, Any]:
        note = self.store.note(f"{self.kind}_grant", refresh_token)
        grant = _read(note) if note else None
        if grant is None or grant.client_id != client_id:
            raise OAuthRefusal("invalid_grant", "the refresh token is invalid")
        life_ms = self.rules.refresh_life_s * SECOND_MS
        if life_ms and grant.made_ms < self.clock.now_ms() - life_ms:
            raise OAuthRefusal("invalid_grant", "the refresh token has expired")
        if not self.rules.rotates:
            return self._tokens(grant, refresh_token)
        self._take("grant", refresh_token)
        return self._tokens(grant)

    def access_life_s(self) -> float:
        """Life of an access token: the side's own setting `token_ttl_s`, where it has one."""
        return float(self.side.sandbox.settings.own.get(f"{self.kind}_token_ttl_s", self.rules.access_life_s))

    def _tokens(self, grant: Grant, refresh_token: str = "") -> dict[str, Any]:
        """A new access token, and the refresh token given or a new one."""
        rules, life_s = self.rules, self.access_life_s()
        access = self.passes.make(rules.access_prefix, grant.scopes, life_s=life_s, grant=grant.number)
        tokens: dict[str, Any] = {"access_token": access, "token_type": "bearer",
                                  "scope": rules.separator.join(grant.scopes)}  # fmt: skip
        if life_s:
            tokens["expires_in"] = round(life_s)
        refresh_token = refresh_token or f"{rules.refresh_prefix}{secrets.token_urlsafe(32)}"
        self._keep("grant", refresh_token, replace(grant, made_ms=self.clock.now_ms()))
        if rules.refreshes and (not rules.needs_scope or rules.needs_scope in grant.scopes):
            tokens["refresh_token"] = refresh_token
        return self.token_answer(grant, tokens)

    def _keep(self, what: str, secret: str, grant: Grant) -> None:
        self.store.keep_note(f"{self.kind}_{what}", secret, dump(asdict(grant)).decode())

    def _take(self, what: str, secret: str) -> Grant | None:
        """The grant kept under a secret, which works no more."""
        note = self.store.note(f"{self.kind}_{what}", secret)
        self.store.drop_note(f"{self.kind}_{what}", secret)
        return _read(note) if note else None


def _read(note: str) -> Grant:
    kept = load(note)
    return Grant(**kept | {"scopes": tuple(kept["scopes"])})
