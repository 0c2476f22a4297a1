"""Jira, without a network: times in JQL, walks over a late index, what belongs to issues, refusals, ways in."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from syncs.providers.jira import PROVIDER, jql
from syncs.providers.jira.catalogue import COLLECTIONS
from syncs.providers.jira.errors import NotHere, ObjectGone, PlaceGone, TooSlow, classify, read_quota
from syncs.providers.jira.signin import KINDS, site_by_name, sites, token_error
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import (
    CredentialsRefused,
    PermissionMissing,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.quota import HOUR_S, Quota
from tests.unit.providers.fakes import NOW as NOW_TEXT
from tests.unit.providers.fakes import answer, client_for
from tests.unit.providers.jira_site import Site

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # what the fakes' Date header says
BY_ID = {each.id: each for each in COLLECTIONS}
ISSUE, COMMENT, WORKLOG, CHANGELOG = (BY_ID[f"jira:{name}"] for name in ("issue", "comment", "worklog", "changelog"))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def reader_of(site, **settings):
    return PROVIDER.reader(client_for(site, PROVIDER, settings=settings))


async def pages_of(walk) -> list:
    return [page async for page in walk]


async def look(reader, cursor, collection=ISSUE):
    """One look for changes: its records' ids in order, and the cursor after it."""
    pages = await pages_of(reader.changes(collection.feed, [collection], cursor))
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
    return [record.upstream_id for page in pages for record in page.records], pages[-1].cursor


# --- Times in JQL ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "zone", "text"),
    [
        ("2026-11-23T09:00:59+00:00", "UTC", "2026-11-23 09:00"),
        ("2026-11-23T09:00:00+00:00", "Asia/Kolkata", "2026-11-23 14:30"),
        ("2026-11-23T02:00:00+00:00", "America/New_York", "2026-11-22 21:00"),
        ("2026-10-25T00:30:00+00:00", "Europe/Berlin", "2026-10-25 01:59"),  # 02:30 in summer, which comes again
        ("2026-10-25T01:30:00+00:00", "Europe/Berlin", "2026-10-25 01:59"),  # 02:30 in winter
        ("2026-10-25T02:00:00+00:00", "Europe/Berlin", "2026-10-25 03:00"),
        ("2026-03-29T01:00:00+00:00", "Europe/Berlin", "2026-03-29 03:00"),  # 02:xx does not exist
        ("2026-03-29T00:59:30+00:00", "Europe/Berlin", "2026-03-29 01:59"),
        ("2026-04-04T15:10:00+00:00", "Australia/Lord_Howe", "2026-04-05 01:29"),  # half an hour comes twice
    ],
)
def test_a_moment_is_written_as_the_users_clock_shows_it(moment, zone, text):
    assert jql.literal(datetime.fromisoformat(moment), ZoneInfo(zone)) == text


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
@pytest.mark.parametrize("fold", [0, 1])
def test_no_minute_of_a_year_is_written_later_than_it_is(zone, fold):
    """Whichever of two hours Jira means. Tried on the days when clocks change; else the two are one."""
    where, day = ZoneInfo(zone), timedelta(days=1)
    days = [datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC) + number * day for number in range(364)]
    changing = [
        each for each in days if each.astimezone(where).utcoffset() != (each + day).astimezone(where).utcoffset()
    ]
    assert len(changing) >= 2
    for moment in (begin + number * MINUTE for begin in changing for number in range(24 * 60)):
        text = jql.literal(moment, where)
        read = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=where, fold=fold).astimezone(UTC)
        assert moment - 3 * HOUR < read <= moment, text


@pytest.mark.parametrize("name", ["", "Atlantis/Capital", "../secrets"])
def test_an_unknown_zone_stops_the_run(name):
    with pytest.raises(UnexpectedShape):
        jql.zone(name)


# --- Walks over issues ------------------------------------------------------------------------------------------------


