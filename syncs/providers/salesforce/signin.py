"""Salesforce sign-in: hosts, what the token endpoint grants, and what its refusals mean.

Docs    https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_web_server_flow.htm (read 2026-11-23)
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from syncs.providers.kit import auth
from syncs.providers.kit.auth import TokenGrant
from syncs.providers.kit.catalogue import Host
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, UnexpectedShape
from syncs.providers.kit.hosts import BadHost, clean_url, is_loopback
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.times import from_unix

HOSTS = (
    Host("production", "Production", "https://login.salesforce.com", "Also Developer Edition."),
    Host("sandbox", "Sandbox", "https://test.salesforce.com"),
    Host("my_domain", "My Domain", "", "Such as https://acme.my.salesforce.com; see Setup, My Domain."),
)

_SUFFIXES = (".salesforce.com", ".salesforce.mil")
_UI_SUFFIXES = (".lightning.force.com", ".my.salesforce-setup.com")


def check_host(text: str) -> str:
    """The login host or instance as `https://acme.my.salesforce.com`; it will be given the app's secret.

    The address seen in the browser (`acme.lightning.force.com`) is put right; a path is cut off.
    Raises BadHost for a host that is not Salesforce's. Loopback is let in, for a sandbox on this machine.
    """
    url = clean_url(text)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return url
    for suffix in _UI_SUFFIXES:
        if host.endswith(suffix):
            host = host.removesuffix(suffix) + ".my.salesforce.com"
    if not host.endswith(_SUFFIXES) or parts.port not in (None, 443):
        raise BadHost("This is not a Salesforce address. Yours ends in .my.salesforce.com; see Setup, My Domain.")
    return f"https://{host}"


def token_grant(answer: Mapping[str, Any]) -> TokenGrant:
    """The grant in Salesforce's token answer. There is no `expires_in`; `issued_at` is milliseconds, as text.

    {"access_token":"00D…","refresh_token":"5Aep…","instance_url":"https://acme.my.salesforce.com",
     "id":"https://login.salesforce.com/id/{org}/{user}","issued_at":"1795430400123","scope":"refresh_token api"}
    """
    grant = auth.parse_grant(answer)
    try:
        api_url = clean_url(str(answer.get("instance_url") or ""))
    except BadHost:
        raise UnexpectedShape("Salesforce's sign-in did not say where the API lives.") from None
    identity = [part for part in str(answer.get("id") or "").split("/") if part]
    return replace(
        grant, api_url=api_url, account_id=identity[-2] if len(identity) >= 2 else "", issued_at=_issued_at(answer)
    )


def _issued_at(answer: Mapping[str, Any]) -> datetime | None:
    text = str(answer.get("issued_at") or "")
    return from_unix(int(text) / 1000) if text.isdigit() else None


_RECONNECT = {
    "expired access/refresh token": (
        "Salesforce ended this connection: it was revoked, unused for too long, or pushed out by newer sign-ins.",
        "Reconnect the account.",
    ),
    "inactive user": (
        "The Salesforce user of this connection is inactive.",
        "Reactivate the user in Salesforce or reconnect with another one.",
    ),
    "ip restricted": (
        "Salesforce does not let this server's address in.",
        "Ask your Salesforce administrator to allow this server's IP address, then reconnect.",
    ),
    "user hasn't approved this consumer": (
        "The Salesforce user has not approved our app.",
        "Reconnect the account and allow access.",
    ),
}


def token_error(status: int, body: bytes) -> ProviderError:
    """What a refusal of `/services/oauth2/token` means. Only 429, 5xx and no answer are worth another try."""
    code, description = auth.oauth_error(body)
    detail = f"{status} {excerpt(body)}"
    known = _RECONNECT.get(description.lower())
    if code == "invalid_grant" and known:
        return CredentialsRefused(known[0], next_step=known[1], detail=detail)
    if code == "invalid_grant":
        return CredentialsRefused("Salesforce no longer accepts this connection.", detail=detail)
    if code in ("invalid_client_id", "invalid_client"):
        return CredentialsRefused(
            "Salesforce refused the OAuth app: it was deleted, is not installed, or its secret changed.",
            next_step="Copy consumer key and secret from the app in Salesforce into the OAuth app here.",
            detail=detail,
        )
    if code == "invalid_app_access":
        return CredentialsRefused(
            "A Salesforce administrator must allow this user to use the app.",
            next_step="Ask your Salesforce administrator to add the user's profile or permission set to the app.",
            detail=detail,
        )
    if code == "unsupported_grant_type":
        return CredentialsRefused(
            "This way of signing in is switched off for the app in Salesforce.",
            next_step="Allow the flow in the app's OAuth settings in Salesforce, then reconnect.",
            detail=detail,
        )
    return auth.token_error(status, body)
