"""An API that is only described: six lists of the sandbox's nameless API, each paged in another way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.process import RunningSandbox
from syncs import custom
from syncs.models import CustomProvider
from syncs.providers.custom import Definition, provider_of
from syncs.providers.kit.access import Access
from syncs.providers.kit.http import make_http
from tests.integration.provider_adapters.adapter import Adapter, Pasted
from tests.integration.provider_bench import Bench

KEY, PASSWORD = "sandbox-anyapi-key", "sandbox-anyapi-password"
WAYS: dict[str, dict[str, Any]] = {
    "all": {"type": "none"},
    "link": {"type": "link_header"},
    "next": {"type": "next_url", "path": "links.next"},
    "token": {"type": "page_token", "path": "next_cursor", "param": "cursor", "more": "has_more"},
    "offset": {"type": "offset", "param": "offset", "total": "total"},
    "page": {"type": "page_number", "param": "page"},
    "keyset": {"type": "keyset", "id_param": "after_id", "time_param": "after_time"},
}


def collection(way: str, table: str = "contacts", **changed: Any) -> dict[str, Any]:
    """One list of the sandbox's, paged in one way."""
    return {
        "id": f"{table}-{way}",
        "title": f"{table.title()} by {way}",
        "path": f"/{way}/{table}",
        "list_at": "data.items",
        "updated_at": "meta.updated",
        "created_at": "meta.created",
        "size_param": "limit",
        "size": 100,
        "paging": WAYS[way],
        "incremental": {"param": "updated_since"},
        "record_path": f"/{way}/{table}/{{id}}",
        "record_at": "data",
        **changed,
    }


def definition(sandbox: RunningSandbox, way_in: str = "header", auth: Any = None, *ways: str, **changed: Any) -> Any:
    """A definition of the sandbox's API, by one way in, with lists in these ways of paging (all)."""
    return {
        "key": "any",
        "label": "Any API",
        "base_url": f"{sandbox.side('anyapi')}/{way_in}",
        "auth": auth or {"type": "header", "name": "X-Api-Key"},
        "per_s": 1000,
        "collections": [collection(way) for way in ways or WAYS],
        **changed,
    }


class Described(Adapter):
    """Its provider is made of a definition, once the sandbox's address is known."""

    @asynccontextmanager
    async def bench(self, sandbox: RunningSandbox, **settings: Any) -> AsyncIterator[Bench]:
        provider = provider_of(Definition.model_validate(definition(sandbox)))
        headers = provider.kinds[0].request_headers(self.secrets, {})
        async with make_http(allows=lambda address, port: address == "127.0.0.1") as http:
            yield await Bench(provider, http, Pasted(Access(provider.api_url, headers)), settings).open()

    def connecting(self, sandbox: RunningSandbox) -> dict[str, Any]:
        if not CustomProvider.objects.filter(key="custom-any").exists():
            custom.create(custom.parse(definition(sandbox)), by=None)
        return super().connecting(sandbox) | {"provider": "custom-any"}


ADAPTER = Described(
    key="anyapi",
    collection="custom-any:contacts-token",
    table="contacts",
    version="sandbox_version",
    edit=lambda number: {"score": number},
    kind="custom-any_key",
    secrets={"secret": KEY},
    four=tuple(f"custom-any:contacts-{way}" for way in ("link", "next", "offset", "page")),
    closed=("custom-any:contacts-keyset", "/keyset/contacts"),
    small={},
    cut={"page_size_cap": 5},
)
