"""What every side must be able to do, and a tiny one that shows what the kit gives."""

import base64
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from sandbox.app import create_app
from sandbox.faults import WEBHOOK_KINDS, Faults
from sandbox.kit.consent import challenge_of
from sandbox.kit.webhooks import Webhooks
from sandbox.sides import SIDES
from tests.unit.sandbox.tiny import Tiny

KEY = {"Authorization": "token tiny_demo"}
TRANSPORT = {
    "slow",
    "hang",
    "drop",
    "reset",
    "truncated",
    "malformed",
    "trickle",
    "garbled_gzip",
    "redirect",
    "clock_skew",
}
QUIETLY = {"expired_token", "revoked_grant"}  # may let the API itself answer
BACK = "http://127.0.0.1/back"


@contextmanager
def served(folder, sides=(Tiny,), seed="empty"):
    with TestClient(create_app(folder, seed, sides=sides), base_url="http://127.0.0.1") as client:
        yield client


def control(client, method, path, body=None):
    answer = client.request(method, f"/_control/{path}", json=body)
    answer.raise_for_status()
    return answer.json()


@pytest.mark.parametrize("side_type", [*SIDES, Tiny], ids=lambda side: side.key)
class TestEverySide:
    def test_words_each_fault_it_knows(self, tmp_path, side_type):
        with served(tmp_path, (side_type,)) as client:
            side = client.app.state.sandbox.side(side_type.key)
            for kind in set(side.fault_kinds()) - TRANSPORT - WEBHOOK_KINDS:
                fault = Faults([side_type]).add({"provider": side.key, "kind": kind, "retry_after": 7})
                answer = side.answer_fault(fault, Headers({"authorization": "Bearer x"}))
                is_told = answer is not None and (answer.status_code >= 400 or b'"errors"' in answer.body)  # GraphQL
                assert kind in QUIETLY or is_told, kind

    def test_makes_changes_and_deletes_a_believable_record_of_each_collection(self, tmp_path, side_type):
        with served(tmp_path, (side_type,)) as client:
            side = client.app.state.sandbox.side(side_type.key)
            records = side.records(side.modes[0])
            for name in records.shown():
                record = records.create(name, records.believable(name, 1))[0]
                assert records.told(name, record) == {"id": record, "version": 1, "deleted": False}
                records.update(name, record, {})
                records.delete(name, record, hard=True)
                assert [item["deleted"] for item in records.versions(name)][-1:] == [2]

    def test_has_pages_and_a_ready_grant(self, tmp_path, side_type):
        with served(tmp_path, (side_type,)) as client:
            key = side_type.key
            assert side_type.label in client.get(f"/browse/{key}").text
            name = client.app.state.sandbox.side(key).records(side_type.modes[0]).shown()[0]
            assert "Create record" in client.get(f"/browse/{key}/{name}/new").text
            grant = control(client, "POST", "grants", {"provider": key})
            assert grant["access_token"]
            assert grant["client_id"] == "sandbox-console"
            assert control(client, "POST", "revoke", {"provider": key})["revoked"] >= 1

    def test_churns(self, tmp_path, side_type):
        with served(tmp_path, (side_type,), seed="demo") as client:
            done = control(client, "POST", "churn", {"now": 60})["changed"]
            assert {"create", "update", "delete"} == {item["what"] for item in done}

    def test_sends_webhooks_if_it_says_so(self, tmp_path, side_type):
        with served(tmp_path, (side_type,)) as client:
            has_some = isinstance(client.app.state.sandbox.side(side_type.key).webhooks, Webhooks)
            assert has_some == side_type.sends_webhooks


def walk(client, path="/tiny/widgets", headers=KEY):
    rows, after = [], ""
    while True:
        answer = client.get(path, params={"after": after} if after else {}, headers=headers)
        answer.raise_for_status()
        rows += answer.json()
        after = answer.headers.get("X-Next", "")
        if not after:
            return rows


def test_a_walk_sees_each_record_once_though_all_have_one_stamp(tmp_path):
    with served(tmp_path) as client:
        control(client, "POST", "records/tiny/widgets?count=95&same_stamp=1")
        ids = [row["id"] for row in walk(client)]
        assert len(ids) == len(set(ids)) == 96
        assert ids[:-1] == sorted(ids[:-1]) or ids[1:] == sorted(ids[1:])  # by number: 9 before 10


