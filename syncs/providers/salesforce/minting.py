"""Salesforce access without a person: client credentials, and JWT bearer for an integration user.

Docs    https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_client_credentials_flow.htm and
        https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm (read 2026-11-26)
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from syncs.providers.kit import auth, jwt
from syncs.providers.kit.auth import TokenRequest
from syncs.providers.kit.catalogue import Mint
from syncs.providers.kit.errors import CredentialsRefused, ProviderError
from syncs.providers.kit.mask import excerpt
from syncs.providers.salesforce.signin import token_error, token_grant

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
PRODUCTION, SANDBOX = "https://login.salesforce.com", "https://test.salesforce.com"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_S = 180  # at most five minutes are let pass; our clock may be ahead


def client_credentials(values: Mapping[str, str], _login_url: str, _now: datetime) -> TokenRequest:
    """The app asks in its own name. Salesforce answers for the user its policies name, on the My Domain host alone."""
    asked = {name: values[name] for name in ("client_id", "client_secret")}
    return TokenRequest(TOKEN_PATH, form={"grant_type": "client_credentials", **asked})


def jwt_bearer(values: Mapping[str, str], login_url: str, now: datetime) -> TokenRequest:
    """The app signs that it acts for a user. Raises BadValue when the key cannot sign."""
    claims = {
        "iss": values["client_id"],
        "sub": values["username"],
        "aud": audience(login_url),
        "exp": int(now.timestamp()) + ASSERTION_S,
    }
    assertion = jwt.signed(claims, values["private_key"])
    return TokenRequest(TOKEN_PATH, form={"grant_type": JWT_GRANT, "assertion": assertion})


def audience(login_url: str) -> str:
    """Whom an assertion is for: Salesforce's own login host of that kind of org, whatever host it is sent to."""
    host = urlsplit(login_url).hostname or ""
    return SANDBOX if host == "test.salesforce.com" or host.endswith(".sandbox.my.salesforce.com") else PRODUCTION


_REFUSALS = {
    "no client credentials user enabled": (
        "The app in Salesforce has no user to act as.",
        "In the app’s policies enable the Client Credentials Flow and choose a user under Run As.",
    ),
    "user hasn't approved this consumer": (
        "Salesforce does not let the app act for this user.",
        "In the app’s policies choose “Admin approved users are pre-authorized”, then add the user’s profile or "
        "permission set.",
    ),
    "invalid assertion": (
        "Salesforce does not accept the signature.",
        "Upload the certificate that belongs to this private key to the app in Salesforce.",
    ),
    "audience is invalid": (
        "This user’s org is not one of the kind you chose.",
        "Choose Sandbox for a sandbox org, else Production or your My Domain.",
    ),
}


def mint_error(status: int, body: bytes) -> ProviderError:
    """What a refusal means where no person has signed in: it is the app's settings that must be put right."""
    code, description = auth.oauth_error(body)
    known = next((known for text, known in _REFUSALS.items() if text in description.lower()), None)
    detail = f"{status} {excerpt(body)}"
    if known:
        return CredentialsRefused(known[0], next_step=known[1], detail=detail)
    error = token_error(status, body)
    if code == "invalid_grant" and error.next_step == CredentialsRefused.next_step:
        step = "Check user name, consumer key and the app’s policies in Salesforce."
        return CredentialsRefused("Salesforce does not accept this app for this user.", next_step=step, detail=detail)
    return error


CLIENT_CREDENTIALS = Mint(client_credentials, parse=token_grant, error=mint_error)
JWT_BEARER = Mint(jwt_bearer, parse=token_grant, error=mint_error)
