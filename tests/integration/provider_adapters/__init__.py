"""How the contract tests of providers (`test_provider_contract.py`) drive each side of the sandbox: an adapter each."""

from tests.integration.provider_adapters import github, hubspot, jira, salesforce, stripe, zendesk
from tests.integration.provider_adapters.adapter import Adapter

ADAPTERS: dict[str, Adapter] = {
    each.key: each
    for each in (salesforce.ADAPTER, stripe.ADAPTER, jira.ADAPTER, hubspot.ADAPTER, zendesk.ADAPTER, github.ADAPTER)
}
