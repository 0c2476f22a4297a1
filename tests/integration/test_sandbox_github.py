"""GitHub as the sandbox plays it: paging, limits, conditional requests, installations, refusals in GitHub's words."""

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

TOKEN = "github_pat_sandbox_demo"
DESCRIBED = json.loads(Path(__file__).with_name("github_openapi.json").read_text())
FORM = "application/x-www-form-urlencoded"


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirects)


class Got:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.text = status, headers, body.decode()

    def json(self):
        return json.loads(self.text)

    @property
    def next(self):
        found = re.search(r'<([^>]*)>; rel="next"', self.headers.get("Link") or "")
        return found[1] if found else None


def ask(sandbox, path, *, token=TOKEN, data=None, method=None, **headers):
    url = path if path.startswith("http") else sandbox.side("github") + path
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=data, headers=sent, method=method)
    try:
        answer = OPENER.open(request)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Got(answer.status, answer.headers, answer.read())


def walk(sandbox, path):
    rows, url = [], path
    while url:
        page = ask(sandbox, url)
        assert page.status == 200, page.text
        rows += page.json()
        url = page.next
    return rows


def a_repository(sandbox) -> dict:
    return ask(sandbox, "/user/repos").json()[0]


def below(sandbox, rest: str) -> str:
    return f"/repos/{a_repository(sandbox)['full_name']}{rest}"


def test_everybody_must_show_a_token(planted):
    assert ask(planted, "/user", token="").json()["message"] == "Requires authentication"
    refused = ask(planted, "/user", token="ghp_wrong")
    assert (refused.status, refused.json()["message"]) == (401, "Bad credentials")
    assert ask(planted, "/user").json()["id"] == 501


def test_issues_go_on_by_cursor_and_hold_the_pull_requests(planted):
    path = below(planted, "/issues?state=all&per_page=7&sort=updated&direction=asc")
    first = ask(planted, path)
    assert "/repositories/" in first.next
    assert "after=" in first.next
    rows = walk(planted, path)
    assert [row["updated_at"] for row in rows] == sorted(row["updated_at"] for row in rows)
    assert len({row["number"] for row in rows}) == len(rows)
    pulls = walk(planted, below(planted, "/pulls?state=all"))
    assert {row["number"] for row in rows if "pull_request" in row} == {row["number"] for row in pulls}
    assert not {row["id"] for row in rows} & {row["id"] for row in pulls}


@pytest.mark.parametrize("name", list(DESCRIBED))
def test_every_list_has_the_fields_of_githubs_own_description(planted, name):
    """Fields that GitHub's OpenAPI description (of npm @octokit/openapi 23.0.2) says are always there."""
    path, rows = DESCRIBED[name]["path"].replace("{org}", "sandbox-coffee"), []
    for repository in ask(planted, "/user/repos").json():
        for pull in walk(planted, f"/repos/{repository['full_name']}/pulls?state=all") if "{pull" in path else [{}]:
            url = path.replace("{owner}/{repo}", repository["full_name"]).replace(
                "{pull_number}", str(pull.get("number"))
            )
            for team in walk(planted, "/orgs/sandbox-coffee/teams") if "{team" in path else [{}]:
                body = ask(planted, url.replace("{team_slug}", str(team.get("slug"))) + "?state=all").json()
                rows += body.get(name, []) if isinstance(body, dict) else body
    assert rows
    for row in rows:
        assert not set(DESCRIBED[name]["required"]) - set(row)


def test_numbered_pages_of_issues_end_at_ten_thousand(planted):
    refused = ask(planted, below(planted, "/issues?per_page=100&page=100"))
    assert refused.status == 422
    assert "cursor based pagination" in refused.json()["message"]


def test_a_cursor_can_be_forgotten_and_made_up_ones_are_refused(sandbox):
    repository = a_repository(sandbox)["id"]
    sandbox.control("POST", "records/github/issues?count=5", {"sandbox_repository": repository})
    url = ask(sandbox, f"/repositories/{repository}/issues?state=all&per_page=2").next
    assert ask(sandbox, url).status == 200
    sandbox.control("DELETE", "page-tokens/github")
    assert ask(sandbox, url).status == 422
    assert ask(sandbox, f"/repositories/{repository}/issues?after=AAAA").status == 422


def test_since_takes_the_very_second(sandbox):
    repository = a_repository(sandbox)["id"]
    made = sandbox.control("POST", "records/github/issue_comments", {"sandbox_repository": repository})["id"]
    stamp = sandbox.control("GET", f"records/github/issue_comments/{made}")["record"]["updated_at"]
    assert ask(sandbox, f"/repositories/{repository}/issues/comments?since={stamp}").json()
    later = stamp[:-2] + "9Z" if not stamp.endswith("9Z") else "2999-01-01T00:00:00Z"
    assert not ask(sandbox, f"/repositories/{repository}/issues/comments?since={later}").json()


