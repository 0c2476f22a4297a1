"""One org, read: what it is, what it offers, and the walks of `backfill` and `changes`."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord
from syncs.providers.salesforce import apart, backfill, catalogue, changes, soql
from syncs.providers.salesforce.bulk import Bulk
from syncs.providers.salesforce.errors import TooBig
from syncs.providers.salesforce.rest import Rest, decode, to_page
from syncs.providers.salesforce.schema import to_field


class SalesforceReader:
    """Reads one Salesforce org through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rest = Rest(client)
        self.bulk = Bulk(client)

    async def check(self) -> Account:
        """`/limits` proves session and API permission; the organisation's name is a courtesy."""
        await self.client.get(f"{soql.API}/limits")
        access = await self.client.access()
        host = urlsplit(access.base_url).hostname or access.base_url
        query = soql.select(["Id", "Name", "IsSandbox"], "Organization", limit=1)
        try:
            row = decode(await self.client.get(soql.url(query, deleted=False))).records[0]
        except (CollectionGone, PermissionMissing, UnexpectedShape, IndexError):
            return Account("", host, ".sandbox." not in host)
        name = raw.text_of(row.get("Name")) or host
        return Account(raw.text_of(row.get("Id")) or "", name, bytes(row.get("IsSandbox", b"false")) != b"true")

    async def discover(self) -> tuple[Collection, ...]:
        answer = await self.client.get(f"{soql.API}/sobjects")
        try:
            listed: list[dict[str, Any]] = msgspec.json.decode(answer.body)["sobjects"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise UnexpectedShape("Salesforce listed its objects in a form we do not know.") from None
        return catalogue.from_global_describe(listed)

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        schema, _ = await self.rest.describe(collection.upstream)
        return tuple(to_field(field) for field in schema.fields)

    async def probe(self, collection: Collection) -> None:
        await self.client.get(soql.url(soql.select(["Id"], collection.upstream, limit=1)))

    async def count(self, collection: Collection) -> int | None:
        """Live rows, by `SELECT COUNT()`. None where Salesforce does not count."""
        try:
            return await self.rest.count(collection.upstream, deleted=False)
        except (TooBig, UnexpectedShape):
            return None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        return await changes.start(self.rest, collections[0])

    def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        return backfill.backfill(self.rest, self.bulk, collection, cursor)

    async def changes_silently(self, collection: Collection) -> bool:
        """Formulas and roll-ups get new values without a new change time."""
        schema, _ = await self.rest.describe(collection.upstream)
        return schema.is_calculated

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        return changes.changes(self.rest, collections[0], cursor)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        schema, answer = await self.rest.describe(collection.upstream)
        rows, sick = await apart.read(self.rest, schema, ids)
        gone = set(ids) - {row.id for row in rows} - set(sick)
        buried = [RawRecord(collection.id, each, None, answer.read_no, deleted=True) for each in gone]
        return to_page(collection, schema, rows, None).records + buried

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """Ids of live rows, 2,000 a query."""
        after, limit = (cursor or {}).get("after", ""), self.rest.page
        while True:
            ids = await self.rest.ids(collection.upstream, after, limit)
            after = ids[-1] if ids else after
            done = len(ids) < limit
            yield IdPage(ids, {"after": after}, done)
            if done:
                return
