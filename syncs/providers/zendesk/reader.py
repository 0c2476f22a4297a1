"""One Zendesk account, read: exports where there are some, lists where there are none, the parts of tickets between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    PermissionMissing,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord
from syncs.providers.zendesk import described, tickets, walks
from syncs.providers.zendesk.catalogue import COLLECTIONS, own_collection, resource_of
from syncs.providers.zendesk.errors import NoAccount, ObjectGone
from syncs.providers.zendesk.exports import Exports, items_of
from syncs.providers.zendesk.lists import Lists
from syncs.providers.zendesk.resource import API, Found, Resource

SETTINGS = f"{API}/account/settings.json"
ME = f"{API}/users/me.json"  # answers everybody, with 200: proves nothing, and has no dead token renewed
MANY = 100


class _User(msgspec.Struct):
    id: int | None = None
    url: str | None = None
    role: str | None = None
    active: bool | None = None


class _Me(msgspec.Struct):
    user: _User


class ZendeskReader:
    """Reads one Zendesk account through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.exports, self.lists = Exports(client), Lists(client)

    async def check(self) -> Account:
        """Whose access this is: the account's settings prove it good, and exports need an administrator."""
        try:
            await self.client.get(SETTINGS)
            answer = await self.client.get(ME)
        except (NoAccount, ObjectGone) as error:
            raise CredentialsRefused(error.message, next_step=error.next_step, detail=error.detail) from None
        try:
            user = msgspec.json.decode(answer.body, type=_Me).user
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnexpectedShape("Zendesk did not say who we are to it.") from None
        if user.id is None:
            raise CredentialsRefused("Zendesk does not know these credentials.")
        if user.role != "admin" or user.active is False:
            raise PermissionMissing(
                "The Zendesk user of this connection is no administrator: Zendesk exports records to those alone.",
                next_step="Connect as an administrator of Zendesk.",
            )
        host = urlsplit(user.url or "").hostname or urlsplit((await self.client.access()).base_url).hostname or ""
        return Account(host.removesuffix(".zendesk.com"), host)

    async def discover(self) -> tuple[Collection, ...]:
        """The catalogue, and the account's own kinds of object where its plan has them."""
        try:
            answer = await self.client.get(f"{API}/custom_objects")
        except (CollectionGone, PermissionMissing, ObjectGone):
            return COLLECTIONS
        own = []
        for item in items_of(raw.split(answer.body), "custom_objects"):
            parts = raw.split(item)
            if key := raw.text_of(parts.get("key")):
                own.append(own_collection(key, raw.text_of(parts.get("title_pluralized")) or ""))
        return (*COLLECTIONS, *own)

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        return await described.fields(self.exports, self.lists, _resource(collection))

    async def probe(self, collection: Collection) -> None:
        resource = _resource(collection)
        if resource.found is Found.OF_TICKETS:
            await tickets.sample(self.lists, resource)
        elif resource.found in (Found.EXPORT, Found.TIMED):
            await self.exports.sample(resource)
        else:
            await self.lists.sample(resource, resource.list_path)

    async def count(self, collection: Collection) -> int | None:
        resource = _resource(collection)
        if not resource.counted:
            return None
        answer = await self.client.get(f"{resource.list_path}/count")
        value = raw.scalar(raw.find(answer.body, "count.value"))
        return value if isinstance(value, int) else None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        """Fifteen minutes ago, by Zendesk's clock or ours, whichever is behind."""
        answer = await self.client.get(SETTINGS)
        return walks.start(_resource(collections[0]), answer.moment())

    def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        return walks.backfill(self.exports, self.lists, _resource(collection), cursor or {})

    async def changes_silently(self, collection: Collection) -> bool:
        """The catalogue says which do; nothing more can be learned of Zendesk."""
        return True

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        return walks.changes(self.exports, self.lists, [_resource(each) for each in collections], cursor)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        """The records as they are now. What has no address of its own is told by its list, or was by the sweep."""
        resource = _resource(collection)
        if resource.many:
            parts = [ids[start : start + MANY] for start in range(0, len(ids), MANY)]
            return [record for part in parts for record in await self.lists.many(resource, part)]
        if resource.one:
            return await self._one_by_one(resource, ids)
        answer = await self.client.get(SETTINGS)
        found: dict[str, RawRecord] = {}
        if resource.found is Found.WHOLE:
            pages = self.lists.pages(resource, resource.list_path)
            found = {record.upstream_id: record async for page in pages for record in page.records}
        gone = {each: RawRecord(resource.id, each, None, answer.read_no, deleted=True) for each in ids}
        return [found.get(each, gone[each]) for each in ids]

    async def _one_by_one(self, resource: Resource, ids: Sequence[str]) -> list[RawRecord]:
        reads = (self.lists.one(resource, each) for each in ids)
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        records = [each for each in outcomes if isinstance(each, RawRecord)]
        for outcome in outcomes:
            is_sick = isinstance(outcome, UpstreamFailed | UnexpectedShape) and records
            if isinstance(outcome, BaseException) and not is_sick:
                raise outcome
        return records

    def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        return walks.sweep(self.exports, self.lists, _resource(collection), cursor or {})


def _resource(collection: Collection) -> Resource:
    resource = resource_of(collection.id)
    if resource is None:
        raise UnexpectedShape(f"{collection.id} is no collection of Zendesk.")
    return resource