def test_an_unchanged_answer_is_304_and_costs_nothing(planted):
    path = below(planted, "/labels")
    first = ask(planted, path)
    used = int(ask(planted, "/user").headers["x-ratelimit-used"])
    assert ask(planted, path, If_None_Match=first.headers["ETag"]).status == 304
    assert int(ask(planted, "/user").headers["x-ratelimit-used"]) == used + 1
    assert ask(planted, path, token="ghp_sandbox_demo", If_None_Match=first.headers["ETag"]).status == 200


def test_the_primary_limit_is_a_403_that_says_when_it_ends(sandbox):
    sandbox.control("POST", "settings", {"github_budget_calls": 3})
    answers = [ask(sandbox, "/user") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 403]
    last = answers[-1]
    assert last.headers["x-ratelimit-remaining"] == "0"
    assert int(last.headers["x-ratelimit-reset"]) > time.time()
    assert "API rate limit exceeded" in last.json()["message"]


@pytest.mark.parametrize(("kind", "status"), [("rate_limit", 429), ("secondary_limit", 403)])
@pytest.mark.parametrize("retry_after", [None, 9])
def test_secondary_limits_come_with_and_without_retry_after(sandbox, kind, status, retry_after):
    fault = {"provider": "github", "kind": kind, "times": 1, "retry_after": retry_after}
    sandbox.control("POST", "faults", fault)
    refused = ask(sandbox, "/user")
    assert refused.status == status
    assert "secondary rate limit" in refused.json()["message"]
    assert refused.headers.get("Retry-After") == (None if retry_after is None else "9")
    assert refused.headers.get("x-ratelimit-remaining") != "0"


def test_a_renamed_repository_points_to_its_id(sandbox):
    before = a_repository(sandbox)
    new_name = f"{before['owner']['login']}/renamed"
    sandbox.control("PATCH", f"records/github/repositories/{before['id']}", {"full_name": new_name, "name": "renamed"})
    moved = ask(sandbox, f"/repos/{before['full_name']}/labels?per_page=5")
    assert moved.status == 301
    assert moved.headers["Location"].endswith(f"/repositories/{before['id']}/labels?per_page=5")
    assert moved.json()["url"] == moved.headers["Location"]
    assert ask(sandbox, moved.headers["Location"]).status == 200
    assert ask(sandbox, f"/repos/{new_name}").json()["url"].endswith(new_name)


def test_missing_hidden_empty_and_disabled_are_told_apart(sandbox):
    repository = a_repository(sandbox)["id"]
    assert ask(sandbox, "/repos/sandbox-coffee/none/issues").status == 404
    assert ask(sandbox, f"/repositories/{repository}/commits").status == 409
    sandbox.control("PATCH", f"records/github/repositories/{repository}", {"has_issues": False})
    assert ask(sandbox, f"/repositories/{repository}/issues").status == 410
    sandbox.control("DELETE", f"records/github/repositories/{repository}")
    assert ask(sandbox, f"/repositories/{repository}/labels").status == 404


def test_a_deleted_issue_says_so(sandbox):
    repository = a_repository(sandbox)["id"]
    made = sandbox.control("POST", "records/github/issues", {"sandbox_repository": repository})["id"]
    number = sandbox.control("GET", f"records/github/issues/{made}")["record"]["number"]
    assert ask(sandbox, f"/repositories/{repository}/issues/{number}").json()["id"] == int(made)
    sandbox.control("DELETE", f"records/github/issues/{made}")
    gone = ask(sandbox, f"/repositories/{repository}/issues/{number}")
    assert (gone.status, gone.json()["message"]) == (410, "This issue was deleted")
    assert ask(sandbox, f"/repositories/{repository}/issues?state=all").json() == []


def test_runs_are_counted_in_full_and_listed_up_to_a_thousand_when_searched(sandbox):
    repository = a_repository(sandbox)["id"]
    body = {"sandbox_repository": repository}
    sandbox.control("POST", "records/github/workflow_runs?count=1050&spread_s=5000", body)
    path = f"/repositories/{repository}/actions/runs"
    searched = ask(sandbox, f"{path}?created=>=2020-01-01T00:00:00Z&per_page=100&page=10")
    assert searched.json()["total_count"] == 1050
    assert searched.next is None
    assert ask(sandbox, f"{path}?per_page=100&page=11").json()["workflow_runs"]
    newest = ask(sandbox, f"{path}?per_page=1").json()["workflow_runs"][0]["created_at"]
    only = ask(sandbox, f"{path}?created={newest}..{newest}").json()
    assert all(run["created_at"] == newest for run in only["workflow_runs"])


