"""HubSpot's adapter: contacts, by a service key. Its pages go on from ids, not from tokens."""

from tests.integration.provider_adapters.adapter import Adapter

ADAPTER = Adapter(
    key="hubspot",
    collection="hubspot:contact",
    table="contacts",
    version="properties.sandbox_version",
    edit=lambda number: {"properties": {"jobtitle": f"Number {number}"}},
    kind="hubspot_key",
    secrets={"secret": "pat-na1-sandbox-demo"},
    oauth_kind="hubspot_oauth2",
    imports=lambda grant: ({"refresh_token": grant["refresh_token"]}, {}),
    rotating={"hubspot_rotate_refresh_tokens": True},
    four=("hubspot:company", "hubspot:deal", "hubspot:owner", "hubspot:contact_to_companies"),
    closed=("hubspot:ticket", "/tickets"),
    seeds={"companies": 2, "deals": 2, "tickets": 2},
    page_tokens=False,
)
