"""Salesforce's change events: what is told, what refusals mean, which cookies are kept."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, ProviderError, RateLimited, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.streaming import Heard
from syncs.providers.kit.webhooks import Told
from syncs.providers.salesforce import change_events, streaming
from syncs.providers.salesforce.catalogue import collection

CONTACT, INVOICE = collection("Contact", "Contacts"), collection("Invoice__c", "Invoices", custom=True)
ONE, TWO = "003Dn00000AbCdEIAV", "003Dn00000AbCdFIAV"


def event(**header: Any) -> dict[str, Any]:
    payload = {"ChangeEventHeader": {"entityName": "Contact", "changeType": "UPDATE", **header}}
    return {"channel": "/data/ContactChangeEvent", "data": {"payload": payload, "event": {"replayId": 5}}}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"recordIds": [ONE]}, [ONE]),
        ({"recordIds": [ONE, TWO, ONE]}, [ONE, TWO]),
        ({"recordIds": [ONE], "changeType": "GAP_UPDATE"}, [ONE]),
        ({"recordIds": [ONE[:15]]}, [ONE[:15]]),
        ({"recordIds": [ONE], "changeType": "GAP_OVERFLOW"}, [""]),
        ({"recordIds": ["003*"]}, [""]),
        ({"recordIds": ["000000000000000AAA"]}, [""]),
        ({"recordIds": []}, [""]),
        ({"recordIds": "003Dn00000AbCdEIAV"}, [""]),
        ({"recordIds": [17, None]}, [""]),
        ({}, [""]),
    ],
)
def test_events_name_records_or_ask_for_a_look(header: dict[str, Any], expected: list[str]) -> None:
    assert change_events.told_by(event(**header), CONTACT) == [Told(CONTACT.id, each) for each in expected]


def test_an_event_of_another_shape_asks_for_a_look() -> None:
    for data in ({}, {"payload": None}, {"payload": {"ChangeEventHeader": None}}):
        assert change_events.told_by({"channel": "/data/ContactChangeEvent", "data": data}, CONTACT) == [
            Told(CONTACT.id)
        ]


def test_custom_objects_have_events_of_their_own_spelling() -> None:
    assert change_events.event_of(CONTACT) == "ContactChangeEvent"
    assert change_events.event_of(INVOICE) == "Invoice__ChangeEvent"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("403::Organization total events daily limit exceeded", RateLimited),
        ("403::Organization concurrent user limit exceeded", RateLimited),
        ("403::Unknown client", UpstreamFailed),
        ("403::Client has not completed handshake", UpstreamFailed),
        ("400::Client abc has established a session, but no BAYEUX_BROWSER cookie present", UpstreamFailed),
        ("503::Server is too busy.  Please try your request again later.", UpstreamFailed),
        ("403::Restricted channel", PermissionMissing),
        ("418::Teapot", UnexpectedShape),
    ],
)
def test_refusals_mean_what_the_guide_says(error: str, kind: type[ProviderError]) -> None:
    assert isinstance(change_events.meaning({"error": error}), kind)
    inside = {"error": "403::Handshake denied", "ext": {"sfdc": {"failureReason": error}}}
    assert isinstance(change_events.meaning(inside), kind)


def test_a_used_up_allowance_waits_a_quarter_of_an_hour() -> None:
    error = change_events.meaning({"error": "403::Organization total events daily limit exceeded"})
    assert error.retry_after_s == 15 * 60


def test_cookies_are_taken_by_name_and_value_alone() -> None:
    lines = [("set-cookie", "BAYEUX_BROWSER=abc; Path=/; HttpOnly"), ("set-cookie", "t=x/y+z=; Secure"), ("x", "y")]
    answer = Answer(200, httpx.Headers(lines), b"")
    assert change_events.cookies_of(answer) == {"BAYEUX_BROWSER": "abc", "t": "x/y+z="}


@pytest.fixture(autouse=True)
def however_slow_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer in memory was not waited for, though it took its time."""
    monkeypatch.setattr(streaming, "QUICK_S", 600.0)


# --- Over a transport ------------------------------------------------------------------------------------------------


class Source:
    """Access that can be renewed as often as one likes."""

    number = 1

    async def access(self) -> Access:
        return Access("https://acme.my.salesforce.com", {"Authorization": f"Bearer token-{self.number}"})

    async def renew(self, refused: Access) -> Access:
        self.number += 1
        return await self.access()