async def test_history_comes_in_order_of_creation_and_an_edit_under_way_disturbs_nothing():
    site, first = Site(), NOW - 30 * HOUR
    for number in range(1, 8):
        site.put(number, first + number * MINUTE)
    site.between = lambda: site.put(2, NOW)  # edited between all pages
    pages = await pages_of(reader_of(site, page_size=3).backfill(ISSUE, None))
    assert [record.upstream_id for page in pages for record in page.records] == list("1234567")
    assert b'"expand"' not in pages[0].records[0].data
    assert pages[0].records[0].data.startswith(b'{"id":"1","key":"ACME-1","fields":{')


async def test_history_goes_on_when_its_page_token_is_forgotten():
    site, first = Site("Pacific/Kiritimati"), NOW - 300 * HOUR
    for number in range(1, 8):
        site.put(number, first + 30 * number * HOUR)
    reader = reader_of(site, page_size=3)
    walk = reader.backfill(ISSUE, None)
    cursor = (await anext(walk)).cursor
    await walk.aclose()
    site.lost = 1
    pages = await pages_of(reader.backfill(ISSUE, cursor))
    assert [record.upstream_id for page in pages for record in page.records] == list(
        "234567"
    )  # a day and more is read again: the zone is not asked for
    assert pages[-1].done


async def test_a_place_that_is_forgotten_again_and_again_is_an_outage():
    site = Site()
    for number in range(1, 8):
        site.put(number, NOW - HOUR)
    site.lost = 100
    with pytest.raises(UpstreamFailed):
        await pages_of(reader_of(site, page_size=3).backfill(ISSUE, None))


async def test_a_look_begins_before_the_cursor_and_brings_what_showed_up_late():
    site = Site()
    site.put(1, NOW - 3 * MINUTE)
    site.put(2, NOW - 2 * MINUTE)
    site.hidden = {"1"}
    reader = reader_of(site)
    cursor = await reader.start(ISSUE.feed, [ISSUE])
    ids, cursor = await look(reader, cursor)
    assert ids == ["2"]
    site.hidden = set()
    ids, cursor = await look(reader, cursor)
    assert ids == ["1", "2"]


async def test_a_minute_long_past_is_closed_and_read_no_more():
    site = Site()
    for number in range(1, 11):
        site.put(number, NOW - 30 * MINUTE)  # a change in bulk: all of one moment
    reader = reader_of(site, page_size=3)
    cursor = await reader.start(ISSUE.feed, [ISSUE])
    ids, cursor = await look(reader, cursor)
    assert len(ids) == 10
    assert cursor["closed"]
    ids, cursor = await look(reader, cursor)
    assert ids == []
    site.put(11, NOW - 29 * MINUTE)
    ids, cursor = await look(reader, cursor)
    assert ids == ["11"]


async def test_every_few_hours_a_look_begins_half_a_day_before_the_cursor():
    site = Site()
    site.put(1, NOW - 9 * HOUR)
    site.put(2, NOW - 8 * HOUR)
    site.hidden = {"1"}
    reader = reader_of(site)
    cursor = await reader.start(ISSUE.feed, [ISSUE])
    site.hidden = set()
    cursor["long_at"] = (NOW - 7 * HOUR).isoformat()
    ids, cursor = await look(reader, cursor)
    assert ids == ["2"]  # and the next one is due to be long
    ids, cursor = await look(reader, cursor)
    assert ids == ["1", "2"]
    assert not cursor["long"]


async def test_a_look_cut_short_goes_on_by_its_page_token():
    site = Site()
    for number in range(1, 11):
        site.put(number, NOW - MINUTE)  # all of one minute: no time could tell where the look stands
    reader = reader_of(site, page_size=3)
    cursor, seen = await reader.start(ISSUE.feed, [ISSUE]), []
    for _ in range(10):
        walk = reader.changes(ISSUE.feed, [ISSUE], cursor)
        page = await anext(walk)
        await walk.aclose()
        seen += [record.upstream_id for record in page.records]
        cursor = page.cursor
        if page.done:
            break
    assert seen == [str(number) for number in range(1, 11)]
    assert page.done


