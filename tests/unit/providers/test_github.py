"""GitHub's own ways: what is selected, where walks go on, what refusals mean, how an app proves itself."""

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from syncs.providers.github import PROVIDER, app, errors, read_quota, signin
from syncs.providers.github.catalogue import BY_ID, COLLECTIONS
from syncs.providers.github.remembered import Memory, fetch
from syncs.providers.github.selection import Selection, clean_selection
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import (
    CredentialsRefused,
    PermissionMissing,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.paging import Request
from syncs.providers.kit.quota import HOUR_S, MINUTE_S, Quota
from syncs.providers.kit.times import parse_http_date
from syncs.providers.kit.values import BadValue
from tests.unit.providers.fakes import BASE, NOW, Time, answer, client_for

DATE_S = 1795424400  # 2026-11-23T09:00:00Z, as the answers' Date says
NOW_S = DATE_S - 7200  # when most of it happens


def at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def repository(number: int, name: str, **more) -> dict:
    owner = {"id": 3, "login": name.partition("/")[0], "type": "Organization"}
    return {"id": number, "full_name": name, "owner": owner, "fork": False, "archived": False, **more}


def issue(number: int, updated: int = NOW_S, **more) -> dict:
    return {
        "id": 9000 + number,
        "number": number,
        "title": "T",
        "created_at": at(updated),
        "updated_at": at(updated),
        **more,
    }


class GitHub:
    """Repositories, and a function for every path below one. `asked` lists the requests for these."""

    def __init__(self, *repositories: dict, **lists) -> None:
        self.repositories = repositories or (repository(42, "acme/site"),)
        self.lists = lists
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path in ("/user/repos", "/orgs/acme/repos"):
            return answer(list(self.repositories))
        if path == "/installation/repositories":
            return answer({"total_count": len(self.repositories), "repositories": list(self.repositories)})
        self.asked.append(request)
        name = "_".join(path.split("/")[3 if path.startswith("/repositories/") else 4 :])
        return self.lists[name](request)

    def reader(self, **settings):
        self.time = Time()
        return PROVIDER.reader(client_for(self, PROVIDER, settings=settings, time=self.time))


def spec(name: str):
    return next(each for each in COLLECTIONS if each.id == f"github:{name}")


async def look(reader, name: str, cursor: dict) -> tuple[list[str], dict]:
    """The ids one look brings, and the cursor afterwards."""
    ids, done = [], False
    async for page in reader.changes(f"github:{name}", [spec(name)], cursor):
        assert not done
        ids += [record.upstream_id for record in page.records]
        cursor, done = page.cursor or cursor, page.done
    assert done
    return ids, cursor


def link(url: str, rel: str = "next") -> str:
    return f'<{BASE}{url}>; rel="{rel}"'


# --- What is selected ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("", ""),
        ("*", ""),
        ("Acme/Site", "acme/site"),
        ("acme", "acme/*"),
        ("acme/*, other/api-*\nacme/*", "acme/*, other/api-*"),
        ("https://github.com/acme/site.git", "acme/site"),
        ("git@github.com:acme/site.git", "acme/site"),
        ("https://ghe.example.com/acme/", "acme/*"),
    ],
)
def test_a_selection_has_one_spelling(typed, clean):
    assert clean_selection(typed) == clean
    assert clean_selection(clean) == clean


@pytest.mark.parametrize("typed", ["acme/site/issues", "*/site", "-acme/site", "acme/si te*/x", "acme/sïte"])
def test_what_cannot_be_a_repository_is_refused_by_name(typed):
    with pytest.raises(BadValue, match="owner/name"):
        clean_selection(typed)


def test_a_selection_takes_names_patterns_and_leaves_out():
    picked = Selection.of({"repositories": "acme/*, other/fork", "leave_out": "forks archived"})
    assert picked.has("Acme/Site")
    assert not picked.has("acme/copy", fork=True)
    assert not picked.has("acme/old", archived=True)
    assert picked.has("other/fork", fork=True), "named in full"
    assert not picked.has("other/else")
    assert picked.owners == ("acme",)
    assert picked.named == ("other/fork",)
    assert Selection.of({}).has("any/thing")


# --- Places --------------------------------------------------------------------------------------------------------


