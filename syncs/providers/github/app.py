"""A GitHub App's installation: tokens minted by the app's private key, and which installations there are to read.

Docs: https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app (read 2026-11-23)
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.github.places import INSTALLATION, PER_PAGE, get
from syncs.providers.kit import raw
from syncs.providers.kit.auth import TokenGrant, TokenRequest, token_error
from syncs.providers.kit.catalogue import Mint, Site
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, UnexpectedShape
from syncs.providers.kit.jwt import signed
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.paging import LinkHeader, Request
from syncs.providers.kit.times import parse_time, to_unix
from syncs.providers.kit.values import BadValue

FORM = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
EARLIER_S, LIFE_S = 60, 540  # an app's proof: begun a minute ago, for clocks differ; GitHub takes 10 minutes at most


def installation_request(values: Mapping[str, str], _login: str, now: datetime) -> TokenRequest:
    """The request for an installation's token, proved by the app's key. Raises BadValue for what cannot be signed."""
    installation = values.get(INSTALLATION, "")
    if not installation.isdigit():
        raise BadValue("The installation's id is a number.")
    issued = to_unix(now) - EARLIER_S
    issuer = values.get("app_id") or values.get("client_id", "")
    claims = {"iat": issued, "exp": issued + LIFE_S, "iss": issuer}
    headers = {"Authorization": f"Bearer {signed(claims, values['private_key'])}", **FORM}
    return TokenRequest(f"/app/installations/{installation}/access_tokens", json={}, headers=headers)


def installation_grant(answer: Mapping[str, Any]) -> TokenGrant:
    """`{"token": "ghs_…", "expires_at": "2026-11-23T21:00:00Z", …}`. Tokens may have any length."""
    token, expires_at = answer.get("token"), answer.get("expires_at")
    if not isinstance(token, str) or not token:
        raise UnexpectedShape("GitHub answered without a token.")
    try:
        return TokenGrant(token, expires_at=parse_time(str(expires_at)) if expires_at else None)
    except ValueError:
        raise UnexpectedShape("GitHub sent a time we do not understand.") from None


def installation_error(status: int, body: bytes) -> ProviderError:
    """404: uninstalled; 403: suspended; 401: the key or the app's id do not fit."""
    detail = f"{status} {excerpt(body)}"
    if status == 404:
        return CredentialsRefused(
            "The GitHub App is not installed there any more.",
            next_step="Install it again in GitHub, then reconnect.",
            detail=detail,
        )
    if status == 403:
        return CredentialsRefused(
            "The GitHub App's installation is suspended.",
            next_step="An owner of the organisation can lift that in GitHub (Settings, GitHub Apps).",
            detail=detail,
        )
    if status == 401:
        return CredentialsRefused(
            "GitHub refused the app's private key.",
            next_step="Check the app's id, and paste a private key that the app still has.",
            detail=detail,
        )
    return token_error(status, body)


class _Installation(msgspec.Struct):
    id: int
    account: dict[str, Any] | None = None


async def installations(client: Client) -> tuple[Site, ...]:
    """The accounts where the app is installed, as far as the person who signed in may see them."""
    sites: list[Site] = []
    request: Request | None = Request("/user/installations", {"per_page": PER_PAGE})
    while request is not None:
        answer = await get(client, request)
        for row in raw.records_at(answer.body, "installations"):
            each = msgspec.json.decode(row, type=_Installation)
            login = str((each.account or {}).get("login") or each.id)
            sites.append(Site(str(each.id), login, settings={INSTALLATION: str(each.id)}))
        request = LinkHeader().after(answer, request)
    return tuple(sites)


MINT = Mint(installation_request, installation_grant, installation_error, on_api=True)
