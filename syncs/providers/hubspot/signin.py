"""Ways into a HubSpot account: an OAuth app of the operator's own, or a service key (or private app token).

Docs    https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/oauth (read 2026-11-23)
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from syncs.providers.kit import auth
from syncs.providers.kit.auth import TokenGrant
from syncs.providers.kit.catalogue import CredentialKind, Host, OAuth2, SetupField
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, RateLimited, UpstreamFailed
from syncs.providers.kit.mask import excerpt

API_URL = "https://api.hubapi.com"
HOSTS = (Host("hubspot", "HubSpot", "https://app.hubspot.com", token_url=API_URL),)
_REVOKED = ("BAD_REFRESH_TOKEN", "BAD_HUB", "access_denied", "invalid_grant")
_BUSY = (423, 477)


def grant(answer: Mapping[str, Any]) -> TokenGrant:
    """The grant in a token answer. The refresh token usually stays the same; what comes is kept.

    {"token_type":"bearer","access_token":"CIr…","refresh_token":"na1-1111-2222","expires_in":1800,"hub_id":4242424,
     "user_id":99,"scopes":["oauth","crm.objects.contacts.read"]}
    """
    return replace(auth.parse_grant(answer), account_id=str(answer.get("hub_id") or ""))


def token_error(status: int, body: bytes) -> ProviderError:
    """What a refusal of the token endpoint means. Only a dead grant is the account's; the rest is the app's setup.

    {"status":"BAD_REFRESH_TOKEN","message":"…","error":"invalid_grant","error_description":"…"}
    """
    detail = f"{status} {excerpt(body)}"
    if status == 429:
        return RateLimited("HubSpot asked us to slow down while signing in.", detail=detail)
    if status >= 500 or status in _BUSY:
        return UpstreamFailed("HubSpot’s sign-in did not answer.", detail=detail)
    text = body.decode(errors="replace")
    if any(f'"{word}"' in text for word in ("BAD_AUTH_CODE", "BAD_REDIRECT_URI", "BAD_CODE_VERIFIER")):
        return CredentialsRefused("HubSpot did not accept the sign-in.", next_step="Connect once more.", detail=detail)
    if any(f'"{word}"' in text for word in _REVOKED):
        return CredentialsRefused(
            "HubSpot ended this connection: the app was uninstalled, or access was taken back.",
            next_step="Reconnect the account.",
            detail=detail,
        )
    return CredentialsRefused(
        "HubSpot refused our OAuth app.",
        next_step="Check the client id, the client secret and the scopes of the app.",
        detail=detail,
    )


OAUTH = OAuth2(
    authorize_path="/oauth/authorize",
    token_path="/oauth/2026-09/token",  # noqa: S106 - a path
    scopes=("oauth",),  # the account's details
    optional_param="optional_scope",
    lifetime_s=1800,
    parse=grant,
    error=token_error,
)

KINDS = (
    CredentialKind(
        "hubspot_key",
        "Service key",
        fields=(
            SetupField(
                "secret",
                "Service key",
                "Or the access token of a private app. Its scopes say what can be read.",
                secret=True,
                example="pat-na1-…",
                aliases=("access_token", "token", "private_app_token"),
            ),
        ),
        help="For one account. It does not expire, but HubSpot advises to rotate it every six months.",
    ),
    CredentialKind(
        "hubspot_oauth2",
        "Sign in with HubSpot",
        fields=(
            SetupField(
                "refresh_token",
                "Refresh token",
                "Only to bring along a connection made elsewhere with the same app.",
                secret=True,
                required=False,
            ),
        ),
        oauth=OAUTH,
        imports="refresh_token",
        help="You are sent to HubSpot to choose an account and allow reading. Needs an app of your own.",
    ),
)
