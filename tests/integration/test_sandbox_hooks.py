"""The sandbox's webhooks as each upstream's documentation has them: registering, refusals, what is sent of a change.

How deliveries travel is in test_sandbox_webhooks.py; no receiver of ours takes part in either.
"""

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.testclient import TestClient

from sandbox.app import create_app
from sandbox.github.side import GitHub
from sandbox.hubspot.side import HubSpot
from sandbox.jira.side import Jira
from sandbox.stripe.side import Stripe
from sandbox.zendesk.side import Zendesk
from tests.integration.test_sandbox_webhooks import Receiver

DAY_S = 86_400.0
JIRA_SITE = "/jira/ex/jira/8d2f6c1e-0b7a-4f53-9e64-a1c7d0e2b935/rest/api/3/webhook"


class Account:
    """One side of the sandbox in this process, with a receiver beside it."""

    def __init__(self, http: TestClient, key: str, receiver: Receiver) -> None:
        self.http, self.key, self.receiver = http, key, receiver

    def call(self, method: str, path: str, token: str, body: Any = None) -> Any:
        headers = {"Authorization": token if " " in token else f"Bearer {token}"}
        return self.http.request(method, path, json=body, headers=headers)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/_control/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def make(self, table: str, **fields: Any) -> str:
        return self.control("POST", f"records/{self.key}/{table}", [fields])["ids"][0]

    def change(self, table: str, record: str, **fields: Any) -> None:
        self.control("PATCH", f"records/{self.key}/{table}/{record}", fields)

    def got(self, count: int) -> list[tuple[Any, dict[str, str], bytes]]:
        """The first deliveries: what they hold, their headers in small letters, and their bytes."""
        self.receiver.wait_until(count)
        return [(json.loads(body), {name.lower(): value for name, value in headers.items()}, body)
                for body, headers in self.receiver.got[:count]]  # fmt: skip


@contextmanager
def served(folder: Any, side: Any) -> Iterator[Account]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        with TestClient(create_app(folder, "empty", sides=(side,)), base_url="http://127.0.0.1") as http:
            yield Account(http, side.key, receiver)
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join(5)


# --- GitHub ----------------------------------------------------------------------------------------------------------

SECRET = "It's a Secret to Everybody"
PAT = "github_pat_sandbox_demo"


@pytest.fixture
def github(tmp_path: Any) -> Iterator[Account]:
    with served(tmp_path, GitHub) as account:
        yield account


def github_hook(account: Account, **more: Any) -> dict[str, Any]:
    config = {"url": account.receiver.url, "content_type": "json", "secret": SECRET}
    return {"name": "web", "active": True, "events": ["issues", "push"], "config": config, **more}


def test_github_pings_a_new_hook_and_signs_what_it_sends(github: Account) -> None:
    path = "/github/orgs/sandbox-coffee/hooks"
    made = github.call("POST", path, PAT, github_hook(github))
    assert made.status_code == 201
    assert made.json()["config"]["secret"] == "********"
    issue = github.make("issues", title="Leaks")
    github.change("issues", issue, state="closed")
    github.make("labels")  # not asked for
    github.control("DELETE", f"records/github/issues/{issue}")
    found = github.got(4)
    assert [head["x-github-event"] for _, head, _ in found] == ["ping", "issues", "issues", "issues"]
    ping, opened = found[0][0], found[1][0]
    assert (ping["hook_id"], bool(ping["zen"])) == (made.json()["id"], True)
    assert [body["action"] for body, *_ in found[1:]][::2] == ["opened", "deleted"]
    assert (opened["issue"]["title"], opened["organization"]["login"]) == ("Leaks", "sandbox-coffee")
    assert len({head["x-github-delivery"] for _, head, _ in found}) == 4
    for _, head, raw in found:
        made_by = hmac.digest(SECRET.encode(), raw, "sha256").hex()
        assert head["x-hub-signature-256"] == f"sha256={made_by}"
        assert head["x-github-hook-id"] == str(made.json()["id"])


