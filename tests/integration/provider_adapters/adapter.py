"""What an adapter says of its provider, and a reader over the running sandbox made from it."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox.process import RunningSandbox
from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access, CannotRenew
from syncs.providers.kit.client import Client
from syncs.providers.kit.http import make_http
from syncs.providers.kit.values import fill
from tests.integration.provider_bench import Bench


@dataclass(frozen=True)
class Adapter:
    """One provider, as the contract tests see it.

    collection   the collection most tests read: one that takes records in bulk, changes and deletions
    table        the sandbox's name of it
    version      where a record carries the sandbox's version: a dotted path
    edit         (n) -> fields that make one record differ
    kind         the pasted credential kind that tests connect by, with `secrets` and `settings`
    oauth_kind   the kind whose grant can be imported and renewed; empty: there is none
    imports      (grant) -> what importing it takes: secrets and settings
    app_properties  what its OAuth apps have beside id and secret
    rotating     sandbox settings that make refresh tokens rotate at once, None where they never do
    four         other collections to sync beside `collection`, and `closed` with the path a fault closes it by
    closed       (collection, path)
    seeds        records the empty sandbox needs first: table -> how many
    settings     sandbox settings all tests run under
    page_tokens  it hands out page tokens that can expire
    small        reader's settings for small pages; `cut`: the sandbox's, where the reader leaves their size to upstream
    tells_bulk   many records at once show among the changes, too
    """

    key: str
    collection: str
    table: str
    version: str
    edit: Callable[[int], dict[str, Any]]
    kind: str
    secrets: Mapping[str, str]
    four: tuple[str, ...]
    closed: tuple[str, str]
    oauth_kind: str = ""
    imports: Callable[[dict[str, Any]], tuple[dict[str, str], dict[str, str]]] = lambda grant: ({}, {})
    settings: Mapping[str, Any] = field(default_factory=dict)
    credential_settings: Mapping[str, str] = field(default_factory=dict)
    app_properties: Mapping[str, str] = field(default_factory=dict)
    rotating: Mapping[str, Any] | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    page_tokens: bool = True
    small: Mapping[str, Any] = field(default_factory=lambda: {"page_size": 5})
    cut: Mapping[str, Any] = field(default_factory=dict)
    tells_bulk: bool = True

    # ---- the sandbox

    def prepare(self, sandbox: RunningSandbox, count: int = 0, *, small: bool = False) -> list[str]:
        """An empty account with so many records; their ids. `small`: upstream's own pages are, too."""
        sandbox.control("POST", "reset", {"seed": "empty"})
        sandbox.control("DELETE", "faults")
        if settings := {**self.settings, **(self.cut if small else {})}:
            sandbox.control("POST", "settings", settings)
        for table, number in self.seeds.items():
            sandbox.control("POST", f"records/{self.key}/{table}?count={number}", {})
        if count:
            sandbox.control("POST", f"records/{self.key}/{self.table}?count={count}&spread_s=7200", {})
        return list(self.current(sandbox))

    def current(self, sandbox: RunningSandbox, table: str = "") -> dict[str, int]:
        """Id -> version of what is live upstream."""
        found = sandbox.control("GET", f"records/{self.key}/{table or self.table}")["records"]
        return {key: each["version"] for key, each in found.items() if not each["deleted"]}

    def create(self, sandbox: RunningSandbox, number: int = 1) -> str:
        return sandbox.control("POST", f"records/{self.key}/{self.table}", [self.edit(number)])["ids"][0]

    def change(self, sandbox: RunningSandbox, record: str, number: int = 7) -> None:
        sandbox.control("PATCH", f"records/{self.key}/{self.table}/{record}", self.edit(number))

    def delete(self, sandbox: RunningSandbox, record: str) -> None:
        sandbox.control("DELETE", f"records/{self.key}/{self.table}/{record}")

    def fault(self, sandbox: RunningSandbox, kind: str, **more: Any) -> None:
        sandbox.control("POST", "faults", {"provider": self.key, "kind": kind, **more})

    def version_of(self, data: bytes | str) -> int:
        found = json.loads(data)
        for key in self.version.split("."):
            found = found[key]
        return int(found)

    # ---- the reader

    @asynccontextmanager
    async def bench(self, sandbox: RunningSandbox, **settings: Any) -> AsyncIterator[Bench]:
        """A reader by the pasted kind, or by a grant where there is no other."""
        if not self.kind:
            async with self.granted(sandbox, **settings) as bench:
                yield bench
            return
        provider = PROVIDERS[self.key]
        kind = provider.kind(self.kind)
        headers = (kind.request_headers or provider.request_headers)(self.secrets, self.credential_settings)
        base = sandbox.side(self.key) + fill(kind.api_path, self.credential_settings)
        async with make_http() as http:
            yield await Bench(self.key, http, Pasted(Access(base, headers)), settings).open()

    @asynccontextmanager
    async def granted(self, sandbox: RunningSandbox, **settings: Any) -> AsyncIterator[Bench]:
        """A reader by a grant, which renews its access at the sandbox's token endpoint."""
        grant = sandbox.control("POST", "grants", {"provider": self.key})
        async with make_http() as http:
            source = Granted(self, sandbox, grant)
            await source.find_site(http)
            yield await Bench(self.key, http, source, settings).open()

    # ---- the console

    def connecting(self, sandbox: RunningSandbox) -> dict[str, Any]:
        """What `connections.create_credential` is given for the pasted kind."""
        secrets, settings = dict(self.secrets), dict(self.credential_settings)
        return {"provider": self.key, "kind": self.kind, "secrets": secrets, "settings": settings, "name": self.key}


