"""GitHub's reader against the sandbox, over HTTP, and through the console's own engine."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from django.urls import reverse
from django.utils import timezone

from syncs import connections, inputs, oauth_apps, services, tasks
from syncs.models import Credential, Feed, Record, Sync
from syncs.providers.github.catalogue import BY_ID, COLLECTIONS
from syncs.providers.kit.errors import PermissionMissing, RateLimited
from syncs.schemas.credentials import CredentialPatch
from tests.integration.provider_bench import github

ISSUE, COMMIT, RUN = "github:issue", "github:commit", "github:workflow_run"
TABLES = {
    "github:repository": "repositories",
    "github:issue": "issues",
    "github:pull_request": "pulls",
    "github:review": "reviews",
    "github:review_comment": "review_comments",
    "github:issue_comment": "issue_comments",
    "github:commit": "commits",
    "github:branch": "branches",
    "github:tag": "tags",
    "github:release": "releases",
    "github:label": "labels",
    "github:milestone": "milestones",
    "github:workflow_run": "workflow_runs",
    "github:workflow": "workflows",
    "github:commit_comment": "commit_comments",
    "github:team": "teams",
    "github:team_member": "team_members",
    "github:member": "members",
}


def repositories(sandbox) -> dict[str, dict]:
    return sandbox.control("GET", "records/github/repositories?bodies=1")["records"]


def create(sandbox, table: str, repository: str, **more) -> dict:
    made = sandbox.control("POST", f"records/github/{table}", {"sandbox_repository": int(repository), **more})
    return sandbox.control("GET", f"records/github/{table}/{made['id']}")["record"]


def upstream(sandbox, table: str) -> list[dict]:
    """All living records of a table."""
    told = sandbox.control("GET", f"records/github/{table}")["records"]
    bodies = sandbox.control("GET", f"records/github/{table}?bodies=1")["records"]
    return [bodies[own] for own, each in told.items() if not each["deleted"]]


# --- Reading -------------------------------------------------------------------------------------------------------


def test_every_collection_has_its_table():
    assert set(TABLES) == {each.id for each in COLLECTIONS}


@pytest.mark.parametrize("collection_id", list(TABLES))
async def test_every_collection_brings_what_the_sandbox_holds(planted, collection_id):
    async with github(planted, page_size=7) as bench:
        records = await bench.backfill(collection_id)
        held = upstream(planted, TABLES[collection_id])
        assert held
        assert len(records) == len(held)
        added, dropped = {"organization_id", "team_id"}, {"temp_clone_token"}
        found = [json.loads(record.data) for record in records.values()]
        wanted = [{key: value for key, value in each.items() if key not in dropped} for each in held]
        bare = [{key: value for key, value in each.items() if key not in added} for each in found]
        assert sorted(map(json.dumps, bare)) == sorted(map(json.dumps, wanted))
        await bench.reader.probe(bench.collections[collection_id])
        assert await bench.reader.fields(bench.collections[collection_id])
        swept = {each async for page in bench.reader.sweep(bench.collections[collection_id], None) for each in page.ids}
        assert swept == set(records)


@pytest.mark.parametrize("collection_id", [each for each in TABLES if each != "github:repository"])
async def test_single_reads_give_the_bytes_of_the_list(planted, collection_id):
    async with github(planted) as bench:
        records = await bench.backfill(collection_id)
        ids = list(records)[:12]
        read = {each.upstream_id: each for each in await bench.reader.read(bench.collections[collection_id], ids)}
        assert set(read) == set(ids)
        for key in ids:
            assert read[key].data == records[key].data
            assert not read[key].deleted


@pytest.mark.parametrize("collection_id", list(TABLES))
async def test_backfill_goes_on_from_any_page(planted, collection_id):
    async with github(planted, page_size=9) as bench:
        collection, cursor, seen, done = bench.collections[collection_id], None, set(), False
        for _ in range(200):
            walk = bench.reader.backfill(collection, cursor)
            page = await anext(walk)
            await walk.aclose()
            seen |= {record.upstream_id for record in page.records}
            cursor, done = json.loads(json.dumps(page.cursor)), page.done
            if done:
                break
        assert done
        assert len(seen) == len(upstream(planted, TABLES[collection_id]))


async def test_changes_bring_what_is_new_and_what_changed(sandbox):
    one = min(repositories(sandbox))
    async with github(sandbox) as bench:
        cursor = await bench.start(ISSUE)
        made = create(sandbox, "issues", one, title="Zoë 😀")
        key = f"{one}/{made['number']}"
        records, cursor = await bench.look(cursor, ISSUE)
        assert json.loads(records[key].data)["title"] == "Zoë 😀"
        sandbox.control("PATCH", f"records/github/issues/{made['id']}", {"title": "Changed"})
        records, cursor = await bench.look(cursor, ISSUE)
        assert json.loads(records[key].data)["title"] == "Changed"
        sandbox.control("DELETE", f"records/github/issues/{made['id']}")
        [record] = await bench.reader.read(bench.collections[ISSUE], [key])
        assert record.deleted


async def test_a_pull_request_is_an_issue_too_and_brings_its_reviews(sandbox):
    one = min(repositories(sandbox))
    async with github(sandbox) as bench:
        wanted = (ISSUE, "github:pull_request", "github:review")
        cursors = {each: await bench.start(each) for each in wanted}
        pull = create(sandbox, "pulls", one)
        review = create(sandbox, "reviews", one, sandbox_pull_request=pull["id"])
        found = {each: (await bench.look(cursors[each], each))[0] for each in wanted}
        assert b'"pull_request":{' in found[ISSUE][f"{one}/{pull['number']}"].data
        assert f"{one}/{pull['number']}" in found["github:pull_request"]
        assert list(found["github:review"]) == [f"{one}/{pull['number']}/{review['id']}"]


async def test_commits_of_a_merge_are_found_whatever_their_dates(sandbox):
    one = min(repositories(sandbox))
    async with github(sandbox) as bench:
        first = create(sandbox, "commits", one)
        cursor = await bench.start(COMMIT)
        old = {"date": "2020-01-01T00:00:00Z", "name": "a", "email": "b"}
        merged = [create(sandbox, "commits", one, commit={"author": old, "committer": old})["sha"] for _ in range(3)]
        assert first["sha"] not in merged
        records, cursor = await bench.look(cursor, COMMIT)
        assert {key.partition("/")[2] for key in records} >= set(merged)
        records, _ = await bench.look(cursor, COMMIT)
        assert records == {}


async def test_runs_beyond_what_a_search_lists_are_read(sandbox):
    one = min(repositories(sandbox))
    sandbox.control("POST", "records/github/workflow_runs?count=1300&spread_s=20000", {"sandbox_repository": int(one)})
    async with github(sandbox) as bench:
        cursor = {"t": 0, "places": dict.fromkeys(repositories(sandbox), 1), "deep_at": 0}
        records, _ = await bench.look(cursor, RUN)
        assert len(records) == 1300


async def test_an_unchanged_look_costs_nothing_of_the_quota(planted):
    async with github(planted, page_size=50) as bench:
        cursor = await bench.start(ISSUE)
        _, cursor = await bench.look(cursor, ISSUE)
        before = bench.quotas[-1].used
        for _ in range(3):
            _, cursor = await bench.look(cursor, ISSUE)
        assert bench.quotas[-1].used <= before + 1
        assert len(bench.quotas) > 12


# --- Which repositories --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "count"),
    [("", 6), ("sandbox-coffee/*", 5), ("sandbox-roastery", 1), ("sandbox-coffee/storefront, nobody/none", 1)],
)
async def test_what_is_typed_is_what_is_read(planted, typed, count):
    async with github(planted, repositories=typed) as bench:
        assert len(await bench.backfill("github:repository")) == count
        assert await bench.reader.count(bench.collections["github:repository"]) == count


async def test_a_repository_created_later_is_read_whole(sandbox):
    sandbox.control("POST", "settings", {"clock_skew_s": -5_000.0})
    name = "sandbox-coffee/later"
    async with github(sandbox, repositories="sandbox-coffee/*") as bench:
        cursor = await bench.start(ISSUE)
    owner = next(iter(repositories(sandbox).values()))["owner"]
    later = sandbox.control("POST", "records/github/repositories", {"full_name": name, "name": "later", "owner": owner})
    old = create(sandbox, "issues", later["id"])
    sandbox.control("POST", "settings", {"clock_skew_s": 0.0})
    async with github(sandbox, repositories="sandbox-coffee/*") as bench:
        records, cursor = await bench.look(cursor, ISSUE)
        assert f"{later['id']}/{old['number']}" in records
        assert later["id"] in cursor["places"]


async def test_a_renamed_repository_goes_on_under_its_id(sandbox):
    one = min(repositories(sandbox))
    async with github(sandbox) as bench:
        cursor = await bench.start(ISSUE)
        change = {"full_name": "sandbox-coffee/renamed", "name": "renamed"}
        sandbox.control("PATCH", f"records/github/repositories/{one}", change)
        made = create(sandbox, "issues", one)
        records, _ = await bench.look(cursor, ISSUE)  # by the old name: GitHub says where it is now
        assert set(records) == {f"{one}/{made['number']}"}
    async with github(sandbox) as bench:
        assert f"{one}/{made['number']}" in await bench.backfill(ISSUE)


@pytest.mark.parametrize("kind", ["forbidden", "blocked", "sso"])
async def test_a_closed_repository_stops_no_other_and_is_read_once_open(sandbox, kind):
    one, two = sorted(repositories(sandbox))
    names = {key: each["full_name"] for key, each in repositories(sandbox).items()}
    issues = {key: f"{key}/{create(sandbox, 'issues', key)['number']}" for key in (one, two)}
    async with github(sandbox) as bench:
        cursor = await bench.start(ISSUE)
        sandbox.control("POST", "faults", {"provider": "github", "kind": kind, "path": f"/repos/{names[one]}/issues"})
        records, cursor = await bench.look(cursor, ISSUE)
        assert issues[two] in await bench.backfill(ISSUE)
        assert issues[one] not in records
        assert one not in cursor["places"]
        sandbox.control("DELETE", "faults")
        records, cursor = await bench.look(cursor, ISSUE)
        assert issues[one] in records


async def test_a_missing_permission_names_itself(sandbox):
    key = sandbox.control("POST", "keys", {"provider": "github", "scopes": ["contents"]})["secret"]
    async with github(sandbox, key) as bench:
        await bench.reader.probe(bench.collections["github:branch"])
        for ask in (bench.reader.probe(bench.collections[ISSUE]), bench.backfill(ISSUE)):
            with pytest.raises(PermissionMissing, match="issues=read"):
                await ask


# --- Limits and faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["server_error", "unavailable", "drop", "truncated", "malformed", "flaky_401"])
async def test_transient_faults_are_survived(planted, kind):
    async with github(planted) as bench:
        planted.control("POST", "faults", {"provider": "github", "kind": kind, "times": 2, "path": "/issues"})
        assert len(await bench.backfill(ISSUE)) == len(upstream(planted, "issues"))
        planted.control("DELETE", "faults")


@pytest.mark.parametrize("kind", ["rate_limit", "secondary_limit", "quota"])
async def test_limits_tell_how_long_to_wait_with_a_header_or_without(planted, kind):
    async with github(planted) as bench:
        planted.control("POST", "faults", {"provider": "github", "kind": kind, "times": 1})
        with pytest.raises(RateLimited) as caught:
            await bench.backfill(ISSUE)
        assert 55 <= caught.value.retry_after_s <= 125
    async with github(planted) as bench:
        planted.control("POST", "faults", {"provider": "github", "kind": kind, "times": 1, "retry_after": 1})
        assert len(await bench.backfill(ISSUE)) == len(upstream(planted, "issues"))


# --- Through the console -------------------------------------------------------------------------------------------


@pytest.fixture
def console(sandbox: Any, settings: Any, queued: Any) -> Any:
    settings.PROVIDER_URLS = json.dumps({"github": sandbox.side("github")})
    return sandbox


def connect_app(sandbox: Any, **settings: str) -> Credential:
    """By a GitHub App's key: access is minted."""
    app = sandbox.control("GET", "github/app")
    typed = {"app_id": str(app["app_id"]), "installation_id": str(app["installations"][0]["id"]), **settings}
    data = {"provider": "github", "kind": "github_app_key", "secrets": {"private_key": app["private_key"]}}
    return connections.create_credential(data | {"settings": typed, "name": "Acme"}, by=None)