async def test_a_look_whose_page_token_is_forgotten_begins_where_it_stood():
    site = Site("Asia/Tokyo")
    for number in range(1, 10):
        site.put(number, NOW - 2 * HOUR + number * 10 * MINUTE)
    reader = reader_of(site, page_size=3)
    cursor = {"t": "2026-11-23T06:00:00.000Z", "closed": False, "zone": "Asia/Tokyo", "long_at": NOW.isoformat()}
    walk = reader.changes(ISSUE.feed, [ISSUE], cursor)
    first = await anext(walk)
    await walk.aclose()
    site.lost = 1
    ids, cursor = await look(reader, first.cursor)
    assert ids == ["3", "4", "5", "6", "7", "8", "9"]


async def test_an_issue_changed_between_two_pages_comes_again_at_the_end():
    site = Site()
    for number in range(1, 7):
        site.put(number, NOW - HOUR + number * MINUTE)
    reader = reader_of(site, page_size=3)
    cursor = {"t": "2026-11-23T06:00:00.000Z", "closed": False, "zone": "UTC", "long_at": NOW.isoformat()}
    struck = []

    def edit_after_first():
        struck.append(1)
        if len(struck) == 2:
            site.put(5, NOW - MINUTE, summary="changed")

    site.between = edit_after_first
    ids, cursor = await look(reader, cursor)
    assert ids == ["1", "2", "3", "4", "6", "5"]


async def test_a_user_who_moves_to_another_zone_loses_nothing():
    """Eastwards the same clock time lies earlier, westwards later: then the look is done again."""
    site = Site("Europe/Berlin")
    site.put(1, NOW - 20 * MINUTE)
    reader = reader_of(site)
    cursor = await reader.start(ISSUE.feed, [ISSUE])
    _, cursor = await look(reader, cursor)
    site.zone = "America/Los_Angeles"
    site.put(2, NOW - 10 * MINUTE)
    ids, cursor = await look(reader, cursor)
    assert "2" in ids
    assert cursor["zone"] == "America/Los_Angeles"
    site.put(3, NOW - 9 * MINUTE)
    site.zone = "Asia/Tokyo"
    ids, cursor = await look(reader, cursor)
    assert "3" in ids
    assert cursor["zone"] == "Asia/Tokyo"


async def test_a_zone_that_changes_in_the_middle_of_a_look_begins_it_again():
    site = Site("Asia/Tokyo")
    for number in range(1, 7):
        site.put(number, NOW - HOUR + number * MINUTE)
    reader = reader_of(site, page_size=2)
    cursor = {"t": "2026-11-23T07:30:00.000Z", "closed": False, "zone": "Asia/Tokyo", "long_at": NOW.isoformat()}
    struck = []

    def move():
        struck.append(1)
        if len(struck) == 2:
            site.zone = "America/Los_Angeles"  # the same clock time is 17 hours later there: nothing is left

    site.between = move
    ids, cursor = await look(reader, cursor)
    assert set(ids) == {"1", "2", "3", "4", "5", "6"}
    assert cursor["zone"] == "America/Los_Angeles"


@pytest.mark.parametrize("fold", [0, 1])
async def test_the_hour_that_comes_twice_loses_nothing(fold):
    """Whichever of the two Jira means by 02:30."""
    site = Site("Europe/Berlin")
    site.fold = fold
    summer, winter = datetime(2026, 10, 25, 0, 40, tzinfo=UTC), datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    site.put(1, summer)
    site.put(2, winter)
    reader = reader_of(site)
    cursor = {"t": "2026-10-25T00:41:00.000Z", "closed": False, "zone": "Europe/Berlin", "long_at": NOW.isoformat()}
    ids, _ = await look(reader, cursor)
    assert ids == ["1", "2"]