@dataclass(frozen=True)
class Pasted:
    """Access that cannot be renewed."""

    held: Access

    async def access(self) -> Access:
        return self.held

    async def renew(self, refused: Access) -> Access:
        raise CannotRenew("The provider refused the key.")


class Granted:
    """Access by a grant, renewed at the real token endpoint; `renewals` counts how often."""

    def __init__(self, adapter: Adapter, sandbox: RunningSandbox, grant: dict[str, Any]) -> None:
        self.provider = PROVIDERS[adapter.key]
        self.kind = self.provider.kind(adapter.oauth_kind)
        self.base, self.grant, self.renewals = sandbox.side(adapter.key), dict(grant), 0
        self.settings: dict[str, str] = {}

    async def find_site(self, http: httpx.AsyncClient) -> None:
        """Take the first site there is, as a connection would."""
        if self.kind.sites is not None:
            numbers = itertools.count(1)
            source = Pasted(Access(self.base, self._headers()))
            client = Client.of(self.provider, http, source, draw_read_no=lambda: next(numbers))
            self.settings = dict((await self.kind.sites(client))[0].settings)

    def _headers(self) -> dict[str, str]:
        named = self.kind.request_headers or self.provider.request_headers
        return named({"access_token": self.grant["access_token"]}, self.settings)

    async def access(self) -> Access:
        return Access(self.base + fill(self.kind.api_path, self.settings), self._headers())

    async def renew(self, refused: Access) -> Access:
        oauth = self.kind.oauth
        assert oauth is not None
        asked = {"grant_type": "refresh_token", "refresh_token": self.grant["refresh_token"]}
        request = oauth.request(self.grant["client_id"], self.grant["client_secret"], asked)
        headers = {"Accept": "application/json", **request.headers}
        async with httpx.AsyncClient(trust_env=False) as http:
            response = await http.post(self.base + request.path, data=request.form, json=request.json, headers=headers)
        if response.status_code != 200:
            raise oauth.error(response.status_code, response.content)
        renewed = oauth.parse(response.json())
        self.grant["access_token"] = renewed.access_token
        self.grant["refresh_token"] = renewed.refresh_token or self.grant["refresh_token"]
        self.renewals += 1
        return await self.access()
