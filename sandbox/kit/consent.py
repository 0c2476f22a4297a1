"""What every OAuth 2 code flow has: the consent page, the way back to the app, the client's own proof, PKCE.

Source: RFC 6749 (sections 2.3.1, 4.1), RFC 7636 (section 4)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.apps import is_allowed_redirect
from sandbox.kit.access import presented

ASKED = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")


async def asked_of(request: Request, names: Sequence[str] = ASKED) -> tuple[dict[str, str], Mapping[str, Any]]:
    """What the app asks for, and the whole of the query or of the page's form."""
    form: Mapping[str, Any] = await request.form() if request.method == "POST" else request.query_params
    return {name: str(form.get(name, "")) for name in names}, form


def is_known_app(request: Request, client_id: str) -> bool:
    return request.app.state.sandbox.apps.secret(client_id) is not None


def untrusted(request: Request, error: str, description: str) -> Response:
    """What must not be answered by a redirect, for the redirect itself cannot be trusted."""
    context = {"error": error, "description": description}
    return request.app.state.sandbox.pages.TemplateResponse(request, "oauth_error.html", context, 400)


def unknown_app(request: Request, asked: Mapping[str, str]) -> Response | None:
    """The refusal of an unknown client id or redirect URI, for upstreams that do not tell them apart."""
    if is_known_app(request, asked["client_id"]) and is_allowed_redirect(asked["redirect_uri"]):
        return None
    return untrusted(request, "invalid_request", "The client id or the redirect URI is not registered.")


def consent_page(
    request: Request, provider: str, asked: Mapping[str, str], scopes: Sequence[str], account: str, **more: Any
) -> Response:
    """Who asks for what, with two buttons that post `answer` allow or deny."""
    context = {"provider": provider, "asked": asked, "scopes": scopes, "account": account, **more}
    return request.app.state.sandbox.pages.TemplateResponse(request, "consent.html", context)


def back(asked: Mapping[str, str], answer: Mapping[str, str]) -> Response:
    """To the app, with a code or a refusal, and its own state."""
    params = {**answer, **({"state": asked["state"]} if asked["state"] else {})}
    separator = "&" if "?" in asked["redirect_uri"] else "?"
    return RedirectResponse(asked["redirect_uri"] + separator + urlencode(params), 303)


def client_of(request: Request, form: Mapping[str, Any]) -> tuple[str, str]:
    """Client id and secret: from HTTP Basic, or from the form."""
    shown = presented(request.headers)
    if shown.scheme == "basic":
        return shown.user, shown.secret
    return str(form.get("client_id", "")), str(form.get("client_secret", ""))


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier: base64url of its SHA-256, no padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