async def test_our_clock_ten_minutes_behind_moves_no_cursor_over_unread_issues():
    """Stamps lie ahead of what both clocks let us believe: the cursor waits for them."""
    site = Site()
    site.put(1, NOW + 10 * MINUTE)
    reader = reader_of(site)
    cursor = await reader.start(ISSUE.feed, [ISSUE])
    assert cursor["t"] == "2026-11-23T09:00:00.000Z"
    ids, cursor = await look(reader, cursor)
    assert ids == ["1"]
    assert cursor["t"] == "2026-11-23T09:00:00.000Z"
    assert not cursor["closed"]


async def test_an_empty_zone_stops_the_run_instead_of_meaning_utc():
    site = Site("")
    with pytest.raises(UnexpectedShape, match="time zone"):
        await reader_of(site).start(ISSUE.feed, [ISSUE])


async def test_the_same_page_token_twice_stops_the_walk():
    page = {"issues": [], "nextPageToken": "CAE", "isLast": False}
    with pytest.raises(UnexpectedShape, match="same page"):
        await pages_of(reader_of(lambda request: answer(page)).backfill(ISSUE, None))


async def test_an_empty_page_with_a_token_is_followed():
    def upstream(request):
        if b"nextPageToken" in request.content:
            return answer({"issues": [{"id": "1", "key": "A-1", "fields": {}}], "isLast": True, "nextPageToken": None})
        return answer({"issues": [], "nextPageToken": "CAE", "isLast": False})

    pages = await pages_of(reader_of(upstream).backfill(ISSUE, None))
    assert [len(page.records) for page in pages] == [0, 1]


async def test_a_sweep_asks_for_ids_alone_5000_at_once():
    site = Site()
    site.put(1, NOW)
    pages = await pages_of(reader_of(site).sweep(ISSUE, None))
    assert [page.ids for page in pages] == [["1"]]
    assert site.asked[-1][1] == {
        "jql": "project is not EMPTY ORDER BY created ASC, key ASC",
        "fields": ["id"],
        "maxResults": 5000,
    }


async def test_issues_by_id_are_gone_only_if_jira_names_them_nowhere():
    site = Site()
    site.put(1, NOW)
    site.extra["/rest/api/3/issue/bulkfetch"] = answer(
        {"issues": [site.issues["1"]], "issueErrors": [{"id": "2", "errorMessage": "Try again later."}]}
    )
    records = await reader_of(site).read(ISSUE, ["1", "2", "3"])
    assert {record.upstream_id: record.deleted for record in records} == {"1": False, "3": True}
    search = (await pages_of(reader_of(site).backfill(ISSUE, None)))[0].records[0]
    assert records[0].data == search.data  # both routes give the same bytes


# --- What belongs to issues -------------------------------------------------------------------------------------------


def comment(number: int, issue: int = 1) -> dict:
    return {"self": f"https://acme.atlassian.net/rest/api/3/issue/{issue}/comment/{number}", "id": str(number),
            "body": {"type": "doc"}, "created": "2026-11-20T09:05:00.000+0100",
            "updated": "2026-11-20T10:05:00.000+0100"}  # fmt: skip


async def test_comments_come_inside_their_issue_and_only_more_are_asked_for():
    site = Site()
    site.put(1, NOW, comment={"comments": [comment(10), comment(11)], "total": 2, "maxResults": 20, "startAt": 0})
    site.put(2, NOW, comment={"comments": [comment(20, 2)], "total": 3, "maxResults": 1, "startAt": 0})
    site.put(3, NOW, comment={"comments": [], "total": 0})
    more = {"comments": [comment(number, 2) for number in (20, 21, 22)], "total": 3, "startAt": 0, "maxResults": 100}
    site.extra["/rest/api/3/issue/2/comment"] = answer(more)
    pages = await pages_of(reader_of(site).backfill(COMMENT, None))
    records = [record for page in pages for record in page.records]
    assert [record.upstream_id for record in records] == ["10", "11", "20", "21", "22"]
    assert json.loads(records[-1].data) == {"issueId": "2", **comment(22, 2)}
    assert records[0].updated_at == datetime(2026, 11, 20, 9, 5, tzinfo=UTC)
    assert [path for path, _ in site.asked] == ["/rest/api/3/search/jql", "/rest/api/3/issue/2/comment"]


