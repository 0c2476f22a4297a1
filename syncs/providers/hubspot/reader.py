"""One HubSpot account, read: objects and associations by list and search, owners and pipelines as whole lists."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from syncs.providers.hubspot import custom, lists, walks
from syncs.providers.hubspot.catalogue import COLLECTIONS, VERSION, Found, Resource
from syncs.providers.hubspot.custom import resource_of
from syncs.providers.hubspot.errors import ObjectGone
from syncs.providers.hubspot.harvest import Harvest, Links, Things
from syncs.providers.hubspot.objects import Objects, Property
from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord

ACCOUNT = f"/account-info/{VERSION}/details"


class _Details(msgspec.Struct):
    portalId: int
    accountType: str = "STANDARD"
    uiDomain: str = ""


class HubSpotReader:
    """Reads one HubSpot account through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.objects = Objects(client)

    async def check(self) -> Account:
        """The account's details prove the token, and so does a refusal for want of a scope."""
        try:
            answer = await self.client.get(ACCOUNT)
        except PermissionMissing:
            return Account("", "HubSpot account")
        try:
            details = msgspec.json.decode(answer.body, type=_Details)
        except msgspec.MsgspecError as error:
            raise UnexpectedShape("HubSpot told of the account in a form we do not know.", detail=str(error)) from None
        portal = str(details.portalId)
        kind = "" if details.accountType == "STANDARD" else f", {details.accountType.replace('_', ' ').lower()}"
        return Account(portal, f"HubSpot account {portal}{kind}", live=details.accountType == "STANDARD")

    async def discover(self) -> tuple[Collection, ...]:
        return (*COLLECTIONS, *await custom.discover(self.client))

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """Of objects, their properties as HubSpot describes them; of the rest, what a record has."""
        resource = resource_of(collection)
        if resource.found is Found.OBJECTS:
            described = await self.objects.properties(resource.type)
            return (*_OBJECT_FIELDS, *(_to_field(each) for each in described))
        if resource.found is Found.LINKS:
            return _LINK_FIELDS
        async for page in lists.whole(self.client, resource, None, live=True):
            for record in page.records:
                parts = raw.split(record.data or b"{}")
                return tuple(Field(name, raw.value_type(value), name, name == "id") for name, value in parts.items())
            break
        return ()

    async def probe(self, collection: Collection) -> None:
        """Read one of it. Properties and associations ask for rights of their own."""
        resource = resource_of(collection)
        if resource.found is Found.WHOLE:
            await lists.one(self.client, resource)
            return
        try:
            await self.client.get(f"/crm/objects/{VERSION}/{resource.type}", {"limit": 1})
            if resource.found is Found.OBJECTS:
                await self.objects.properties(resource.type)
            else:
                await self._harvest(resource).of(["1"])
        except ObjectGone as error:
            raise CollectionGone("HubSpot does not know these records.", detail=error.detail) from None

    async def count(self, collection: Collection) -> int | None:
        """Of objects, by the search's total; None where HubSpot does not search."""
        resource = resource_of(collection)
        if resource.found is not Found.OBJECTS:
            return None
        try:
            return (await self.objects.search(resource.type, resource.modified, newest=True)).total
        except (UnexpectedShape, ObjectGone):
            return None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        resource = resource_of(collections[0])
        if resource.found is Found.WHOLE:
            return {}
        return await walks.start(self.objects, resource)

    def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        resource = resource_of(collection)
        if resource.found is Found.WHOLE:
            return lists.whole(self.client, resource, cursor)
        return walks.history(self._harvest(resource), cursor)

    async def changes_silently(self, collection: Collection) -> bool:
        """Associations move no time of change, and the search index forgets a record now and then."""
        return True

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        resource = resource_of(collections[0])
        if resource.found is Found.WHOLE:
            return self._whole(resource, cursor)
        return walks.changes(self.objects, self._harvest(resource), cursor)

    async def _whole(self, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
        """The whole list once more. Cursor: {}; while a look is under way {"place": where it stands}."""
        async for page in lists.whole(self.client, resource, cursor.get("place")):
            yield Page(page.records, {"place": page.cursor}, done=False)
        yield Page([], {}, done=True)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        resource = resource_of(collection)
        if resource.found is not Found.WHOLE:
            taken = await self._harvest(resource).of(ids)
            return walks.all_of(resource, taken)
        wanted, read_no = set(ids), 0
        found: dict[str, RawRecord] = {}
        async for page in lists.whole(self.client, resource, None, live=True):
            read_no = max([read_no, *(record.read_no for record in page.records)])
            found |= {record.upstream_id: record for record in page.records if record.upstream_id in wanted}
        gone = [RawRecord(resource.id, each, None, read_no, deleted=True) for each in ids if each not in found]
        return [*found.values(), *gone]

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """All ids: 100 a request. Of associations, those of objects that have some."""
        resource = resource_of(collection)
        if resource.found is Found.OBJECTS:
            after = (cursor or {}).get("after", "")
            while True:
                listed = await self.objects.listed(resource.type, after)
                after = listed.after
                yield IdPage([item.id for item in listed.items], {"after": after}, done=not after)
                if not after:
                    return
        is_whole = resource.found is Found.WHOLE
        pages = lists.whole(self.client, resource, cursor, live=True) if is_whole else self.backfill(collection, cursor)
        async for page in pages:
            live = [record.upstream_id for record in page.records if not record.deleted]
            yield IdPage(live, page.cursor, page.done)

    def _harvest(self, resource: Resource) -> Harvest:
        if resource.found is Found.LINKS:
            return Links(self.client, self.objects, resource)
        return Things(self.objects, resource)


_OBJECT_FIELDS = (
    Field("id", "string", "Record ID", primary_key=True),
    Field("createdAt", "date-time", "Created"),
    Field("updatedAt", "date-time", "Last changed"),
    Field("archived", "boolean", "Archived"),
)
_LINK_FIELDS = (
    Field("from.id", "string", "Record ID", primary_key=True),
    Field("to", "list", "What it is associated with, and how"),
)
_CALCULATED = "Calculated by HubSpot."
_TYPES = {"bool": "boolean", "datetime": "date-time", "enumeration": "choice"}


def _to_field(found: Property) -> Field:
    """A property as pages and the API show it. Its values are text, whatever its type."""
    kind = _TYPES.get(found.type, found.type or "string")
    return Field(f"properties.{found.name}", kind, found.label, note=_CALCULATED if found.calculated else "")