def test_versions_stamps_and_marks_are_written_where_the_table_says(tmp_path):
    with served(tmp_path) as client:
        made = control(client, "POST", "records/tiny/widgets", {"fields": {"price": 1.10}})
        changed = control(client, "PATCH", f"records/tiny/widgets/{made['id']}", {"fields": {"name": "New"}})
        assert (made["version"], changed["version"]) == (1, 2)
        body = control(client, "GET", f"records/tiny/widgets/{made['id']}")["record"]
        assert body["fields"]["price"] == 1.10
        assert (body["fields"]["name"], body["fields"]["version"], body["archived"]) == ("New", 2, False)
        assert body["fields"]["updated"].endswith("Z")
        control(client, "DELETE", f"records/tiny/widgets/{made['id']}")
        assert made["id"] not in [str(row["id"]) for row in walk(client)]
        assert control(client, "POST", f"records/tiny/widgets/{made['id']}/undelete")["version"] == 4
        assert [item["deleted"] for item in control(client, "GET", "versions/tiny/widgets")["versions"]
                if item["id"] == made["id"]] == [0, 0, 1, 0]  # fmt: skip


def test_a_change_is_visible_after_the_commit_delay_alone(tmp_path):
    with served(tmp_path) as client:
        control(client, "POST", "settings", {"commit_delay_s": 3_600.0})
        record = control(client, "POST", "records/tiny/widgets")["id"]
        assert record not in [str(row["id"]) for row in walk(client)]
        control(client, "POST", "settings", {"clock_skew_s": 3_601.0})
        assert record in [str(row["id"]) for row in walk(client)]


def test_lists_of_one_parent(tmp_path):
    with served(tmp_path, seed="demo") as client:
        notes = client.get("/tiny/widgets/3/notes", headers=KEY).json()
        assert {note["widget"] for note in notes} <= {3}
        everything = control(client, "GET", "records/tiny/notes?bodies=1")["records"].values()
        assert len(notes) == sum(note["widget"] == 3 for note in everything)


def test_page_tokens_are_signed_and_can_be_forgotten(tmp_path):
    with served(tmp_path, seed="demo") as client:
        token = client.get("/tiny/widgets", headers=KEY).headers["X-Next"]
        assert client.get("/tiny/widgets", params={"after": token}, headers=KEY).status_code == 200
        bad = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
        assert client.get("/tiny/widgets", params={"after": bad}, headers=KEY).json() == {"problem": "unknown page"}
        control(client, "DELETE", "page-tokens/tiny")
        assert client.get("/tiny/widgets", params={"after": token}, headers=KEY).status_code == 400


def test_callers_are_told_apart(tmp_path):
    with served(tmp_path) as client:
        assert client.get("/tiny/widgets").json() == {"problem": "unknown"}
        narrow = control(client, "POST", "keys", {"provider": "tiny", "scopes": ["notes"]})["secret"]
        basic = base64.b64encode(f"{narrow}:".encode()).decode()
        refused = client.get("/tiny/widgets", headers={"Authorization": f"Basic {basic}"})
        assert (refused.status_code, refused.json()) == (403, {"problem": "needs widgets"})
        control(client, "POST", "expire", {"provider": "tiny", "token": narrow})
        assert client.get("/tiny/widgets", headers={"Authorization": f"Bearer {narrow}"}).json()["problem"] == "expired"
        control(client, "POST", "settings", {"tiny_budget_calls": 2})
        answers = [client.get("/tiny/widgets", headers=KEY) for _ in range(3)]
        assert [(answer.status_code, answer.headers["X-Left"]) for answer in answers] == [
            (200, "1"), (200, "0"), (429, "0")]  # fmt: skip


