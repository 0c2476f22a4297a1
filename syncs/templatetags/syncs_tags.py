"""What the syncs pages ask of the provider catalogue."""

from django import template

from syncs import hosts, oauth_apps
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp

register = template.Library()


@register.filter
def provider_label(key: str) -> str:
    """The provider's name as people know it: `salesforce` as "Salesforce"."""
    return PROVIDERS[key].label if key in PROVIDERS else key


@register.filter
def host_label(row: OAuthApp | Credential) -> str:
    """Which of the provider's login hosts this is for ("Sandbox", "Built-in demo"); empty where there is no choice."""
    provider = PROVIDERS.get(row.provider)
    key = row.host if isinstance(row, OAuthApp) else row.settings.get("host", "")
    typed = row.login_url if isinstance(row, OAuthApp) else row.settings.get("login_url", "")
    found = next((host for host in hosts.choices(provider) if host.key == key), None) if provider else None
    if found is None:
        return ""
    return found.label if found.url or not typed else typed.removeprefix("https://")


@register.filter
def redirect_url(provider_key: str) -> str:
    """The redirect URL to register at the provider."""
    return oauth_apps.redirect_uri(provider_key)