def test_github_keeps_changes_and_takes_away_hooks_of_a_repository_by_either_name(github: Account) -> None:
    repository = github.call("GET", "/github/user/repos", PAT).json()[0]
    path = f"/github/repos/{repository['full_name']}/hooks"
    made = github.call("POST", path, PAT, github_hook(github)).json()
    same = f"/github/repositories/{repository['id']}/hooks/{made['id']}"
    assert github.call("GET", same, PAT).json()["events"] == ["issues", "push"]
    changed = github.call("PATCH", same, PAT, {"events": ["release"], "active": False}).json()
    assert (changed["events"], changed["active"], changed["config"]["url"]) == (["release"], False, github.receiver.url)
    assert [each["id"] for each in github.call("GET", path, PAT).json()] == [made["id"]]
    assert github.call("DELETE", same, PAT).status_code == 204
    assert github.call("DELETE", same, PAT).status_code == 404


def test_github_refuses_hooks_in_its_own_words(github: Account) -> None:
    organisation = "/github/orgs/sandbox-coffee/hooks"
    repository = f"/github/repos/{github.call('GET', '/github/user/repos', PAT).json()[0]['full_name']}/hooks"
    github.call("POST", organisation, PAT, github_hook(github))
    for path, asked, words in (
        (organisation, github_hook(github), "Hook already exists on this organization"),
        (organisation, github_hook(github, config={}), "Config must contain URL for webhooks"),
        (repository, github_hook(github, events=["membership"]), "Invalid event(s) for this hook: membership"),
        (repository, github_hook(github, config={"url": "https://console.example/"}), "url is not supported"),
    ):
        refused = github.call("POST", path, PAT, asked)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["resource"] == "Hook"
        assert words in refused.json()["errors"][0]["message"]
    few = github.control("POST", "keys", {"provider": "github", "scopes": ["issues"]})["secret"]
    refused = github.call("GET", organisation, few)
    assert (refused.status_code, refused.headers["x-accepted-github-permissions"]) == (403, "organization_hooks=write")
    granted = github.control("POST", "grants", {"provider": "github", "scopes": ["read:org"]})["access_token"]
    assert github.call("GET", organisation, granted).status_code == 404  # hidden from an OAuth app
    assert github.call("GET", "/github/orgs/others/hooks", PAT).status_code == 404


def test_github_tells_each_table_in_its_own_events(github: Account) -> None:
    github.call("POST", "/github/orgs/sandbox-coffee/hooks", PAT, github_hook(github, events=["*"]))
    github.make("pulls", title="Better")
    github.make("issues")
    for table in ("issue_comments", "reviews", "review_comments", "commits", "branches", "tags", "releases", "labels",
                  "milestones", "workflow_runs", "commit_comments", "teams", "team_members", "members"):  # fmt: skip
        github.make(table)
    wanted = ["ping", "pull_request", "issues", "issue_comment", "pull_request_review", "pull_request_review_comment",
              "push", "create", "create", "release", "label", "milestone", "workflow_run", "commit_comment", "team",
              "membership", "organization"]  # fmt: skip
    assert [head["x-github-event"] for _, head, _ in github.got(len(wanted))] == wanted


# --- Jira ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def jira(tmp_path: Any) -> Iterator[Account]:
    with served(tmp_path, Jira) as account:
        yield account


def an_app(jira: Account, **asked: Any) -> tuple[dict[str, str], str]:
    """An app, and an access token it was granted."""
    app = jira.control("POST", "apps", {})
    asked = {"provider": "jira", "client_id": app["client_id"], **asked}
    return app, jira.control("POST", "grants", asked)["access_token"]


def asked_of_jira(jira: Account, **more: Any) -> dict[str, Any]:
    one = {"events": ["jira:issue_created", "jira:issue_updated", "comment_created"], "jqlFilter": 'project = "ACME"'}
    return {"url": jira.receiver.url, "webhooks": [{**one, **more}]}