def test_code_flow_with_challenge_and_rotating_refresh_token(tmp_path):
    with served(tmp_path) as client:
        asked = {"response_type": "code", "client_id": "sandbox-console", "redirect_uri": BACK, "scope": "widgets",
                 "state": "s", "code_challenge": challenge_of("v" * 50), "code_challenge_method": "S256"}  # fmt: skip
        assert "See widgets" in client.get("/tiny/oauth/ask", params=asked).text
        went = client.post("/tiny/oauth/ask", data=asked | {"answer": "allow"}, follow_redirects=False)
        answer = parse_qs(urlsplit(went.headers["location"]).query)
        assert answer["state"] == ["s"]
        app = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
        form = app | {"grant_type": "authorization_code", "code": answer["code"][0], "redirect_uri": BACK}
        assert client.post("/tiny/oauth/token", data=form | {"client_secret": "x"}).status_code == 401
        tokens = client.post("/tiny/oauth/token", json=form | {"code_verifier": "v" * 50}).json()
        assert (tokens["scope"], tokens["expires_in"]) == ("widgets", 3600)
        again = client.post("/tiny/oauth/token", data=form | {"code_verifier": "v" * 50})
        assert again.json()["error"] == "invalid_grant"
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert client.get("/tiny/widgets", headers=bearer).status_code == 200
        assert client.get("/tiny/widgets/1/notes", headers=bearer).status_code == 403
        renew = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        newer = client.post("/tiny/oauth/token", data=renew, auth=tuple(app.values()))
        assert newer.json()["refresh_token"] != tokens["refresh_token"]
        assert client.post("/tiny/oauth/token", data=renew | app).json()["error"] == "invalid_grant"


def test_wrong_challenge_unknown_scope_and_foreign_redirect_are_refused(tmp_path):
    with served(tmp_path) as client:
        asked = {"response_type": "code", "client_id": "sandbox-console", "redirect_uri": BACK, "scope": "nope"}
        went = client.get("/tiny/oauth/ask", params=asked, follow_redirects=False)
        assert "error=invalid_scope" in went.headers["location"]
        away = client.get("/tiny/oauth/ask", params=asked | {"redirect_uri": "http://evil.example"})
        assert away.status_code == 400
        denied = client.post("/tiny/oauth/ask", data=asked | {"scope": "notes"}, follow_redirects=False)
        assert "error=access_denied" in denied.headers["location"]


def test_everything_outlives_a_restart(tmp_path):
    with served(tmp_path) as client:
        record = control(client, "POST", "records/tiny/widgets")["id"]
        token = control(client, "POST", "grants", {"provider": "tiny"})["access_token"]
        control(client, "POST", "settings", {"tiny_token_ttl_s": 7})
    with served(tmp_path) as client:
        rows = client.get("/tiny/widgets", headers={"Authorization": f"Bearer {token}"}).json()
        assert record in [str(row["id"]) for row in rows]
        assert control(client, "GET", "settings")["tiny_token_ttl_s"] == 7


def test_a_side_may_come_to_an_old_folder_and_leave_it_again(tmp_path):
    with served(tmp_path, SIDES[1:], seed="demo") as client:
        control(client, "POST", "settings", {"token_ttl_s": 8})
    with served(tmp_path, (*SIDES[1:], Tiny), seed="demo") as client:
        assert control(client, "GET", "state")["counts"]["tiny"] == {"widgets": 30, "notes": 60}
        control(client, "POST", "settings", {"tiny_token_ttl_s": 7})
    with served(tmp_path, SIDES[1:], seed="demo") as client:
        settings = control(client, "GET", "settings")
        assert (settings["token_ttl_s"], "tiny_token_ttl_s" in settings) == (8, False)


def test_reset_forgets_grants(tmp_path):
    with served(tmp_path) as client:
        token = control(client, "POST", "grants", {"provider": "tiny"})["access_token"]
        control(client, "POST", "reset")
        assert client.get("/tiny/widgets", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_webhook_faults_are_for_sides_that_send_some(tmp_path):
    with served(tmp_path, (Tiny, *SIDES)) as client:
        control(client, "POST", "faults", {"provider": "tiny", "kind": "webhook_drop"})
        refused = client.post("/_control/faults", json={"provider": "salesforce", "kind": "webhook_drop"})
        assert refused.status_code == 400
        assert client.get("/tiny/widgets", headers=KEY).status_code == 200
