"""Jira's reader against the sandbox: its clocks and zones, its late index, what belongs to issues, all ways in."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.process import RunningSandbox, running
from sequin_console.common.problems import Problem
from syncs import connections, oauth_apps
from syncs.providers.jira.catalogue import COLLECTIONS
from syncs.providers.kit.catalogue import Quota
from syncs.providers.kit.errors import CredentialsRefused, PermissionMissing, RateLimited, UnexpectedShape
from tests.integration.provider_adapters.jira import ADAPTER

ISSUE, COMMENT, WORKLOG, CHANGELOG = "jira:issue", "jira:comment", "jira:worklog", "jira:changelog"
EMAIL = "ada@sandbox.example"
IN_TIME_S = 30


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("jira")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: RunningSandbox) -> RunningSandbox:
    """An empty site, as new for each test."""
    ADAPTER.prepare(shared)
    return shared


def make(sandbox: RunningSandbox, table: str = "issue", **fields: Any) -> str:
    return sandbox.control("POST", f"records/jira/{table}", [fields])["ids"][0]


def set_to(sandbox: RunningSandbox, **settings: Any) -> None:
    sandbox.control("POST", "settings", settings)


def put_clock(sandbox: RunningSandbox, moment: str) -> None:
    """Let it be this moment at the sandbox."""
    set_to(sandbox, clock_skew_s=datetime.fromisoformat(moment).timestamp() - time.time())


def data_of(record: Any) -> dict[str, Any]:
    return json.loads(record.data)


# --- Everything there is ----------------------------------------------------------------------------------------------


async def test_every_collection_is_read_whole(planted):
    async with ADAPTER.bench(planted) as bench:
        for each in COLLECTIONS:
            wanted = ADAPTER.current(planted, each.id.removeprefix("jira:"))
            records = await bench.backfill(each.id)
            assert set(records) == set(wanted), each.id
            assert wanted, each.id
            await bench.reader.probe(each)
            assert await bench.reader.fields(each), each.id


@pytest.mark.parametrize("collection_id", [ISSUE, COMMENT, WORKLOG, "jira:project", "jira:sprint"])
async def test_read_by_id_gives_the_bytes_of_the_walk(planted, collection_id):
    async with ADAPTER.bench(planted) as bench:
        walked = await bench.data(collection_id)
        ids = list(walked)[:120]
        found = await bench.reader.read(bench.collections[collection_id], [*ids, "987654321"])
        assert {record.upstream_id: record.data for record in found if not record.deleted} == {
            each: walked[each] for each in ids
        }
        assert [record.upstream_id for record in found if record.deleted] == ["987654321"]


async def test_what_is_told_of_the_account(planted):
    async with ADAPTER.bench(planted) as bench:
        account = await bench.reader.check()
        assert (account.id, account.name) == ("sandbox.atlassian.net", "sandbox.atlassian.net as Ada Admin")
        assert await bench.reader.count(bench.collections[ISSUE]) == 320
        fields = {each.accessor: each for each in await bench.reader.fields(bench.collections[ISSUE])}
        assert (fields["fields.customfield_10016"].label, fields["fields.customfield_10016"].type) == (
            "Story Points",
            "number",
        )


async def test_reach_is_the_projects_and_boards_that_are_seen(sandbox):
    project, board = make(sandbox, "project", name="Secret"), make(sandbox, "board", name="Scrum")
    async with ADAPTER.bench(sandbox) as bench:
        before = await bench.reader.reach(bench.collections[ISSUE])
        assert before[project] == "Secret"
        sandbox.control("DELETE", f"records/jira/project/{project}")
        for each in (ISSUE, COMMENT, "jira:version"):
            assert before.items() - (await bench.reader.reach(bench.collections[each])).items() == {(project, "Secret")}
        assert (await bench.reader.reach(bench.collections["jira:sprint"]))[board] == "Scrum"
        assert await bench.reader.reach(bench.collections["jira:user"]) == {}


# --- Zones and clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("Europe/Berlin", "2026-10-25T00:52:00+00:00", "2026-10-25T01:07:00+00:00"),  # 02:52, then 02:07 again
        ("America/New_York", "2026-11-01T05:52:00+00:00", "2026-11-01T06:07:00+00:00"),
        ("Europe/Berlin", "2026-03-29T00:58:00+00:00", "2026-03-29T01:02:00+00:00"),  # 01:58, then 03:02
        ("Australia/Lord_Howe", "2026-04-04T14:55:00+00:00", "2026-04-04T15:05:00+00:00"),
    ],
)
async def test_a_change_of_clocks_loses_nothing(sandbox, zone, before, after):
    put_clock(sandbox, before)
    set_to(sandbox, jira_time_zone=zone)
    async with ADAPTER.bench(sandbox) as bench:
        first = make(sandbox)
        cursor = await bench.start(ISSUE)
        records, cursor = await bench.look(cursor, ISSUE)
        assert set(records) == {first}
        put_clock(sandbox, after)
        second = make(sandbox)
        records, cursor = await bench.look(cursor, ISSUE)
        assert second in records
        put_clock(sandbox, after)
        third = make(sandbox)
        records, cursor = await bench.look(cursor, ISSUE)
        assert third in records


@pytest.mark.parametrize("zones", [("Asia/Tokyo", "America/Los_Angeles"), ("America/Los_Angeles", "Asia/Tokyo")])
async def test_a_user_who_moves_in_mid_sync_loses_nothing(sandbox, zones):
    """Between two looks, and in the middle of one."""
    home, away = zones
    set_to(sandbox, jira_time_zone=home)
    async with ADAPTER.bench(sandbox, page_size=4) as bench:
        cursor = await bench.start(ISSUE)
        made = {make(sandbox) for _ in range(3)}
        set_to(sandbox, jira_time_zone=away)
        records, cursor = await bench.look(cursor, ISSUE)
        assert made <= set(records)
        assert cursor["zone"] == away
        made = {make(sandbox) for _ in range(9)}
        seen = set()
        async for page in bench.reader.changes(ISSUE, [bench.collections[ISSUE]], cursor):
            seen |= {record.upstream_id for record in page.records}
            set_to(sandbox, jira_time_zone=home)
            cursor = page.cursor
        assert made <= seen
        assert cursor["zone"] == home


async def test_an_unknown_zone_stops_reading(sandbox):
    make(sandbox)
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(ISSUE)
        set_to(sandbox, jira_time_zone="")
        with pytest.raises(UnexpectedShape, match="time zone"):
            await bench.look(cursor, ISSUE)


async def test_what_the_index_shows_late_arrives(sandbox):
    first, second = make(sandbox), make(sandbox)
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(ISSUE)
        set_to(sandbox, commit_delay_s=2.0)
        ADAPTER.change(sandbox, first, 1)
        set_to(sandbox, commit_delay_s=0.0)
        ADAPTER.change(sandbox, second, 2)  # later, and seen at once: the cursor moves past the first
        records, cursor = await bench.look(cursor, ISSUE)
        assert data_of(records[second])["fields"]["summary"] == "Number 2"
        deadline = time.monotonic() + IN_TIME_S
        while time.monotonic() < deadline:
            records, cursor = await bench.look(cursor, ISSUE)
            if first in records and data_of(records[first])["fields"]["summary"] == "Number 1":
                return
            await asyncio.sleep(0.2)
    pytest.fail("the late change never came")


async def test_pages_that_are_empty_are_followed_and_tokens_that_repeat_stop_the_walk(sandbox):
    ADAPTER.prepare(sandbox, 12)
    async with ADAPTER.bench(sandbox, page_size=5) as bench:
        set_to(sandbox, jira_empty_pages=True)
        assert set(await bench.backfill(ISSUE)) == set(ADAPTER.current(sandbox))
        set_to(sandbox, jira_empty_pages=False, jira_repeat_tokens=True)
        with pytest.raises(UnexpectedShape, match="same page"):
            await bench.backfill(ISSUE)


# --- What belongs to issues -------------------------------------------------------------------------------------------


async def test_comments_beyond_those_in_the_issue_arrive_and_so_do_new_ones(sandbox):
    issue, other = make(sandbox), make(sandbox)
    sandbox.control("POST", "records/jira/comment", [{"issueId": issue}] * 130 + [{"issueId": other}])
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(COMMENT)
        records = await bench.backfill(COMMENT)
        assert set(records) == set(ADAPTER.current(sandbox, "comment"))
        assert {data_of(record)["issueId"] for record in records.values()} == {issue, other}
        new = make(sandbox, "comment", issueId=other)
        records, cursor = await bench.look(cursor, COMMENT)
        assert new in records
        sandbox.control("DELETE", f"records/jira/comment/{new}")
        swept = {each async for page in bench.reader.sweep(bench.collections[COMMENT], None) for each in page.ids}
        assert swept == set(ADAPTER.current(sandbox, "comment"))


async def test_worklogs_arrive_by_their_own_feed_and_their_deletions_are_told(sandbox):
    issue = make(sandbox)
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(WORKLOG)
        made = [make(sandbox, "worklog", issueId=issue) for _ in range(4)]
        records, cursor = await bench.look(cursor, WORKLOG)
        assert set(records) == set(made)
        sandbox.control("DELETE", f"records/jira/worklog/{made[0]}")
        sandbox.control("PATCH", f"records/jira/worklog/{made[1]}", {"timeSpentSeconds": 7})
        records, cursor = await bench.look(cursor, WORKLOG)
        assert records[made[0]].deleted
        assert data_of(records[made[1]])["timeSpentSeconds"] == 7
        assert set(await bench.backfill(WORKLOG)) == set(made[1:])


async def test_more_worklogs_of_one_moment_than_a_page_of_the_feed_holds(sandbox):
    """The feed cannot bring them all; the walk ends, and reading by issue has the rest."""
    make(sandbox)
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(WORKLOG)
        sandbox.control("POST", "records/jira/worklog?count=2500&same_stamp=1", {})
        records, cursor = await bench.look(cursor, WORKLOG)
        assert len(records) >= 1_000
        assert set(await bench.backfill(WORKLOG)) == set(ADAPTER.current(sandbox, "worklog"))


async def test_edits_arrive_as_entries_of_the_changelog(sandbox):
    issue = make(sandbox)
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(CHANGELOG)
        ADAPTER.change(sandbox, issue, 5)
        records, cursor = await bench.look(cursor, CHANGELOG)
        (entry,) = records.values()
        assert data_of(entry)["issueId"] == issue
        assert data_of(entry)["items"][0]["toString"] == "Number 5"
        assert abs((entry.created_at - datetime.now(UTC)).total_seconds()) < 60


async def test_a_moved_issue_is_the_same_record_under_another_key(sandbox):
    issue = make(sandbox)
    async with ADAPTER.bench(sandbox) as bench:
        cursor = await bench.start(ISSUE)
        sandbox.control("PATCH", f"records/jira/issue/{issue}", {"key": "OTHER-9"})
        records, _ = await bench.look(cursor, ISSUE)
        assert data_of(records[issue])["key"] == "OTHER-9"
        (found,) = await bench.reader.read(bench.collections[ISSUE], [issue])
        assert (found.deleted, found.data) == (False, records[issue].data)


async def test_a_project_in_the_bin_arrives_as_deleted(sandbox):
    project = make(sandbox, "project")
    async with ADAPTER.bench(sandbox) as bench:
        sandbox.control("DELETE", f"records/jira/project/{project}")
        records, _ = await bench.look({}, "jira:project")
        assert records[project].deleted


# --- Refusals and limits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [("captcha", CredentialsRefused), ("scope_mismatch", PermissionMissing), ("forbidden", PermissionMissing),
     ("quota", RateLimited)],
)  # fmt: skip
async def test_refusals_mean_what_jira_means(sandbox, fault, error):
    ADAPTER.fault(sandbox, fault, path="/search/jql", times=5)
    async with ADAPTER.bench(sandbox) as bench:
        with pytest.raises(error) as caught:
            await bench.reader.probe(bench.collections[ISSUE])
        assert caught.value.next_step
        if fault == "quota":
            assert 0 < caught.value.retry_after_s <= 3600


async def test_the_points_of_the_hour_are_read(sandbox):
    set_to(sandbox, jira_budget_calls=65_000)
    async with ADAPTER.bench(sandbox) as bench:
        await bench.reader.probe(bench.collections[ISSUE])
        assert bench.quotas[-1].allowed == 65_000
        assert isinstance(bench.quotas[-1], Quota)
        assert bench.quotas[-1].used >= 1


# --- Ways in ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def console(sandbox: RunningSandbox, settings: Any, queued: Any) -> None:
    settings.PROVIDER_URLS = f'{{"jira": "{sandbox.side("jira")}"}}'


def connect(kind: str, secrets: dict[str, str], **settings: str) -> Any:
    data = {"provider": "jira", "kind": kind, "name": kind, "secrets": secrets, "settings": settings}
    return connections.create_credential(data, by=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("console")
@pytest.mark.parametrize(
    ("kind", "secrets", "named"),
    [
        ("jira_token", {"secret": "sandbox-jira-token"}, {"email": EMAIL}),
        ("jira_scoped_token", {"secret": "sandbox-jira-scoped-token"}, {"email": EMAIL}),
        ("jira_service_account", {"client_secret": "sandbox-console-secret"}, {"client_id": "sandbox-console"}),
    ],
)
def test_every_pasted_kind_connects_to_the_site_it_names(sandbox, kind, secrets, named):
    credential = connect(kind, secrets, site="https://Sandbox.atlassian.net/jira", **named)
    assert (credential.account_id, credential.settings["site"]) == ("sandbox.atlassian.net", "sandbox")
    assert [each.id for each in connections.discover(credential)] == [each.id for each in COLLECTIONS]
    assert connections.estimate(credential, [ISSUE]) == {ISSUE: 0}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("console")
def test_a_scoped_token_in_the_wrong_place_is_told_where_it_belongs(sandbox):
    with pytest.raises(Problem) as caught:
        connect("jira_token", {"secret": "sandbox-jira-scoped-token"}, site="sandbox", email=EMAIL)
    assert "“Scoped token”" in caught.value.next_step


def imported(sandbox: RunningSandbox, **settings: str) -> Any:
    made = sandbox.control("POST", "apps", {})
    app = oauth_apps.create({"provider": "jira", "name": "Ours", **made}, by=None)
    grant = sandbox.control("POST", "grants", {"provider": "jira", "client_id": app.client_id})
    data = {"provider": "jira", "kind": "jira_oauth2", "oauth_app": app, "name": "Imported", "settings": settings}
    return connections.create_credential(data | {"secrets": {"refresh_token": grant["refresh_token"]}}, by=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("console")
def test_of_two_sites_the_one_named_is_read_and_none_at_all_is_told(sandbox):
    set_to(sandbox, jira_sites=2)
    assert imported(sandbox, site_id="sandbox-two.atlassian.net").account_id == "sandbox-two.atlassian.net"
    with pytest.raises(Problem, match="several"):
        imported(sandbox)
    set_to(sandbox, jira_sites=0)
    with pytest.raises(Problem, match="none of its accounts"):
        imported(sandbox)
