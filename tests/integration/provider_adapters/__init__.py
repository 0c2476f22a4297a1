"""How the contract tests of providers (`test_provider_contract.py`) drive each side of the sandbox: an adapter each."""

from tests.integration.provider_adapters import anyapi, github, hubspot, jira, linear, salesforce, stripe, zendesk
from tests.integration.provider_adapters.adapter import Adapter

_ALL = (salesforce, stripe, jira, hubspot, zendesk, github, linear, anyapi)
ADAPTERS: dict[str, Adapter] = {each.ADAPTER.key: each.ADAPTER for each in _ALL}
