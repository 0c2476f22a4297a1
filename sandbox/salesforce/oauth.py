"""Salesforce's OAuth 2 routes: consent page, token, revoke, userinfo, and an app's certificate.

Source: Salesforce help, "OAuth Authorization Flows", "OAuth 2.0 Web Server Flow", "OAuth 2.0 Client Credentials Flow",
"OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration"
"""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.apps import is_allowed_redirect
from sandbox.clock import SECOND_MS
from sandbox.kit.consent import asked_of, back, client_of, consent_page, is_known_app, untrusted
from sandbox.rawjson import load
from sandbox.salesforce import assertions
from sandbox.salesforce.errors import OAuthError
from sandbox.salesforce.grants import Grants
from sandbox.salesforce.ids import ORGANIZATION_ID

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CERTIFICATES = "sf_certificate"
ADMIN = "admin@sandbox.example"

SCOPE_WORDS = {
    "api": "Manage your data through its APIs", "refresh_token": "Perform requests at any time, even when you are away",
    "offline_access": "Perform requests at any time, even when you are away", "openid": "Access unique identifiers",
    "id": "See who you are", "profile": "See your profile", "email": "See your email address", "full": "Full access",
    "web": "Manage your data through the web",
}  # fmt: skip


def base_url(request: Request) -> str:
    """The org's address as this caller sees it: what `instance_url` says."""
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}/salesforce"


async def authorize(request: Request) -> Response:
    """GET shows the consent page; POST, from its buttons, goes back to the app with a code or a refusal."""
    asked, form = await asked_of(request)
    if not is_known_app(request, asked["client_id"]):
        return untrusted(request, "invalid_client_id", "client identifier invalid")
    if not is_allowed_redirect(asked["redirect_uri"]):
        return untrusted(request, "redirect_uri_mismatch", "redirect_uri must match configuration")
    if asked["response_type"] != "code":
        return back(asked, {"error": "unsupported_response_type", "error_description": "response type not supported"})
    if asked["code_challenge"] and asked["code_challenge_method"] not in ("", "S256"):
        return back(asked, {"error": "invalid_request", "error_description": "invalid code challenge method"})
    scope = asked["scope"] or "api refresh_token"
    if request.method == "GET":
        words = [SCOPE_WORDS.get(name, name) for name in scope.split()]
        return consent_page(request, "Salesforce", asked, words, "Sandbox org (Ada Okafor)")
    if form.get("answer") != "allow":
        denied = {"error": "access_denied", "error_description": "end-user denied authorization"}
        return back(asked, denied)
    grants: Grants = request.scope["side"].grants
    code = grants.issue_code(asked["client_id"], asked["redirect_uri"], scope, asked["code_challenge"])
    return back(asked, {"code": code})


async def token(request: Request) -> Response:
    """The token endpoint: authorization_code, refresh_token, client_credentials and JWT bearer."""
    sandbox = request.app.state.sandbox
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return OAuthError("invalid_request", "content type not supported").response()
    form = {name: str(value) for name, value in (await request.form()).items()}
    client_id, client_secret = client_of(request, form)
    grants: Grants = request.scope["side"].grants
    try:
        if form.get("grant_type") == JWT_GRANT:  # the signature is the app's proof: neither id nor secret is sent
            return _answered(request, _by_assertion(grants, form.get("assertion", "")))
        if sandbox.apps.secret(client_id) is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthError("invalid_client", "invalid client credentials")
        answer = _granted(grants, form, client_id)
    except OAuthError as error:
        return error.response()
    return _answered(request, answer)


def _answered(request: Request, answer: dict[str, Any]) -> Response:
    """The token answer, with the org's address and who it is."""
    base, grants = base_url(request), request.scope["side"].grants
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


def _by_assertion(grants: Grants, packed: str) -> dict[str, Any]:
    """A session for the user an app has signed for. Raises OAuthError as upstream words it."""
    claims = assertions.read(packed, lambda client_id: grants.store.note(CERTIFICATES, client_id))
    assertions.check(claims, grants.org.clock.now_ms() / SECOND_MS)
    user_id = _user_called(grants, str(claims.get("sub", "")))
    return grants.open_session(user_id, "api")


def _user_called(grants: Grants, username: str) -> str:
    """The active user of that name. Raises the refusal for one who has not let the app act."""
    if username == ADMIN:
        return str(grants.org.admin_id)
    for user_id, body in grants.store.read("SELECT id, body FROM records WHERE shelf = 'salesforce/User'"):
        user = load(body)
        if user.get("Username") == username and user.get("IsActive", True):
            return str(user_id)
    raise OAuthError("invalid_grant", "user hasn't approved this consumer")


async def certificate(request: Request) -> Response:
    """Stands for Setup, where an admin uploads the certificate an app's assertions are checked by: PEM as the body."""
    sandbox, client_id = request.app.state.sandbox, request.path_params["client_id"]
    pem = (await request.body()).decode()
    if sandbox.apps.secret(client_id) is None or not assertions.is_certificate(pem):
        return OAuthError("invalid_request", "no such app, or no certificate or public key").response()
    request.scope["side"].grants.store.keep_note(CERTIFICATES, client_id, pem)
    return Response(status_code=204)


async def revoke(request: Request) -> Response:
    """200 with no body, or `invalid_token`."""
    form = await request.form() if request.method == "POST" else request.query_params
    grants: Grants = request.scope["side"].grants
    if not grants.revoke(str(form.get("token", ""))):
        return OAuthError("invalid_token", "invalid token").response()
    return Response(status_code=200)


async def userinfo(request: Request) -> Response:
    """Who the session belongs to."""
    sandbox = request.app.state.sandbox
    scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
    session = request.scope["side"].grants.session(access_token) if scheme.lower() == "bearer" else None
    if session is None:
        return Response("Bad_OAuth_Token" if access_token else "Missing_OAuth_Token", 403, media_type="text/html")
    base = base_url(request)
    row = sandbox.store.visible("salesforce/User", session.user_id)
    user = load(row.body) if row else {}
    return JSONResponse({
        "sub": f"{base}/id/{ORGANIZATION_ID}/{session.user_id}", "user_id": session.user_id,
        "organization_id": ORGANIZATION_ID, "preferred_username": user.get("Username", ADMIN),
        "nickname": user.get("Alias", "admin"), "name": user.get("Name", "Sandbox Admin"),
        "email": user.get("Email", "admin@sandbox.example"), "zoneinfo": "Europe/Berlin", "active": True,
        "urls": {"rest": f"{base}/services/data/v{{version}}/", "query": f"{base}/services/data/v{{version}}/query/"},
    })  # fmt: skip


ROUTES = [
    Route("/setup/apps/{client_id}/certificate", certificate, methods=["POST"]),
    Route("/services/oauth2/authorize", authorize, methods=["GET", "POST"]),
    Route("/services/oauth2/token", token, methods=["POST"]),
    Route("/services/oauth2/revoke", revoke, methods=["GET", "POST"]),
    Route("/services/oauth2/userinfo", userinfo, methods=["GET", "POST"]),
]
