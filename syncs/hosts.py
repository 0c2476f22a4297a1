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
from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import Host, Provider
from syncs.providers.kit.hosts import BadHost, clean_url

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


def choices(provider: Provider) -> tuple[Host, ...]:
    """The places a connection to this provider can point at, for the connect form."""
    if settings.SANDBOX_URL:
        return (*provider.hosts, Host(DEMO, "Built-in demo", _demo(provider), "Made-up data that changes by itself."))
    return provider.hosts


def login_url(provider: Provider, host_key: str, typed: str = "") -> str:
    """The login host's base URL for a choice of `choices`, and the typed address where the choice asks for one.

    Raises Problem at `host` or `login_url`.
    """
    if host_key == DEMO and settings.SANDBOX_URL:
        return _demo(provider)
    override = parse_overrides(settings.PROVIDER_URLS).get(provider.key)
    if override:
        return override.login
    host = next((host for host in provider.hosts if host.key == (host_key or provider.hosts[0].key)), None)
    if host is None:
        offered = ", ".join(h.key for h in choices(provider))
        raise field_problem("host", f"{provider.label} has no login host “{host_key}”.", next_step=f"Use {offered}.")
    if host.url:
        return host.url
    try:
        return provider.check_host(typed)
    except BadHost as error:
        raise field_problem("login_url", str(error)) from None


def api_url(provider: Provider, credential_settings: Mapping[str, str]) -> str:
    """Where a credential's requests go: the operator's override, else what the token answer said, else the default."""
    if credential_settings.get("host") == DEMO and settings.SANDBOX_URL:
        return _demo(provider)
    override = parse_overrides(settings.PROVIDER_URLS).get(provider.key)
    if override:
        return override.api
    return credential_settings.get("instance_url") or provider.api_url


def problems() -> list[str]:
    """What is wrong with SEQUIN_PROVIDER_URLS, in sentences; for the start-up checks."""
    try:
        overrides = parse_overrides(settings.PROVIDER_URLS)
    except ImproperlyConfigured as error:
        return [str(error)]
    return [f"SEQUIN_PROVIDER_URLS names “{key}”, which is no provider." for key in overrides if key not in PROVIDERS]


def _demo(provider: Provider) -> str:
    return f"{settings.SANDBOX_URL}/{provider.key}"