def test_compare_tells_what_a_new_head_brought_whatever_its_date(sandbox):
    repository = a_repository(sandbox)["id"]
    old, new = [
        sandbox.control("POST", "records/github/commits", {"sandbox_repository": repository, **more})["id"]
        for more in ({}, {"commit": {"author": {"date": "2020-01-01T00:00:00Z"}, "committer": {"date": None}}})
    ]
    history = ask(sandbox, f"/repositories/{repository}/commits").json()
    assert {each["sha"] for each in history} == {old, new}
    head, base = history[0]["sha"], history[1]["sha"]
    compared = ask(sandbox, f"/repositories/{repository}/compare/{base}...{head}").json()
    assert [each["sha"] for each in compared["commits"]] == [head]
    assert ask(sandbox, f"/repositories/{repository}/compare/{'0' * 40}...{head}").status == 404


# --- Letting in ----------------------------------------------------------------------------------------------------


def token_form(**form):
    return {"data": urlencode(form).encode(), "Content_Type": FORM, "Accept": "application/json", "token": ""}


CLIENT = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}


def test_refusals_of_the_token_endpoint_come_with_200(sandbox):
    path = "/login/oauth/access_token"
    bad_code = ask(sandbox, path, **token_form(code="x", **CLIENT))
    assert (bad_code.status, bad_code.json()["error"]) == (200, "bad_verification_code")
    wrong = ask(sandbox, path, **token_form(code="x", client_id="sandbox-console", client_secret="no"))
    assert (wrong.status, wrong.json()["error"]) == (200, "incorrect_client_credentials")


def test_tokens_have_no_end_unless_the_app_wants_it_and_refresh_tokens_work_once(sandbox):
    lasting = sandbox.control("POST", "grants", {"provider": "github"})
    assert "refresh_token" not in lasting
    assert "," in lasting["scope"]
    sandbox.control("POST", "settings", {"github_token_ttl_s": 28_800.0})
    ending = sandbox.control("POST", "grants", {"provider": "github"})
    form = token_form(grant_type="refresh_token", refresh_token=ending["refresh_token"], **CLIENT)
    renewed = ask(sandbox, "/login/oauth/access_token", **form).json()
    assert renewed["expires_in"] == 28_800
    assert ask(sandbox, "/user", token=renewed["access_token"]).status == 200
    assert ask(sandbox, "/user", token=ending["access_token"]).status == 401
    again = ask(sandbox, "/login/oauth/access_token", **form)
    assert (again.status, again.json()["error"]) == (200, "bad_refresh_token")


def mint(sandbox, **claims):
    app = sandbox.control("GET", "github/app")
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 500, "iss": str(app["app_id"]), **claims}
    proof = jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(app["private_key"]))
    path = f"/app/installations/{app['installations'][0]['id']}/access_tokens"
    return ask(sandbox, path, token=proof, data=b"{}", Content_Type="application/json")


def test_an_app_proves_itself_and_gets_a_long_token_for_an_hour(sandbox):
    minted = mint(sandbox)
    assert minted.status == 201
    token = minted.json()["token"]
    assert len(token) >= 300
    listed = ask(sandbox, "/installation/repositories", token=token).json()
    assert listed["total_count"] == len(listed["repositories"])
    assert ask(sandbox, "/user", token=token).status == 403
    assert ask(sandbox, "/user/repos", token=token).status == 403


@pytest.mark.parametrize(
    "claims", [{"exp": 5_000}, {"iat": 900}, {"iss": "7"}, {"exp": -60}], ids=["long", "early", "foreign", "over"]
)
def test_an_apps_bad_proof_is_refused(sandbox, claims):
    """Numbers are seconds from now, which is when the test runs, not when tests are collected."""
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    assert mint(sandbox, **claims).status == 401


def test_suspended_and_removed_installations_hand_out_nothing(sandbox):
    token = mint(sandbox).json()["token"]
    sandbox.control("POST", "github/installations/51001", {"state": "suspended"})
    assert mint(sandbox).status == 403
    assert ask(sandbox, "/installation/repositories", token=token).status == 401
    sandbox.control("POST", "github/installations/51001", {"state": "gone"})
    assert ask(sandbox, "/user/installations").json()["total_count"] == 1


def test_a_token_that_may_not_is_told_which_permission_it_wants(sandbox):
    key = sandbox.control("POST", "keys", {"provider": "github", "scopes": ["contents"]})["secret"]
    refused = ask(sandbox, below(sandbox, "/issues"), token=key)
    assert refused.status == 403
    assert refused.headers["X-Accepted-GitHub-Permissions"] == "issues=read"
    assert ask(sandbox, below(sandbox, "/branches"), token=key).status == 200