async def test_a_comment_asked_for_by_id_has_the_same_bytes_as_in_its_issue():
    site = Site()
    site.put(1, NOW, comment={"comments": [comment(10)], "total": 1})
    site.extra["/rest/api/3/comment/list"] = answer({"values": [comment(10)], "total": 1})
    inside = (await pages_of(reader_of(site).backfill(COMMENT, None)))[0].records[0]
    found = await reader_of(site).read(COMMENT, ["10", "99"])
    assert found[0].data == inside.data
    assert [record.deleted for record in found] == [False, True]


async def test_an_issue_that_goes_between_two_requests_takes_its_comments_along():
    site = Site()
    site.put(1, NOW, comment={"comments": [], "total": 1})
    assert (await look(reader_of(site), await reader_of(site).start("", [COMMENT]), COMMENT))[0] == []


@pytest.mark.parametrize("created", [1795165500, 1795165500000, "2026-11-20T09:05:00.000+0000"])
async def test_changelog_times_are_text_seconds_or_milliseconds(created):
    site = Site()
    site.put(1, NOW)
    entry = {"id": "10100", "created": created, "items": [{"field": "status"}]}
    body = {"issueChangeLogs": [{"issueId": "1", "changeHistories": [entry]}]}
    site.extra["/rest/api/3/changelog/bulkfetch"] = answer(body)
    record = (await pages_of(reader_of(site).backfill(CHANGELOG, None)))[0].records[0]
    assert (record.upstream_id, record.created_at) == ("10100", datetime(2026, 11, 20, 9, 5, tzinfo=UTC))
    assert json.loads(record.data) == {"issueId": "1", **entry}


def worklog(number: int) -> dict:
    return {"id": str(number), "issueId": "1", "timeSpentSeconds": 60, "updated": "2026-11-20T09:05:00.000+0000"}


async def test_worklogs_are_read_by_changed_ids_and_deleted_ones_are_told():
    asked = []

    def upstream(request):
        asked.append(request.url.path + f"?{request.url.query.decode()}")
        if request.url.path.endswith("/list"):
            return answer([worklog(each) for each in json.loads(request.content)["ids"]])
        if request.url.path.endswith("/deleted"):
            values = [{"worklogId": 9, "updatedTime": 5000, "properties": []}]
            return answer({"values": values, "since": 0, "until": 5000, "lastPage": True})
        if request.url.params["since"] == "999":
            values = [{"worklogId": 1, "updatedTime": 1500}, {"worklogId": 2, "updatedTime": 2000}]
            return answer({"values": values, "until": 2000, "lastPage": False})
        return answer({"values": [{"worklogId": 2, "updatedTime": 2000}], "until": 2000, "lastPage": True})

    pages = await pages_of(reader_of(upstream).changes(WORKLOG.feed, [WORKLOG], {"t": 1000, "deleted": 1000}))
    records = [record for page in pages for record in page.records]
    assert [(record.upstream_id, record.deleted) for record in records] == [
        ("1", False), ("2", False), ("2", False), ("9", True),
    ]  # fmt: skip
    assert records[-1].updated_at == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert pages[-1].cursor == {"t": 2000, "deleted": 5000}
    assert "/rest/api/3/worklog/updated?since=1999" in asked  # the page may have been cut within that moment


async def test_more_worklogs_of_one_moment_than_a_page_holds_do_not_stop_the_walk():
    def upstream(request):
        if request.url.path.endswith("/list"):
            return answer([worklog(1)])
        more = request.url.path.endswith("/updated") and int(request.url.params["since"]) <= 7000
        values = [{"worklogId": 1, "updatedTime": 7000}] if more else []
        return answer({"values": values, "until": 7000 if more else None, "lastPage": not more})

    pages = await pages_of(reader_of(upstream).changes(WORKLOG.feed, [WORKLOG], {"t": 7000, "deleted": 7000}))
    assert pages[-1].done


