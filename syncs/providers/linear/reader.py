"""One Linear workspace, read: every list by the same three walks."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from syncs.providers.kit import graphql, raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord
from syncs.providers.linear import walks
from syncs.providers.linear.catalogue import BY_ID, COLLECTIONS
from syncs.providers.linear.lists import PATH, Lists
from syncs.providers.linear.resource import PREFIX, Order, Resource

WHO = "query { viewer { id } organization { id name urlKey } }"
COUNTS = (
    "query($after: String) { teams(first: 250, after: $after, includeArchived: true) "
    "{ nodes { issueCount(includeArchived: true) } pageInfo { hasNextPage endCursor } } }"
)
NAMES = (
    "query($after: String) { teams(first: 250, after: $after, includeArchived: true) "
    "{ nodes { id name } pageInfo { hasNextPage endCursor } } }"
)


WHOLE = (f"{PREFIX}user", f"{PREFIX}initiative")


class _Organization(msgspec.Struct):
    id: str
    name: str = ""
    urlKey: str = ""


class _Team(msgspec.Struct):
    id: str = ""
    name: str = ""
    issueCount: int = 0


class LinearReader:
    """Reads one Linear workspace through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lists = Lists(client)

    async def check(self) -> Account:
        answer = await self.client.post(PATH, graphql.asked(WHO))
        try:
            found = msgspec.json.decode(raw.find(answer.body, "data.organization") or b"null", type=_Organization)
        except msgspec.MsgspecError as error:
            raise UnexpectedShape("Linear did not say whose key this is.", detail=str(error)[:200]) from None
        return Account(found.id, found.name or found.urlKey)

    async def discover(self) -> tuple[Collection, ...]:
        return COLLECTIONS

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """What is asked of each record; the types are those of some record, where there is one."""
        resource = _resource(collection)
        page = await self.lists.page(resource, Order.CREATED, first=1)
        parts = raw.split(page.records[0].data or b"{}") if page.records else {}
        return tuple(
            Field(name, raw.value_type(parts[name]) if name in parts else "", name, name == "id")
            for name in resource.names
        )

    async def probe(self, collection: Collection) -> None:
        await self.lists.page(_resource(collection), Order.CREATED, first=1)

    async def count(self, collection: Collection) -> int | None:
        """Of issues, by what teams tell of theirs; Linear counts nothing else."""
        if collection.id != f"{PREFIX}issue":
            return None
        return sum([team.issueCount for team in await self._teams(COUNTS)])

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        answer = await self.client.post(PATH, graphql.asked(WHO))
        return walks.start(answer.moment())

    def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        return walks.history(self.lists, _resource(collection), cursor)

    async def changes_silently(self, collection: Collection) -> bool:
        """`updatedAt` moves with what Linear calls meaningful updates; which are not, it does not say."""
        return True

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        return walks.changes(self.lists, _resource(collections[0]), cursor)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        return await self.lists.by_id(_resource(collection), ids)

    def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        return walks.ids(self.lists, _resource(collection), cursor)

    async def reach(self, collection: Collection) -> dict[str, str]:
        """The teams this key sees, private ones only while it may; none for what belongs to the whole workspace."""
        if collection.id in WHOLE:
            return {}
        return {team.id: team.name for team in await self._teams(NAMES)}

    async def _teams(self, query: str) -> list[_Team]:
        teams: list[_Team] = []
        after = None
        while True:
            answer = await self.client.post(PATH, graphql.asked(query, {"after": after}))
            page = graphql.listed(answer, "teams")
            try:
                teams += [msgspec.json.decode(node, type=_Team) for node in page.nodes]
            except msgspec.MsgspecError as error:
                raise UnexpectedShape("Linear told of teams in a form we do not know.", detail=str(error)) from None
            after = page.after
            if not after:
                return teams


def _resource(collection: Collection) -> Resource:
    try:
        return BY_ID[collection.id]
    except KeyError:
        raise UnexpectedShape(f"{collection.id} is no collection of Linear.") from None
