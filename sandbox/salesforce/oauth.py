"""Salesforce's OAuth 2 routes: consent page, token, revoke, userinfo.

Source: Salesforce help, "OAuth Authorization Flows", "OAuth 2.0 Web Server Flow", "OAuth 2.0 Client Credentials Flow"
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.apps import is_allowed_redirect
from sandbox.rawjson import load
from sandbox.salesforce.errors import OAuthError
from sandbox.salesforce.grants import Grants
from sandbox.salesforce.ids import ORGANIZATION_ID

SCOPE_WORDS = {
    "api": "Manage your data through its APIs", "refresh_token": "Perform requests at any time, even when you are away",
    "offline_access": "Perform requests at any time, even when you are away", "openid": "Access unique identifiers",
    "id": "See who you are", "profile": "See your profile", "email": "See your email address", "full": "Full access",
    "web": "Manage your data through the web",
}  # fmt: skip
ASKED = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")


def base_url(request: Request) -> str:
    """The org's address as this caller sees it: what `instance_url` says."""
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}/salesforce"


async def authorize(request: Request) -> Response:
    """GET shows the consent page; POST, from its buttons, goes back to the app with a code or a refusal."""
    sandbox = request.app.state.sandbox
    form = await request.form() if request.method == "POST" else request.query_params
    asked = {name: str(form.get(name, "")) for name in ASKED}
    refusal = _check_authorize(sandbox, asked)
    if refusal:
        context: dict[str, Any] = {"error": refusal[0], "description": refusal[1]}
        return sandbox.pages.TemplateResponse(request, "oauth_error.html", context, 400)
    if asked["response_type"] != "code":
        return _back(asked, {"error": "unsupported_response_type", "error_description": "response type not supported"})
    if asked["code_challenge"] and asked["code_challenge_method"] not in ("", "S256"):
        return _back(asked, {"error": "invalid_request", "error_description": "invalid code challenge method"})
    scope = asked["scope"] or "api refresh_token"
    if request.method == "GET":
        words = [SCOPE_WORDS.get(name, name) for name in scope.split()]
        context = {"provider": "Salesforce", "asked": asked, "scopes": words, "account": "Sandbox org (Ada Okafor)"}
        return sandbox.pages.TemplateResponse(request, "consent.html", context)
    if form.get("answer") != "allow":
        denied = {"error": "access_denied", "error_description": "end-user denied authorization"}
        return _back(asked, denied)
    grants: Grants = sandbox.salesforce.grants
    code = grants.issue_code(asked["client_id"], asked["redirect_uri"], scope, asked["code_challenge"])
    return _back(asked, {"code": code})


def _check_authorize(sandbox: Any, asked: dict[str, str]) -> tuple[str, str] | None:
    """What must not be answered by a redirect, for the redirect itself cannot be trusted."""
    if sandbox.apps.secret(asked["client_id"]) is None:
        return "invalid_client_id", "client identifier invalid"
    if not is_allowed_redirect(asked["redirect_uri"]):
        return "redirect_uri_mismatch", "redirect_uri must match configuration"
    return None


def _back(asked: dict[str, str], answer: dict[str, str]) -> Response:
    params = answer | ({"state": asked["state"]} if asked["state"] else {})
    separator = "&" if "?" in asked["redirect_uri"] else "?"
    return RedirectResponse(asked["redirect_uri"] + separator + urlencode(params), 303)


async def token(request: Request) -> Response:
    """The token endpoint: authorization_code, refresh_token and client_credentials."""
    sandbox = request.app.state.sandbox
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return OAuthError("invalid_request", "content type not supported").response()
    form = {name: str(value) for name, value in (await request.form()).items()}
    client_id, client_secret = _client(request, form)
    grants: Grants = sandbox.salesforce.grants
    try:
        if sandbox.apps.secret(client_id) is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthError("invalid_client", "invalid client credentials")
        answer = _granted(grants, form, client_id)
    except OAuthError as error:
        return error.response()
    base = base_url(request)
    answer |= {
        "signature": base64.b64encode(answer["issued_at"].encode()).decode(),
        "instance_url": base,
        "id": f"{base}/id/{ORGANIZATION_ID}/{grants.org.admin_id}",
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"})


def _granted(grants: Grants, form: dict[str, str], client_id: str) -> dict[str, Any]:
    kind = form.get("grant_type", "")
    if kind == "authorization_code":
        return grants.redeem_code(
            form.get("code", ""), client_id, form.get("redirect_uri", ""), form.get("code_verifier", "")
        )
    if kind == "refresh_token":
        return grants.refresh(form.get("refresh_token", ""), client_id)
    if kind == "client_credentials":
        return grants.open_session(grants.org.admin_id, "api")
    raise OAuthError("unsupported_grant_type", "grant type not supported")


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Client id and secret: from the form, or from HTTP Basic."""
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return client_id, secret
    return form.get("client_id", ""), form.get("client_secret", "")


async def revoke(request: Request) -> Response:
    """200 with no body, or `invalid_token`."""
    form = await request.form() if request.method == "POST" else request.query_params
    grants: Grants = request.app.state.sandbox.salesforce.grants
    if not grants.revoke(str(form.get("token", ""))):
        return OAuthError("invalid_token", "invalid token").response()
    return Response(status_code=200)


async def userinfo(request: Request) -> Response:
    """Who the session belongs to."""
    sandbox = request.app.state.sandbox
    scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
    session = sandbox.salesforce.grants.session(access_token) if scheme.lower() == "bearer" else None
    if session is None:
        return Response("Bad_OAuth_Token" if access_token else "Missing_OAuth_Token", 403, media_type="text/html")
    base = base_url(request)
    row = sandbox.store.visible("salesforce/User", session.user_id)
    user = load(row.body) if row else {}
    return JSONResponse({
        "sub": f"{base}/id/{ORGANIZATION_ID}/{session.user_id}", "user_id": session.user_id,
        "organization_id": ORGANIZATION_ID, "preferred_username": user.get("Username", "admin@sandbox.example"),
        "nickname": user.get("Alias", "admin"), "name": user.get("Name", "Sandbox Admin"),
        "email": user.get("Email", "admin@sandbox.example"), "zoneinfo": "Europe/Berlin", "active": True,
        "urls": {"rest": f"{base}/services/data/v{{version}}/", "query": f"{base}/services/data/v{{version}}/query/"},
    })  # fmt: skip


ROUTES = [
    Route("/services/oauth2/authorize", authorize, methods=["GET", "POST"]),
    Route("/services/oauth2/token", token, methods=["POST"]),
    Route("/services/oauth2/revoke", revoke, methods=["GET", "POST"]),
    Route("/services/oauth2/userinfo", userinfo, methods=["GET", "POST"]),
]