async def test_repositories_come_without_their_secret_and_only_those_wanted():
    github = GitHub(repository(42, "acme/site", temp_clone_token="s3cret"), repository(43, "acme/old", archived=True))
    reader = github.reader(leave_out="archived")
    records = [record async for page in reader.backfill(spec("repository"), None) for record in page.records]
    assert [record.upstream_id for record in records] == ["42"]
    assert b"s3cret" not in records[0].data


async def test_a_runs_feeds_ask_for_the_repositories_once_but_records_of_them_bear_their_own_feeds_number():
    """Read numbers of different feeds cannot be compared: another's would make our later reads pass for older ones."""
    github, listed = GitHub(issues=lambda _: answer([])), []

    def upstream(request):
        listed.extend([request] if request.url.path == "/user/repos" else [])
        return github(request)

    numbers = iter([7_000_001, 7_000_002, 7_000_003, 3_000_001, 3_000_002, 3_000_003])
    client = client_for(upstream, PROVIDER)
    client._draw_read_no = lambda: next(numbers)
    reader = PROVIDER.reader(client)
    await asyncio.gather(*(look(reader, "issue", {"t": 0}) for _ in range(2)))
    assert len(listed) == 1
    [record] = [record async for page in reader.backfill(spec("repository"), None) for record in page.records]
    assert record.read_no == 3_000_001
    [gone] = await reader.read(spec("issue"), ["99/1"])
    assert gone.read_no == 3_000_002


async def test_a_named_repository_that_is_gone_stops_no_other():
    def upstream(request):
        if request.url.path == "/repos/acme/gone":
            return answer({"message": "Not Found"}, 404)
        return answer(repository(42, "acme/site")) if request.url.path == "/repos/acme/site" else answer([issue(1)])

    reader = PROVIDER.reader(client_for(upstream, PROVIDER, settings={"repositories": "acme/gone, acme/site"}))
    ids = [record.upstream_id async for page in reader.backfill(spec("issue"), None) for record in page.records]
    assert ids == ["42/1"]


async def test_no_repository_at_all_is_an_error_and_not_emptiness():
    reader = GitHub(repository(42, "other/site")).reader(repositories="acme/*")
    for walk in (reader.backfill(spec("repository"), None), reader.sweep(spec("issue"), None)):
        with pytest.raises(PermissionMissing, match="no repository"):
            await anext(walk)


async def test_an_installation_lists_its_own_repositories():
    reader = GitHub().reader(installation_id="7")
    account = await reader.check()
    assert (account.id, account.name) == ("3", "acme")
    assert await reader.count(spec("repository")) == 1


async def test_a_renamed_repository_is_read_at_its_new_address():
    def issues(request):
        if request.url.path == "/repos/acme/site/issues":
            moved = {"message": "Moved Permanently", "url": f"{BASE}/repositories/42/issues?state=all"}
            return answer(moved, 301, Location=f"{BASE}/repositories/42/issues?state=all")
        return answer([issue(1)])

    github = GitHub(issues=issues)
    ids, _ = await look(github.reader(), "issue", {"t": 0})
    assert ids == ["42/1"]


async def test_a_move_to_another_host_is_not_followed():
    github = GitHub(issues=lambda _: answer({}, 301, Location="https://evil.test/repositories/42/issues"))
    with pytest.raises(UnexpectedShape, match="another host"):
        await look(github.reader(), "issue", {"t": 0})
    assert all(request.url.host == "upstream.test" for request in github.asked)


# --- Walks ---------------------------------------------------------------------------------------------------------


async def test_a_look_begins_before_the_newest_known():
    github = GitHub(issues=lambda _: answer([issue(1, NOW_S + 7)]))
    ids, cursor = await look(github.reader(), "issue", {"t": NOW_S, "places": {"42": NOW_S}, "deep_at": 0})
    asked = github.asked[0].url.params
    assert asked["since"] == at(NOW_S - 900)
    assert (asked["sort"], asked["direction"], asked["state"]) == ("updated", "asc", "all")
    assert ids == ["42/1"]
    assert cursor["places"] == {"42": NOW_S + 7}
    assert "look" not in cursor


