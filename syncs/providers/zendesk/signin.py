"""Zendesk sign-in: an OAuth client of the account's own, with a browser or without, and API tokens while they last.

Docs    https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/ (read 2026-11-26)
Life    tokens expire in two days because we ask for it: without `expires_in` older clients give eternal ones. A refresh
        answers with a new pair, and both old tokens are dead at once
"""

from collections.abc import Mapping
from datetime import datetime

from syncs.providers.kit import auth
from syncs.providers.kit.auth import TokenRequest
from syncs.providers.kit.catalogue import CredentialKind, Mint, OAuth2, SetupField
from syncs.providers.kit.errors import CredentialsRefused, ProviderError
from syncs.providers.kit.values import host_label

TOKEN_PATH = "/oauth/tokens"  # noqa: S105 - a path
SCOPE = "read"  # finer ones do not cover groups, brands, fields and views
LIFETIME_S = 172_800  # the longest there is

SUBDOMAIN = SetupField(
    "subdomain",
    "Subdomain",
    "“acme” of acme.zendesk.com. Not your help center’s own address.",
    example="acme",
    clean=host_label("zendesk.com"),
)


def token_error(status: int, body: bytes) -> ProviderError:
    """What a refusal of `/oauth/tokens` means."""
    error = auth.token_error(status, body)
    code, _ = auth.oauth_error(body)
    if not isinstance(error, CredentialsRefused):
        return error
    if code == "invalid_grant":
        error.message = "Zendesk no longer accepts this connection: it was revoked, or unused for 30 days."
    elif code in ("invalid_client", "unauthorized_client"):
        error.message = "Zendesk refused the OAuth client."
        error.next_step = "Copy identifier and secret of the OAuth client from Zendesk’s Admin Center once more."
    elif code == "invalid_scope":
        error.message = "The OAuth client may not ask for the scope “read”."
        error.next_step = "Add “read” to the client’s allowed scopes in Zendesk’s Admin Center."
    elif status == 404:
        error.message = "There is no Zendesk account at this address."
        error.next_step = "Check the subdomain: “acme” of acme.zendesk.com."
    return error


def client_credentials(values: Mapping[str, str], _login_url: str, _now: datetime) -> TokenRequest:
    """The OAuth client asks in its own name."""
    asked = {"client_id": values["client_id"], "client_secret": values["client_secret"], "scope": SCOPE}
    return TokenRequest(TOKEN_PATH, json={"grant_type": "client_credentials", **asked, "expires_in": LIFETIME_S})


OAUTH = OAuth2(
    authorize_path="/oauth/authorizations/new",
    token_path=TOKEN_PATH,
    scopes=(SCOPE,),
    token_params=(("scope", SCOPE), ("expires_in", str(LIFETIME_S))),
    token_json=True,
    lifetime_s=None,
    fields=(SUBDOMAIN,),
    error=token_error,
)

KINDS = (
    CredentialKind(
        "zendesk_oauth2",
        "Sign in to Zendesk",
        fields=(
            SetupField(
                "secret",
                "Refresh token",
                "Only to bring along a connection made elsewhere with the same OAuth client.",
                secret=True,
                required=False,
            ),
        ),
        oauth=OAUTH,
        imports="secret",
        help="You are sent to your Zendesk, and allow reading there.",
    ),
    CredentialKind(
        "zendesk_client_credentials",
        "OAuth client",
        fields=(
            SUBDOMAIN,
            SetupField(
                "client_id",
                "Client identifier",
                "Admin Center, Apps and integrations, APIs, OAuth clients: a confidential client of its own.",
                example="sequin_console",
            ),
            SetupField("client_secret", "Client secret", "Shown once, when the client is saved.", secret=True),
        ),
        mint=Mint(client_credentials, error=token_error, lifetime_s=None),
        help="Without a browser: the OAuth client acts for the administrator who made it.",
    ),
    CredentialKind(
        "zendesk_api_token",
        "API token",
        fields=(
            SUBDOMAIN,
            SetupField("email", "E-mail address", "Of the administrator the token acts for.", example="ada@acme.com"),
            SetupField("api_token", "API token", "An existing one: Zendesk makes no new ones.", secret=True),
        ),
        request_headers=auth.basic_by("{email}/token", "{api_token}"),
        help="Only while they last: Zendesk ends API tokens on 30 April 2027. An OAuth client is the way to go.",
    ),
)
