"""The Jira side of the sandbox does what Atlassian's documentation says."""

import base64
import hashlib
import hmac
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from sandbox.app import create_app
from sandbox.jira.side import Jira
from sandbox.jira.times import jira_time, jql_moment

EMAIL, TOKEN, SCOPED = "ada@sandbox.example", "sandbox-jira-token", "sandbox-jira-scoped-token"
CLOUD = "8d2f6c1e-0b7a-4f53-9e64-a1c7d0e2b935"
APP = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
BACK = "http://127.0.0.1/back"
EVERYTHING = "project is not EMPTY"


def basic(token: str, email: str = EMAIL) -> dict:
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:{token}".encode()).decode()}


class Site:
    """The sandbox's Jira, asked as a user with a classic token."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def get(self, path, prefix="", headers=None, **params):
        return self.http.get(f"/jira{prefix}{path}", params=params, headers=headers or basic(TOKEN))

    def post(self, path, body, prefix="", headers=None):
        return self.http.post(f"/jira{prefix}{path}", json=body, headers=headers or basic(TOKEN))

    def search(self, jql=EVERYTHING, order="created ASC, key ASC", **more):
        return self.post("/rest/api/3/search/jql", {"jql": f"{jql} ORDER BY {order}", **more})

    def control(self, method, path, body=None):
        answer = self.http.request(method, f"/_control/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def make(self, table="issue", body=None, **query):
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        return self.control("POST", f"records/jira/{table}{'?' + asked if asked else ''}", body)

    def now_ms(self):
        return self.http.app.state.sandbox.clock.now_ms()

    def settings(self, **values):
        return self.control("POST", "settings", values)


@contextmanager
def jira(folder, seed="empty"):
    with TestClient(create_app(folder, seed, sides=(Jira,)), base_url="http://127.0.0.1") as http:
        yield Site(http)


@pytest.fixture
def site(tmp_path):
    with jira(tmp_path) as site:
        yield site


def walk(site, **asked):
    """All issues of a search, page by page."""
    found, token = [], None
    while True:
        page = site.search(**asked, **({"nextPageToken": token} if token else {})).json()
        found += page["issues"]
        token = page.get("nextPageToken")
        assert page["isLast"] == (token is None)
        if token is None:
            return found


# --- Search ---------------------------------------------------------------------------------------------------------


def test_a_search_must_be_bounded_and_brings_ids_alone_unless_asked(site):
    site.make(count=3)
    unbounded = site.post("/rest/api/3/search/jql", {"jql": "order by key"})
    assert (unbounded.status_code, "Unbounded JQL" in unbounded.text) == (400, True)
    page = site.search().json()
    assert [set(issue) for issue in page["issues"]] == [{"id"}] * 3
    assert page["isLast"]
    assert "nextPageToken" not in page
    whole = site.search(fields=["*all"], expand="names").json()
    assert whole["names"]["customfield_10016"] == "Story Points"
    issue = whole["issues"][0]
    assert list(issue) == ["expand", "id", "self", "key", "fields"]
    assert issue["fields"]["comment"] == {"maxResults": 20, "startAt": 0, "total": 0, "comments": []}
    assert "comment" not in site.search(fields=["*all", "-comment"]).json()["issues"][0]["fields"]
    assert set(site.search(fields=["summary"]).json()["issues"][0]["fields"]) == {"summary"}


def test_pages_by_token_though_all_have_one_stamp_and_some_change_or_go(site):
    site.make(count=250, same_stamp=1)
    assert len({issue["id"] for issue in walk(site, maxResults=70)}) == 250
    first = site.search(maxResults=100).json()
    ids = [issue["id"] for issue in first["issues"]]
    site.control("DELETE", f"records/jira/issue/{ids[0]}")
    site.control("PATCH", f"records/jira/issue/{ids[1]}", {"fields": {"summary": "Edited"}})
    second = site.search(maxResults=100, nextPageToken=first["nextPageToken"]).json()
    assert not set(ids) & {issue["id"] for issue in second["issues"]}
    assert len(second["issues"]) == 100


def test_page_tokens_are_of_one_query_and_expire(site):
    site.make(count=5)
    token = site.search(maxResults=2).json()["nextPageToken"]
    assert site.search(maxResults=3, nextPageToken=token).status_code == 400
    site.control("DELETE", "page-tokens/jira")
    assert "nextPageToken" in site.search(maxResults=2, nextPageToken=token).json()["errorMessages"][0]
    token = site.search(maxResults=2).json()["nextPageToken"]
    site.settings(clock_skew_s=8 * 86_400.0)
    assert site.search(maxResults=2, nextPageToken=token).status_code == 400


def test_ids_alone_come_5000_a_page_and_whole_issues_100(site):
    site.make(count=101)
    assert len(site.search(maxResults=5000, fields=["id"]).json()["issues"]) == 101
    assert len(site.search(maxResults=5000, fields=["*all"]).json()["issues"]) == 100
    assert len(site.search().json()["issues"]) == 50


def test_times_in_jql_are_minutes_in_the_users_zone(site):
    made = site.make()
    stamp = site.control("GET", f"records/jira/issue/{made['id']}")["record"]["fields"]["updated"]
    assert stamp[23:] in ("+0100", "+0200")
    for zone in ("UTC", "America/Los_Angeles", "Asia/Kolkata"):
        site.settings(jira_time_zone=zone)
        now_ms = site.now_ms()
        minute, later = local(now_ms - 60_000, zone), local(now_ms + 120_000, zone)
        assert [issue["id"] for issue in site.search(f'updated >= "{minute}"').json()["issues"]] == [made["id"]]
        assert site.search(f'updated >= "{later}"').json()["issues"] == []
        assert site.get("/rest/api/3/myself").json()["timeZone"] == zone
    seconds = site.search('updated >= "2026-11-20 09:05:30"')
    assert (seconds.status_code, "is invalid" in seconds.text) == (400, True)


def local(at_ms: int, zone: str) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-10-25 01:59", "Europe/Berlin", "2026-10-24T23:59Z"),
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30Z"),  # twice: the first
        ("2026-10-25 03:00", "Europe/Berlin", "2026-10-25T02:00Z"),
        ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:30Z"),  # never
        ("2026/11/20", "UTC", "2026-11-20T00:00Z"),
    ],
)
def test_local_times_around_a_change_of_clocks(text, zone, moment):
    assert jql_moment(text, zone) == datetime.fromisoformat(moment).timestamp() * 1000
    assert jira_time(jql_moment("2026-10-25 02:30", "Europe/Berlin")).endswith("+0200")


def test_the_index_runs_late_and_reading_by_id_does_not(site):
    made = site.make()["id"]
    site.settings(commit_delay_s=3_600.0)
    site.control("PATCH", f"records/jira/issue/{made}", {"fields": {"summary": "New words"}})
    other = site.make()["id"]
    found = site.search(fields=["summary"]).json()["issues"]
    assert [issue["id"] for issue in found] == [made]
    assert found[0]["fields"]["summary"] != "New words"
    body = {"issueIdsOrKeys": [other, made, "99999"], "fields": ["*all"]}
    by_id = site.post("/rest/api/3/issue/bulkfetch", body).json()
    assert [issue["id"] for issue in by_id["issues"]] == sorted([made, other])
    assert by_id["issues"][0]["fields"]["summary"] == "New words"
    assert by_id["issueErrors"] == []


def test_pages_may_be_empty_and_tokens_may_repeat_on_demand(site):
    site.make(count=6)
    site.settings(jira_empty_pages=True)
    first = site.search(maxResults=2).json()
    assert (first["issues"], first["isLast"]) == ([], False)
    assert len(walk(site, maxResults=2)) == 6
    site.settings(jira_empty_pages=False, jira_repeat_tokens=True)
    token = site.search(maxResults=2).json()["nextPageToken"]
    assert site.search(maxResults=2, nextPageToken=token).json()["nextPageToken"] == token


def test_counts_projects_and_what_was_removed(site):
    site.make(count=4)
    counted = site.post("/rest/api/3/search/approximate-count", {"jql": 'project = "ACME"'})
    assert counted.json() == {"count": 4}
    assert site.search('project in ("ACME", "OTHER")').json()["issues"]
    assert site.search('project != "ACME"').json()["issues"] == []
    assert site.search("nonsense = 3").status_code == 400
    assert site.get("/rest/api/3/search").status_code == 410


# --- What belongs to issues -----------------------------------------------------------------------------------------


def test_an_issue_brings_20_comments_and_tells_how_many_there_are(site):
    issue = site.make()["id"]
    before = site.control("GET", f"records/jira/issue/{issue}")["record"]["fields"]["updated"]
    site.make("comment", [{"issueId": issue}] * 23)
    found = site.search(fields=["comment", "updated"]).json()["issues"][0]["fields"]
    assert (len(found["comment"]["comments"]), found["comment"]["total"]) == (20, 23)
    assert found["updated"] > before
    path = f"/rest/api/3/issue/{issue}/comment"
    rest = site.get(path, startAt=20, maxResults=100).json()
    assert (len(rest["comments"]), rest["startAt"], rest["total"]) == (3, 20, 23)
    assert "issueId" not in rest["comments"][0]
    assert f"/issue/{issue}/comment/" in rest["comments"][0]["self"]
    by_id = site.post("/rest/api/3/comment/list", {"ids": [int(rest["comments"][0]["id"]), 7]}).json()
    assert by_id["values"] == rest["comments"][:1]
    assert site.get("/rest/api/3/issue/77/comment").status_code == 404


def test_an_edit_is_written_into_the_changelog(site):
    issue = site.make()["id"]
    site.control("PATCH", f"records/jira/issue/{issue}", {"fields": {"summary": "Before"}})
    site.control("PATCH", f"records/jira/issue/{issue}", {"fields": {"summary": "After"}})
    body = {"issueIdsOrKeys": [issue], "maxResults": 1}
    page = site.post("/rest/api/3/changelog/bulkfetch", body).json()
    rest = site.post("/rest/api/3/changelog/bulkfetch", {**body, "nextPageToken": page["nextPageToken"]}).json()
    item = rest["issueChangeLogs"][0]["changeHistories"][0]
    assert (item["items"][0]["fromString"], item["items"][0]["toString"]) == ("Before", "After")
    assert isinstance(item["created"], int)


def test_worklogs_are_told_by_time_and_the_last_minute_is_kept_back(site):
    issue = site.make()["id"]
    made = [site.make("worklog", {"issueId": issue})["id"] for _ in range(3)]
    assert site.get("/rest/api/3/worklog/updated", since=0).json()["values"] == []
    site.settings(jira_worklog_hold_s=0.0, page_size_cap=2)
    page = site.get("/rest/api/3/worklog/updated", since=0).json()
    assert [each["worklogId"] for each in page["values"]] == [int(each) for each in made[:2]]
    assert not page["lastPage"]
    assert page["nextPage"].endswith(f"?since={page['until']}")
    assert site.get("/rest/api/3/worklog/updated", since=page["until"]).json()["values"][0]["worklogId"] == int(made[1])
    listed = site.post("/rest/api/3/worklog/list", {"ids": [int(made[0])]}).json()
    assert (listed[0]["id"], listed[0]["issueId"]) == (made[0], issue)
    site.control("DELETE", f"records/jira/worklog/{made[0]}")
    gone = site.get("/rest/api/3/worklog/deleted", since=0).json()
    assert [each["worklogId"] for each in gone["values"]] == [int(made[0])]


def test_a_deleted_issue_leaves_no_trace_and_takes_its_own_along(site):
    issue = site.make()["id"]
    comment = site.make("comment", {"issueId": issue})["id"]
    site.control("DELETE", f"records/jira/issue/{issue}")
    assert site.search().json()["issues"] == []
    assert site.post("/rest/api/3/issue/bulkfetch", {"issueIdsOrKeys": [issue]}).json()["issues"] == []
    assert site.post("/rest/api/3/comment/list", {"ids": [int(comment)]}).json()["values"] == []


def test_a_moved_issue_keeps_its_id(site):
    issue = site.make()["id"]
    site.control("PATCH", f"records/jira/issue/{issue}", {"key": "OTHER-1", "fields": {"project": {"key": "OTHER"}}})
    found = site.search(fields=["project"]).json()["issues"]
    assert [(each["id"], each["key"]) for each in found] == [(issue, "OTHER-1")]


# --- Lists ----------------------------------------------------------------------------------------------------------


def test_lists_by_start_at_in_all_three_forms(tmp_path):
    with jira(tmp_path, "demo") as site:
        first = site.get("/rest/agile/1.0/board", maxResults=3).json()
        assert (len(first["values"]), first["isLast"], first["total"]) == (3, False, 5)
        assert site.get("/rest/agile/1.0/board", startAt=3).json()["isLast"]
        users = site.get("/rest/api/3/users/search", startAt=20, maxResults=1000).json()
        assert len(users) == 4
        assert site.get("/rest/api/3/users/search", startAt=24).json() == []
        assert {each["id"] for each in site.get("/rest/api/3/field").json()} >= {"summary", "customfield_10016"}
        assert site.get("/rest/api/3/issueLinkType").json()["issueLinkTypes"]
        assert site.get("/rest/api/3/dashboard").json()["dashboards"]


def test_kanban_boards_have_no_sprints(tmp_path):
    with jira(tmp_path, "demo") as site:
        kinds = {each["id"]: each["type"] for each in site.get("/rest/agile/1.0/board").json()["values"]}
        for board, kind in kinds.items():
            answer = site.get(f"/rest/agile/1.0/board/{board}/sprint")
            if kind == "kanban":
                assert "does not support sprints" in answer.json()["errorMessages"][0]
            else:
                assert all(each["originBoardId"] == board for each in answer.json()["values"])


def test_projects_by_state_and_what_they_have(tmp_path):
    with jira(tmp_path, "demo") as site:
        project = site.get("/rest/api/3/project/search").json()["values"][0]["id"]
        parts = site.get(f"/rest/api/3/project/{project}/component").json()
        assert all(str(each["projectId"]) == project for each in parts["values"])
        site.control("DELETE", f"records/jira/project/{project}")
        live = site.get("/rest/api/3/project/search").json()["values"]
        assert project not in [each["id"] for each in live]
        binned = site.get("/rest/api/3/project/search", status="deleted").json()["values"]
        assert [(each["id"], each["deleted"]) for each in binned] == [(project, True)]
        assert site.get(f"/rest/api/3/project/{project}/version").status_code == 404


# --- Who may read ---------------------------------------------------------------------------------------------------


def test_each_kind_of_token_is_good_at_its_own_door(site):
    gateway = f"/ex/jira/{CLOUD}"
    assert site.get("/rest/api/3/myself").status_code == 200
    assert site.get("/rest/api/3/myself", headers=basic(SCOPED)).status_code == 401
    assert site.get("/rest/api/3/myself", prefix=gateway, headers=basic(SCOPED)).status_code == 200
    assert site.get("/rest/api/3/myself", headers=basic(TOKEN, "eve@sandbox.example")).status_code == 401
    assert site.get("/rest/api/3/myself", headers=basic("wrong")).status_code == 401
    assert site.get("/rest/api/3/myself", prefix="/ex/jira/none", headers=basic(SCOPED)).status_code == 404
    assert site.http.get("/jira/_edge/tenant_info").json() == {"cloudId": CLOUD}
    assert site.http.get("/jira/rest/api/3/serverInfo").json()["deploymentType"] == "Cloud"
    key = site.control("POST", "keys", {"provider": "jira", "scopes": ["read:jira-user"]})
    refused = site.get("/rest/api/3/field", prefix=gateway, headers=basic(key["secret"]))
    assert (refused.status_code, refused.json()["message"]) == (401, "Unauthorized; scope does not match")


def approved(site, scope="read:jira-user read:jira-work offline_access"):
    """Tokens by way of the consent page."""
    asked = {"response_type": "code", "client_id": APP["client_id"], "redirect_uri": BACK, "scope": scope, "state": "s"}
    shown = site.http.get("/jira/authorize", params={**asked, "audience": "api.atlassian.com", "prompt": "consent"})
    assert shown.status_code == 200
    went = site.http.post("/jira/authorize", data=asked | {"answer": "allow"}, follow_redirects=False)
    code = parse_qs(urlsplit(went.headers["location"]).query)["code"][0]
    body = APP | {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    return site.http.post("/jira/oauth/token", json=body).json()


def test_a_sign_in_opens_sites_and_works_behind_the_gateway_alone(site):
    tokens = approved(site)
    assert tokens["expires_in"] == 3600
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    listed = site.get("/oauth/token/accessible-resources", headers=bearer).json()
    assert [(each["id"], each["scopes"]) for each in listed] == [(CLOUD, ["read:jira-user", "read:jira-work"])]
    assert site.get("/rest/api/3/field", prefix=f"/ex/jira/{CLOUD}", headers=bearer).status_code == 200
    assert site.get("/rest/api/3/field", headers=bearer).status_code == 401
    for count in (0, 2):
        site.settings(jira_sites=count)
        assert len(site.get("/oauth/token/accessible-resources", headers=bearer).json()) == count
    assert "refresh_token" not in approved(site, "read:jira-user")


def test_an_app_must_name_its_audience(site):
    asked = {"response_type": "code", "client_id": APP["client_id"], "redirect_uri": BACK, "scope": "", "state": "s"}
    went = site.http.get("/jira/authorize", params=asked, follow_redirects=False)
    assert "audience" in went.headers["location"]


def test_refresh_tokens_rotate_with_a_leeway_of_ten_minutes(site):
    first = approved(site)["refresh_token"]

    def renew(token):
        return site.http.post("/jira/oauth/token", json=APP | {"grant_type": "refresh_token", "refresh_token": token})

    second = renew(first).json()["refresh_token"]
    assert second != first
    assert renew(first).status_code == 200  # the answer may have been lost
    site.settings(clock_skew_s=601.0)
    refused = renew(first)
    assert (refused.status_code, refused.json()["error_description"]) == (403, "refresh_token is invalid")
    assert renew(second).status_code == 200
    site.control("POST", "revoke", {"provider": "jira"})
    assert renew(second).status_code == 403


def test_a_service_account_gets_tokens_for_its_own_credential(site):
    tokens = site.http.post("/jira/oauth/token", json=APP | {"grant_type": "client_credentials"}).json()
    assert "refresh_token" not in tokens
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert site.get("/rest/api/3/field", prefix=f"/ex/jira/{CLOUD}", headers=bearer).status_code == 200
    wrong = site.http.post("/jira/oauth/token", json=APP | {"grant_type": "client_credentials", "client_secret": "x"})
    assert wrong.status_code == 401


# --- Limits, faults, webhooks ---------------------------------------------------------------------------------------


def test_points_are_told_and_run_out(site):
    assert "RateLimit" not in site.get("/rest/api/3/field").headers
    to_half_past_s = 1_800 - site.now_ms() / 1_000 % 3_600  # the window ends with the hour
    site.settings(jira_budget_calls=2, clock_skew_s=to_half_past_s + 3_600)
    left = [site.get("/rest/api/3/field") for _ in range(3)]
    assert [(answer.status_code, answer.headers["RateLimit"].split(";")[1]) for answer in left] == [
        (200, "r=1"), (200, "r=0"), (429, "r=0"),
    ]  # fmt: skip
    assert left[2].headers["RateLimit-Reason"] == "jira-quota-global-based"
    assert 1_700 < int(left[2].headers["Retry-After"]) <= 1_800


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [
        ("rate_limit", 429, ("RateLimit-Reason", "jira-burst-based")),
        ("quota", 429, ("RateLimit-Reason", "jira-quota-global-based")),
        ("captcha", 403, ("X-Seraph-LoginReason", "AUTHENTICATION_DENIED")),
        ("scope_mismatch", 401, ("content-type", "application/json")),
        ("dead_link", 404, ("content-type", "text/html; charset=utf-8")),
        ("lost_page_token", 400, ("content-type", "application/json")),
    ],
)
def test_faults_in_jiras_words(site, kind, status, header):
    site.control("POST", "faults", {"provider": "jira", "kind": kind, "times": 1, "path": "/search/jql"})
    answer = site.search()
    assert (answer.status_code, answer.headers[header[0]]) == (status, header[1])
    assert site.search().status_code == 200


def test_webhooks_are_signed_as_the_documentation_shows(site):
    vector = hmac.new(b"It's a Secret to Everybody", b"Hello World!", hashlib.sha256).hexdigest()
    assert vector == "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    body = {"name": "Console", "url": "http://127.0.0.1:9/hooks", "secret": "It's a Secret to Everybody"}
    made = site.post("/rest/webhooks/1.0/webhook", body)
    assert (made.status_code, made.json()["isSigned"], "secret" in made.json()) == (201, True, False)
    side = site.http.app.state.sandbox.side("jira")
    assert side.sign(side.webhooks.all()[0], b"Hello World!", 0)["X-Hub-Signature"] == f"sha256={vector}"
    away = site.post("/rest/webhooks/1.0/webhook", {**body, "url": "https://evil.example/"})
    assert away.status_code == 400


def test_the_demo_is_believable_and_values_stay_as_they_were_written(tmp_path):
    with jira(tmp_path, "demo") as site:
        counts = site.control("GET", "state")["counts"]["jira"]
        assert counts["issue"] >= 300
        assert set(counts) == {table.name for table in Jira.catalogue}
        made = site.make("issue", {"fields": {"customfield_10016": 1}})["id"]
        site.http.patch(f"/_control/records/jira/issue/{made}", content=b'{"fields":{"customfield_10016":1.10}}')
        body = {"issueIdsOrKeys": [made], "fields": ["customfield_10016"]}
        assert b'"customfield_10016":1.10' in site.post("/rest/api/3/issue/bulkfetch", body).content
        assert json.loads(site.search(fields=["*all"], maxResults=1).content)["issues"]