def test_jiras_dynamic_webhooks_are_an_apps_and_end_after_thirty_days(jira: Account) -> None:
    app, token = an_app(jira)
    person = "Basic " + base64.b64encode(b"ada@sandbox.example:sandbox-jira-token").decode()
    assert "as an app" in jira.call("GET", JIRA_SITE, person).text
    _, few = an_app(jira, scopes=["read:jira-work"])
    assert jira.call("GET", JIRA_SITE, few).json()["message"] == "Unauthorized; scope does not match"
    made = jira.call("POST", JIRA_SITE, token, asked_of_jira(jira)).json()["webhookRegistrationResult"]
    number = made[0]["createdWebhookId"]
    listed = jira.call("GET", JIRA_SITE, token).json()
    assert [(each["id"], each["url"], each["jqlFilter"]) for each in listed["values"]] == [
        (number, jira.receiver.url, 'project = "ACME"')
    ]
    _, others = an_app(jira)
    assert jira.call("GET", JIRA_SITE, others).json()["values"] == []
    jira.control("POST", "settings", {"clock_skew_s": 20 * DAY_S, "jira_token_ttl_s": int(90 * DAY_S)})
    token = jira.control("POST", "grants", {"provider": "jira", "client_id": app["client_id"]})["access_token"]
    renewed = jira.call("PUT", f"{JIRA_SITE}/refresh", token, {"webhookIds": [number, 999]})
    assert renewed.json()["expirationDate"] > listed["values"][0]["expirationDate"]
    jira.control("POST", "settings", {"clock_skew_s": 40 * DAY_S})
    assert len(jira.call("GET", JIRA_SITE, token).json()["values"]) == 1
    jira.control("POST", "settings", {"clock_skew_s": 51 * DAY_S})
    assert jira.call("GET", JIRA_SITE, token).json()["values"] == []
    jira.control("POST", "settings", {"clock_skew_s": 40 * DAY_S})
    assert jira.call("DELETE", JIRA_SITE, token, {"webhookIds": [number]}).status_code == 202
    assert jira.call("GET", JIRA_SITE, token).json()["values"] == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"jqlFilter": ""}, "must not be empty"),
        ({"jqlFilter": "watchCount > 3"}, "invalid"),
        ({"jqlFilter": "watchCount = 3"}, "The clause watchCount is unsupported"),
        ({"events": ["worklog_created"]}, "Unsupported event: worklog_created"),
        ({"events": []}, "At least one event"),
    ],
)
def test_jiras_refusals_of_single_webhooks_stand_inside_a_good_answer(jira: Account, more: Any, words: str) -> None:
    _, token = an_app(jira)
    answer = jira.call("POST", JIRA_SITE, token, asked_of_jira(jira, **more))
    assert answer.status_code == 200
    assert words in " ".join(answer.json()["webhookRegistrationResult"][0]["errors"])


def test_an_app_of_jira_has_five_webhooks_of_one_address(jira: Account) -> None:
    _, token = an_app(jira)
    one = asked_of_jira(jira)["webhooks"][0]
    made = jira.call("POST", JIRA_SITE, token, {"url": jira.receiver.url, "webhooks": [one] * 6}).json()
    results = made["webhookRegistrationResult"]
    assert ["createdWebhookId" in each for each in results] == [True] * 5 + [False]
    other = jira.call("POST", JIRA_SITE, token, {"url": f"{jira.receiver.url}/other", "webhooks": [one]}).json()
    assert "Only a single URL per app" in other["webhookRegistrationResult"][0]["errors"][0]


def test_jira_sends_an_apps_events_under_its_jwt_where_the_filter_lets_them_pass(jira: Account) -> None:
    app, token = an_app(jira)
    jira.call("POST", JIRA_SITE, token, asked_of_jira(jira))
    jira.make("issue", fields={"summary": "elsewhere", "project": {"key": "OTHER", "id": "2"}})
    issue = jira.make("issue", fields={"summary": "one", "project": {"key": "ACME", "id": "1"}})
    jira.change("issue", issue, fields={"summary": "two"})
    made, changed = jira.got(2)
    assert [body["webhookEvent"] for body, *_ in (made, changed)] == ["jira:issue_created", "jira:issue_updated"]
    assert made[0]["issue"]["id"] == issue
    assert [item["field"] for item in changed[0]["changelog"]["items"]] == ["summary", "updated"]
    scheme, _, proof = changed[1]["authorization"].partition(" ")
    claims = jwt.decode(proof, OctKey.import_key(app["client_secret"]), algorithms=["HS256"]).claims
    assert (scheme, claims["iss"]) == ("Bearer", app["client_id"])
    assert claims["exp"] > claims["iat"]
    assert changed[1]["x-atlassian-webhook-identifier"] != made[1]["x-atlassian-webhook-identifier"]


