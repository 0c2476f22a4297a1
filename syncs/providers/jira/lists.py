"""Lists that tell of no changes, read whole: projects, users, boards, and what projects and boards have.

Docs    https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#pagination (read 2026-11-23)
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from syncs.providers.jira.catalogue import Resource
from syncs.providers.jira.errors import NotHere, ObjectGone, TooSlow
from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.paging import Offset, Request, fetch
from syncs.providers.kit.records import Cursor, Page, RawRecord

PARENTS = 50
LEAST = 50  # records a page, where Jira takes too long over more


@dataclass(frozen=True)
class Part:
    """Some records of a list, where the next ones begin, and whether there are any."""

    records: list[RawRecord]
    after: Cursor
    done: bool


class Lists:
    """The lists of one account."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def parts(self, resource: Resource, place: Cursor) -> AsyncIterator[Part]:
        """The list from a place on: {"at": records (or parents) that came before}."""
        start = int(place.get("at", 0))
        return self._by_parent(resource, start) if resource.parent else self._alone(resource, start)

    async def probe(self, resource: Resource) -> None:
        """Read one record, or the parent it would belong to: raises what keeps us from the list."""
        if not resource.parent:
            await self.client.get(resource.path, {"startAt": 0, "maxResults": 1} if resource.size else None)
            return
        async for parents, _ in self._parents(resource.parent, 0, 1):
            for parent in parents:
                await self._of(resource, parent)
            return

    async def _alone(self, resource: Resource, start: int) -> AsyncIterator[Part]:
        size = int(self.client.settings.get("page_size", resource.size)) if resource.size else 0
        paging = _paging(resource)
        while True:
            request = Request(resource.path, {"startAt": start, "maxResults": size} if size else None)
            try:
                answer = await fetch(self.client, request)
            except TooSlow:
                if size <= LEAST:
                    raise
                size = max(LEAST, size // 4)
                continue
            records = _records(resource, answer)
            start += len(raw.records_at(answer.body, resource.items))
            done = not size or paging.after(answer, request) is None
            yield Part(records, {"at": start}, done)
            if done:
                return

    async def _by_parent(self, resource: Resource, start: int) -> AsyncIterator[Part]:
        async for parents, is_last in self._parents(resource.parent, start, PARENTS):
            if not parents:
                yield Part([], {"at": start}, True)
            for number, parent in enumerate(parents, 1):
                start += 1
                records = await self._of(resource, parent)
                yield Part(records, {"at": start}, is_last and number == len(parents))

    async def names(self, path: str) -> dict[str, str]:
        """The members of the list of projects or boards at `path`: names by id."""
        found: dict[str, str] = {}
        async for parents, _ in self._parents(path, 0, PARENTS):
            found |= parents
        return found

    async def _parents(self, path: str, start: int, size: int) -> AsyncIterator[tuple[dict[str, str], bool]]:
        """Names by id of the members of the list at `path`, and whether these are the last."""
        paging = Offset("values", total="total", end="isLast")
        request: Request | None = Request(path, {"startAt": start, "maxResults": size})
        while request is not None:
            answer = await fetch(self.client, request)
            members = [raw.split(item) for item in raw.records_at(answer.body, "values")]
            names = {str(raw.scalar(each["id"])): raw.text_of(each.get("name")) or "" for each in members}
            request = paging.after(answer, request)
            yield names, request is None

    async def _of(self, resource: Resource, parent: str) -> list[RawRecord]:
        """All that one parent has; none if it went away, or is of a kind that has none."""
        request: Request | None = Request(resource.path.format(id=parent), {"startAt": 0, "maxResults": resource.size})
        found: list[RawRecord] = []
        try:
            while request is not None:
                answer = await fetch(self.client, request)
                found += _records(resource, answer)
                request = _paging(resource).after(answer, request)
        except (NotHere, ObjectGone):
            return []
        return found

    async def read(self, resource: Resource, ids: Sequence[str]) -> list[RawRecord]:
        """These records, out of the list: asked for alone some have more fields. What it lacks is gone."""
        wanted, found, read_no = set(ids), {}, 0
        async for part in self.parts(resource, {}):
            read_no = max([read_no, *(record.read_no for record in part.records)])
            found.update({record.upstream_id: record for record in part.records if record.upstream_id in wanted})
            if len(found) == len(wanted):
                break
        gone = [RawRecord(resource.id, each, None, read_no, deleted=True) for each in ids if each not in found]
        return [*found.values(), *gone]


async def whole(lists: Lists, resource: Resource, place: Cursor) -> AsyncIterator[Page]:
    """The list as pages whose cursor is the place after each."""
    async for part in lists.parts(resource, place):
        yield Page(part.records, part.after, part.done)


def _paging(resource: Resource) -> Offset:
    return Offset(resource.items, total="total", end="isLast")


def _records(resource: Resource, answer: Answer) -> list[RawRecord]:
    items = raw.records_at(raw.compact(answer.body), resource.items)
    return [_to_record(resource, item, answer.read_no) for item in items]


def _to_record(resource: Resource, item: msgspec.Raw, read_no: int) -> RawRecord:
    """The record under its id; a project in the bin is marked deleted."""
    parts = raw.split(item)
    record_id = raw.scalar(parts.get(resource.id_field))
    if record_id is None or isinstance(record_id, bool):
        raise UnexpectedShape(f"Jira sent one of the {resource.title.lower()} without “{resource.id_field}”.")
    is_binned = resource.name == "project" and raw.scalar(parts.get("deleted")) is True
    return RawRecord(resource.id, str(record_id), bytes(item), read_no, deleted=is_binned)
