"""A Jira site in memory: searched by JQL in its user's time zone, page by page, with an index that may run late."""

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx

from tests.unit.providers.fakes import answer

UPDATED, CREATED = "updated", "created"


def stamp(moment: datetime) -> str:
    """As Jira writes times: in some zone's own offset, without a colon."""
    local = moment.astimezone(ZoneInfo("America/New_York"))
    return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}{local:%z}"


class Site:
    """Issues by id. `hidden`: ids the index has not caught up with. `fold`: how an hour that comes twice is read.

    page_size caps pages; `lost`: page tokens are refused once each time it counts down; `between` is called with each
    search, before it is answered.
    """

    def __init__(self, zone: str = "UTC") -> None:
        self.issues: dict[str, dict] = {}
        self.zone, self.fold, self.page_size, self.lost = zone, 0, 100, 0
        self.hidden: set[str] = set()
        self.extra: dict[str, httpx.Response] = {}
        self.asked: list[tuple[str, dict]] = []
        self.queries: list[str] = []
        self.between = lambda: None

    def put(self, number: int, updated: datetime, created: datetime | None = None, **fields: object) -> dict:
        """An issue made or changed at this time."""
        made = stamp(created or updated)
        old = self.issues.get(str(number))
        made = old["fields"]["created"] if old and created is None else made
        issue = {"id": str(number), "key": f"ACME-{number}", "fields": {"created": made, "updated": stamp(updated)}}
        issue["fields"] |= fields
        self.issues[str(number)] = issue
        return issue

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else dict(request.url.params)
        self.asked.append((path, body))
        if path in self.extra:
            return self.extra[path]
        if path == "/rest/api/3/search/jql":
            self.between()
            return self.search(body)
        if path == "/rest/api/3/myself":
            return answer({"accountId": "70121:4e", "displayName": "Ada", "timeZone": self.zone})
        if path == "/rest/api/3/issue/bulkfetch":
            found = [self.issues[each] for each in body["issueIdsOrKeys"] if each in self.issues]
            return answer({"issues": found, "issueErrors": []})
        return answer({"errorMessages": ["Not found."]}, 404)

    def search(self, body: dict) -> httpx.Response:
        where, _, order = body["jql"].partition(" ORDER BY ")
        self.queries.append(where)
        field, down = order.split(",")[0].split(" ")
        assert where
        since = re.fullmatch(r'(updated|created) >= "(.+)"', where)
        rows = [each for key, each in self.issues.items() if key not in self.hidden]
        if since:
            rows = [each for each in rows if at(each, since[1]) >= self.read(since[2])]
        rows.sort(key=lambda each: (at(each, field), int(each["id"])), reverse=down == "DESC")
        token = body.get("nextPageToken")
        if token:
            if self.lost:
                self.lost -= 1
                return answer({"errorMessages": ["The nextPageToken is invalid or expired."], "errors": {}}, 400)
            moment, number = json.loads(token)
            rows = [each for each in rows if (at(each, field).timestamp(), int(each["id"])) > (moment, number)]
        size = min(body["maxResults"], self.page_size)
        page, last = rows[:size], len(rows) <= size
        found: dict = {"issues": [{"expand": "names", **each} for each in page], "isLast": last}
        if not last:
            found["nextPageToken"] = json.dumps([at(page[-1], field).timestamp(), int(page[-1]["id"])])
        return answer(found)

    def read(self, literal: str) -> datetime:
        """A time of JQL, in the user's zone."""
        local = datetime.strptime(literal, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(self.zone), fold=self.fold)
        return local.astimezone(UTC)


def at(issue: dict, field: str) -> datetime:
    return datetime.fromisoformat(issue["fields"][field]).astimezone(UTC)
