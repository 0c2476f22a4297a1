"""The sandbox's Streaming API, as its guide has it."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from sandbox.app import create_app
from sandbox.salesforce.change_events import KEPT_MS
from sandbox.salesforce.side import Salesforce

CHANNEL = "/data/ContactChangeEvent"


class Org:
    """One client of the Streaming API, and the control API beside it."""

    def __init__(self, client: TestClient) -> None:
        self.client, self.client_id = client, ""
        self.set(salesforce_hold_s=0.0, salesforce_change_data_capture="Contact")
        self.token = self.control("POST", "grants", {"provider": "salesforce"})["access_token"]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.request(method, f"/_control/{path}", json=body).raise_for_status().json()

    def set(self, **settings: Any) -> None:
        self.control("POST", "settings", settings)

    def send(self, channel: str, **message: Any) -> list[dict[str, Any]]:
        told = {"channel": channel, "id": "1", "clientId": self.client_id, **message}
        headers = {"Authorization": f"OAuth {self.token}"}
        return self.client.post("/salesforce/cometd/67.0", json=[told], headers=headers).json()

    def shake_hands(self) -> dict[str, Any]:
        [answer] = self.send("/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])
        self.client_id = answer.get("clientId", "")
        return answer

    def subscribe(self, channel: str = CHANNEL, replay: int = -1) -> dict[str, Any]:
        [answer] = self.send("/meta/subscribe", subscription=channel, ext={"replay": {channel: replay}})
        return answer

    def poll(self) -> list[dict[str, Any]]:
        return self.send("/meta/connect", connectionType="long-polling")

    def create(self, name: str = "Contact") -> str:
        return self.control("POST", f"records/salesforce/{name}", {})["id"]


@pytest.fixture
def org(tmp_path: Any) -> Iterator[Org]:
    with TestClient(create_app(tmp_path, "empty", sides=(Salesforce,)), base_url="http://127.0.0.1") as client:
        yield Org(client)


@pytest.fixture
def listening(org: Org) -> Org:
    assert org.shake_hands()["successful"]
    assert org.subscribe()["successful"]
    [answer] = org.poll()
    assert answer["successful"]
    return org


def headers_of(messages: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    found = [message["data"]["payload"]["ChangeEventHeader"] for message in messages if "data" in message]
    return [(header["changeType"], header["recordIds"]) for header in found]


def test_changes_are_told_in_their_order_and_formulas_are_not(listening: Org) -> None:
    one, path = listening.create(), "records/salesforce/Contact"
    listening.control("PATCH", f"{path}/{one}", {"LastName": "Lee"})
    listening.control("PATCH", f"{path}/{one}?keep_stamp=1", {"Title": "By formula"})
    listening.control("DELETE", f"{path}/{one}")
    listening.control("POST", f"{path}/{one}/undelete")
    listening.control("DELETE", f"{path}/{one}?hard=1")
    listening.create("Account")  # not ticked
    kinds = ["CREATE", "UPDATE", "DELETE", "UNDELETE", "DELETE"]
    assert headers_of(listening.poll()) == [(kind, [one]) for kind in kinds]
    assert headers_of(listening.poll()) == []


def test_replay_goes_back_as_far_as_events_are_kept(listening: Org) -> None:
    one, two = listening.create(), listening.create()
    first = listening.poll()[0]["data"]["event"]["replayId"]
    assert listening.subscribe(replay=-2)["successful"]
    assert [ids for _, ids in headers_of(listening.poll())] == [[one], [two]]
    assert listening.subscribe(replay=first)["successful"]
    assert [ids for _, ids in headers_of(listening.poll())] == [[two]]
    assert "provided was invalid" in listening.subscribe(replay=9_999)["error"]
    listening.set(clock_skew_s=KEPT_MS / 1000 + 60)
    assert listening.shake_hands()["error"] == "403::Handshake denied"  # the token's time is over, too
    listening.token = listening.control("POST", "grants", {"provider": "salesforce"})["access_token"]
    listening.shake_hands()
    assert "provided was invalid" in listening.subscribe(replay=first)["error"]


def test_who_is_refused_and_in_which_words(org: Org) -> None:
    [answer] = org.poll()
    assert (answer["error"], answer["advice"]["reconnect"]) == ("403::Unknown client", "handshake")
    org.shake_hands()
    org.client.cookies.clear()
    assert "no BAYEUX_BROWSER cookie present" in org.subscribe()["error"]
    org.shake_hands()
    assert "doesn't exist" in org.subscribe("/data/UserRoleChangeEvent")["error"]
    org.set(salesforce_view_all=False)
    assert "View All Data" in org.subscribe()["error"]
    org.set(salesforce_view_all=True, salesforce_events_max=0)
    assert org.subscribe()["error"] == "403::Organization total events daily limit exceeded"
    org.set(salesforce_streaming_clients=0)
    assert org.shake_hands()["ext"]["sfdc"]["failureReason"] == "403::Organization concurrent user limit exceeded"


def test_token_limit_and_client_end_while_a_poll_waits(listening: Org) -> None:
    listening.control("POST", "expire", {"provider": "salesforce"})
    assert listening.poll()[0]["error"] == "401::Authentication invalid"
    assert listening.shake_hands()["ext"]["sfdc"]["failureReason"] == "401::Authentication invalid"
    listening.token = listening.control("POST", "grants", {"provider": "salesforce"})["access_token"]
    listening.shake_hands()
    listening.subscribe()
    listening.set(salesforce_events_max=1)
    listening.create()
    assert len(headers_of(listening.poll())) == 1
    assert listening.poll()[0]["error"] == "403::Organization total events daily limit exceeded"
    assert listening.control("DELETE", "salesforce/subscribers")["delivered"] == 1
    assert listening.poll()[0]["error"] == "403::Unknown client"


def test_setup_tells_what_is_ticked_to_who_may_see_it(org: Org) -> None:
    query = {"q": "SELECT SelectedEntity FROM PlatformEventChannelMember WHERE EventChannel = 'ChangeEvents'"}

    def ask() -> Any:
        headers = {"Authorization": f"Bearer {org.token}"}
        path = "/salesforce/services/data/v67.0/tooling/query"
        return org.client.get(path, params=query, headers=headers).json()

    org.set(salesforce_change_data_capture="Contact, Invoice__c")
    assert [row["SelectedEntity"] for row in ask()["records"]] == ["ContactChangeEvent", "Invoice__ChangeEvent"]
    org.set(salesforce_shows_setup=False)
    assert ask()[0]["errorCode"] == "INVALID_TYPE"


@pytest.mark.parametrize("version", ["36.0", "x", ""])
def test_old_versions_are_refused(org: Org, version: str) -> None:
    assert org.client.post(f"/salesforce/cometd/{version}", json=[]).status_code == 400
