"""A provider's reader over a running sandbox, and what the tests ask of it."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.process import RunningSandbox
from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access, CannotRenew
from syncs.providers.kit.catalogue import Collection, Provider, Quota
from syncs.providers.kit.client import Client
from syncs.providers.kit.http import make_http
from syncs.providers.kit.records import RawRecord


class Refreshing:
    """Access to the sandbox's Salesforce, renewed by its real token endpoint."""

    def __init__(self, sandbox: RunningSandbox, grant: dict[str, Any]) -> None:
        self.sandbox, self.grant, self.renewals = sandbox, dict(grant), 0

    async def access(self) -> Access:
        return Access(self.sandbox.salesforce, {"Authorization": f"Bearer {self.grant['access_token']}"})

    async def renew(self, refused: Access) -> Access:
        provider = PROVIDERS["salesforce"]
        oauth = provider.kind("salesforce_oauth2").oauth
        names = ("refresh_token", "client_id", "client_secret")
        form = {"grant_type": "refresh_token", **{name: self.grant[name] for name in names}}
        async with httpx.AsyncClient(trust_env=False) as http:
            response = await http.post(self.sandbox.salesforce + oauth.token_path, data=form)
        if response.status_code != 200:
            raise oauth.error(response.status_code, response.content)
        grant = oauth.parse(response.json())
        self.grant["access_token"] = grant.access_token
        self.grant["refresh_token"] = grant.refresh_token or self.grant["refresh_token"]
        self.renewals += 1
        return await self.access()


class Bench:
    """One provider's reader, and its collections by id."""

    def __init__(self, key: str | Provider, http: httpx.AsyncClient, source: Any, settings: dict[str, Any]) -> None:
        provider = key if isinstance(key, Provider) else PROVIDERS[key]
        numbers = itertools.count(1)
        self.quotas: list[Quota] = []
        self.source = source
        client = Client.of(
            provider, http, source, draw_read_no=lambda: next(numbers), on_quota=self.quotas.append, settings=settings
        )
        self.reader = provider.reader(client)
        self.collections: dict[str, Collection] = {}

    async def open(self) -> "Bench":
        self.collections = {each.id: each for each in await self.reader.discover()}
        return self

    async def backfill(self, collection_id: str, cursor: dict | None = None) -> dict[str, RawRecord]:
        pages = self.reader.backfill(self.collections[collection_id], cursor)
        return {record.upstream_id: record async for page in pages for record in page.records}

    async def data(self, collection_id: str) -> dict[str, bytes]:
        return {each: record.data for each, record in (await self.backfill(collection_id)).items()}

    async def start(self, *collection_ids: str) -> dict:
        wanted = [self.collections[each] for each in collection_ids]
        return await self.reader.start(wanted[0].feed, wanted)

    async def look(self, cursor: dict, *collection_ids: str) -> tuple[dict[str, RawRecord], dict]:
        """One look for changes: the last version seen of each record, and the cursor afterwards."""
        wanted, records, done = [self.collections[each] for each in collection_ids], {}, False
        async for page in self.reader.changes(wanted[0].feed, wanted, cursor):
            assert not done, "a page after the last one"
            records |= {record.upstream_id: record for record in page.records}
            cursor, done = (page.cursor if page.cursor is not None else cursor), page.done
        assert done
        return records, cursor


@dataclass(frozen=True)
class Pasted:
    """Access that cannot be renewed: a pasted key."""

    granted: Access

    async def access(self) -> Access:
        return self.granted

    async def renew(self, refused: Access) -> Access:
        raise CannotRenew("The provider refused the key.", next_step="Create a new key and paste it in.")


@asynccontextmanager
async def salesforce(sandbox: RunningSandbox, **settings: Any) -> AsyncIterator[Bench]:
    grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
    async with make_http() as http:
        yield await Bench("salesforce", http, Refreshing(sandbox, grant), settings).open()


@asynccontextmanager
async def stripe(sandbox: RunningSandbox, key: str = "rk_test_sandbox_demo", **settings: Any) -> AsyncIterator[Bench]:
    headers = PROVIDERS["stripe"].request_headers({"secret": key}, {})
    async with make_http() as http:
        yield await Bench("stripe", http, Pasted(Access(sandbox.stripe, headers)), settings).open()


@asynccontextmanager
async def github(
    sandbox: RunningSandbox, key: str = "github_pat_sandbox_demo", **settings: Any
) -> AsyncIterator[Bench]:
    headers = PROVIDERS["github"].request_headers({"secret": key}, {})
    async with make_http() as http:
        yield await Bench("github", http, Pasted(Access(sandbox.side("github"), headers)), settings).open()
