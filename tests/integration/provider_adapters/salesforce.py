"""Salesforce's adapter: contacts, by an imported grant."""

from tests.integration.provider_adapters.adapter import Adapter

ADAPTER = Adapter(
    key="salesforce",
    collection="salesforce:contact",
    table="Contact",
    version="Sandbox_Version__c",
    edit=lambda number: {"Title": f"Number {number}"},
    kind="",
    secrets={},
    oauth_kind="salesforce_oauth2",
    imports=lambda grant: ({"secret": grant["refresh_token"]}, {}),
    rotating={"rotate_refresh_tokens": True},
    four=("salesforce:account", "salesforce:lead", "salesforce:case", "salesforce:user"),
    closed=("salesforce:opportunity", "FROM Opportunity"),
    cut={"page_size_cap": 5},
    seeds={"Account": 2, "Lead": 2, "Case": 2, "Opportunity": 2},
)
