"""API bodies as the services take them: properties parted into secrets and settings, problems named as the body is."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.utils import timezone

from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.rest import is_masked, without_masked
from syncs import connections, disconnecting, hosts, services
from syncs.access import SITE_ID
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp, Sync
from syncs.providers.kit.catalogue import CredentialKind, Provider
from syncs.providers.kit.values import LOGIN_URL
from syncs.schemas import CredentialPatch, InlineCredential, OAuthAppIn, SyncIn

KIND, NAME, HOST = "kind", "name", "host"
_BESIDE = ("name", "provider", "oauth_app_id", "metadata")  # of a credential, beside its properties
_SERVICE_PREFIX = "credential.properties."


def oauth_app(actor: Any, app_id: UUID, field: str = "oauth_app_id") -> OAuthApp:
    """An OAuth app named in a body. Raises Problem at that field."""
    app = OAuthApp.objects.visible_to(actor).filter(pk=app_id).first()
    if app is None:
        raise field_problem(field, "There is no such OAuth app.", next_step="GET /v1/oauth-apps lists them.")
    return app


# --- Credentials -----------------------------------------------------------------------------------------------------


def import_credential(body: InlineCredential, *, by: Any, within: str = "") -> Credential:
    """Check and store the credential a body describes. `within` is where the body stands: `credential.` or nothing."""
    Credential.objects.editable_by(by)
    with named_as_sent(within, body.properties):
        provider, kind = _kind(body)
        app = oauth_app(by, body.oauth_app_id) if body.oauth_app_id else None
        if app is not None and app.provider != provider.key:
            raise field_problem("oauth_app_id", f"This OAuth app is for {app.provider}, not {provider.label}.")
        secrets, settings = parted(provider, kind, body.properties)
        data = {
            "provider": provider.key,
            "kind": kind.key,
            "name": body.name or _text(body.properties, NAME),
            "secrets": secrets,
            "settings": settings,
            "oauth_app": app,
            "metadata": body.metadata,
        }
        return connections.create_credential(data, by=by)


def change_credential(credential: Credential, body: CredentialPatch, *, by: Any) -> Credential:
    """Rename, or replace what is not masked; a new secret or setting is tried first."""
    data = {key: value for key, value in body.model_dump(exclude_unset=True).items() if value is not None}
    sent = data.pop("properties", {})
    with named_as_sent("", {KIND: credential.kind, **sent}):
        provider = PROVIDERS[credential.provider]
        kind = provider.kind(credential.kind)
        if sent.get(KIND, kind.key) != kind.key:
            raise field_problem(KIND, f"This credential is of the kind {kind.key}.", next_step="Import another one.")
        if NAME in sent:
            data.setdefault("name", _text(sent, NAME))
        secrets, settings = parted(provider, kind, without_masked(sent))
        names = [*(field.key for field in kind.fields), HOST, LOGIN_URL, SITE_ID]
        kept = {name: credential.settings[name] for name in names if name in credential.settings}
        changed = {name for name, value in settings.items() if value != kept.get(name, "")}
        if changed and not secrets and changed <= {field.key for field in kind.editable}:
            data["settings"] = settings
        elif secrets or changed:
            # Stored secrets do not follow to another place: it could be one that somebody has set up to catch them.
            places = hosts.place_names(provider, kind)
            moved = [name for name in places if settings.get(name, kept.get(name)) != kept.get(name)]
            secrets = {**({} if moved else _stored(credential, kind)), **secrets}
            if not secrets:
                raise field_problem(
                    moved[0], "The stored secret does not follow to another address.", next_step="Send it again."
                )
            data |= {"secrets": secrets, "settings": {**kept, **settings}}
        return connections.update_credential(credential, data, by=by)


def _stored(credential: Credential, kind: CredentialKind) -> dict[str, str]:
    """The secrets there are, by the field each was typed into."""
    stored = {field.key: credential.secrets.get(field.key, "") for field in kind.fields if field.secret}
    if kind.imports:
        stored[kind.imports] = credential.secrets.get("refresh_token", "")
    return {key: value for key, value in stored.items() if value}


def _kind(body: InlineCredential) -> tuple[Provider, CredentialKind]:
    """The provider and kind of a body: kinds are named once over all providers, so the kind tells both."""
    wanted = _text(body.properties, KIND)
    for provider in PROVIDERS.values():
        for kind in provider.kinds:
            if kind.key == wanted and body.provider in ("", provider.key):
                return provider, kind
    kinds = ", ".join(kind.key for provider in PROVIDERS.values() for kind in provider.kinds)
    message = f"There is no kind of credential “{wanted}”." if wanted else "The kind of credential is missing."
    raise field_problem(KIND, message, next_step=f"Use one of {kinds}.")


def parted(
    provider: Provider, kind: CredentialKind, properties: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """(secrets, settings) out of a body's properties. Raises Problem for one the kind does not have.

    An unknown name is refused, for a mistyped one could be a secret, and settings are shown.
    """
    secrets: dict[str, str] = {}
    settings: dict[str, str] = {}
    fields = {name: field for field in kind.fields for name in (field.key, *field.aliases)}
    for name in properties:
        if name in (KIND, NAME):
            continue
        value = _text(properties, name)
        if name in fields and is_masked(value):
            raise field_problem(name, "This is a masked secret.", next_step="Send the secret itself.")
        if name in fields and fields[name].secret and not _can_be_sent(value):
            raise field_problem(name, "This holds a character that no key has.", next_step="Copy it once more, whole.")
        if name in fields:
            (secrets if fields[name].secret else settings)[fields[name].key] = value
        elif name == HOST and kind.oauth is None:
            settings[HOST] = _host(provider, kind, value)
        elif name == LOGIN_URL and kind.oauth is None and not all(host.url for host in hosts.choices(provider, kind)):
            settings[LOGIN_URL] = value
        else:
            known = ", ".join(field.key for field in kind.fields)
            raise field_problem(name, f"{kind.key} has no property “{name}”.", next_step=f"It has {known}.")
    return secrets, settings


def _text(properties: Mapping[str, Any], name: str) -> str:
    """A property as text. Raises Problem for a list or object."""
    value = properties.get(name)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str | int):
        return str("" if value is None else value).strip()
    raise field_problem(name, "This is not a text.")


def _can_be_sent(secret: str) -> bool:
    """Whether it fits into a header: letters, digits and signs of ASCII, and lines of a pasted PEM."""
    return secret.isascii() and all(part.isprintable() for part in secret.splitlines())


def _host(provider: Provider, kind: CredentialKind, key: str) -> str:
    offered = [host.key for host in hosts.choices(provider, kind)]
    if key not in offered:
        raise field_problem(
            HOST, f"{provider.label} has no host “{key}”.", next_step=f"Use one of {', '.join(offered)}."
        )
    return key


@contextmanager
def named_as_sent(within: str, properties: Mapping[str, Any]) -> Iterator[None]:
    """Give a Problem's fields the names they have in the body: `secret` is `properties.secret` there."""
    try:
        yield
    except Problem as problem:
        problem.fields = {within + _sent_name(name, properties): errors for name, errors in problem.fields.items()}
        raise


