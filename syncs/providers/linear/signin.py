"""Ways into a Linear workspace: a personal API key, an OAuth app by redirect, or that app in its own name.

Docs    https://linear.app/developers/oauth-2-0-authentication, https://linear.app/developers/graphql (personal keys)
Facts   read 2026-11-26: a key goes into `Authorization` bare, a token as Bearer; scopes are asked for by commas; access
        lasts 24 hours, and each renewal replaces the refresh token; a token of client credentials lasts 30 days.
        PKCE is offered (unverified beyond other people's code)
"""

from collections.abc import Mapping
from datetime import datetime

from syncs.providers.kit import auth
from syncs.providers.kit.auth import TokenRequest
from syncs.providers.kit.catalogue import CredentialKind, Host, Mint, OAuth2, SetupField

API_URL = "https://api.linear.app"
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
HOSTS = (Host("linear", "Linear", "https://linear.app", token_url=API_URL),)
DAY_S = 24 * 3600


def client_credentials(values: Mapping[str, str], _login_url: str, _now: datetime) -> TokenRequest:
    """The app asks in its own name."""
    asked = {"client_id": values["client_id"], "client_secret": values["client_secret"], "scope": "read"}
    return TokenRequest(TOKEN_PATH, form={"grant_type": "client_credentials", **asked})


OAUTH = OAuth2(
    authorize_path="/oauth/authorize",
    token_path=TOKEN_PATH,
    revoke_path="/oauth/revoke",
    scopes=("read",),
    scope_separator=",",
    lifetime_s=DAY_S,
)

KINDS = (
    CredentialKind(
        "linear_key",
        "API key",
        fields=(
            SetupField(
                "secret",
                "API key",
                "Settings, Security & access, Personal API keys. Read is enough.",
                secret=True,
                example="lin_api_…",
                aliases=("api_key",),
            ),
        ),
        request_headers=auth.header_by("Authorization", "{secret}"),
        help="Reads what the person who made it may read. Made in a minute, and has no end.",
    ),
    CredentialKind(
        "linear_oauth2",
        "Sign in with Linear",
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
        help="You are sent to Linear to allow reading. Needs an app of your own.",
    ),
    CredentialKind(
        "linear_client_credentials",
        "OAuth app, in its own name",
        fields=(
            SetupField("client_id", "Client ID", "Of an app with “Client credentials tokens” switched on."),
            SetupField("client_secret", "Client secret", "On the app’s page in Linear.", secret=True),
        ),
        mint=Mint(client_credentials, lifetime_s=30 * DAY_S),
        help="Without a person: the app reads all public teams of the workspace it was made in.",
    ),
)
