"""What goes to a token endpoint and what comes back, and headers made of secrets. Pure: nothing is sent here."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from syncs.providers.kit.errors import CredentialsRefused, ProviderError, RateLimited, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.mask import excerpt

Headers = Callable[[Mapping[str, str], Mapping[str, str]], dict[str, str]]


@dataclass(frozen=True)
class TokenGrant:
    """What a token endpoint handed out.

    refresh_token  None when none came: the one we have stays good. One that came replaces ours, which is then dead
    api_url        where the API lives, if the answer says so
    account_id     the account or organisation the grant belongs to, if the answer says so
    issued_at      by the provider's clock
    lifetime_s     None when the provider announces none
    expires_at     by the provider's clock, where the answer names a moment and not a lifetime
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    api_url: str = ""
    account_id: str = ""
    issued_at: datetime | None = None
    lifetime_s: int | None = None
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True)
class TokenRequest:
    """A POST to a path of the token host: `form` or `json`, one of them. All of it may hold secrets."""

    path: str
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_grant(answer: Mapping[str, Any]) -> TokenGrant:
    """The grant in a token answer as RFC 6749 5.1 spells it. Raises UnexpectedShape when there is no access token."""
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise UnexpectedShape("The provider's sign-in answered without an access token.")
    lifetime = answer.get("expires_in")
    return TokenGrant(
        access_token=token,
        refresh_token=answer.get("refresh_token") or None,
        lifetime_s=int(lifetime) if isinstance(lifetime, int | str) and str(lifetime).isdigit() else None,
        scopes=_scopes(answer),
    )


def _scopes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """`scope` by spaces (RFC 6749) or commas (GitHub), or `scopes` as a list (HubSpot)."""
    listed = answer.get("scopes")
    if isinstance(listed, list):
        return tuple(str(scope) for scope in listed)
    return tuple(scope for scope in re.split(r"[\s,]+", str(answer.get("scope") or "")) if scope)


def oauth_error(body: bytes) -> tuple[str, str]:
    """`{"error": "invalid_grant", "error_description": "…"}` as its two texts; empty when it is no such body."""
    try:
        answer = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    return str(answer.get("error") or ""), str(answer.get("error_description") or "")


def token_error(status: int, body: bytes) -> ProviderError:
    """What a refusal of a token endpoint means, as RFC 6749 5.2 spells it. 5xx and 429 are worth another try."""
    detail = f"{status} {excerpt(body)}"
    if status == 429:
        return RateLimited("The provider asked us to slow down while signing in.", detail=detail)
    if status >= 500 or status in (408, 420):
        return UpstreamFailed("The provider's sign-in did not answer.", detail=detail)
    code, _ = oauth_error(body)
    if code == "invalid_grant":
        return CredentialsRefused("The provider no longer accepts this connection.", detail=detail)
    if code in ("invalid_client", "invalid_client_id", "unauthorized_client"):
        return CredentialsRefused(
            "The provider refused our OAuth app.",
            next_step="Check the client id and secret of the OAuth app.",
            detail=detail,
        )
    return CredentialsRefused("The provider refused the sign-in.", detail=detail)


# --- Headers made of secrets -----------------------------------------------------------------------------------------


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic (RFC 7617), in UTF-8."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(secrets: Mapping[str, str], _settings: Mapping[str, str]) -> dict[str, str]:
    """The headers most APIs want: the access token, or the pasted key, as a bearer token."""
    return {"Authorization": f"Bearer {secrets.get('access_token') or secrets['secret']}"}


def basic_by(user: str, password: str) -> Headers:
    """A kind's `request_headers`: HTTP Basic of its fields, `basic_by("{email}/token", "{api_token}")`.

    A field's value stands in for its name in braces, whatever the value holds.
    """
    return lambda secrets, settings: basic(_of(user, secrets, settings), _of(password, secrets, settings))


def header_by(name: str, value: str) -> Headers:
    """A kind's `request_headers`: one header of its fields, `header_by("X-Api-Key", "{secret}")`."""
    return lambda secrets, settings: {name: _of(value, secrets, settings)}


def _of(template: str, secrets: Mapping[str, str], settings: Mapping[str, str]) -> str:
    values = {**settings, **secrets}
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], template)
