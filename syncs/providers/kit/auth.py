"""What comes back from an OAuth token endpoint. Pure: the redirects and requests are made elsewhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from syncs.providers.kit.errors import CredentialsRefused, ProviderError, RateLimited, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.mask import excerpt


@dataclass(frozen=True)
class TokenGrant:
    """What a token endpoint handed out.

    refresh_token  None when none came: the one we have stays good. One that came replaces ours, which is then dead
    api_url        where the API lives, if the answer says so
    account_id     the account or organisation the grant belongs to, if the answer says so
    issued_at      by the provider's clock
    lifetime_s     None when the provider announces none
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    api_url: str = ""
    account_id: str = ""
    issued_at: datetime | None = None
    lifetime_s: int | None = None
    scopes: tuple[str, ...] = ()


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
        scopes=tuple(str(answer.get("scope") or "").split()),
    )


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