async def test_numbered_pages_become_windows_so_that_nothing_shifts_past_us():
    """A comment deleted between two pages moves all after it one up: page 2 would leave one out."""
    comments = [issue(n, NOW_S + 60 * n, id=n) for n in range(1, 7)]

    def listed(request):
        params = request.url.params
        rows = [row for row in comments if row["updated_at"] >= params.get("since", "")]
        page = int(params.get("page", 1))
        rows, more = rows[2 * page - 2 : 2 * page], len(rows) > 2 * page
        url = f"/repositories/42/issues/comments?page={page + 1}&since={params.get('since', '')}"
        return answer(rows, Link=link(url)) if more else answer(rows)

    github = GitHub(issues_comments=listed)
    seen = []
    async for page in github.reader().backfill(spec("issue_comment"), None):
        seen += [record.upstream_id for record in page.records]
        if len(seen) == 2:
            del comments[0]
    assert seen == [f"42/{n}" for n in range(1, 7)]
    assert not any("page" in request.url.params for request in github.asked)


async def test_rows_of_one_second_are_followed_by_link():
    comments = [issue(n, NOW_S, id=n) for n in range(1, 6)]

    def listed(request):
        page = int(request.url.params.get("page", 1))
        more = {"Link": link(f"/repos/acme/site/issues/comments?since=x&page={page + 1}")} if 2 * page < 5 else {}
        return answer(comments[2 * page - 2 : 2 * page], **more)

    reader = GitHub(issues_comments=listed).reader()
    ids = [record.upstream_id async for page in reader.backfill(spec("issue_comment"), None) for record in page.records]
    assert sorted(set(ids)) == [f"42/{n}" for n in range(1, 6)]


async def test_a_page_lost_meanwhile_is_begun_anew_from_the_last_time():
    rows = [issue(n, NOW_S + 60 * n) for n in range(1, 6)]
    lost = []

    def listed(request):
        params = request.url.params
        if "after" in params and not lost:
            lost.append(params["after"])
            return answer({"message": "Validation Failed"}, 422)
        left = [
            row
            for row in rows
            if row["updated_at"] >= params.get("since", "") and row["number"] > int(params.get("after", 0))
        ]
        more = {"Link": link(f"/repositories/42/issues?after={left[1]['number']}")} if len(left) > 2 else {}
        return answer(left[:2], **more)

    github = GitHub(issues=listed)
    ids, cursor = await look(github.reader(), "issue", {"t": 0})
    assert list(dict.fromkeys(ids)) == [f"42/{n}" for n in range(1, 6)]
    assert lost
    assert github.asked[2].url.params["since"] == at(NOW_S + 119)
    assert cursor["places"]["42"] == NOW_S + 300


async def test_a_place_lost_again_and_again_ends_in_an_error():
    def listed(request):
        if "after" in request.url.params:
            return answer({"message": "Validation Failed"}, 422)
        return answer([issue(1)], Link=link("/repositories/42/issues?after=old"))

    with pytest.raises(UpstreamFailed, match="again and again"):
        await look(GitHub(issues=listed).reader(), "issue", {"t": 0})


async def test_a_heavy_page_is_asked_for_in_smaller_ones():
    sizes = []

    def listed(request):
        sizes.append(int(request.url.params["per_page"]))
        return answer({"message": "Server Error"}, 502) if sizes[-1] > 50 else answer([issue(1)])

    ids, _ = await look(GitHub(issues=listed).reader(), "issue", {"t": 0})
    assert ids == ["42/1"]
    assert sizes == [100, 100, 100, 50]


async def test_pull_requests_are_read_down_to_what_is_known_and_the_newest_is_fixed_by_the_first_page():
    pages = {1: [issue(9, NOW_S + 900), issue(8, NOW_S + 800)], 2: [issue(7, NOW_S + 700), issue(6, NOW_S - 1900)]}

    def listed(request):
        page = int(request.url.params.get("page", 1))
        if page == 2:
            pages[1].insert(0, issue(5, NOW_S + 5000))  # changed while we were reading
        return answer(pages[page], Link=link(f"/repositories/42/pulls?page={page + 1}"))

    github = GitHub(pulls=listed)
    ids, cursor = await look(github.reader(), "pull_request", {"t": NOW_S, "places": {"42": NOW_S}})
    assert ids == ["42/9", "42/8", "42/7"]
    assert cursor["places"]["42"] == NOW_S + 900
    assert len(github.asked) == 2


async def test_reviews_are_read_for_each_pull_request_that_changed():
    def reviews(request):
        return answer([{"id": 5, "state": "APPROVED", "submitted_at": at(NOW_S)}])

    pulls = [issue(9, NOW_S + 900), issue(8, NOW_S - 1900)]
    github = GitHub(pulls=lambda _: answer(pulls), pulls_9_reviews=reviews)
    cursor = {"t": NOW_S, "places": {"42": NOW_S}, "deep_at": DATE_S}
    ids, cursor = await look(github.reader(), "review", cursor)
    assert ids == ["42/9/5"]
    assert cursor["places"]["42"] == NOW_S + 900


