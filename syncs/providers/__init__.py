"""The upstream APIs we read, one module each, on a small kit."""

from syncs.providers.github import PROVIDER as GITHUB
from syncs.providers.hubspot import PROVIDER as HUBSPOT
from syncs.providers.jira import PROVIDER as JIRA
from syncs.providers.kit.catalogue import Provider
from syncs.providers.linear import PROVIDER as LINEAR
from syncs.providers.salesforce import PROVIDER as SALESFORCE
from syncs.providers.stripe import PROVIDER as STRIPE
from syncs.providers.zendesk import PROVIDER as ZENDESK

PROVIDERS: dict[str, Provider] = {
    provider.key: provider for provider in (SALESFORCE, STRIPE, JIRA, HUBSPOT, ZENDESK, GITHUB, LINEAR)
}


def provider(key: str) -> Provider:
    """The provider of that key. Raises KeyError."""
    return PROVIDERS[key]
