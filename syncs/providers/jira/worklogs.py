"""Worklogs that changed or went away: Jira lists their ids by time, apart from issues.

Docs    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-worklogs (read 2026-11-23)
The lists keep back the last minute, so that nothing shows up late in them.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import msgspec

from syncs.providers.jira.harvest import Children
from syncs.providers.kit import raw
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import Cursor, Page, RawRecord
from syncs.providers.kit.times import from_unix

UPDATED, DELETED, LISTED = "/rest/api/3/worklog/updated", "/rest/api/3/worklog/deleted", "/rest/api/3/worklog/list"
BEFORE = timedelta(minutes=10)  # the start lies before now, lest a wrong clock pass something over


class _Changed(msgspec.Struct):
    worklogId: int
    updatedTime: int


class _Page(msgspec.Struct):
    values: list[_Changed]
    until: int | None = None
    lastPage: bool = True


_page = msgspec.json.Decoder(_Page)


async def start(client: Client) -> Cursor:
    """Some minutes ago, by Jira's clock, in milliseconds."""
    answer = await client.get("/rest/api/3/myself")
    now_ms = int((answer.moment() - BEFORE).timestamp() * 1000)
    return {"t": now_ms, "deleted": now_ms}


async def changes(client: Client, worklogs: Children, cursor: Cursor) -> AsyncIterator[Page]:
    """What was written or edited since the cursor, then what was deleted.

    Cursor: {"t": time of the newest change read, "deleted": of the newest deletion}, unix milliseconds.
    """
    async for page, _ in _ids(client, UPDATED, cursor["t"]):
        records, _ = await by_id(client, worklogs, [str(each.worklogId) for each in page.values])
        cursor = {**cursor, "t": max(cursor["t"], page.until or 0)}
        yield Page(records, cursor, done=False)
    async for page, read_no in _ids(client, DELETED, cursor["deleted"]):
        gone = [
            RawRecord(
                worklogs.resource.id, str(each.worklogId), None, read_no,
                updated_at=from_unix(each.updatedTime / 1000), deleted=True,
            )
            for each in page.values
        ]  # fmt: skip
        cursor = {**cursor, "deleted": max(cursor["deleted"], page.until or 0)}
        yield Page(gone, cursor, done=False)
    yield Page([], cursor, done=True)


async def by_id(client: Client, worklogs: Children, ids: Sequence[str]) -> tuple[list[RawRecord], int]:
    """These worklogs, less those that are gone or hidden, and the number of the read."""
    if not ids:
        return [], 0
    answer = await client.post(LISTED, {"ids": [int(each) for each in ids]})
    members = raw.records_at(raw.compact(answer.body), "")
    return [worklogs.to_record(member, answer.read_no) for member in members], answer.read_no


async def _ids(client: Client, path: str, since: int) -> AsyncIterator[tuple[_Page, int]]:
    """The pages of a list of changed ids, with the number of the read.

    Each goes on from the last moment of the one before, which may not have come whole. A moment with more than a page
    of them is left behind, or the walk would never end; the weekly reading by issue brings the rest.
    """
    since -= 1
    while True:
        answer = await client.get(path, {"since": since})
        try:
            page = _page.decode(answer.body)
        except msgspec.MsgspecError as error:
            raise UnexpectedShape("Jira listed worklogs in a form we do not know.", detail=str(error)[:200]) from None
        yield page, answer.read_no
        if page.lastPage or page.until is None:
            return
        since = max(page.until - 1, since + 1)
