"""Linear's adapter: issues, by a key. All is one address, so a fault names the list it strikes."""

from tests.integration.provider_adapters.adapter import Adapter

ADAPTER = Adapter(
    key="linear",
    collection="linear:issue",
    table="issues",
    version="sortOrder",
    edit=lambda number: {"title": f"Number {number}"},
    kind="linear_key",
    secrets={"secret": "lin_api_sandbox_demo"},
    oauth_kind="linear_oauth2",
    imports=lambda grant: ({"refresh_token": grant["refresh_token"]}, {}),
    rotating={},
    four=("linear:team", "linear:user", "linear:project", "linear:comment"),
    closed=("linear:document", "documents"),
    seeds={"projects": 2, "comments": 2, "documents": 2},
)
