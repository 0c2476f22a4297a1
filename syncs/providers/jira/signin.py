"""Ways into a Jira site: OAuth 2.0 (3LO) with choice of site, API tokens of two kinds, service accounts.

Docs    https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps, read 2026-11-23
        https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account
        https://support.atlassian.com/user-management/docs/create-oauth-2-0-credential-for-service-accounts
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from syncs.providers.jira.catalogue import USER
from syncs.providers.jira.errors import ObjectGone
from syncs.providers.kit import auth
from syncs.providers.kit.auth import TokenRequest, basic_by
from syncs.providers.kit.catalogue import CredentialKind, Host, Mint, OAuth2, SetupField, Site
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, UnexpectedShape
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.values import host_label

HOSTS = (Host("atlassian", "Atlassian", "https://auth.atlassian.com"),)
GATEWAY = "/ex/jira/{cloud_id}"
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


class _Resource(msgspec.Struct):
    id: str
    url: str = ""
    name: str = ""
    scopes: list[str] = []


_resources = msgspec.json.Decoder(list[_Resource])


async def sites(client: Client) -> tuple[Site, ...]:
    """The Jira sites one sign-in opened. Sites of Confluence alone are left out; one with several products comes twice.

    [{"id":"8d2f6c1e-…","name":"acme","url":"https://acme.atlassian.net","scopes":["read:jira-work"]}]
    """
    answer = await client.get("/oauth/token/accessible-resources")
    try:
        found = _resources.decode(answer.body)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Atlassian listed its sites in a form we do not know.", detail=str(error)) from None
    of_jira = {each.id: each for each in found if any("jira" in scope for scope in each.scopes)}
    return tuple(
        Site(each.id, each.url.removeprefix("https://") or each.name, settings={"cloud_id": each.id})
        for each in of_jira.values()
    )


class _Tenant(msgspec.Struct):
    cloudId: str


async def site_by_name(client: Client) -> tuple[Site, ...]:
    """The one site whose name was typed: it tells anybody its cloud ID, below which the gateway has it.

    {"cloudId":"8d2f6c1e-0b7a-4f53-9e64-a1c7d0e2b935"}
    """
    try:
        found = _tenant.decode((await client.get("/_edge/tenant_info")).body)
    except (msgspec.MsgspecError, ObjectGone):
        raise CredentialsRefused("Atlassian knows no site of this name.", next_step="Check the site’s name.") from None
    return (Site(found.cloudId, found.cloudId, settings={"cloud_id": found.cloudId}),)


_tenant = msgspec.json.Decoder(_Tenant)


def token_error(status: int, body: bytes) -> ProviderError:
    """What a refusal of the token endpoint means. A dead refresh token is told in two ways."""
    code, description = auth.oauth_error(body)
    if code == "invalid_grant" or "refresh_token is invalid" in description:
        return CredentialsRefused(
            "Atlassian ended this connection: it was revoked, unused for 90 days, or a year old.",
            detail=f"{status} {excerpt(body)}",
        )
    return auth.token_error(status, body)


def client_credentials(values: Mapping[str, str], _login_url: str, _now: datetime) -> TokenRequest:
    """The request for a service account's access token."""
    asked = {name: values.get(name, "") for name in ("client_id", "client_secret")}
    return TokenRequest(TOKEN_PATH, json={"grant_type": "client_credentials", **asked})


OAUTH = OAuth2(
    authorize_path="/authorize",
    token_path=TOKEN_PATH,
    scopes=("offline_access", USER),  # the user's time zone, without which no time can be asked for
    pkce=False,
    authorize_params=(("audience", "api.atlassian.com"), ("prompt", "consent")),
    token_json=True,
    error=token_error,
)

_EMAIL = SetupField("email", "E-mail address", "Of the Atlassian account the token belongs to.", example="ada@acme.com")
_SITE = SetupField(
    "site", "Site", "The name in front of .atlassian.net.", example="acme", clean=host_label("atlassian.net")
)
_SITE_URL = "https://{site}.atlassian.net"

KINDS = (
    CredentialKind(
        "jira_token",
        "API token",
        fields=(
            _SITE,
            _EMAIL,
            SetupField("secret", "API token", "Made without scopes. It lasts a year at most.", secret=True),
        ),
        api_url=_SITE_URL,
        request_headers=basic_by("{email}", "{secret}"),
        help="Reads what the token's owner may see. No hourly limit of points.",
    ),
    CredentialKind(
        "jira_scoped_token",
        "Scoped token",
        fields=(
            _SITE,
            _EMAIL,
            SetupField("secret", "API token with scopes", "It lasts a year at most.", secret=True),
        ),
        sites=site_by_name,
        sites_url=_SITE_URL,
        api_path=GATEWAY,
        request_headers=basic_by("{email}", "{secret}"),
        help="Reads what its scopes allow. Also for the API tokens of service accounts.",
    ),
    CredentialKind(
        "jira_oauth2",
        "Atlassian sign-in",
        fields=(
            SetupField(
                "refresh_token",
                "Refresh token",
                "Only to bring along a connection made elsewhere with the same app.",
                secret=True,
                required=False,
            ),
            SetupField(
                "site_id",
                "Site",
                "Only with a refresh token that opens several sites: the one to read.",
                required=False,
                example="acme.atlassian.net",
            ),
        ),
        oauth=OAUTH,
        imports="refresh_token",
        sites=sites,
        api_path=GATEWAY,
        help="You are sent to Atlassian to allow reading. Once a year you are asked again.",
    ),
    CredentialKind(
        "jira_service_account",
        "Service account",
        fields=(
            _SITE,
            SetupField("client_id", "Client ID", "Of the service account's OAuth 2.0 credential."),
            SetupField("client_secret", "Client secret", secret=True),
        ),
        mint=Mint(client_credentials, error=token_error),
        sites=site_by_name,
        sites_url=_SITE_URL,
        api_path=GATEWAY,
        help="No person, no browser: an OAuth 2.0 credential that an organization admin makes.",
    ),
)