# --- Whole lists ------------------------------------------------------------------------------------------------------


async def test_users_end_with_an_empty_page_and_not_with_a_short_one():
    def upstream(request):
        start = int(request.url.params["startAt"])
        users = [{"accountId": f"u{number}"} for number in range(start, min(start + 2, 5))]
        return answer(users)

    pages = await pages_of(reader_of(upstream).backfill(BY_ID["jira:user"], None))
    assert [record.upstream_id for page in pages for record in page.records] == ["u0", "u1", "u2", "u3", "u4"]
    assert pages[-1].done


async def test_users_come_in_smaller_pages_when_jira_takes_too_long():
    sizes = []

    def upstream(request):
        sizes.append(int(request.url.params["maxResults"]))
        if sizes[-1] > 250:
            return answer({"errorMessages": ["Took too long."]}, 409)
        return answer([{"accountId": "u1"}] if request.url.params["startAt"] == "0" else [])

    pages = await pages_of(reader_of(upstream).backfill(BY_ID["jira:user"], None))
    assert sizes == [1000, 250, 250]
    assert len(pages[0].records) == 1


def boards(request):
    """Two Scrum boards that share a sprint, and a Kanban board between them."""
    path = request.url.path
    if path == "/rest/agile/1.0/board":
        start, size = (int(request.url.params[name]) for name in ("startAt", "maxResults"))
        values = [{"id": number} for number in (1, 2, 3)][start : start + size]
        return answer({"values": values, "isLast": start + size >= 3, "total": 3, "startAt": start})
    if path.endswith("/2/sprint"):
        return answer({"errorMessages": ["The board does not support sprints"], "errors": {}}, 400)
    board = int(path.split("/")[-2])
    return answer({"values": [{"id": 70, "originBoardId": 1}, {"id": 70 + board}], "isLast": True})


async def test_sprints_are_read_board_by_board_and_a_board_without_any_is_passed_over():
    sprint = BY_ID["jira:sprint"]
    pages = await pages_of(reader_of(boards).backfill(sprint, None))
    assert [[record.upstream_id for record in page.records] for page in pages] == [["70", "71"], [], ["70", "73"]]
    assert [page.done for page in pages] == [False, False, True]
    rest = await pages_of(reader_of(boards).backfill(sprint, pages[0].cursor))
    assert [[record.upstream_id for record in page.records] for page in rest] == [[], ["70", "73"]]


async def test_what_a_list_lacks_is_gone():
    found = await reader_of(boards).read(BY_ID["jira:sprint"], ["73", "99"])
    assert {record.upstream_id: record.deleted for record in found} == {"73": False, "99": True}


async def test_a_project_in_the_bin_arrives_as_deleted_and_no_sweep_meets_it():
    values = [{"id": "1", "key": "A"}, {"id": "2", "key": "B", "deleted": True}]
    reader = reader_of(lambda request: answer({"values": values, "isLast": True, "total": 2}))
    project = BY_ID["jira:project"]
    pages = await pages_of(reader.backfill(project, None))
    assert [record.deleted for record in pages[0].records] == [False, True]
    assert [page.ids async for page in reader.sweep(project, None)] == [["1"]]


async def test_a_list_that_comes_whole_is_asked_for_without_paging():
    def upstream(request):
        assert not request.url.query
        return answer([{"id": "summary", "name": "Summary"}])

    pages = await pages_of(reader_of(upstream).backfill(BY_ID["jira:field"], None))
    assert [page.done for page in pages] == [True]


# --- Account and fields -----------------------------------------------------------------------------------------------


def account(projects: int, who: dict | None = None):
    site = Site()
    site.extra["/rest/api/3/serverInfo"] = answer({"baseUrl": "https://acme.atlassian.net", "deploymentType": "Cloud"})
    site.extra["/rest/api/3/project/search"] = answer({"values": [], "total": projects, "isLast": True})
    if who is not None:
        site.extra["/rest/api/3/myself"] = answer(who)
    return reader_of(site)