async def test_once_a_day_reviews_of_the_last_days_are_read_again():
    pulls = [issue(8, NOW_S - 10 * 86400)]
    github = GitHub(pulls=lambda _: answer(pulls), pulls_8_reviews=lambda _: answer([{"id": 5}]))
    reader = github.reader()
    ids, cursor = await look(reader, "review", {"t": NOW_S, "places": {"42": NOW_S}, "deep_at": DATE_S - 86400})
    assert ids == ["42/8/5"]
    assert cursor["deep_at"] == DATE_S
    assert (await look(reader, "review", cursor))[0] == []


async def test_runs_go_back_by_windows_of_their_creation():
    runs = [issue(n, NOW_S + 60 * n, id=n) for n in range(6, 0, -1)]

    def listed(request):
        begin, _, end = request.url.params.get("created", "..").strip("<=").rpartition("..")
        rows = [row for row in runs if begin <= row["created_at"] <= (end or "9")]
        more = {"Link": link("/repositories/42/actions/runs?page=2")} if len(rows) > 2 else {}
        return answer({"total_count": len(rows), "workflow_runs": rows[:2]}, **more)

    github = GitHub(actions_runs=listed)
    reader = github.reader()
    ids = [record.upstream_id async for page in reader.backfill(spec("workflow_run"), None) for record in page.records]
    assert ids == [f"42/{n}" for n in range(6, 0, -1)]
    assert not any("page" in request.url.params for request in github.asked)


def commit(sha: str) -> dict:
    return {"sha": sha, "commit": {"committer": {"date": at(NOW_S)}}}


async def test_commits_of_a_new_head_are_found_by_comparing():
    """A merge brings commits dated long before the head that was known."""
    github = GitHub(commits=lambda _: answer([commit("c3")]))
    github.lists["compare_c1...c3"] = lambda _: answer({"commits": [commit("c2"), commit("c3")], "files": []})
    reader = github.reader()
    ids, cursor = await look(reader, "commit", {"t": 0, "places": {"42": "c1"}})
    assert ids == ["42/c2", "42/c3"]
    assert cursor["places"] == {"42": "c3"}
    assert (await look(reader, "commit", cursor))[0] == []


async def test_a_forced_push_is_read_from_the_new_head():
    github = GitHub(commits=lambda request: answer([commit("c9"), commit("c0")]))
    github.lists["compare_c1...c9"] = lambda _: answer({"message": "Not Found"}, 404)
    ids, cursor = await look(github.reader(), "commit", {"t": 0, "places": {"42": "c1"}})
    assert ids == ["42/c9", "42/c0"]
    assert cursor["places"] == {"42": "c9"}


async def test_an_empty_git_repository_is_empty():
    reader = GitHub(commits=lambda _: answer({"message": "Git Repository is empty."}, 409)).reader()
    assert (await reader.start("github:commit", [spec("commit")]))["places"] == {"42": ""}
    pages = [page async for page in reader.backfill(spec("commit"), None)]
    assert [record for page in pages for record in page.records] == []
    assert pages[-1].done


async def test_a_clock_that_ran_ahead_carries_the_cursor_over_nothing():
    github = GitHub(issues=lambda _: answer([issue(1, DATE_S + 600)]))
    _, cursor = await look(github.reader(), "issue", {"t": NOW_S, "places": {"42": NOW_S}})
    assert cursor["places"] == {"42": DATE_S}


# --- Many repositories ---------------------------------------------------------------------------------------------


def two(**lists) -> GitHub:
    return GitHub(repository(42, "acme/site"), repository(43, "acme/api"), **lists)


async def test_a_forbidden_repository_stops_no_other_and_is_read_whole_once_it_is_open():
    closed = {"/repos/acme/site/issues"}
    github = two(
        issues=lambda request: (
            answer({"message": "Resource not accessible by integration"}, 403)
            if request.url.path in closed
            else answer([issue(1)])
        )
    )
    reader = github.reader()
    ids, cursor = await look(reader, "issue", {"t": NOW_S, "places": {"42": NOW_S, "43": NOW_S}})
    assert ids == ["43/1"]
    assert set(cursor["places"]) == {"43"}
    closed.clear()
    github.asked.clear()
    ids, cursor = await look(reader, "issue", cursor)
    assert set(ids) == {"42/1", "43/1"}
    assert "since" not in github.asked[0].url.params


