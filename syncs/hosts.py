"""Where a provider's login and API live: its own hosts, the operator's overrides, the built-in demo.

`SEQUIN_PROVIDER_URLS` is JSON, provider to base URLs: `{"stripe": "http://127.0.0.1:9000/stripe"}` for both, or
`{"github": {"api": "https://ghe.example.com/api/v3", "login": "https://ghe.example.com"}}`. An override takes the place
of every host the provider names; only https and loopback are taken.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from sequin_console.common.problems import field_problem
from syncs.catalogue import PROVIDERS, is_described
from syncs.models import OAuthApp
from syncs.providers import PROVIDERS as OURS
from syncs.providers.kit.catalogue import CredentialKind, Host, Provider
from syncs.providers.kit.hosts import BadHost, clean_url
from syncs.providers.kit.values import LOGIN_URL, BadValue, fill, places

DEMO = "demo"


@dataclass(frozen=True)
class Override:
    """Base URLs the operator has set for one provider."""

    api: str
    login: str


@lru_cache(maxsize=8)
def parse_overrides(text: str) -> dict[str, Override]:
    """SEQUIN_PROVIDER_URLS by provider. Raises ImproperlyConfigured, naming the provider, for anything unfit."""
    if not text.strip():
        return {}
    try:
        tree = json.loads(text)
        return {key: _override(value) for key, value in tree.items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ImproperlyConfigured(f"SEQUIN_PROVIDER_URLS: {error} See docs/settings.md.") from None


def _override(value: object) -> Override:
    if isinstance(value, str):
        url = clean_url(value)
        return Override(url, url)
    if isinstance(value, Mapping) and set(value) <= {"api", "login"} and value:
        api = clean_url(value.get("api") or value["login"])
        return Override(api, clean_url(value.get("login") or api))
    raise TypeError("each provider needs a base URL, or an object with `api` and `login`.")


@dataclass(frozen=True)
class Place:
    """Base URLs of a login: where people sign in, and where the token endpoint is."""

    login: str
    token: str


def choices(provider: Provider, kind: CredentialKind | None = None) -> tuple[Host, ...]:
    """The places a connection to this provider (by this kind) can point at, for the connect form."""
    offered = tuple(host for host in provider.hosts if kind is None or not kind.hosts or host.key in kind.hosts)
    if settings.SANDBOX_URL and not is_described(provider.key):
        return (*offered, Host(DEMO, "Built-in demo", _demo(provider), "Made-up data that changes by itself."))
    return offered


def place(provider: Provider, host_key: str, typed: str = "", values: Mapping[str, str] | None = None) -> Place:
    """Where a choice of `choices` leads: with the typed address where it asks for one, with values in its places.

    Raises Problem at `host`, `login_url` or the field whose value does not fit.
    """
    if host_key == DEMO and settings.SANDBOX_URL:
        return Place(_demo(provider), _demo(provider))
    override = parse_overrides(settings.PROVIDER_URLS).get(provider.key)
    if override:
        return Place(override.login, override.login)
    host = next((host for host in provider.hosts if host.key == (host_key or provider.hosts[0].key)), None)
    if host is None:
        offered = ", ".join(h.key for h in choices(provider))
        raise field_problem("host", f"{provider.label} has no login host “{host_key}”.", next_step=f"Use {offered}.")
    try:
        login = host.url or provider.check_host(typed)
    except BadHost as error:
        raise field_problem(LOGIN_URL, str(error)) from None
    try:
        known = {**(values or {}), LOGIN_URL: login}
        return Place(fill(login, known), fill(host.token_url or login, known))
    except BadValue as error:
        raise field_problem(next(iter(places(login)), LOGIN_URL), str(error)) from None


def is_own(provider: Provider, host_key: str) -> bool:
    """Whether the address of this host is a person's choice, in whole or in part, and not the catalogue's alone."""
    host = next((host for host in provider.hosts if host.key == host_key), None)
    return host is not None and (not host.url or bool(places(host.url + host.token_url)))


def place_of(app: OAuthApp) -> Place:
    """Where an OAuth app's people sign in. Raises Problem."""
    return place(PROVIDERS[app.provider], app.host, app.login_url, app.settings)


def api_url(provider: Provider, kind: CredentialKind, credential_settings: Mapping[str, str]) -> str:
    """Where a credential's requests go: the API's host, and the kind's path on it once the site is known.

    Raises BadValue for settings that do not fit.
    """
    known = all(credential_settings.get(name) for name in places(kind.api_path))
    if known:
        return api_host(provider, kind, credential_settings) + fill(kind.api_path, credential_settings)
    return api_host(provider, kind, credential_settings, template=kind.sites_url)


def api_host(
    provider: Provider, kind: CredentialKind, credential_settings: Mapping[str, str], *, template: str = ""
) -> str:
    """Where the API lives: the operator's override, else what the token answer said, else what the catalogue says.

    template  stands before all the catalogue says
    """
    if credential_settings.get("host") == DEMO and settings.SANDBOX_URL:
        return _demo(provider)
    override = parse_overrides(settings.PROVIDER_URLS).get(provider.key)
    if override:
        return override.api
    if told := credential_settings.get("instance_url"):
        return told
    host = next((host for host in provider.hosts if host.key == credential_settings.get("host")), None)
    return fill(template or (host and host.api_url) or kind.api_url or provider.api_url, credential_settings)


def place_names(provider: Provider, kind: CredentialKind) -> set[str]:
    """The settings of a credential that decide where its secrets are sent."""
    templates = [
        kind.api_url,
        kind.sites_url,
        *(url for host in provider.hosts for url in (host.url, host.token_url, host.api_url)),
    ]
    return {"host", LOGIN_URL, "instance_url", *(name for template in templates for name in places(template))}


def problems() -> list[str]:
    """What is wrong with SEQUIN_PROVIDER_URLS, in sentences; for the start-up checks."""
    try:
        overrides = parse_overrides(settings.PROVIDER_URLS)
    except ImproperlyConfigured as error:
        return [str(error)]
    return [
        f"SEQUIN_PROVIDER_URLS names “{key}”, which is no provider."
        for key in overrides
        if key not in OURS and not is_described(key)
    ]


def _demo(provider: Provider) -> str:
    return f"{settings.SANDBOX_URL}/{provider.key}"
