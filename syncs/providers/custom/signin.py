"""How one is let in to a described API: its one kind of credential, and the hosts its logins live at."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from syncs.providers.custom.definition import (
    BearerToken,
    ClientCredentials,
    Definition,
    KeyInHeader,
    KeyInQuery,
    SignIn,
    UserAndPassword,
)
from syncs.providers.kit.auth import Headers, TokenRequest, basic, basic_by, bearer, header_by
from syncs.providers.kit.catalogue import ClientAuth, CredentialKind, Host, Mint, OAuth2, SetupField

SUFFIXES = {
    "header": "key",
    "query": "key",
    "bearer": "key",
    "basic": "login",
    "oauth_code": "oauth2",
    "client_credentials": "client",
}
LABELS = {
    "header": "API key",
    "query": "API key",
    "bearer": "Access token",
    "basic": "User and password",
    "oauth_code": "Sign in",
    "client_credentials": "Client id and secret",
}


def kind_of(definition: Definition) -> CredentialKind:
    """The one way in. Its key stays while only the place of the key changes, so that connections live on."""
    auth = definition.auth
    key, label = f"{definition.provider_key}_{SUFFIXES[auth.type]}", LABELS[auth.type]
    secret = SetupField("secret", label, secret=True)
    if isinstance(auth, UserAndPassword):
        fields = (SetupField("user", "User"), SetupField("password", "Password", secret=True))
        headers = _with_fixed(definition, basic_by("{user}", "{password}"))
        return CredentialKind(key, label, fields, help=definition.help, request_headers=headers)
    if isinstance(auth, KeyInHeader):
        headers = _with_fixed(definition, header_by(auth.name, auth.prefix.replace("{", "") + "{secret}"))
        return CredentialKind(key, label, (secret,), help=definition.help, request_headers=headers)
    if isinstance(auth, KeyInQuery):
        headers = _with_fixed(definition, lambda _secrets, _settings: {})
        params = header_by(auth.name, "{secret}")
        return CredentialKind(
            key, label, (secret,), help=definition.help, request_headers=headers, request_params=params
        )
    headers = _with_fixed(definition, bearer)
    if isinstance(auth, BearerToken):
        return CredentialKind(key, label, (secret,), help=definition.help, request_headers=headers)
    if isinstance(auth, SignIn):
        return CredentialKind(key, label, oauth=_oauth(auth), help=definition.help, request_headers=headers)
    fields = (SetupField("client_id", "Client id"), SetupField("client_secret", "Client secret", secret=True))
    return CredentialKind(key, label, fields, mint=_mint(auth), help=definition.help, request_headers=headers)


def hosts_of(definition: Definition) -> tuple[Host, ...]:
    """The one place it lives at: where people sign in, and where tokens are given out."""
    auth = definition.auth
    label = urlsplit(definition.base_url).netloc
    if isinstance(auth, SignIn):
        return (Host("main", label, _origin(auth.authorize_url), token_url=_origin(auth.token_url)),)
    if isinstance(auth, ClientCredentials):
        return (Host("main", label, _origin(auth.token_url)),)
    return (Host("main", label, _origin(definition.base_url)),)


def _with_fixed(definition: Definition, own: Headers) -> Headers:
    fixed = {"Accept": "application/json", **definition.headers}
    return lambda secrets, settings: {**fixed, **own(secrets, settings)}


def _oauth(auth: SignIn) -> OAuth2:
    return OAuth2(
        _path(auth.authorize_url),
        _path(auth.token_url),
        scopes=tuple(auth.scopes),
        pkce=auth.pkce,
        authorize_params=tuple(auth.params.items()),
        client_auth=ClientAuth.BASIC if auth.client_auth == "basic" else ClientAuth.BODY,
        lifetime_s=None,
    )


def _mint(auth: ClientCredentials) -> Mint:
    def request(values: Mapping[str, str], _login: str, _now: datetime) -> TokenRequest:
        form = {"grant_type": "client_credentials", **auth.params}
        if auth.scopes:
            form["scope"] = " ".join(auth.scopes)
        if auth.client_auth == "basic":
            headers = basic(values["client_id"], values["client_secret"])
            return TokenRequest(_path(auth.token_url), form=form, headers=headers)
        form |= {"client_id": values["client_id"], "client_secret": values["client_secret"]}
        return TokenRequest(_path(auth.token_url), form=form)

    return Mint(request, lifetime_s=None)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _path(url: str) -> str:
    return urlsplit(url).path