async def test_when_every_repository_refuses_the_collection_says_which_permission_it_wants():
    github = two(
        issues=lambda _: answer(
            {"message": "Resource not accessible by integration"}, 403, X_Accepted_GitHub_Permissions="issues=read"
        )
    )
    for walk in (github.reader().backfill(spec("issue"), None), github.reader().changes("", [spec("issue")], {"t": 0})):
        with pytest.raises(PermissionMissing, match="issues=read"):
            [page async for page in walk]
    with pytest.raises(PermissionMissing, match="issues=read"):
        await github.reader().probe(spec("issue"))


async def test_turned_off_issues_are_nothing_to_complain_of():
    reader = two(issues=lambda _: answer({"message": "Issues are disabled for this repo"}, 410)).reader()
    assert (await look(reader, "issue", {"t": 0}))[0] == []
    await reader.probe(spec("issue"))


async def test_a_look_cut_short_goes_on_in_the_repository_it_stood_in():
    github = two(issues=lambda request: answer([issue(1)]))
    reader = github.reader()
    walk = reader.changes("", [spec("issue")], {"t": NOW_S, "places": {"42": NOW_S, "43": NOW_S}})
    page = await anext(walk)
    await walk.aclose()
    github.asked.clear()
    ids, cursor = await look(reader, "issue", json.loads(json.dumps(page.cursor)))
    assert ids == ["43/1"]
    assert [request.url.path for request in github.asked] == ["/repos/acme/api/issues"]
    assert set(cursor["places"]) == {"42", "43"}


async def test_a_repository_created_later_is_read_from_its_beginning():
    github = GitHub(repository(42, "acme/site"), issues=lambda _: answer([issue(1, NOW_S - 99999)]))
    reader = github.reader()
    cursor = await reader.start("github:issue", [spec("issue")])
    github.repositories = (*github.repositories, repository(44, "acme/new"))
    _, cursor = await look(github.reader(), "issue", cursor)
    assert "since" in github.asked[0].url.params
    assert "since" not in github.asked[1].url.params
    assert set(cursor["places"]) == {"42", "44"}


# --- Single records ------------------------------------------------------------------------------------------------


async def test_what_is_gone_and_what_is_only_closed_are_told_apart():
    github = two(
        issues_1=lambda _: answer({"message": "This issue was deleted"}, 410),
        issues_2=lambda _: answer({"message": "Not Found"}, 404),
        issues_3=lambda _: answer(issue(3)),
        issues_4=lambda _: answer({}, 301, Location=f"{BASE}/repositories/43/issues/7"),
        issues=lambda _: answer([issue(3)]),
    )
    ids = ["42/1", "42/2", "42/3", "42/4", "99/1"]
    found = {record.upstream_id: record.deleted for record in await github.reader().read(spec("issue"), ids)}
    assert found == {"42/1": True, "42/2": True, "42/3": False, "42/4": True, "99/1": True}
    github.lists["issues"] = lambda _: answer({"message": "Resource not accessible by integration"}, 403)
    found = {record.upstream_id: record.deleted for record in await github.reader().read(spec("issue"), ids)}
    assert "42/2" not in found


async def test_a_label_is_looked_up_in_its_list():
    reader = GitHub(labels=lambda _: answer([{"id": 5, "name": "bug"}])).reader()
    found = {record.upstream_id: record for record in await reader.read(spec("label"), ["42/5", "42/6"])}
    assert not found["42/5"].deleted
    assert found["42/6"].deleted
    assert found["42/6"].read_no > 0


async def test_a_single_pull_request_has_the_bytes_of_the_list():
    row = issue(1, head={"repo": {"id": 42}}, _links={"comments": {"href": "x"}})
    more = {"merged": True, "comments": 4, "commits": 2, "mergeable": None}
    reader = GitHub(pulls=lambda _: answer([row]), pulls_1=lambda _: answer({**row, **more})).reader()
    [listed] = [record async for page in reader.backfill(spec("pull_request"), None) for record in page.records]
    [single] = await reader.read(spec("pull_request"), ["42/1"])
    assert single.data == listed.data


