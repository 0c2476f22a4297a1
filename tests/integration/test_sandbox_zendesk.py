"""The Zendesk side of the sandbox does what Zendesk's documentation says."""

import base64
import hashlib
import hmac
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from sandbox.app import create_app
from sandbox.kit.consent import challenge_of
from sandbox.kit.table import iso_z
from sandbox.zendesk import hooks
from sandbox.zendesk.side import Zendesk

ADA, VERA = "ada@sandbox.example", "vera@sandbox.example"
TOKEN, AGENT_TOKEN = "sandbox-zendesk-token", "sandbox-zendesk-agent-token"
APP = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
BACK = "http://127.0.0.1/back"


def basic(token: str, email: str = ADA) -> dict:
    return {"Authorization": "Basic " + base64.b64encode(f"{email}/token:{token}".encode()).decode()}


class Account:
    """The sandbox's Zendesk, asked as its administrator."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def get(self, path, headers=None, **params):
        named = {name.replace("page_", "page[") + "]" if name.startswith("page_") else name: value
                 for name, value in params.items()}  # fmt: skip
        return self.http.get(f"/zendesk/api/v2/{path}", params=named, headers=headers or basic(TOKEN))

    def control(self, method, path, body=None):
        answer = self.http.request(method, f"/_control/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def make(self, table="tickets", body=None, **query):
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        return self.control("POST", f"records/zendesk/{table}{'?' + asked if asked else ''}", body or {})

    def change(self, record, body, table="tickets"):
        return self.control("PATCH", f"records/zendesk/{table}/{record}", body)

    def settings(self, **values):
        return self.control("POST", "settings", {f"zendesk_{name}": value for name, value in values.items()})

    def token(self, **asked):
        return self.http.post("/zendesk/oauth/tokens", json={**APP, **asked})

    def now_s(self):
        return self.http.app.state.sandbox.clock.now_ms() // 1000


@contextmanager
def served(folder, seed="empty"):
    with TestClient(create_app(folder, seed, sides=(Zendesk,)), base_url="http://127.0.0.1") as http:
        yield Account(http)


@pytest.fixture
def account(tmp_path):
    with served(tmp_path) as account:
        account.settings(hold_s=0.0)
        yield account


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def code_for(account, **more):
    asked = {"response_type": "code", "client_id": APP["client_id"], "redirect_uri": BACK, "scope": "read",
             "state": "s", "code_challenge": challenge_of("v" * 50), "code_challenge_method": "S256",
             **more}  # fmt: skip
    page = account.http.get("/zendesk/oauth/authorizations/new", params=asked)
    assert "sandbox.zendesk.com" in page.text
    gone = account.http.post(
        "/zendesk/oauth/authorizations/new", data={**asked, "answer": "allow"}, follow_redirects=False
    )
    return parse_qs(urlsplit(gone.headers["location"]).query)["code"][0]


# --- Sign-in


def test_code_is_good_for_a_token_of_the_life_asked_for(account):
    code = code_for(account)
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": "v" * 50}
    answer = account.token(**asked, expires_in="172800").json()
    assert (answer["expires_in"], answer["refresh_token_expires_in"], answer["scope"]) == (172_800, 2_592_000, "read")
    assert account.get("groups", bearer(answer["access_token"])).status_code == 200
    assert account.token(**asked).json()["error"] == "invalid_grant"
    assert account.token(grant_type="client_credentials", scope="read", expires_in=1).status_code == 400


def test_refresh_kills_both_old_tokens(account):
    grant = account.control("POST", "grants", {"provider": "zendesk"})
    renewed = account.token(grant_type="refresh_token", refresh_token=grant["refresh_token"]).json()
    dead = account.get("groups", bearer(grant["access_token"]))
    assert (dead.status_code, dead.json()["error"]) == (401, "invalid_token")
    assert account.get("groups", bearer(renewed["access_token"])).status_code == 200
    again = account.token(grant_type="refresh_token", refresh_token=grant["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_client_credentials_have_no_refresh_token(account):
    answer = account.token(grant_type="client_credentials", scope="read").json()
    assert "refresh_token" not in answer
    assert account.get("incremental/tickets/cursor.json", bearer(answer["access_token"]), start_time=0).is_success
    assert account.token(grant_type="client_credentials", client_secret="wrong").status_code == 401


def test_old_clients_get_tokens_without_an_end_unless_they_name_one(account):
    account.settings(old_clients=True)
    answer = account.token(grant_type="authorization_code", code=code_for(account), redirect_uri=BACK,
                           code_verifier="v" * 50).json()  # fmt: skip
    assert set(answer) == {"access_token", "token_type", "scope"}
    named = account.token(grant_type="authorization_code", code=code_for(account), redirect_uri=BACK,
                          code_verifier="v" * 50, expires_in=600).json()  # fmt: skip
    assert named["expires_in"] == 600


def test_unknown_scope_is_refused_by_everything_but_the_consent(account):
    answer = account.token(grant_type="client_credentials", scope="everything").json()
    refused = account.get("groups", bearer(answer["access_token"]))
    assert refused.status_code == 403
    assert "scopes: read" in refused.json()["description"]


def test_nobody_is_a_guest_to_one_endpoint_and_refused_by_the_rest(account):
    for headers in ({"Authorization": "x"}, basic("wrong"), basic(TOKEN, "eve@sandbox.example")):
        assert account.get("users/me.json", headers).json()["user"]["id"] is None
        answer = account.get("account/settings.json", headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "Couldn't authenticate you"})
    me = account.get("users/me").json()["user"]
    assert (me["role"], me["email"]) == ("admin", ADA)


def test_exports_are_for_administrators(account):
    agent = basic(AGENT_TOKEN, VERA)
    assert account.get("groups", agent).status_code == 200
    refused = account.get("incremental/tickets/cursor.json", agent, start_time=0)
    assert (refused.status_code, "do not have access" in refused.json()["description"]) == (403, True)


# --- Exports


def export(account, path="tickets/cursor.json", key="tickets", **params):
    rows, params = [], {"start_time": 0, **params}
    while True:
        page = account.get(f"incremental/{path}", **params).json()
        rows += page[key]
        if page["end_of_stream"]:
            return rows, page["after_cursor"]
        params = {**{k: v for k, v in params.items() if k != "start_time"}, "cursor": page["after_cursor"]}


def test_export_gives_each_ticket_once_though_all_have_one_stamp(account):
    account.settings(export_calls=1000)
    account.make(count=25, same_stamp=1)
    rows, cursor = export(account, per_page=10)
    assert len({row["id"] for row in rows}) == len(rows) == 25
    assert (rows[0]["fields"], "sandbox_version" in rows[0]) == (rows[0]["custom_fields"], False)
    later = account.get("incremental/tickets/cursor.json", cursor=cursor).json()
    assert (later["tickets"], later["end_of_stream"]) == ([], True)
    account.change(rows[3]["id"], {"subject": "Louder"})
    later = account.get("incremental/tickets/cursor.json", cursor=later["after_cursor"]).json()
    assert [row["subject"] for row in later["tickets"]] == ["Louder"]


def test_last_minute_is_held_back(account):
    account.settings(hold_s=60.0)
    account.make()
    assert export(account)[0] == []
    refused = account.get("incremental/tickets/cursor.json", start_time=account.now_s() - 30)
    assert (refused.status_code, refused.json()["error"]) == (422, "InvalidValue")
    account.control("POST", "settings", {"clock_skew_s": 61.0})
    assert len(export(account)[0]) == 1


def test_deleted_ticket_is_exported_and_found_nowhere_else(account):
    made = account.make()["id"]
    account.control("DELETE", f"records/zendesk/tickets/{made}")
    assert [row["status"] for row in export(account)[0]] == ["deleted"]
    assert export(account, exclude_deleted="true")[0] == []
    gone = account.get(f"tickets/{made}")
    assert (gone.status_code, gone.json()["error"]) == (404, "RecordNotFound")
    assert account.get(f"tickets/{made}/comments").status_code == 404
    assert account.get("tickets/show_many", ids=made).json()["tickets"] == []
    assert [each["id"] for each in account.get("deleted_tickets").json()["deleted_tickets"]] == [int(made)]
    account.control("POST", f"records/zendesk/tickets/{made}/undelete")
    assert [row["status"] for row in export(account)[0]] == ["open"]
    assert len(account.get(f"tickets/{made}/comments").json()["comments"]) == 1


def test_system_update_raises_one_stamp_of_two(account):
    made = account.make()["id"]
    account.control("POST", "settings", {"clock_skew_s": 100.0})
    before, cursor = export(account)
    account.control("POST", "settings", {"clock_skew_s": 200.0})
    assert account.control("POST", f"zendesk/tickets/{made}/system_update")["version"] == 2
    after = account.get("incremental/tickets/cursor.json", cursor=cursor).json()["tickets"]
    assert after[0]["updated_at"] == before[0]["updated_at"]
    assert after[0]["generated_timestamp"] > before[0]["generated_timestamp"]


def test_empty_page_is_no_end(account):
    account.settings(empty_pages=True, export_calls=100)
    account.make(count=6)
    first = account.get("incremental/tickets/cursor.json", start_time=0, per_page=4).json()
    empty = account.get("incremental/tickets/cursor.json", cursor=first["after_cursor"], per_page=4).json()
    last = account.get("incremental/tickets/cursor.json", cursor=empty["after_cursor"], per_page=4).json()
    assert [len(page["tickets"]) for page in (first, empty, last)] == [4, 0, 2]
    assert [page["end_of_stream"] for page in (first, empty, last)] == [False, False, True]


def test_metrics_come_beside_tickets(account):
    made = account.make()["id"]
    page = account.get("incremental/tickets/cursor.json", start_time=0, include="metric_sets").json()
    assert [each["ticket_id"] for each in page["metric_sets"]] == [int(made)]
    assert "metric_sets" not in account.get("incremental/tickets/cursor.json", start_time=0).json()


def test_export_by_time_holds_the_whole_of_its_last_second(account):
    account.make("organizations", count=7, same_stamp=1)
    page = account.get("incremental/organizations.json", start_time=0, per_page=3).json()
    assert (page["count"], page["end_of_stream"]) == (7, True)
    assert page["next_page"].endswith(f"start_time={page['end_time']}")
    again = account.get("incremental/organizations.json", start_time=page["end_time"]).json()
    assert again["count"] == 7, "the boundary comes again"
    account.settings(export_stretch=False)
    stuck = account.get("incremental/organizations.json", start_time=page["end_time"], per_page=3).json()
    assert (stuck["count"], stuck["end_time"], stuck["end_of_stream"]) == (3, page["end_time"], False)


def test_deleted_users_are_inactive_and_own_records_blank(account):
    user = account.make("users")["id"]
    account.control("DELETE", f"records/zendesk/users/{user}")
    rows = {str(row["id"]): row["active"] for row in export(account, "users/cursor.json", "users")[0]}
    assert rows[user] is False
    assert user not in [str(row["id"]) for row in account.get("users", page_size=100).json()["users"]]
    machine = account.make("custom_object_records")["id"]
    account.control("DELETE", f"records/zendesk/custom_object_records/{machine}")
    rows, _ = export(account, "custom_objects/coffee_machine/cursor.json", "custom_object_records")
    assert (rows[0]["name"], rows[0]["custom_object_fields"]["serial"]) == ("[DELETED]", "[DELETED]")
    assert account.get("custom_objects/coffee_machine/records").json()["custom_object_records"] == []


def test_exports_share_a_small_bucket(account):
    answers = [account.get("incremental/users/cursor.json", start_time=0) for _ in range(9)]
    answers += [account.get("incremental/organizations.json", start_time=0) for _ in range(11)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused, "ten a minute, and not two minutes have passed"
    assert refused[0].headers["zendesk-ratelimit-incremental-exports"].startswith("total=10; remaining=0; resets=")
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].text == "Number of allowed API requests per minute exceeded"
    assert account.get("groups").status_code == 200


# --- Lists


def test_next_link_is_filled_on_the_last_page(account):
    account.make("macros", count=12)
    first = account.get("macros", page_size=10).json()
    last = account.get("macros.json", page_size=10, page_after=first["meta"]["after_cursor"]).json()
    assert (first["meta"]["has_more"], last["meta"]["has_more"]) == (True, False)
    assert last["links"]["next"]
    assert len({each["id"] for each in first["macros"] + last["macros"]}) == 15
    foreign = account.get("views", page_size=10, page_after=first["meta"]["after_cursor"])
    assert (foreign.status_code, foreign.json()["errors"][0]["code"]) == (400, "InvalidPaginationParameter")
    assert account.get("views", page_size=10, page_after="made-up").status_code == 400


def test_pages_by_number_end_at_ten_thousand(account):
    page = account.get("macros", per_page=2).json()
    assert (page["count"], page["next_page"].endswith("?page=2&per_page=2")) == (3, True)
    assert account.get("macros", per_page=2, page=2).json()["next_page"] is None
    deep = account.get("macros", per_page=100, page=101)
    assert (deep.status_code, deep.json()["errors"][0]["code"]) == (400, "InvalidPaginationDepth")
    assert "next_page" in account.get("ticket_forms", page_size=1).json(), "forms know no cursors"


def test_deleted_groups_are_listed_when_asked_for(account):
    made = account.make("groups")["id"]
    account.control("DELETE", f"records/zendesk/groups/{made}")
    asked = account.get("groups", page_size=100, exclude_deleted="false").json()["groups"]
    assert [each["deleted"] for each in asked if str(each["id"]) == made] == [True]
    assert made not in [str(each["id"]) for each in account.get("groups", page_size=100).json()["groups"]]


def test_ratings_are_narrowed_by_their_creation(account):
    account.make("satisfaction_ratings", count=3)
    assert account.get("satisfaction_ratings", start_time=account.now_s() + 60).json()["count"] == 0
    assert account.get("satisfaction_ratings", start_time=account.now_s() - 60).json()["count"] == 3


# --- Tickets and what belongs to them


def test_ticket_brings_comment_audit_and_metrics_and_a_comment_moves_its_ticket(account):
    made = account.make()["id"]
    assert len(account.get(f"tickets/{made}/comments").json()["comments"]) == 1
    account.change(made, {"status": "solved", "priority": "high"})
    events = [event["type"] for audit in account.get(f"tickets/{made}/audits").json()["audits"]
              for event in audit["events"]]  # fmt: skip
    assert events == ["Create", "Change", "Change"]
    version = account.control("GET", f"records/zendesk/tickets/{made}")["version"]
    account.make("comments", {"ticket_id": int(made), "body": "Any news?"})
    assert account.control("GET", f"records/zendesk/tickets/{made}")["version"] == version + 1
    last = account.get(f"tickets/{made}/comments", page_size=100).json()["comments"][-1]
    assert (last["body"], "ticket_id" in last) == ("Any news?", False)


def test_values_stay_as_they_were_written(account):
    made = account.control("POST", "records/zendesk/tickets", {"custom_number": 1.10})["id"]
    body = account.http.get(f"/zendesk/api/v2/tickets/{made}", headers=basic(TOKEN)).content
    assert b'"custom_number":1.1' in body
    assert b'"external_id":null' in body


# --- Limits, faults, webhooks


def test_limits_are_told_in_both_spellings(account):
    answer = account.get("groups")
    assert answer.headers["x-rate-limit"] == "700"
    assert int(answer.headers["ratelimit-remaining"]) < 700
    assert 1 <= int(answer.headers["ratelimit-reset"]) <= 60
    account.settings(old_headers=True)
    answer = account.get("groups")
    assert "rate-limit-remaining" in answer.headers
    assert "ratelimit-remaining" not in answer.headers
    account.settings(budget_calls=1)
    answers = [account.get("groups") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"]


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [("rate_limit", 429, "Number of allowed"), ("quota", 429, "APIRateLimitExceeded"), ("forbidden", 403, "restricted"),
     ("no_page", 403, "do not have access"), ("not_in_plan", 404, "InvalidEndpoint"),
     ("gateway_timeout", 504, "upstream request timeout"), ("no_account", 404, "<html>"),
     ("server_error", 500, "InternalServerError")],
)  # fmt: skip
def test_faults_speak_zendesk(account, kind, status, words):
    account.control("POST", "faults", {"provider": "zendesk", "kind": kind, "times": 1})
    answer = account.get("groups")
    assert answer.status_code == status
    assert words in answer.text


def test_webhook_is_registered_and_signed(account):
    asked = {"name": "Console", "endpoint": "http://127.0.0.1:1/hook", "http_method": "POST", "request_format": "json",
             "status": "active", "subscriptions": ["zen:event-type:ticket.created"]}  # fmt: skip
    refused = account.http.post("/zendesk/api/v2/webhooks", headers=basic(TOKEN), json={
        "webhook": {**asked, "endpoint": "https://example.com"}})  # fmt: skip
    assert refused.status_code == 400
    made = account.http.post("/zendesk/api/v2/webhooks", headers=basic(TOKEN), json={"webhook": asked}).json()[
        "webhook"
    ]
    secret = account.get(f"webhooks/{made['id']}/signing_secret").json()["signing_secret"]["secret"]
    hook = account.http.app.state.sandbox.side("zendesk").webhooks.all()[0]
    headers = hooks.sign(hook, b"{}", 1_795_424_400_000)
    stamp = headers["X-Zendesk-Webhook-Signature-Timestamp"]
    assert stamp == iso_z(1_795_424_400_000)
    wanted = base64.b64encode(hmac.new(secret.encode(), stamp.encode() + b"{}", hashlib.sha256).digest()).decode()
    assert headers["X-Zendesk-Webhook-Signature"] == wanted


def test_demo_is_a_company(tmp_path):
    with served(tmp_path, "demo") as account:
        counts = account.control("GET", "state")["counts"]["zendesk"]
        assert counts["tickets"] >= 100
        assert counts["comments"] > counts["tickets"]
        row = account.get("tickets", page_size=1).json()["tickets"][0]
        assert account.get(f"users/{row['requester_id']}").status_code == 200
        assert account.get(f"organizations/{row['organization_id']}").status_code == 200
