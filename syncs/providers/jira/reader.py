"""One Jira site, read: issues and what belongs to them by search, worklogs by their feed, the rest as whole lists."""

from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from syncs.providers.jira import jql, walks, worklogs
from syncs.providers.jira.catalogue import BY_ID, COLLECTIONS, PROJECTS, Found, Resource
from syncs.providers.jira.errors import ObjectGone
from syncs.providers.jira.harvest import Changelogs, Children, Harvest, Ids, Issues
from syncs.providers.jira.lists import Lists, whole
from syncs.providers.jira.search import AT_ONCE, IDS_PAGE, Query, Search
from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CredentialsRefused, PermissionMissing, UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord

COMMENTS = "/rest/api/3/comment/list"
SAMPLE_PAGES = 10  # looked through for a record that shows its fields: the first projects may have no versions


class JiraReader:
    """Reads one Jira site through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.search = Search(client)
        self.lists = Lists(client)

    async def check(self) -> Account:
        """`/myself` proves the credentials; `/serverInfo`, which needs none, tells whose site it is.

        A search answers an empty list for what may not be seen, so a user who sees no project is told at once.
        """
        try:
            answer = await self.client.get("/rest/api/3/myself")
        except ObjectGone:
            raise CredentialsRefused("The Jira site is gone, or our app was taken off it.") from None
        who = raw.split(answer.body)
        if not raw.text_of(who.get("accountId")):
            raise CredentialsRefused("Jira let us in, but as nobody: the credentials do not count.")
        info = raw.split((await self.client.get("/rest/api/3/serverInfo")).body)
        site = urlsplit(raw.text_of(info.get("baseUrl")) or "").hostname or ""
        projects = await self.client.get("/rest/api/3/project/search", {"maxResults": 1})
        if raw.scalar(raw.find(projects.body, "total")) == 0:
            raise PermissionMissing(
                "The connected Jira user sees no project.",
                next_step="Give the user the permission “Browse projects” in the projects to read, then test again.",
            )
        name = raw.text_of(who.get("displayName")) or ""
        return Account(site, f"{site} as {name}" if name else site)

    async def discover(self) -> tuple[Collection, ...]:
        return COLLECTIONS

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """Of issues, the fields as Jira describes them; of the rest, those of a record."""
        resource = _resource(collection)
        if resource.found is Found.ISSUES:
            answer = await self.client.get("/rest/api/3/field")
            described = [_to_field(raw.split(item)) for item in raw.split_list(answer.body)]
            return (Field("id", "string", "Id", primary_key=True), Field("key", "string", "Key"), *described)
        pages = 0
        async for page in self.backfill(collection, None):
            for record in page.records:
                parts = raw.split(record.data or b"{}")
                own = resource.id_field
                return tuple(Field(name, raw.value_type(value), name, name == own) for name, value in parts.items())
            pages += 1
            if pages == SAMPLE_PAGES:
                break
        return ()

    async def probe(self, collection: Collection) -> None:
        resource = _resource(collection)
        if resource.found is Found.WHOLE:
            await self.lists.probe(resource)
            return
        harvest = self._harvest(resource)
        async for page in self.search.pages(Query(jql.EVERYTHING, walks.CREATED, harvest.fields, size=1)):
            await harvest.records(page)
            return

    async def count(self, collection: Collection) -> int | None:
        if _resource(collection).found is not Found.ISSUES:
            return None
        answer = await self.client.post("/rest/api/3/search/approximate-count", {"jql": jql.EVERYTHING})
        count = raw.scalar(raw.find(answer.body, "count"))
        return count if isinstance(count, int) else None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        resource = _resource(collections[0])
        if resource.found is Found.WHOLE:
            return {}
        if resource.found is Found.FEED:
            return await worklogs.start(self.client)
        return await walks.start(self.search)

    def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        resource = _resource(collection)
        if resource.found is Found.WHOLE:
            return whole(self.lists, resource, cursor or {})
        return walks.history(self.search, self._harvest(resource), self.search.page, cursor)

    async def changes_silently(self, collection: Collection) -> bool:
        """A user, status or version that is renamed, and some changes in bulk, do not move an issue's change time."""
        return True

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        resource = _resource(collections[0])
        if resource.found is Found.WHOLE:
            return self._whole(resource, cursor)
        if resource.found is Found.FEED:
            return worklogs.changes(self.client, Children(self.client, resource), cursor)
        return walks.changes(self.search, self._harvest(resource), self.search.page, cursor)

    async def _whole(self, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
        """The whole list once more. Cursor: {}; while a look is under way {"place": where it stands}."""
        async for page in whole(self.lists, resource, cursor.get("place") or {}):
            yield Page(page.records, {"place": page.cursor}, done=False)
        yield Page([], {}, done=True)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        resource = _resource(collection)
        found: list[RawRecord] = []
        if resource.found is Found.WHOLE:
            return await self.lists.read(resource, ids)
        for at in range(0, len(ids), AT_ONCE):
            found += await self._read_some(resource, ids[at : at + AT_ONCE])
        return found

    async def _read_some(self, resource: Resource, ids: Sequence[str]) -> list[RawRecord]:
        if resource.found is Found.ISSUES:
            harvest = Issues(resource)
            issues, sick, read_no = await self.search.by_id(ids, harvest.fields)
            found = [harvest.to_record(issue, read_no) for issue in issues]
        elif resource.name == "changelog":
            return []  # an entry cannot be asked for alone
        else:
            sick, children = set(), Children(self.client, resource)
            if resource.found is Found.FEED:
                found, read_no = await worklogs.by_id(self.client, children, ids)
            else:
                answer = await self.client.post(COMMENTS, {"ids": [int(each) for each in ids]})
                members = raw.records_at(raw.compact(answer.body), "values")
                found, read_no = [children.to_record(each, answer.read_no) for each in members], answer.read_no
        there = {record.upstream_id for record in found} | sick
        gone = [RawRecord(resource.id, each, None, read_no, deleted=True) for each in ids if each not in there]
        return [*found, *gone]

    async def reach(self, collection: Collection) -> dict[str, str]:
        """The projects or boards it is read from; none for what belongs to the whole site."""
        resource = _resource(collection)
        path = resource.parent or (PROJECTS if resource.found is not Found.WHOLE else "")
        return await self.lists.names(path) if path else {}

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """All ids: of issues 5,000 a request, of the rest by the lists themselves."""
        resource, pages = _resource(collection), self.backfill(collection, cursor)
        if resource.found is Found.ISSUES:
            size = int(self.client.settings.get("page_size", IDS_PAGE))
            pages = walks.history(self.search, Ids(resource), size, cursor)
        async for page in pages:
            live = [record.upstream_id for record in page.records if not record.deleted]
            yield IdPage(live, page.cursor, page.done)

    def _harvest(self, resource: Resource) -> Harvest:
        if resource.found is Found.ISSUES:
            return Issues(resource)
        return Changelogs(self.client, resource) if not resource.member else Children(self.client, resource)


def _resource(collection: Collection) -> Resource:
    try:
        return BY_ID[collection.id]
    except KeyError:
        raise UnexpectedShape(f"{collection.id} is no collection of Jira.") from None


def _to_field(parts: raw.Split) -> Field:
    """One of `/field`, at the place where issues have it."""
    field_id = raw.text_of(parts.get("id")) or ""
    schema = parts.get("schema")
    kind = raw.text_of(raw.find(schema, "type")) if schema is not None else None
    return Field(f"fields.{field_id}", kind or "", raw.text_of(parts.get("name")) or field_id)
