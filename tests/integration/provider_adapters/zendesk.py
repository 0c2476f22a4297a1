"""Zendesk's adapter: tickets, by an API token. Their version is in a custom field; refresh tokens always rotate."""

import json

from tests.integration.provider_adapters.adapter import Adapter

VERSION_FIELD = 360_000_900


class ZendeskAdapter(Adapter):
    """A ticket's own fields are a list."""

    def version_of(self, data: bytes | str) -> int:
        return next(int(each["value"]) for each in json.loads(data)["custom_fields"] if each["id"] == VERSION_FIELD)


ADAPTER = ZendeskAdapter(
    key="zendesk",
    collection="zendesk:ticket",
    table="tickets",
    version="",
    edit=lambda number: {"subject": f"Number {number}"},
    kind="zendesk_api_token",
    secrets={"api_token": "sandbox-zendesk-token"},
    credential_settings={"subdomain": "sandbox", "email": "ada@sandbox.example"},
    oauth_kind="zendesk_oauth2",
    imports=lambda grant: ({"secret": grant["refresh_token"]}, {}),
    app_properties={"subdomain": "sandbox"},
    rotating={},
    four=("zendesk:user", "zendesk:organization", "zendesk:ticket_comment", "zendesk:group"),
    closed=("zendesk:macro", "/macros"),
    settings={"zendesk_hold_s": 0.0, "zendesk_export_calls": 100_000, "zendesk_budget_calls": 0},
)
