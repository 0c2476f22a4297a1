"""The HTTP API under `/v1`: both apps' routes, one way in, one shape for everything that goes wrong."""

from consumers import api as consumers_api
from sequin_console.api.auth import BearerToken
from sequin_console.api.errors import add_handlers
from sequin_console.api.mount import Console
from syncs import api as syncs_api
from syncs import api_connections, webhooks_api
from syncs.api_custom import custom_providers

DESCRIPTION = """\
Send an API token with every request: `Authorization: Bearer sqn_…`. Tokens are made under Settings. A viewer's token
reads, an operator's also changes connections, syncs and consumers, an admin's also OAuth apps
and described APIs.

Bodies and answers are JSON. Times are RFC 3339 in UTC. Secrets are taken in and never given out: answers show
`********`, and sending that back leaves a secret as it is.

Lists answer `{"data": [...], "next": "..."}`. Send `next` back as `cursor` for the page that follows; it is null on
the last page. `limit` is 1 to 200.

Whatever goes wrong answers `{"error": {"kind", "message", "next_step", "fields"}}`; `fields` holds the sentences for
each field of the body, its name dotted (`nats.jwt`).
"""

api = Console(
    title="Sequin Console API",
    version="1",
    description=DESCRIPTION,
    auth=BearerToken(),
    urls_namespace="api",
)
api.add_router("/syncs", syncs_api.syncs, tags=["Syncs"])
api.add_router("/nats_consumers", consumers_api.consumers, tags=["NATS consumers"])
api.add_router("/credentials", api_connections.credentials, tags=["Credentials"])
api.add_router("/webhooks", webhooks_api.router, tags=["Webhooks"])
api.add_router("/oauth-apps", api_connections.apps, tags=["OAuth apps"])
api.add_router("/link", api_connections.links, tags=["Credentials"])
api.add_router("/providers", syncs_api.providers, tags=["Providers and collections"])
api.add_router("/custom-providers", custom_providers, tags=["Described APIs"])
api.add_router("/collections", syncs_api.collections, tags=["Providers and collections"])
api.add_router("/records", syncs_api.records, tags=["Records"])
add_handlers(api)
