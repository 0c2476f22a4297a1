"""What a person typed or pasted, as it is stored: cleaned, checked, secrets and settings apart."""

from collections.abc import Iterable, Mapping
from typing import Any

from sequin_console.common.fields import Secrets
from sequin_console.common.problems import field_problem
from sequin_console.common.troubled import NO_TROUBLE
from syncs import hosts
from syncs.models import Credential, OAuthApp
from syncs.providers.kit.catalogue import CredentialKind, Provider, SetupField
from syncs.providers.kit.values import LOGIN_URL, BadValue
from syncs.states import CredentialState

HOST = "host"


def fill(credential: Credential, provider: Provider, kind: CredentialKind, data: Mapping[str, Any]) -> None:
    """Put what was typed onto the credential. Raises Problem naming the field."""
    typed = _texts(data.get("secrets")) | _texts(data.get("settings"))
    unknown = set(data.get("secrets") or {}) - {f.key for f in kind.fields}
    if unknown:  # a mistyped name must not end up among what is shown
        raise field_problem(min(unknown), f"{kind.label} has no field of this name.")
    typed |= cleaned(kind.fields, typed)
    for field, message in kind.problems(typed).items():
        raise field_problem(field, message)
    if kind.oauth is not None and credential.oauth_app is None:
        raise field_problem(
            "oauth_app_id", "This kind of credential needs an OAuth app.", next_step="Create one first."
        )
    secret_keys = {f.key for f in kind.fields if f.secret}
    secrets = Secrets({key: typed[key] for key in secret_keys if typed.get(key)})
    if kind.imports in secrets:
        secrets["refresh_token"] = secrets.pop(kind.imports)
    if not secrets:
        raise field_problem(kind.imports or "secret", "The secret is missing.")
    credential.secrets = secrets
    credential.settings = {key: value for key, value in typed.items() if key not in secret_keys and value}
    if credential.oauth_app is not None:
        credential.settings |= app_place(credential.oauth_app)
    else:
        credential.settings |= _own_place(provider, kind, typed)
    credential.state, credential.access_expires_at = CredentialState.OK, None
    for column, value in NO_TROUBLE.items():
        setattr(credential, column, value)
    credential.name = text(data, "name", credential.name, f"{provider.label} account")
    credential.metadata = data.get("metadata") or {}


def cleaned(fields: Iterable[SetupField], typed: Mapping[str, str]) -> dict[str, str]:
    """What was typed into these fields, each in its one spelling. Raises Problem naming the field."""
    values = {}
    for field in fields:
        value = typed.get(field.key, "")
        if not value:
            if field.required:
                raise field_problem(field.key, f"{field.label} is missing.", next_step=field.help)
            continue
        try:
            values[field.key] = field.clean(value)
        except BadValue as error:
            raise field_problem(field.key, str(error)) from None
        if field.secret:
            check_sendable(field.key, values[field.key], lines=field.lines)
    return values


def app_place(app: OAuthApp) -> dict[str, str]:
    """What a credential keeps of its OAuth app: where the account is, and the app's own names for that."""
    return {**app.settings, HOST: app.host, **({LOGIN_URL: app.login_url} if app.login_url else {})}


def _own_place(provider: Provider, kind: CredentialKind, typed: Mapping[str, str]) -> dict[str, str]:
    """Where the account is, for a kind that has no OAuth app to tell. Raises Problem."""
    offered = hosts.choices(provider, kind)
    key = typed.get(HOST) or (offered[0].key if kind.mint or kind.hosts else "")
    if not key:
        return {}
    host = next((host for host in offered if host.key == key), None)
    if host is None:
        names = ", ".join(host.key for host in offered)
        raise field_problem(HOST, f"{kind.label} does not work at “{key}”.", next_step=f"Use {names}.")
    where = hosts.place(provider, key, typed.get(LOGIN_URL, ""), typed)
    return {HOST: key} | ({} if host.url else {LOGIN_URL: where.login})


def check_sendable(field: str, value: str, *, lines: bool = False) -> None:
    """Keys travel in HTTP headers: printable ASCII. Anything else is a slip of the clipboard. Raises Problem."""
    parts = value.splitlines() if lines else [value]
    if not (value.isascii() and all(part.isprintable() for part in parts)):
        raise field_problem(field, "This holds characters that no key has.", next_step="Copy it again, alone.")


def text(data: Mapping[str, Any], key: str, current: str = "", default: str = "") -> str:
    """A text that must be there. Raises Problem."""
    value = str(data.get(key) or current or default).strip()
    if not value:
        raise field_problem(key, f"“{key}” is missing.")
    return value


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: str(value).strip() for key, value in (values or {}).items() if value is not None}
