"""The ways to be let in: a GitHub App's installation, an OAuth app, a personal access token.

Docs: https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps (read 2026-11-23)
"""

from collections.abc import Mapping

from syncs.providers.github.app import FORM, MINT, installations
from syncs.providers.github.places import INSTALLATION
from syncs.providers.github.selection import ARCHIVED, FORKS, clean_selection
from syncs.providers.kit.auth import bearer, oauth_error, token_error
from syncs.providers.kit.catalogue import CredentialKind, OAuth2, SetupField
from syncs.providers.kit.errors import CredentialsRefused, ProviderError
from syncs.providers.kit.jwt import private_key
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.values import BadValue, host_label


def request_headers(secrets: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The token, and the form of answers we know: the next API version drops fields that records have."""
    return {**bearer(secrets, settings), **FORM}


# --- OAuth -----------------------------------------------------------------------------------------------------------


def oauth_refusal(status: int, body: bytes) -> ProviderError:
    """GitHub refuses with 200 and words of its own. Docs: https://docs.github.com/apps/oauth-apps (troubleshooting)"""
    code, _ = oauth_error(body)
    detail = f"{status} {excerpt(body)}"
    if code == "incorrect_client_credentials":
        return CredentialsRefused(
            "GitHub refused our OAuth app.",
            next_step="Check the client id and secret of the OAuth app.",
            detail=detail,
        )
    if code == "redirect_uri_mismatch":
        return CredentialsRefused(
            "The app in GitHub has another callback URL.",
            next_step="Copy the redirect URL from this page into the app's settings in GitHub.",
            detail=detail,
        )
    if code in ("bad_refresh_token", "bad_verification_code"):
        return CredentialsRefused("GitHub no longer accepts this connection.", detail=detail)
    return token_error(status, body)


def oauth2(*scopes: str, fields: tuple[SetupField, ...] = ()) -> OAuth2:
    """GitHub's flow: of an OAuth app with scopes, of a GitHub App without. Tokens may or may not have an end."""
    return OAuth2(
        authorize_path="/login/oauth/authorize",
        token_path="/login/oauth/access_token",  # noqa: S106 - a path
        scopes=scopes,
        lifetime_s=None,
        fields=fields,
        error=oauth_refusal,
    )


# --- What is typed ---------------------------------------------------------------------------------------------------

SELECTION = (
    SetupField(
        "repositories",
        "Repositories",
        "Which ones to read: owner/name, or owner/* for all of an owner, later ones included. Empty: all that the "
        "connection sees, later ones included.",
        required=False,
        example="acme/site, acme/api-*, other-org/*",
        editable=True,
        clean=clean_selection,
    ),
    SetupField(
        "leave_out",
        "Leave out",
        "Repositories named in full are read in any case.",
        required=False,
        choices=(
            ("", "Nothing"),
            (FORKS, "Forks"),
            (ARCHIVED, "Archived repositories"),
            (f"{FORKS} {ARCHIVED}", "Forks and archived repositories"),
        ),
        editable=True,
    ),
)
SUBDOMAIN = SetupField(
    "subdomain",
    "Subdomain at ghe.com",
    "Only for GitHub Enterprise Cloud with data residency: “acme” of acme.ghe.com.",
    required=False,
    clean=host_label("ghe.com"),
)
PRIVATE_KEY = SetupField(
    "private_key",
    "Private key",
    "The file that GitHub made under the app's settings, Private keys. Paste all of it.",
    secret=True,
    lines=True,
    example="-----BEGIN RSA PRIVATE KEY-----",
    clean=private_key,
)


def number(text: str) -> str:
    """A number of GitHub's, also out of an address: `https://github.com/settings/installations/7` is 7."""
    found = text.strip().rstrip("/").rpartition("/")[2]
    if not found.isdigit():
        raise BadValue("This is a number: the last part of the address of the installation's page.")
    return found


def token_problems(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a pasted token, before GitHub is asked."""
    secret = values.get("secret", "")
    if secret.startswith(("ghs_", "ghu_", "ghr_")):
        return {"secret": "This token belongs to an app and ends within hours. Paste a personal access token."}
    return {}


KINDS = (
    CredentialKind(
        "github_app",
        "GitHub App",
        oauth=oauth2(fields=(PRIVATE_KEY, SUBDOMAIN)),
        mint=MINT,
        sites=installations,
        fields=SELECTION,
        help="Best for an organisation: it belongs to nobody in person, and has a quota of its own.",
    ),
    CredentialKind(
        "github_app_key",
        "GitHub App, by its key",
        fields=(
            SetupField("app_id", "App ID or client ID", "On the app's settings page.", example="123456"),
            SetupField(
                INSTALLATION,
                "Installation",
                "The number at the end of its page's address (organisation's Settings, GitHub Apps, Configure).",
                example="51234567",
                clean=number,
            ),
            PRIVATE_KEY,
            *SELECTION,
            SUBDOMAIN,
        ),
        mint=MINT,
        help="The same without signing in: for an app and an installation you know.",
    ),
    CredentialKind(
        "github_oauth2",
        "Sign in with GitHub",
        fields=(
            *SELECTION,
            SetupField(
                "secret",
                "Refresh token",
                "Only to bring along a connection made elsewhere with the same app.",
                secret=True,
                required=False,
            ),
        ),
        oauth=oauth2("read:user", fields=(SUBDOMAIN,)),
        imports="secret",
        help="You are sent to GitHub to allow reading. GitHub has no right to read private repositories only: it asks "
        "for more than we use.",
    ),
    CredentialKind(
        "github_token",
        "Access token",
        fields=(
            SetupField(
                "secret",
                "Personal access token",
                "Fine-grained: read access to the repositories and to what you want to sync. Classic: the scopes repo "
                "and read:org.",
                secret=True,
                example="github_pat_…",
            ),
            *SELECTION,
            SUBDOMAIN,
        ),
        problems=token_problems,
        help="Quickest to try. It acts as you, and shares your quota of 5,000 requests an hour.",
    ),
)