async def test_the_account_is_the_site_and_a_user_without_projects_is_told():
    found = await account(3).check()
    assert (found.id, found.name) == ("acme.atlassian.net", "acme.atlassian.net as Ada")
    with pytest.raises(PermissionMissing, match="no project"):
        await account(0).check()
    with pytest.raises(CredentialsRefused, match="nobody"):
        await account(3, {}).check()


async def test_fields_of_issues_are_named_as_jira_names_them():
    site = Site()
    described = [{"id": "customfield_10016", "name": "Story Points", "schema": {"type": "number"}}, {"id": "thumb"}]
    site.extra["/rest/api/3/field"] = answer(described)
    fields = await reader_of(site).fields(ISSUE)
    assert [(each.accessor, each.type, each.label) for each in fields] == [
        ("id", "string", "Id"),
        ("key", "string", "Key"),
        ("fields.customfield_10016", "number", "Story Points"),
        ("fields.thumb", "", "thumb"),
    ]


# --- Refusals and limits ----------------------------------------------------------------------------------------------


def refused(status: int, body: object = None, **headers: str) -> object:
    given = answer(body if body is not None else {"errorMessages": [], "errors": {}}, status, **headers)
    return classify(Answer(status, given.headers, given.content, 1, NOW))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"code": 401, "message": "Unauthorized"}, CredentialsRefused),
        (401, {"code": 401, "message": "Unauthorized; scope does not match"}, PermissionMissing),
        (401, b"Client must be authenticated to access this resource.", CredentialsRefused),
        (403, {"errorMessages": ["You do not have permission."], "errors": {}}, PermissionMissing),
        (400, {"errorMessages": ["The board does not support sprints"], "errors": {}}, NotHere),
        (422, {"errorMessages": ["This board has no columns with a mapped status."]}, NotHere),
        (400, {"errorMessages": ["The nextPageToken is not valid."], "errors": {}}, PlaceGone),
        (400, {"errorMessages": ["Unbounded JQL queries are not allowed here."], "errors": {}}, UnexpectedShape),
        (404, b"<html>Oops, you've found a dead link.</html>", ObjectGone),
        (409, {"errorMessages": ["Took longer than 10 seconds."]}, TooSlow),
        (410, {"errorMessages": ["The requested API has been removed."]}, UnexpectedShape),
        (503, b"<html>", UpstreamFailed),
    ],
)
def test_every_documented_refusal_has_its_meaning(status, body, kind):
    assert type(refused(status, body)) is kind


