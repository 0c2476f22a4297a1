"""What is taken from a page of issues: the issues themselves, what they contain, their changelogs."""

from datetime import datetime
from typing import Protocol

import msgspec

from syncs.providers.jira.catalogue import Resource
from syncs.providers.jira.errors import ObjectGone
from syncs.providers.jira.search import Issue, SearchPage, moment_of
from syncs.providers.kit import raw
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.paging import Offset, PageToken, Request, walk
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.times import from_unix
from syncs.providers.kit.together import together

CHILDREN_PAGE = 100
MILLISECONDS = 100_000_000_000  # a number above counts them: as seconds it lies beyond the year 5000
HISTORIES = PageToken("nextPageToken", "nextPageToken")


class Harvest(Protocol):
    """fields: which the search must bring; `created` and `updated` among them, or the walk cannot be taken up again."""

    fields: tuple[str, ...]

    async def records(self, page: SearchPage) -> list[RawRecord]:
        """The records of a page of issues."""


class Issues:
    """The issues themselves, with all fields but lists that Jira cuts off: these are collections of their own."""

    fields: tuple[str, ...] = ("*all", "-comment", "-worklog")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    async def records(self, page: SearchPage) -> list[RawRecord]:
        return [self.to_record(issue, page.read_no) for issue in page.issues]

    def to_record(self, issue: Issue, read_no: int) -> RawRecord:
        """`expand` names what else could be asked for; it depends on the request, not on the issue."""
        data = raw.join((key, value) for key, value in raw.split(issue.raw).items() if key != "expand")
        return RawRecord(self.resource.id, issue.id, data, read_no, issue.created, issue.updated)


class Ids:
    """Ids and nothing else, for sweeps: Jira gives 5,000 a page. Where its place is lost, such a walk begins anew."""

    fields: tuple[str, ...] = ("id",)

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    async def records(self, page: SearchPage) -> list[RawRecord]:
        return [RawRecord(self.resource.id, issue.id, None, page.read_no) for issue in page.issues]


class Children:
    """Comments or worklogs: the first ones come inside the issue; where there are more, the issue is asked for all."""

    def __init__(self, client: Client, resource: Resource) -> None:
        self.client, self.resource = client, resource
        self.fields: tuple[str, ...] = ("created", "updated", resource.member)
        self.paging = Offset(resource.items, total="total")

    async def records(self, page: SearchPage) -> list[RawRecord]:
        lists = await together(self._of(issue, page.read_no) for issue in page.issues)
        return [record for each in lists for record in each]

    async def _of(self, issue: Issue, read_no: int) -> list[RawRecord]:
        """All of one issue; none if it went away between two requests."""
        inside = raw.find(issue.raw, f"fields.{self.resource.member}")
        parts = raw.split(inside) if inside is not None and raw.value_type(inside) == "object" else {}
        listed = parts.get(self.resource.items)
        members = raw.split_list(listed) if listed is not None else []
        total = raw.scalar(parts.get("total"))
        if isinstance(total, int) and total <= len(members):
            return [self.to_record(member, read_no, issue.id) for member in members]
        request = Request(self.resource.path.format(id=issue.id), {"startAt": 0, "maxResults": CHILDREN_PAGE})
        found = []
        try:
            async for answer in walk(self.client, request, self.paging):
                members = raw.records_at(raw.compact(answer.body), self.resource.items)
                found += [self.to_record(member, answer.read_no, issue.id) for member in members]
        except ObjectGone:
            return []
        return found

    def to_record(self, member: msgspec.Raw, read_no: int, issue_id: str = "") -> RawRecord:
        """The record, its issue's id in front where Jira leaves that out."""
        parts = raw.split(member)
        record_id = raw.text_of(parts.get("id"))
        if not record_id:
            raise UnexpectedShape(f"Jira sent one of the {self.resource.title.lower()} without an id.")
        data = bytes(member)
        if "issueId" not in parts:
            owner = issue_id or _owner(raw.text_of(parts.get("self")) or "")
            data = raw.join([("issueId", raw.json_string(owner)), *parts.items()])
        created, updated = (_time(parts.get(name)) for name in ("created", "updated"))
        return RawRecord(self.resource.id, record_id, data, read_no, created, updated)


class Changelogs:
    """What was changed in issues, when and by whom: all entries of these issues."""

    fields: tuple[str, ...] = ("created", "updated")

    def __init__(self, client: Client, resource: Resource) -> None:
        self.client, self.resource = client, resource

    async def records(self, page: SearchPage) -> list[RawRecord]:
        found: list[RawRecord] = []
        if not page.issues:
            return found
        body = {"issueIdsOrKeys": [issue.id for issue in page.issues], "maxResults": 1000}
        async for answer in walk(self.client, Request(self.resource.path, body=body), HISTORIES):
            for log in raw.records_at(raw.compact(answer.body), "issueChangeLogs"):
                parts = raw.split(log)
                issue_id = raw.text_of(parts.get("issueId")) or ""
                entries = raw.split_list(parts.get("changeHistories") or b"[]")
                found += [self._to_record(entry, issue_id, answer.read_no) for entry in entries]
        return found

    def _to_record(self, entry: msgspec.Raw, issue_id: str, read_no: int) -> RawRecord:
        parts = raw.split(entry)
        record_id = raw.text_of(parts.get("id"))
        if not record_id:
            raise UnexpectedShape("Jira sent an entry of a changelog without an id.")
        data = raw.join([("issueId", raw.json_string(issue_id)), *parts.items()])
        return RawRecord(self.resource.id, record_id, data, read_no, _any_time(parts.get("created")))


def _owner(url: str) -> str:
    """The issue's id in `https://…/rest/api/3/issue/10010/comment/10000`; empty where there is none."""
    _, found, after = url.partition("/issue/")
    return after.partition("/")[0] if found else ""


def _time(value: msgspec.Raw | None) -> datetime | None:
    """The moment a raw value holds, None for none. Raises UnexpectedShape."""
    try:
        return moment_of(raw.text_of(value))
    except ValueError:
        raise UnexpectedShape("Jira sent a time we do not understand.") from None


def _any_time(value: msgspec.Raw | None) -> datetime | None:
    """The same for changelogs, whose times are text by Jira's description and seconds, or milliseconds, by example."""
    number = raw.scalar(value)
    if isinstance(number, int) and not isinstance(number, bool):
        return from_unix(number / 1000 if number > MILLISECONDS else number)
    return _time(value)