# --- Zendesk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def zendesk(tmp_path: Any) -> Iterator[Account]:
    with served(tmp_path, Zendesk) as account:
        yield account


def zendesk_token(token: str = "sandbox-zendesk-token", email: str = "ada@sandbox.example") -> str:
    return "Basic " + base64.b64encode(f"{email}/token:{token}".encode()).decode()


def zendesk_hook(zendesk: Account, **more: Any) -> dict[str, Any]:
    asked = {"name": "Console", "status": "active", "endpoint": zendesk.receiver.url, "http_method": "POST",
             "request_format": "json", "subscriptions": ["zen:event-type:ticket.subject_changed"]}  # fmt: skip
    return {"webhook": {**asked, **more}}


WEBHOOKS = "/zendesk/api/v2/webhooks"


def test_zendesks_webhooks_are_an_administrators(zendesk: Account) -> None:
    agent = zendesk_token("sandbox-zendesk-agent-token", "vera@sandbox.example")
    assert zendesk.call("POST", WEBHOOKS, agent, zendesk_hook(zendesk)).status_code == 403
    reading = zendesk.control("POST", "grants", {"provider": "zendesk", "scopes": ["read"]})["access_token"]
    refused = zendesk.call("POST", WEBHOOKS, reading, zendesk_hook(zendesk))
    assert "webhooks:write" in refused.json()["description"]
    assert zendesk.call("GET", WEBHOOKS, reading).json()["webhooks"] == []
    writing = zendesk.control("POST", "grants", {"provider": "zendesk", "scopes": ["webhooks:write"]})["access_token"]
    assert zendesk.call("POST", WEBHOOKS, writing, zendesk_hook(zendesk)).status_code == 201


def test_zendesks_webhooks_are_changed_paused_and_given_a_new_secret(zendesk: Account) -> None:
    ada = zendesk_token()
    made = zendesk.call("POST", WEBHOOKS, ada, zendesk_hook(zendesk)).json()["webhook"]
    one, secret = f"{WEBHOOKS}/{made['id']}", f"{WEBHOOKS}/{made['id']}/signing_secret"
    first = zendesk.call("GET", secret, ada).json()["signing_secret"]["secret"]
    second = zendesk.call("POST", secret, ada).json()["signing_secret"]["secret"]
    assert first != second == zendesk.call("GET", secret, ada).json()["signing_secret"]["secret"]
    ticket = zendesk.make("tickets", subject="One")
    assert zendesk.call("PATCH", one, ada, {"webhook": {"status": "inactive"}}).status_code == 204
    zendesk.change("tickets", ticket, subject="Unheard")
    assert zendesk.call("PUT", one, ada, zendesk_hook(zendesk)).status_code == 204
    zendesk.change("tickets", ticket, subject="Heard", priority="high")
    [(event, head, raw)] = zendesk.got(1)
    assert (event["type"], event["detail"]["id"]) == ("zen:event-type:ticket.subject_changed", ticket)
    assert (event["event"]["previous"], event["event"]["current"]) == ("Unheard", "Heard")
    stamp = head["x-zendesk-webhook-signature-timestamp"]
    proof = base64.b64encode(hmac.digest(second.encode(), stamp.encode() + raw, "sha256")).decode()
    assert head["x-zendesk-webhook-signature"] == proof
    assert zendesk.call("DELETE", one, ada).status_code == 204
    assert zendesk.call("GET", one, ada).status_code == 404


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"subscriptions": ["zen:event-type:user.updated"]}, "unknown zen:event-type:user.updated"),
        ({"subscriptions": ["conditional_ticket_events", "zen:event-type:user.created"]}, "cannot be combined"),
        ({"name": ""}, "name: cannot be blank"),
        ({"endpoint": "https://console.example/"}, "loopback"),
    ],
)
def test_zendesk_refuses_what_it_does_not_know(zendesk: Account, more: Any, words: str) -> None:
    refused = zendesk.call("POST", WEBHOOKS, zendesk_token(), zendesk_hook(zendesk, **more))
    assert refused.status_code == 400
    assert words in refused.json()["errors"][0]["detail"]