@pytest.mark.parametrize(("reason", "kind"), [("AUTHENTICATION_DENIED", CredentialsRefused), ("OK", type(None))])
def test_a_captcha_is_told_even_by_a_good_answer(reason, kind):
    assert isinstance(refused(200, {}, X_Seraph_LoginReason=reason), kind)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry_After": "17"}, 17),
        ({"X_RateLimit_Reset": "2026-11-23T09:00:40.000Z"}, 40),
        ({"X_RateLimit_Reset": "2026-11-23T09:05Z"}, 300),
        ({"RateLimit_Reason": "jira-quota-global-based"}, 3600),
        ({"RateLimit_Reason": "jira-burst-based"}, 2),
        ({}, 2),
    ],
)
def test_a_limit_is_waited_out_with_and_without_a_header(headers, wait_s):
    error = refused(429, b"", **headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait_s


def test_points_are_read_once_jira_tells_them():
    policy = '"global-app-quota";q=65000;w=3600'
    told = {"RateLimit-Policy": policy, "RateLimit": '"burst";r=9, "global-app-quota";r=1200;t=840'}
    assert read_quota(told) == (Quota(63_800, 65_000, "points", HOUR_S, 840, price=101),)
    assert read_quota({"RateLimit-Policy": policy}) == ()
    assert read_quota({"Beta-RateLimit": '"global-app-quota";r=1', "Beta-RateLimit-Policy": policy}) == ()


# --- Ways in ----------------------------------------------------------------------------------------------------------


async def test_a_sign_in_opens_the_jira_sites_and_no_others():
    listed = [
        {"id": "8d2f", "name": "acme", "url": "https://acme.atlassian.net", "scopes": ["read:jira-work"]},
        {"id": "8d2f", "name": "acme", "url": "https://acme.atlassian.net", "scopes": ["read:confluence-user"]},
        {"id": "9e3a", "name": "wiki", "url": "https://wiki.atlassian.net", "scopes": ["read:confluence-user"]},
        {"id": "7c1b", "name": "beta", "url": "https://beta.atlassian.net", "scopes": ["read:sprint:jira-software"]},
    ]
    found = await sites(client_for(lambda request: answer(listed), PROVIDER))
    assert [(each.id, each.label, each.settings) for each in found] == [
        ("8d2f", "acme.atlassian.net", {"cloud_id": "8d2f"}),
        ("7c1b", "beta.atlassian.net", {"cloud_id": "7c1b"}),
    ]


async def test_a_site_tells_its_own_cloud_id():
    site = Site()
    site.extra["/_edge/tenant_info"] = answer({"cloudId": "8d2f6c1e"})
    found = await site_by_name(client_for(site, PROVIDER))
    assert [(each.id, each.settings) for each in found] == [("8d2f6c1e", {"cloud_id": "8d2f6c1e"})]
    for nothing in (answer(b"<html>", 404), answer({"oops": 1})):
        site.extra["/_edge/tenant_info"] = nothing
        with pytest.raises(CredentialsRefused, match="no site"):
            await site_by_name(client_for(site, PROVIDER))


@pytest.mark.parametrize(
    "body",
    [
        {"error": "unauthorized_client", "error_description": "refresh_token is invalid"},
        {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."},
    ],
)
def test_a_dead_refresh_token_asks_to_reconnect(body):
    error = token_error(403, json.dumps(body).encode())
    assert isinstance(error, CredentialsRefused)
    assert "a year old" in error.message


def test_scopes_are_those_the_collections_need_and_no_more():
    asked = {scope for each in COLLECTIONS for scope in each.scopes}
    assert not any(scope.startswith(("write", "manage", "delete")) for scope in asked)
    assert BY_ID["jira:issue"].scopes == ("read:jira-work",)
    assert BY_ID["jira:user"].scopes == ("read:jira-user",)
    oauth = next(kind.oauth for kind in KINDS if kind.oauth)
    assert oauth.scopes == ("offline_access", "read:jira-user")
    assert not oauth.pkce


def test_the_setup_page_names_exactly_these_scopes():
    page = (Path(__file__).resolve().parents[3] / "templates/providers/_jira_scopes.html").read_text()
    named = set(re.findall(r"<code>(read:[^<]+)</code>", page))
    assert named == {scope for each in COLLECTIONS for scope in each.scopes}


def test_each_token_goes_where_it_is_good():
    by_key = {kind.key: kind for kind in KINDS}
    secrets, settings = {"secret": "t"}, {"email": "ada@acme.com", "site": "acme"}
    headers = by_key["jira_token"].request_headers(secrets, settings)
    assert headers == {"Authorization": "Basic YWRhQGFjbWUuY29tOnQ="}
    assert by_key["jira_token"].api_url == "https://{site}.atlassian.net"
    assert {kind.api_path for kind in KINDS if kind.key != "jira_token"} == {"/ex/jira/{cloud_id}"}
    assert by_key["jira_scoped_token"].sites_url == "https://{site}.atlassian.net"
    minted = by_key["jira_service_account"].mint.request({"client_id": "i", "client_secret": "s"}, "", NOW)
    assert minted.json == {"grant_type": "client_credentials", "client_id": "i", "client_secret": "s"}


def test_the_fakes_time_is_what_these_tests_take_it_for():
    assert format_datetime(NOW, usegmt=True) == NOW_TEXT