async def test_a_team_member_says_which_team():
    def upstream(request):
        if request.url.path == "/user/repos":
            return answer([repository(42, "acme/site")])
        if request.url.path == "/orgs/acme/teams":
            return answer([{"id": 12, "slug": "core", "name": "Core"}])
        assert request.url.path == "/orgs/acme/teams/core/members"
        return answer([{"id": 7, "login": "ada"}])

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    [record] = [record async for page in reader.backfill(spec("team_member"), None) for record in page.records]
    assert record.upstream_id == "3/12/7"
    assert json.loads(record.data) == {"id": 7, "login": "ada", "organization_id": 3, "team_id": 12}


# --- Remembered answers --------------------------------------------------------------------------------------------


async def test_an_unchanged_answer_is_given_again_with_its_link_and_a_new_number():
    def upstream(request):
        if request.headers.get("If-None-Match") == 'W/"1"':
            return httpx.Response(304, headers={"Date": NOW, "ETag": 'W/"1"'})
        return answer([1, 2], ETag='W/"1"', Link=link("/x?page=2"))

    client, memory = client_for(upstream, PROVIDER), Memory()
    first, second = [await fetch(client, Request("/x", {"a": 1}), memory) for _ in range(2)]
    assert (second.status, second.body, second.headers["link"]) == (200, first.body, first.headers["link"])
    assert second.read_no > first.read_no
    assert "If-None-Match" not in str((await fetch(client, Request("/x", {"a": 2}), memory)).headers)


async def test_another_token_or_place_is_not_answered_from_memory():
    asked = []

    def upstream(request):
        asked.append(request.headers.get("If-None-Match"))
        return answer([1], ETag='"1"')

    from tests.unit.providers.fakes import Source

    memory, other = Memory(), Source()
    other.count = 5
    await fetch(client_for(upstream, PROVIDER), Request("/x"), memory)
    await fetch(client_for(upstream, PROVIDER, source=other), Request("/x"), memory)
    await fetch(client_for(upstream, PROVIDER), Request("/y"), memory)
    assert asked == [None, None, None]


def test_memory_forgets_the_longest_unused():
    memory = Memory(most_bytes=10)
    for name in (b"a", b"b", b"c"):
        memory.keep(name, Answer(200, httpx.Headers({"etag": "1"}), b"1234"))
        memory.get(b"a")
    assert memory.get(b"a")
    assert memory.get(b"b") is None
    assert memory.size == 8
    memory.keep(b"d", Answer(200, httpx.Headers(), b"1"))
    assert memory.get(b"d") is None


# --- Refusals ------------------------------------------------------------------------------------------------------


def refused(status: int, message: str = "", **headers: str) -> Exception | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"message": message}).encode()
    return errors.classify(Answer(status, httpx.Headers(named), body, 1, parse_http_date(NOW)))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (refused(401, "Bad credentials"), CredentialsRefused),
        (refused(401, ""), UpstreamFailed),
        (refused(403, "Resource not accessible by personal access token"), PermissionMissing),
        (refused(403, "Must have admin rights to Repository."), PermissionMissing),
        (refused(403, "Repository access blocked"), errors.Blocked),
        (refused(451, "Repository access blocked"), errors.Blocked),
        (refused(404, "Not Found"), errors.NotThere),
        (refused(409, "Git Repository is empty."), errors.FeatureOff),
        (refused(410, "Issues are disabled for this repo"), errors.FeatureOff),
        (refused(410, "This issue was deleted"), errors.Deleted),
        (refused(422, "Pagination with the page parameter is not supported for large datasets"), errors.PlaceLost),
        (refused(400, "API version"), UnexpectedShape),
        (refused(502, "Server Error"), UpstreamFailed),
    ],
)
def test_refusals_mean_what_github_documents(given, kind):
    assert type(given) is kind


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "message", "wait_s"),
    [
        ({"Retry_After": "17"}, "You have exceeded a secondary rate limit.", 17),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(DATE_S + 600)}, "API rate limit exceeded", 601),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(DATE_S - 600)}, "API rate limit exceeded", 1),
        ({"x_ratelimit_remaining": "4000"}, "You have exceeded a secondary rate limit.", 60),
    ],
)
def test_both_kinds_of_limits_tell_how_long_to_wait(status, headers, message, wait_s):
    limited = refused(status, message, **headers)
    assert isinstance(limited, RateLimited)
    assert limited.retry_after_s == wait_s


def test_a_403_with_quota_left_is_no_limit():
    assert type(refused(403, "Resource not accessible by integration", x_ratelimit_remaining="12")) is PermissionMissing


