"""Linear's lists: read page by page, by id, or ids alone.

Docs    https://linear.app/developers/pagination, …/filtering (read 2026-11-26)
`DateComparator` and `IDComparator` stand in every list's filter; archived records come only when asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.kit import graphql
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CursorLost, UnexpectedShape
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.times import parse_time
from syncs.providers.kit.together import together
from syncs.providers.linear.catalogue import ID_PAGE, PAGE
from syncs.providers.linear.errors import Misunderstood
from syncs.providers.linear.resource import Order, Resource

PATH = "/graphql"


class _Head(msgspec.Struct):
    id: str
    createdAt: str | None = None
    updatedAt: str | None = None
    trashed: bool | None = None


_head = msgspec.json.Decoder(_Head)


@dataclass(frozen=True)
class ListPage:
    """One page. after: the next page's cursor, empty on the last. moment: Linear's time when it answered."""

    records: list[RawRecord]
    after: str
    moment: datetime
    read_no: int


class Lists:
    """The lists of one workspace."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page_size = int(client.settings.get("page_size", PAGE))
        self.id_page_size = int(client.settings.get("page_size", ID_PAGE))

    async def page(
        self, resource: Resource, order: Order, after: str = "", wanted: Mapping[str, Any] | None = None, first: int = 0
    ) -> ListPage:
        """One page of whole records. Raises CursorLost where Linear does not know the cursor any more."""
        asked = {"first": first or self.page_size, "after": after or None, "filter": wanted}
        return await self._page(resource, resource.query(order), asked)

    async def ids(self, resource: Resource, after: str) -> ListPage:
        """One page of records of which only the id is known, in order of creation. Raises CursorLost."""
        return await self._page(resource, resource.id_query(), {"first": self.id_page_size, "after": after or None})

    async def by_id(self, resource: Resource, ids: Sequence[str]) -> list[RawRecord]:
        """These records as they are now; what is gone, or hidden from us, as deleted."""
        parts = [ids[at : at + PAGE] for at in range(0, len(ids), PAGE)]
        pages = await together(self._some(resource, part) for part in parts)
        found = {record.upstream_id: record for page in pages for record in page.records}
        return [
            found.get(each) or RawRecord(resource.id, each, None, page.read_no, deleted=True)
            for part, page in zip(parts, pages, strict=True)
            for each in part
        ]

    async def _some(self, resource: Resource, ids: Sequence[str]) -> ListPage:
        return await self.page(resource, Order.CREATED, wanted={"id": {"in": list(ids)}}, first=len(ids))

    async def _page(self, resource: Resource, query: str, asked: dict[str, Any]) -> ListPage:
        try:
            answer = await self.client.post(PATH, graphql.asked(query, asked))
        except Misunderstood as error:
            if asked["after"]:  # without a cursor the same question is answered, so it is the cursor
                raise CursorLost("Linear no longer knows the page our reading stood at.", detail=error.detail) from None
            raise
        page = graphql.listed(answer, resource.list)
        records = [to_record(resource, node, answer.read_no) for node in page.nodes]
        return ListPage(records, page.after, answer.moment(), answer.read_no)


def to_record(resource: Resource, node: msgspec.Raw, read_no: int) -> RawRecord:
    """The record. What lies in the trash is deleted, with its content."""
    try:
        head = _head.decode(node)
        created, updated = (parse_time(text) if text else None for text in (head.createdAt, head.updatedAt))
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnexpectedShape("Linear sent a record in a form we do not know.", detail=str(error)[:200]) from None
    is_gone = resource.trash and head.trashed is True
    return RawRecord(resource.id, head.id, bytes(node), read_no, created, updated, deleted=is_gone)
