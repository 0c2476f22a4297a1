"""Issues by JQL, page by page, and by id.

Docs    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search (read 2026-11-23)
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from syncs.providers.jira import jql
from syncs.providers.jira.errors import ObjectGone
from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CredentialsRefused, UnexpectedShape
from syncs.providers.kit.paging import PageToken, Request, fetch
from syncs.providers.kit.times import parse_time

PATH = "/rest/api/3/search/jql"
PAGE = 100
IDS_PAGE = 5000  # where nothing but ids is asked for
AT_ONCE = 100  # issues by id
PAGING = PageToken("nextPageToken", "nextPageToken", end="isLast")


class _Times(msgspec.Struct):
    created: str | None = None
    updated: str | None = None


class _Head(msgspec.Struct):
    id: str
    fields: _Times | None = None


_head = msgspec.json.Decoder(_Head)


@dataclass(frozen=True)
class Issue:
    """One issue of an answer, uncut. Times are None where they were not asked for."""

    id: str
    created: datetime | None
    updated: datetime | None
    raw: msgspec.Raw


@dataclass(frozen=True)
class SearchPage:
    """Issues of one page. token: the next page's; empty on the last. moment: Jira's time when it answered."""

    issues: list[Issue]
    token: str
    read_no: int
    moment: datetime


@dataclass(frozen=True)
class Query:
    """What is searched for. Jira wants it the same from page to page. `order` fields go upwards, but for `down`."""

    where: str
    order: tuple[str, ...]
    fields: tuple[str, ...]
    size: int = PAGE
    down: bool = False

    def body(self) -> dict[str, object]:
        way = "DESC" if self.down else "ASC"
        by = ", ".join(f"{field} {way}" for field in self.order)
        return {"jql": f"{self.where} ORDER BY {by}", "fields": list(self.fields), "maxResults": self.size}


class Search:
    """The issues that one account shows."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page = int(client.settings.get("page_size", PAGE))

    async def pages(self, query: Query, token: str = "") -> AsyncIterator[SearchPage]:
        """The pages of a search, from a page token on. Raises PlaceGone for one that Jira no longer knows."""
        body = query.body() | ({"nextPageToken": token} if token else {})
        request: Request | None = Request(PATH, body=body)
        while request is not None:
            answer = await fetch(self.client, request)
            issues = issues_in(answer, "issues")
            request = PAGING.after(answer, request)
            following = str(request.param("nextPageToken")) if request else ""
            yield SearchPage(issues, following, answer.read_no, answer.moment())

    async def newest(self) -> tuple[datetime | None, datetime]:
        """When the issue that was changed last was changed (None: there is no issue), and Jira's time now."""
        query = Query(jql.EVERYTHING, ("updated",), ("updated",), size=1, down=True)
        async for page in self.pages(query):
            return (page.issues[0].updated if page.issues else None), page.moment
        raise UnexpectedShape("Jira gave no answer to a search.")

    async def zone(self) -> str:
        """The name of the time zone Jira reads our times in: the connected user's."""
        try:
            answer = await self.client.get("/rest/api/3/myself")
        except ObjectGone:
            raise CredentialsRefused("The Jira site is gone, or our app was taken off it.") from None
        name = raw.text_of(raw.split(answer.body).get("timeZone"))
        if not name:
            raise UnexpectedShape("Jira does not say in which time zone the connected user lives.")
        jql.zone(name)
        return name

    async def by_id(self, ids: Sequence[str], fields: Sequence[str]) -> tuple[list[Issue], set[str], int]:
        """The issues that can be read, the ids of those that cannot at the moment, and the number of the read.

        Jira leaves out what is gone or hidden, and names under `issueErrors` what is worth another try.
        """
        body = {"issueIdsOrKeys": list(ids), "fields": list(fields)}
        answer = await self.client.post("/rest/api/3/issue/bulkfetch", body)
        failed = raw.find(answer.body, "issueErrors")
        sick = {raw.text_of(raw.split(each).get("id")) or "" for each in raw.split_list(failed)} if failed else set()
        return issues_in(answer, "issues"), sick, answer.read_no


def issues_in(answer: Answer, path: str) -> list[Issue]:
    """The issues in a list of an answer. Raises UnexpectedShape for one without an id, or with a time that is none."""
    issues = []
    for item in raw.records_at(raw.compact(answer.body), path):
        try:
            head = _head.decode(item)
            times = head.fields or _Times()
            issues.append(Issue(head.id, moment_of(times.created), moment_of(times.updated), item))
        except (msgspec.MsgspecError, ValueError) as error:
            raise UnexpectedShape("An issue came in a form we do not know.", detail=str(error)[:200]) from None
    return issues


def moment_of(text: str | None) -> datetime | None:
    """`2026-11-20T09:05:00.000+0100` as aware UTC; None for none. Raises ValueError."""
    return parse_time(text) if text else None