def test_zendesk_tells_of_fields_comments_and_deletions(zendesk: Account) -> None:
    zendesk.control("POST", "webhooks", {"provider": "zendesk", "url": zendesk.receiver.url})
    ticket = zendesk.make("tickets", subject="One", status="open")
    zendesk.change("tickets", ticket, status="solved")
    zendesk.make("comments", ticket_id=int(ticket), body="Thanks")
    zendesk.control("DELETE", f"records/zendesk/tickets/{ticket}")
    user = zendesk.make("users", name="Stan")
    zendesk.change("users", user, name="Stanley", notes="Called")
    kinds = [body["type"].removeprefix("zen:event-type:") for body, *_ in zendesk.got(8)]
    assert kinds == ["ticket.comment_added", "ticket.created", "ticket.status_changed", "ticket.comment_added",
                     "ticket.soft_deleted", "user.created", "user.name_changed", "user.notes_changed"]  # fmt: skip


# --- HubSpot and Stripe ----------------------------------------------------------------------------------------------


def test_hubspot_sends_events_of_one_moment_together_and_one_for_a_merge(tmp_path: Any) -> None:
    with served(tmp_path, HubSpot) as hubspot:
        hubspot.control("POST", "webhooks", {"provider": "hubspot", "url": hubspot.receiver.url, "secret": "s"})
        one, other = (hubspot.make("contacts", properties={"email": f"{name}@ex.test"}) for name in "ab")
        hubspot.change("contacts", one, properties={"email": "c@ex.test", "city": "Bremen"})
        hubspot.control("POST", f"records/hubspot/contacts/{one}/merge", {"losers": [other]})
        hubspot.receiver.wait_until(5, lambda body: len(json.loads(body)))
        events = [event for body, _ in hubspot.receiver.got for event in json.loads(body)]
        kinds = [event["subscriptionType"].partition(".")[2] for event in events]
        assert kinds == ["creation", "creation", "propertyChange", "propertyChange", "merge"]
        assert {event.get("propertyName") for event in events[2:4]} == {"email", "city"}
        assert (events[-1]["primaryObjectId"], events[-1]["mergedObjectIds"]) == (int(one), [int(other)])


def test_stripes_endpoints_are_moved_and_switched_off(tmp_path: Any) -> None:
    with served(tmp_path, Stripe) as stripe:
        key, path = "rk_test_sandbox_demo", "/stripe/v1/webhook_endpoints"
        headers = {"Authorization": f"Bearer {key}"}
        form = {"url": "http://127.0.0.1:9/old", "enabled_events[]": "*"}
        made = stripe.http.post(path, data=form, headers=headers).json()
        moved = stripe.http.post(f"{path}/{made['id']}", data={"url": stripe.receiver.url}, headers=headers).json()
        assert (moved["url"], moved["status"], "secret" in moved) == (stripe.receiver.url, "enabled", False)
        off = stripe.http.post(f"{path}/{made['id']}", data={"disabled": "true"}, headers=headers).json()
        assert off["status"] == "disabled"
        stripe.make("customers", name="Unheard")
        stripe.http.post(f"{path}/{made['id']}", data={"disabled": "false"}, headers=headers)
        stripe.make("customers", name="Heard")
        [(event, *_)] = stripe.got(1)
        assert event["data"]["object"]["name"] == "Heard"
