"""One account of a described API, read: history, changes by a time or by the whole list, ids, single records."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

from syncs.providers.custom.catalogue import fields_in
from syncs.providers.custom.definition import MAY_SHIFT, ByOffset, CustomCollection, Definition, Incremental
from syncs.providers.custom.errors import CHECK
from syncs.providers.custom.lists import ListPage, Lists
from syncs.providers.custom.values import since
from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, CursorLost, PermissionMissing, UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord
from syncs.providers.kit.times import parse_time
from syncs.providers.kit.together import together


class CustomReader:
    """Reads one account through a client, as its definition says."""

    def __init__(self, definition: Definition, offered: tuple[Collection, ...], client: Client) -> None:
        self.definition, self.offered, self.client = definition, offered, client
        self.lists = Lists(definition, client)

    async def check(self) -> Account:
        """Whether a list can be read. Some may be forbidden: one that is not proves that we are let in."""
        refused: PermissionMissing | None = None
        for collection in self.definition.collections:
            try:
                await self.lists.first(collection)
            except PermissionMissing as error:
                refused = refused or error
            else:
                return Account("", urlsplit(self.definition.base_url).netloc)
        assert refused is not None  # a definition has collections
        raise refused

    async def discover(self) -> tuple[Collection, ...]:
        """What the definition lists."""
        return self.offered

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """The fields that the first page's records have."""
        described = self._described(collection)
        page = await self.lists.first(described)
        return fields_in(described, [record.data or b"{}" for record in page.records])

    async def probe(self, collection: Collection) -> None:
        await self.lists.first(self._described(collection))

    async def count(self, collection: Collection) -> int | None:
        """How many there are, where the answer tells it."""
        described = self._described(collection)
        if not isinstance(described.paging, ByOffset) or not described.paging.total:
            return None
        page = await self.lists.first(described)
        total = raw.scalar(raw.find(page.answer.body, described.paging.total)) if page.answer else None
        return total if isinstance(total, int) and not isinstance(total, bool) else None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        """Now, by the API's own clock; nothing where the whole list is read each time."""
        described = self._described(collections[0])
        if described.incremental is None:
            return {}
        return {"t": (await self._moment(await self.lists.first(described))).isoformat()}

    async def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        """All records, in the list's own order. Cursor: where the next page starts."""
        async for page in self.lists.pages(self._described(collection), cursor or None):
            yield Page(page.records, page.place or {}, done=page.place is None)

    async def changes_silently(self, collection: Collection) -> bool:
        """Asked where pages are counted: a deletion between two of them may have hidden a record."""
        return True

    async def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        """What changed since the cursor's time, less an overlap; or the whole list once more.

        Cursor: {"t": newest change seen}; while a look is under way also {"look": where its next page starts,
        "newest", "moment": when it began, by the API's clock}. Without a parameter for times: {} or {"look": …}.
        """
        described = self._described(collections[0])
        walk = self._since(described, described.incremental, cursor) if described.incremental else None
        try:
            async for page in walk or self._whole(described, cursor):
                yield page
        except CursorLost:
            if "look" not in cursor:
                raise
            anew = (
                {"t": cursor["t"]} if "t" in cursor else {}
            )  # the look is begun again: nothing is lost with its place
            async for page in self.changes(feed, collections, anew):
                yield page

    async def _since(self, described: CustomCollection, asked: Incremental, cursor: Cursor) -> AsyncIterator[Page]:
        if "t" not in cursor:
            raise CursorLost("This list was read whole until now.")
        begin = parse_time(cursor["t"])
        newest = parse_time(cursor.get("newest") or cursor["t"])
        moment = parse_time(cursor["moment"]) if "moment" in cursor else None
        params = {asked.param: since(asked, begin - timedelta(seconds=asked.overlap_s))}
        async for page in self.lists.pages(described, cursor.get("look"), params):
            moment = moment or await self._moment(page)
            newest = max([newest, *(each.updated_at for each in page.records if each.updated_at)])
            if page.place is not None:
                at = {"t": cursor["t"], "look": page.place, "newest": newest.isoformat(), "moment": moment.isoformat()}
                yield Page(page.records, at, done=False)
            else:
                reached = min(newest, moment) if described.updated_at else moment
                yield Page(page.records, {"t": max(begin, reached).isoformat()}, done=True)

    async def _whole(self, described: CustomCollection, cursor: Cursor) -> AsyncIterator[Page]:
        async for page in self.lists.pages(described, cursor.get("look")):
            yield Page(page.records, {"look": page.place} if page.place else {}, done=page.place is None)

    async def _moment(self, page: ListPage) -> datetime:
        return page.answer.moment() if page.answer else self.client.server_now()

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        """These records as they are now. What has no path of its own is gone once a whole walk has not met it."""
        described = self._described(collection)
        if described.record_path:
            return await together(self._one(collection, described, each) for each in ids)
        if described.paging.type in MAY_SHIFT:
            raise UnexpectedShape(
                f"Whether records of “{described.title}” were deleted cannot be told from its list alone.",
                next_step="An admin gives the path of one record in the definition.",
            )
        page = await self.lists.first(described)  # proves that we may still read it
        read_no = page.answer.read_no if page.answer else 0
        found = {record.upstream_id: record for record in page.records}
        return [found.get(each) or RawRecord(collection.id, each, None, read_no, deleted=True) for each in ids]

    async def _one(self, collection: Collection, described: CustomCollection, upstream_id: str) -> RawRecord:
        if upstream_id.strip(".") == "":
            raise UnexpectedShape("An id of dots alone cannot stand in an address.")
        path = described.record_path.replace("{id}", quote(upstream_id, safe=""))
        try:
            answer = await self.client.get(path)
        except CollectionGone as gone:
            return RawRecord(collection.id, upstream_id, None, gone.read_no, deleted=True)
        found = raw.find(answer.body, described.record_at)
        if found is None:
            raise UnexpectedShape(f"The answer has no record at “{described.record_at}”.", next_step=CHECK)
        record = self.lists.record(described, found, answer.read_no)
        if record.upstream_id != upstream_id:
            raise UnexpectedShape("The API gave another record than we asked for.", next_step=CHECK)
        return record

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """The ids of the whole list."""
        async for page in self.lists.pages(self._described(collection), cursor or None):
            yield IdPage([record.upstream_id for record in page.records], page.place or {}, page.place is None)

    def _described(self, collection: Collection) -> CustomCollection:
        found = self.definition.collection(collection.id)
        if found is None:
            raise CollectionGone(
                f"The definition of {self.definition.label} no longer has “{collection.title}”.",
                next_step="An admin puts it back, or takes it out of the sync.",
            )
        return found