def test_single_sign_on_is_told_without_its_secret_address():
    told = refused(403, "Resource protected", X_GitHub_SSO="required; url=https://github.com/orgs/a/sso?x=SECRET")
    assert "SECRET" not in told.message + told.next_step
    assert "Configure SSO" in told.next_step


def test_a_304_is_a_good_answer():
    assert errors.classify(Answer(304, httpx.Headers(), b"")) is None


def test_each_budget_is_read_with_the_time_it_starts_anew_by_github_s_own_clock():
    headers = {"x-ratelimit-used": "17", "x-ratelimit-limit": "5000", "x-ratelimit-resource": "core"}
    assert read_quota(headers) == (Quota(17, 5000, "core", HOUR_S),)
    reset = {"date": "Mon, 23 Nov 2026 09:00:00 GMT", "x-ratelimit-reset": "1795424700"}
    assert read_quota({**headers, **reset}) == (Quota(17, 5000, "core", HOUR_S, 300.0),)
    (search,) = read_quota({**headers, "x-ratelimit-resource": "search"})
    assert (search.name, search.period_s) == ("search", MINUTE_S)
    assert read_quota({}) == ()


# --- Ways to be let in ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pem() -> str:
    return RSAKey.generate_key(2048).as_pem(private=True).decode()


def test_an_apps_proof_is_signed_and_short(pem):
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    request = app.installation_request({"installation_id": "7", "app_id": "12", "private_key": pem}, "", now)
    assert request.path == "/app/installations/7/access_tokens"
    proof = request.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(proof, RSAKey.import_key(pem), algorithms=["RS256"]).claims
    assert claims == {"iss": "12", "iat": DATE_S - 60, "exp": DATE_S + 480}
    assert pem not in repr(request)


def test_an_oauth_apps_client_id_stands_in_for_the_app_id(pem):
    values = {"installation_id": "7", "client_id": "Iv1.a", "private_key": pem}
    request = app.installation_request(values, "", datetime.now(UTC))
    proof = request.headers["Authorization"].removeprefix("Bearer ")
    assert jwt.decode(proof, RSAKey.import_key(pem), algorithms=["RS256"]).claims["iss"] == "Iv1.a"


def test_an_installations_token_ends_when_github_says():
    grant = app.installation_grant({"token": "ghs_x", "expires_at": "2026-11-23T21:00:00Z"})
    assert grant.expires_at == datetime(2026, 11, 23, 21, tzinfo=UTC)
    assert grant.refresh_token is None
    with pytest.raises(UnexpectedShape):
        app.installation_grant({"message": "?"})


@pytest.mark.parametrize(("status", "word"), [(404, "not installed"), (403, "suspended"), (401, "private key")])
def test_a_lost_installation_says_what_happened(status, word):
    told = app.installation_error(status, b'{"message":"x"}')
    assert isinstance(told, CredentialsRefused)
    assert word in told.message


async def test_installations_are_the_sites_to_choose_from():
    rows = [{"id": 7, "account": {"login": "acme"}}, {"id": 8, "account": None}]
    client = client_for(lambda _: answer({"total_count": 2, "installations": rows}), PROVIDER)
    sites = await app.installations(client)
    assert [(site.id, site.label, site.settings["installation_id"]) for site in sites] == [
        ("7", "acme", "7"),
        ("8", "8", "8"),
    ]


@pytest.mark.parametrize(
    "code", ["bad_verification_code", "bad_refresh_token", "incorrect_client_credentials", "redirect_uri_mismatch"]
)
def test_refusals_with_200_are_refusals(code):
    told = signin.oauth_refusal(200, json.dumps({"error": code}).encode())
    assert isinstance(told, CredentialsRefused)
    assert told.next_step


def test_an_installations_number_comes_out_of_its_address():
    assert signin.number("https://github.com/organizations/acme/settings/installations/51234567/") == "51234567"
    with pytest.raises(BadValue):
        signin.number("acme")


def test_an_apps_short_lived_token_is_not_taken_for_a_persons():
    assert "secret" in signin.token_problems({"secret": "ghs_abc"})
    assert not signin.token_problems({"secret": "github_pat_abc"})


def test_every_collection_of_the_catalogue_is_read_somehow():
    assert {each.id for each in COLLECTIONS} == set(BY_ID)
    for resource in BY_ID.values():
        assert resource.needs
        assert resource.single == "" or "{}" in resource.single
