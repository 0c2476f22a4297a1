"""Jira's adapter: issues, by an API token; grants have a site."""

from tests.integration.provider_adapters.adapter import Adapter

ADAPTER = Adapter(
    key="jira",
    collection="jira:issue",
    table="issue",
    version="fields.customfield_10900",
    edit=lambda number: {"fields": {"summary": f"Number {number}", "project": {"key": "ACME", "id": "10001"}}},
    kind="jira_token",
    secrets={"secret": "sandbox-jira-token"},
    credential_settings={"site": "sandbox", "email": "ada@sandbox.example"},
    oauth_kind="jira_oauth2",
    imports=lambda grant: ({"refresh_token": grant["refresh_token"]}, {}),
    rotating={"jira_refresh_leeway_s": 0.0},
    four=("jira:comment", "jira:project", "jira:field", "jira:board"),
    closed=("jira:user", "/users/search"),
    settings={"jira_worklog_hold_s": 0.0},
    seeds={"user": 2},
)
