"""The customer's own OAuth applications: stored, and what they send people to at the provider."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.urls import reverse

from sequin_console.common import audit, changes
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem, field_problem
from syncs import access, connections, hosts, pasted
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp, SyncCollection
from syncs.providers.kit.catalogue import Collection, OAuth2, Provider
from syncs.providers.kit.values import fill


def create(data: Mapping[str, Any], *, by: Any) -> OAuthApp:
    """Store the customer's OAuth app. Raises Problem."""
    app = OAuthApp(provider=connections.provider_named(data.get("provider", "")).key)
    return _save(app, data, by, "oauth_app.created")


def update(app: OAuthApp, data: Mapping[str, Any], *, by: Any) -> OAuthApp:
    """Change an OAuth app; a client secret left empty stays. Raises Problem."""
    return _save(app, data, by, "oauth_app.changed")


def _save(app: OAuthApp, data: Mapping[str, Any], by: Any, action: str) -> OAuthApp:
    provider = PROVIDERS[app.provider]
    before = (app.host, app.login_url, dict(app.settings))
    app.name = pasted.text(data, "name", app.name, f"{provider.label} app")
    app.client_id = pasted.text(data, "client_id", app.client_id)
    app.host = pasted.text(data, "host", app.host, provider.hosts[0].key)
    app.login_url = str(data.get("login_url") or app.login_url).strip()
    app.metadata = data.get("metadata", app.metadata) or {}
    if data.get("client_secret"):
        app.secrets = Secrets({**app.secrets, "client_secret": str(data["client_secret"]).strip()})
    pasted.check_sendable("client_secret", app.secrets.get("client_secret", ""))
    pasted.check_sendable("client_id", app.client_id)
    if not app.secrets.get("client_secret"):
        raise field_problem("client_secret", "The client secret is missing.", next_step="Copy it from the provider.")
    _keep_fields(app, provider, data.get("properties") or {})
    where = hosts.place_of(app)
    app.login_url = where.login if app.login_url else ""
    moved = not app._state.adding and (app.host, app.login_url, app.settings) != before
    if moved and hosts.is_own(provider, app.host) and not data.get("client_secret"):
        step = "Paste it again: it will be sent to the new address."
        raise field_problem("client_secret", "The stored secret does not follow to another address.", next_step=step)
    with transaction.atomic():
        app.save()
        audit.record(by, action, app, {"provider": app.provider, "client_id": app.client_id, "host": app.host})
    changes.announce("credentials")
    return app


def _keep_fields(app: OAuthApp, provider: Provider, sent: Mapping[str, Any]) -> None:
    """What this provider's apps have beside id and secret. What is not sent stays; an empty secret stays, too."""
    fields = provider.app_fields()
    unknown = set(sent) - {field.key for field in fields}
    if unknown:
        raise field_problem(min(unknown), f"{provider.label} apps have no property of this name.")
    kept = {**app.settings, **app.secrets}
    given = {key: str(value).strip() for key, value in sent.items() if value is not None}
    secret = {field.key for field in fields if field.secret}
    values = pasted.cleaned(fields, kept | {key: value for key, value in given.items() if value or key not in secret})
    app.settings = {key: value for key, value in values.items() if key not in secret}
    app.secrets = Secrets({**app.secrets, **{key: value for key, value in values.items() if key in secret}})


def delete(app: OAuthApp, *, by: Any) -> None:
    """Remove an OAuth app. Raises Problem while connections use it."""
    try:
        with transaction.atomic():
            audit.record(by, "oauth_app.deleted", app)
            app.delete()
    except ProtectedError:
        raise Problem(
            "Connections still use this OAuth app.", kind="conflict", next_step="Delete them first.", status=409
        ) from None


# --- The way through one ----------------------------------------------------------------------------------------------


def redirect_uri(provider_key: str) -> str:
    """The redirect URL to register at the provider. PUBLIC_URL alone builds it."""
    return settings.PUBLIC_URL + reverse("syncs:oauth_callback", args=[provider_key])


def oauth_of(app: OAuthApp, kind_key: str) -> OAuth2:
    """The OAuth 2 description of a credential kind. Raises Problem when that kind knows no redirect."""
    try:
        oauth = PROVIDERS[app.provider].kind(kind_key).oauth
    except KeyError:
        oauth = None
    if oauth is None:
        raise Problem(
            f"“{kind_key}” is not connected by a redirect.", fields={"credential_kind": ["Not an OAuth kind."]}
        )
    if lacking := lacking_of(app, oauth):
        raise Problem(
            f"The OAuth app {app.name} has no {' and no '.join(lacking)}.",
            next_step="An admin adds it under Connections, OAuth apps.",
            fields={"oauth_app_id": [f"It has no {', '.join(lacking)}."]},
        )
    return oauth


def lacking_of(app: OAuthApp, oauth: OAuth2) -> list[str]:
    """What this way to connect needs of an OAuth app, and this one has not: labels of fields."""
    held = access.app_values(app)
    return [field.label for field in oauth.fields if field.required and not held.get(field.key)]


def wanted_by(app: OAuthApp, credential: Credential | None) -> list[Collection]:
    """The collections to ask rights for: those shown to pick from, and those that syncs read through it already."""
    shown = [row for row in PROVIDERS[app.provider].collections if row.shown]
    picked = SyncCollection.objects.filter(sync__credential=credential) if credential else SyncCollection.objects.none()
    return [*shown, *(connections.spec_of(row) for row in picked)]


def wanted_for_webhook(credential: Credential | None) -> tuple[str, ...]:
    """The scopes that registering takes, for a connection whose webhook is to be registered and is none by hand."""
    row = getattr(credential, "webhook", None)
    way = PROVIDERS[credential.provider].webhook if credential else None
    if row is None or way is None or credential is None or credential.kind not in way.kinds:
        return ()
    return way.scopes if row.is_registered or row.last_event_at is None else ()


def authorize_url(
    app: OAuthApp, oauth: OAuth2, wanted: list[Collection], *, state: str, verifier: str, more: tuple[str, ...] = ()
) -> str:
    """The provider's authorize URL. Asked for is what reading these collections needs, `more`, and nothing else."""
    extra = dict(oauth.authorize_params)
    if oauth.pkce:
        extra |= {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
    needed = dict.fromkeys(scope for collection in wanted for scope in collection.scopes)
    asked = list(dict.fromkeys([*oauth.scopes, *([] if oauth.optional_param else needed), *more]))
    if oauth.optional_param and (optional := [scope for scope in needed if scope not in oauth.scopes]):
        extra[oauth.optional_param] = oauth.scope_separator.join(optional)
    url = prepare_grant_uri(
        hosts.place_of(app).login + fill(oauth.authorize_path, app.settings),
        client_id=app.client_id,
        response_type="code",
        redirect_uri=redirect_uri(app.provider),
        scope=oauth.scope_separator.join(asked) or None,
        state=state,
        **extra,
    )
    address, _, query = url.partition("?")
    return f"{address}?{query.replace('+', '%20')}"  # not all providers take a plus for a space