def _sent_name(name: str, properties: Mapping[str, Any]) -> str:
    """A service's name for a field as it stands in the body; a refused secret stands at the one that was sent."""
    bare = name.removeprefix(_SERVICE_PREFIX)
    if bare in _BESIDE:
        return bare
    kinds = [kind for provider in PROVIDERS.values() for kind in provider.kinds if kind.key == properties.get(KIND)]
    secrets = [name for kind in kinds for f in kind.fields if f.secret for name in (f.key, *f.aliases)]
    if bare == "secret" and bare not in properties:
        bare = next((name for name in secrets if name in properties), secrets[0] if secrets else bare)
    return f"properties.{bare}"


@contextmanager
def app_named_as_sent(properties: Mapping[str, Any]) -> Iterator[None]:
    """Give a Problem's fields the names they have in an OAuth app's body: its own fields stand in `properties`."""
    try:
        yield
    except Problem as problem:
        beside = set(OAuthAppIn.model_fields) - set(properties)
        problem.fields = {
            name if name in beside else f"properties.{name}": errors for name, errors in problem.fields.items()
        }
        raise


# --- The state of an OAuth sign-in -----------------------------------------------------------------------------------


def pack_state(state: Any) -> str:
    """A caller's `state` as the text that stands in the redirect's query.

    A text stays as it is, nothing is the empty text. Everything else is its JSON after one space, which JSON may begin
    with, and which our texts then may not.
    """
    if state is None:
        return ""
    if isinstance(state, str) and state and not state.startswith(" "):
        return state
    return " " + json.dumps(state)


def unpack_state(text: str) -> Any:
    """The `state` again."""
    return json.loads(text) if text.startswith(" ") else text or None


# --- Syncs -----------------------------------------------------------------------------------------------------------


def make_sync(body: SyncIn, *, by: Any) -> Sync:
    """Make a sync, with its credential where the body brings one. If the sync cannot be made, that one goes again."""
    Sync.objects.editable_by(by)
    if (body.credential is None) == (body.credential_id is None):
        raise field_problem(
            "credential_id", "Name a credential, or bring one along.", next_step="Send `credential_id` or `credential`."
        )
    began_at, brought = timezone.now(), None
    if body.credential is not None:
        inline = body.credential.model_copy(update={"provider": body.credential.provider or body.provider})
        credential = import_credential(inline, by=by, within="credential.")
        brought = credential if credential.created_at >= began_at else None  # else it replaced one that was there
    else:
        credential = credential_named(by, body.credential_id)
    data = body.model_dump(exclude={"credential", "credential_id"}) | {"credential": credential}
    try:
        return services.create_sync(data, by=by)
    except BaseException:
        if brought is not None:
            disconnecting.delete_credential(brought, by=by)
        raise


def credential_named(by: Any, credential_id: Any) -> Credential:
    """A credential named in a body. Raises Problem at that field."""
    found = Credential.objects.editable_by(by).filter(pk=credential_id).first()
    if found is None:
        raise field_problem(
            "credential_id", "There is no such credential.", next_step="GET /v1/credentials lists them."
        )
    return found