async def hear(
    answer: Callable[[dict[str, Any], httpx.Request], Any], most: int, waits: list[float] | None = None
) -> list[Heard]:
    """What is heard, up to so many waits, from an upstream that answers each first message like this."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/tooling/query"):
            rows = [{"SelectedEntity": "ContactChangeEvent"}]
            return httpx.Response(200, json={"totalSize": 1, "done": True, "records": rows})
        messages = json.loads(request.content)
        found = answer(messages[0], request)
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    async def no_wait(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        client = Client.of(PROVIDERS["salesforce"], http, Source(), draw_read_no=lambda: 0, sleep=no_wait)
        walk = streaming.listen(client, [CONTACT, INVOICE], {"/data/ContactChangeEvent": 3})
        heard: list[Heard] = []
        try:
            async for each in walk:
                heard.append(each)
                if len(heard) == most:
                    break
        finally:
            await walk.aclose()
    return heard


def good(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"channel": message["channel"], "id": message["id"], "successful": True, **more}


async def test_a_session_carries_cookie_token_and_place_and_takes_leave() -> None:
    seen: list[tuple[str, str, str]] = []

    def answer(message: dict[str, Any], request: httpx.Request) -> Any:
        seen.append((message["channel"], request.headers["authorization"], request.headers.get("cookie", "")))
        if message["channel"] == "/meta/handshake":
            headers = {"set-cookie": "BAYEUX_BROWSER=abc; Path=/"}
            return httpx.Response(200, json=[good(message, clientId="c1")], headers=headers)
        if message["channel"] == "/meta/subscribe":
            assert message["ext"] == {"replay": {"/data/ContactChangeEvent": 3}}
            return [good(message, subscription=message["subscription"])]
        return [event(recordIds=[ONE]), good(message)]

    first, second = await hear(answer, 2)
    assert list(first.lacking) == [INVOICE.id]
    assert second.told == (Told(CONTACT.id, ONE),)
    assert second.place == {"/data/ContactChangeEvent": 5}
    assert [channel for channel, _, _ in seen] == [
        f"/meta/{n}" for n in ("handshake", "subscribe", "connect", "disconnect")
    ]
    assert {token for _, token, _ in seen} == {"OAuth token-1"}
    assert [cookie for _, _, cookie in seen] == ["", *["BAYEUX_BROWSER=abc"] * 3]


async def test_access_that_stays_refused_ends_in_words_that_leave_reading_alone() -> None:
    tokens: list[str] = []

    def answer(message: dict[str, Any], request: httpx.Request) -> Any:
        tokens.append(request.headers["authorization"])
        reason = {"sfdc": {"failureReason": "401::Authentication invalid"}}
        return [good(message, successful=False, error="403::Handshake denied", ext=reason)]

    with pytest.raises(PermissionMissing) as caught:
        await hear(answer, 1)
    assert tokens == ["OAuth token-1", "OAuth token-2", "OAuth token-3"]
    assert "token" not in caught.value.detail


async def test_a_client_that_is_forgotten_again_and_again_ends_the_session() -> None:
    """As where a proxy drops cookies: each first poll is answered, each second one is a stranger's."""
    polls: list[str] = []

    def answer(message: dict[str, Any], request: httpx.Request) -> Any:
        if message["channel"] == "/meta/connect":
            polls.append(message["clientId"])
            if len(polls) % 2 == 0:
                return [{"error": "403::Unknown client", "successful": False, "advice": {"reconnect": "handshake"}}]
        return [good(message, clientId="c1", subscription=message.get("subscription"))]

    with pytest.raises(UpstreamFailed):
        await hear(answer, 50)
    assert len(polls) == 2 * streaming.TRIES


async def test_answers_that_nobody_waited_for_are_asked_for_ever_less_often() -> None:
    waits: list[float] = []

    def answer(message: dict[str, Any], request: httpx.Request) -> Any:
        return [good(message, clientId="c1", subscription=message.get("subscription"))]

    assert len(await hear(answer, 6, waits)) == 6
    assert waits == [0, 1, 2, 3]


async def test_an_edition_without_the_streaming_api_offers_nothing() -> None:
    [heard] = await hear(lambda message, request: httpx.Response(404, json=[{"errorCode": "NOT_FOUND"}]), 5)
    assert set(heard.lacking) == {CONTACT.id, INVOICE.id}
    assert heard.told == ()


async def test_an_answer_of_another_shape_is_said() -> None:
    with pytest.raises(UnexpectedShape):
        await hear(lambda message, request: {"not": "a list"}, 1)