def read(sync: Sync) -> None:
    """Look now, whatever the interval says, until no history is left to read."""
    for _ in range(8):
        Feed.objects.filter(sync=sync, looked_at__isnull=False).update(looked_at=timezone.now() - timedelta(days=1))
        Feed.objects.filter(sync=sync).update(queued_until=None)
        tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))
        if not sync.collections.filter(phase__in=["waiting", "backfilling"], retry_at=None).exists():
            return


def logged(sync: Sync, collection_id: str) -> set[str]:
    rows = Record.objects.filter(sync=sync, collection__collection_id=collection_id, deleted=False)
    return set(rows.values_list("upstream_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_github_apps_installation_is_read_and_its_token_minted_anew(console):
    own = {key for key, each in repositories(console).items() if each["owner"]["login"] == "sandbox-coffee"}
    made = create(console, "issues", min(own))
    credential = connect_app(console)
    assert credential.account_name == "sandbox-coffee"
    assert credential.secrets["access_token"].startswith("ghs_")
    data = {"name": "All", "credential": credential, "collection_ids": list(TABLES), "poll_s": 2}
    sync = services.create_sync(data, by=None)
    read(sync)
    assert set(sync.collections.values_list("phase", flat=True)) == {"live"}
    assert logged(sync, "github:repository") == own
    assert f"{min(own)}/{made['number']}" in logged(sync, ISSUE)
    console.control("POST", "expire", {"provider": "github"})
    again = create(console, "issues", min(own))
    read(sync)
    assert f"{min(own)}/{again['number']}" in logged(sync, ISSUE)


@pytest.mark.django_db(transaction=True)
def test_a_suspended_installation_asks_for_a_person(console):
    credential = connect_app(console)
    console.control("POST", "github/installations/51001", {"state": "suspended"})
    [result] = connections.test_credential(credential)
    assert not result.ok
    assert "suspended" in result.detail


@pytest.mark.django_db(transaction=True)
def test_what_is_read_can_be_changed_without_the_secrets(console):
    """Repositories taken in later are read from their beginning."""
    one, two = sorted(repositories(console))[:2]
    owner = repositories(console)[one]["owner"]["login"]
    console.control("PATCH", f"records/github/repositories/{two}", {"owner": repositories(console)[one]["owner"]})
    issues = {key: f"{key}/{create(console, 'issues', key)['number']}" for key in (one, two)}
    credential = connect_app(console, repositories=f"{owner}/{repositories(console)[one]['name']}")
    data = {"name": "One", "credential": credential, "collection_ids": [ISSUE], "poll_s": 2}
    sync = services.create_sync(data, by=None)
    read(sync)
    assert logged(sync, ISSUE) == {issues[one]}
    token = credential.secrets["access_token"]
    connections.update_credential(credential, {"name": "Both", "settings": {"repositories": ""}}, by=None)
    credential.refresh_from_db()
    assert credential.secrets["access_token"] == token
    assert "repositories" not in credential.settings
    assert credential.settings["installation_id"] == "51001"
    read(sync)
    assert logged(sync, ISSUE) == set(issues.values())


def approve(url: str) -> dict[str, str]:
    """Press Allow at the sandbox; what comes back with the person."""
    asked = dict(parse_qsl(urlsplit(url).query))
    answer = httpx.post(url.partition("?")[0], data={**asked, "answer": "allow"}, trust_env=False)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@pytest.mark.django_db(transaction=True)
def test_signing_in_through_a_github_app_asks_which_installation_and_keeps_what_is_picked(console, ada, browser_of):
    held = console.control("GET", "github/app")
    own = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
    app = oauth_apps.create(
        {"provider": "github", "name": "App", **own, "properties": {"private_key": held["private_key"]}}, by=None
    )
    browser, path = browser_of(ada), reverse("syncs:oauth_begin", args=["github"]) + "?way=github_app"
    form = {"app": app.pk, "name": "Acme", "repositories": "Sandbox-Coffee/*", "leave_out": "forks"}
    refused = browser.post(path, form | {"repositories": "a/b/c"}, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert "owner/name" in refused.content.decode()
    begun = browser.post(path, form, headers={"HX-Request": "true"})
    back = browser.get(reverse("syncs:oauth_callback", args=["github"]), approve(begun["HX-Redirect"]))
    chosen = browser.post(back["Location"], {"site": "51001"})
    assert chosen.status_code == 303
    credential = Credential.objects.get()
    assert (credential.kind, credential.account_name) == ("github_app", "sandbox-coffee")
    assert credential.settings["repositories"] == "sandbox-coffee/*"
    assert credential.settings["leave_out"] == "forks"
    assert credential.settings["installation_id"] == "51001"
    assert credential.secrets["access_token"].startswith("ghs_"), "minted; the person's own token is not kept"
    page = browser.get(reverse("syncs:connection", args=[credential.pk])).content.decode()
    assert "sandbox-coffee/*" in page


@pytest.mark.django_db(transaction=True)
def test_signing_in_with_an_oauth_app_gives_a_token_without_an_end(console, ada, browser_of):
    own = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
    app = oauth_apps.create({"provider": "github", "name": "App", **own}, by=None)
    browser, path = browser_of(ada), reverse("syncs:oauth_begin", args=["github"]) + "?way=github_oauth2"
    begun = browser.post(path, {"app": app.pk}, headers={"HX-Request": "true"})["HX-Redirect"]
    assert set(dict(parse_qsl(urlsplit(begun).query))["scope"].split()) == {"repo", "read:org", "read:user"}
    browser.get(reverse("syncs:oauth_callback", args=["github"]), approve(begun))
    credential = Credential.objects.get()
    assert (credential.kind, credential.account_id) == ("github_oauth2", "501")
    assert credential.secrets["access_token"].startswith("gho_")
    assert credential.access_expires_at is None
    console.control("POST", "revoke", {"provider": "github"})
    [result] = connections.test_credential(credential)
    assert not result.ok


@pytest.mark.django_db(transaction=True)
def test_what_a_connection_reads_is_edited_on_its_page_and_by_the_api(console, ada, browser_of):
    credential = connect_app(console)
    browser, path = browser_of(ada), reverse("syncs:connection_rename", args=[credential.pk])
    htmx = {"HX-Request": "true"}
    assert browser.post(path, {"name": "A", "repositories": "a b/c/d"}, headers=htmx).status_code == 422
    browser.post(path, {"name": "A", "repositories": "https://github.com/Acme"}, headers=htmx)
    credential.refresh_from_db()
    assert (credential.name, credential.settings["repositories"]) == ("A", "acme/*")
    body = CredentialPatch(properties={"repositories": "acme/site"})
    inputs.change_credential(credential, body, by=ada)
    credential.refresh_from_db()
    assert credential.settings["repositories"] == "acme/site"
    assert credential.settings["installation_id"] == "51001"
    assert credential.secrets["private_key"]


def test_each_collection_names_its_least_permission():
    for each in COLLECTIONS:
        assert BY_ID[each.id].needs in each.help
