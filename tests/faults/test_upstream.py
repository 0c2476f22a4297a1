"""Everything an upstream API can do to us; afterwards log = upstream = stream, and every message was in order."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from syncs import access
from syncs.models import Credential, Feed, Hint, Record, Sync, SyncCollection
from syncs.providers.kit import client
from tests.faults.report import SEED, rounds
from tests.faults.rig import COLLECTIONS, Rig
from tests.nats_server import nats_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
Told = Callable[..., None]
HELD = "nothing lost, nothing backwards; log = upstream = stream"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def rig(shared: RunningSandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """An empty upstream that hands out small pages, and a console that has four seconds for a task."""
    shared.control("POST", "reset", {"seed": "empty"})
    shared.control("POST", "settings", {"page_size_cap": 25})
    settings.PROVIDER_URLS = f'{{"salesforce": "{shared.salesforce}", "stripe": "{shared.stripe}"}}'
    settings.BUDGET_S, settings.TASK_TIMEOUT_S, settings.LEASE_S = 4, 7, 8
    queue: deque[tuple[str, Any]] = deque()
    monkeypatch.setattr("sequin_console.common.task_queue.async_task", lambda *args, **_: queue.append(args))
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.02)
    with nats_server() as nats:
        yield Rig(shared, nats, queue, SEED)


OTHER = {"salesforce": "stripe", "stripe": "salesforce"}
# Everything an API answers with, or does not: what strikes, and words that the held unit then shows.
STORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "server_error": ("has trouble at the moment", {}),
    "unavailable": ("has trouble at the moment", {}),
    "rate_limit": ("slow down|limit of API calls", {}),
    "rate_limit with Retry-After": ("slow down|limit of API calls", {"retry_after": 30}),
    "drop": ("did not answer", {}),
    "reset": ("did not answer", {}),
    "truncated": ("cut off", {}),
    "malformed": ("cut off", {}),
    "garbled_gzip": ("did not answer", {}),
    "redirect": ("another address|do not understand", {}),
    "hang": ("did not answer in time", {}),
    "trickle": ("did not answer in time", {}),
}


def words_of(sync: Sync) -> list[tuple[str, str]]:
    """What is shown of this sync's troubles, and what to do about each."""
    units = [Credential.objects.filter(syncs=sync), Feed.objects.filter(sync=sync), sync.collections.all()]
    return [pair for unit in units for pair in unit.exclude(error="").values_list("error", "next_step")]


@pytest.mark.parametrize("kind", STORMS)
@pytest.mark.parametrize("provider", COLLECTIONS)
def test_storm(rig: Rig, provider: str, kind: str, record_fault: Told) -> None:
    """Nothing of one API works for a while: it is told in words, and the other API's sync goes on."""
    words, more = STORMS[kind]
    sick, well = rig.connect(provider, records=40), rig.connect(OTHER[provider], records=40)
    rig.turn()
    path = {"path": "/v1/"} if provider == "stripe" else {"path": "/services/data"}
    fault = rig.fault(provider, kind.partition(" ")[0], **path, **more)
    for _ in range(rounds(1, 10)):
        rig.edit(8)
        rig.later()
        rig.turn()
    assert rig.hits(fault) > 0
    told = words_of(sick)
    assert told
    assert all(re.search(words, error) and step for error, step in told), told
    assert words_of(well) == []
    assert rig.log_problems(OTHER[provider]) == []
    assert rig.undelivered(well) == []
    rig.heal()
    rig.reconnect(provider)
    rig.settle()
    assert words_of(sick) == []
    record_fault(what=f"upstream: {kind} for a while", times=rounds(1, 10), outcome=HELD, promise="fenced")
    rig.judge()


@pytest.mark.parametrize("provider", COLLECTIONS)
def test_half_of_all_requests_fail(rig: Rig, provider: str, record_fault: Told) -> None:
    rig.connect(provider, records=60)
    rig.fault(provider, "server_error", share=0.5)
    for _ in range(rounds(4, 40)):
        rig.edit(5)
        rig.later()
        rig.turn()
    rig.heal()
    rig.settle()
    record_fault(
        what="upstream: half of all requests fail",
        times=rounds(4, 40),
        outcome=HELD,
        promise="fenced",
    )
    rig.judge()


def a_few_pages_a_turn(rig: Rig, settings: Any) -> None:
    rig.sandbox.control("POST", "settings", {"page_size_cap": 2})
    settings.BUDGET_S = 0.1


SICK = {
    "salesforce": ("FROM Lead", "salesforce:lead", "salesforce:contact"),
    "stripe": ("/v1/products", "stripe:product", "stripe:customer"),
}


def reasons(row: SyncCollection) -> list[tuple[str, str]]:
    """What is told of this collection: its own trouble, its feed's where that is its own, records set aside."""
    alone = [row.feed] if row.feed.collections.count() == 1 else []
    told = [(unit.error, unit.next_step) for unit in (row, *alone) if unit.error]
    return told + [(line, "tried again every 10 minutes") for line in row.skipped_sample]


@pytest.mark.parametrize("provider", COLLECTIONS)
@pytest.mark.parametrize("moment", ["history", "changes"])
def test_a_page_that_always_fails_holds_its_collection_alone(
    rig: Rig, provider: str, moment: str, record_fault: Told
) -> None:
    """The other collection of the same sync is read, and read again, as if nothing were wrong."""
    path, sick, well = SICK[provider]
    sync = rig.connect(provider, records=40)
    if moment == "changes":
        rig.settle()
    rig.fault(provider, "server_error", path=path)
    for _ in range(3):
        rig.edit(12)
        rig.later()
        rig.turn()
        assert [problem for problem in rig.log_problems() if well in problem] == []
        assert rig.undelivered(sync) == []
    rows = {row.collection_id: row for row in sync.collections.select_related("feed")}
    assert [line for line in words_of(sync) if line not in reasons(rows[sick])] == []
    assert reasons(rows[sick])
    assert rows[well].skipped_count == 0
    rig.heal()
    rig.settle()
    record_fault(
        what=f"upstream: a page of {moment} always fails", times=3, outcome=f"that collection alone waits; {HELD}",
        promise="fenced",
    )  # fmt: skip
    rig.judge()


@pytest.mark.parametrize("provider", COLLECTIONS)
def test_place_lost_in_mid_backfill(rig: Rig, provider: str, settings: Any, record_fault: Told) -> None:
    """The page token is refused, or the very record it names is deleted: history goes on, none missed."""
    sync = rig.connect(provider, records=600)  # more pages than a turn can read, on any machine
    a_few_pages_a_turn(rig, settings)
    lost, times = 0, rounds(4, 30)
    while lost < times and sync.collections.exclude(phase="live").exists():
        rig.later()
        rig.turn()
        for row in sync.collections.exclude(backfill_cursor=None):
            name, stands_at = COLLECTIONS[provider][row.collection_id], row.backfill_cursor.get("after")
            if stands_at:
                rig.sandbox.control("DELETE", f"records/{provider}/{name}/{stands_at}")
                lost += 1
        if provider == "salesforce":
            rig.sandbox.control("DELETE", "locators")
        rig.fault(provider, "lost_page_token", times=1)
        rig.edit(4)
    assert lost
    settings.BUDGET_S = 4
    rig.heal()
    rig.settle()
    record_fault(what="upstream: place lost in mid-backfill", times=lost, outcome=HELD, promise="fenced")
    rig.judge()


@pytest.mark.parametrize("provider", COLLECTIONS)
def test_access_lost_and_renewed_in_mid_page(rig: Rig, provider: str, settings: Any, record_fault: Told) -> None:
    """Salesforce's session ends: renewed by itself. Stripe's key expires: a person is asked for another, in words."""
    sync, well = rig.connect(provider, records=120), rig.connect(OTHER[provider], records=20)
    a_few_pages_a_turn(rig, settings)
    times = rounds(4, 30)
    for _ in range(times):
        fault = rig.fault(provider, "expired_token", times=1)
        rig.edit(4)
        while rig.hits(fault) == 0:
            rig.later()
            rig.turn()
        credential = Credential.objects.get(syncs=sync)
        if provider == "stripe":
            assert (credential.state, credential.error) == ("reconnect", "The Stripe key has expired.")
            assert "Create a restricted key" in credential.next_step
            rig.reconnect(provider)
        assert words_of(well) == []
    settings.BUDGET_S = 4
    rig.heal()
    rig.settle()
    assert words_of(sync) == []
    record_fault(what="upstream: access ends in mid-page", times=times, outcome=HELD, promise="fenced")
    rig.judge()


def test_rotated_refresh_token_whose_answer_is_lost(rig: Rig, record_fault: Told) -> None:
    """The old token died with the answer that held the new one: that connection alone asks for a person."""
    rig.sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    sync, well = rig.connect("salesforce", records=40), rig.connect("stripe", records=20)
    rig.turn()
    times = rounds(1, 10)
    for _ in range(times):
        rig.sandbox.control("POST", "expire", {"provider": "salesforce"})
        rig.fault("salesforce", "drop", path="/services/oauth2/token", times=1)
        rig.edit(10)
        for _ in range(2):
            rig.later()
            rig.turn()
        credential = Credential.objects.get(syncs=sync)
        assert credential.state == "reconnect"
        assert credential.error
        assert "econnect" in credential.next_step
        assert words_of(well) == []
        assert rig.log_problems("stripe") == []
        rig.reconnect("salesforce")
    rig.settle()
    assert words_of(sync) == []
    record_fault(
        what="upstream: rotated refresh token lost with its answer",
        times=times,
        outcome=f"asks for a person; {HELD}",
        promise="fenced",
    )
    rig.judge()


@pytest.mark.parametrize("provider", COLLECTIONS)
@pytest.mark.parametrize("skews_s", [(660,), (-600,), (600, -600)], ids=["ahead", "behind", "jumping"])
def test_wrong_clock_upstream(
    rig: Rig, provider: str, skews_s: tuple[int, ...], settings: Any, record_fault: Told
) -> None:
    """The `Date` header is wrong, and rows show later than younger ones: none is passed over."""
    rig.connect(provider, records=20)
    rig.settle()
    times = rounds(1, 10) * len(skews_s)
    for number in range(times):
        rig.heal()
        rig.fault(provider, "clock_skew", seconds=skews_s[number % len(skews_s)])
        rig.sandbox.control("POST", "settings", {"commit_delay_s": 2.5, "events_delay_s": 2.5})
        rig.edit(4)
        time.sleep(1)
        rig.sandbox.control("POST", "settings", {"commit_delay_s": 0.0, "events_delay_s": 0.0})
        rig.edit(4)
        rig.later()
        rig.turn()
        time.sleep(2)
    rig.settle(within_s=20)
    what = f"upstream: its clock is wrong by {' and '.join(f'{skew / 60:+g}' for skew in skews_s)} minutes"
    record_fault(what=what, times=times, outcome=HELD, promise="fenced")
    rig.judge()


# What a sync is doing when upstream falls silent: its provider, and the requests that are never answered.
SILENCES = {
    "history": ("stripe", "/v1/customers"),
    "changes": ("stripe", "/v1/events"),
    "sweep": ("stripe", "/v1/customers"),
    "webhook": ("stripe", "/v1/customers/"),
    "sign-in": ("salesforce", "/services/oauth2/token"),
}


def begin(walk: str, rig: Rig, sync: Sync) -> None:
    """Have this walk be what is due next."""
    now = timezone.now()
    row = sync.collections.order_by("collection_id")[0]
    if walk == "changes":
        rig.edit(6)
    elif walk == "sweep":
        SyncCollection.objects.filter(pk=row.pk).update(sweep_due_at=now)
    elif walk == "webhook":
        named = Record.objects.filter(collection=row).values_list("upstream_id", flat=True)[0]
        Hint.objects.create(feed=row.feed, collection=row, upstream_id=named, due_at=now, noted_at=now)
    elif walk == "sign-in":
        rig.sandbox.control("POST", "expire", {"provider": sync.provider})


@pytest.mark.parametrize("kind", ["hang", "trickle"])
@pytest.mark.parametrize("walk", SILENCES)
def test_silence_never_holds_a_worker(
    rig: Rig, walk: str, kind: str, monkeypatch: pytest.MonkeyPatch, record_fault: Told
) -> None:
    """The answer would take ten minutes. The task ends in time to say what happened, and the neighbour is read."""
    monkeypatch.setattr(access, "GRANT_S", 2)  # as short beside a task of seven seconds as 15 are beside a real one
    provider, path = SILENCES[walk]
    sick, well = rig.connect(provider, records=30), rig.connect(OTHER[provider], records=20)
    if walk != "history":
        rig.settle()
    begin(walk, rig, sick)
    fault = rig.fault(provider, kind, path=path)
    rig.later()
    began_at = time.monotonic()
    rig.turn()
    assert time.monotonic() - began_at < 60  # a turn is a few tasks of at most seven seconds, on any machine
    assert rig.hits(fault) > 0
    told = words_of(sick)
    assert told
    assert all("did not answer" in error and step for error, step in told), told
    assert words_of(well) == []
    assert rig.log_problems(OTHER[provider]) == []
    rig.heal()
    rig.settle()
    rig.later()
    rig.turn()  # a look that finds nothing amiss ends what was said of a webhook's record
    assert words_of(sick) == []
    record_fault(
        what=f"upstream: {kind} during {walk}", times=1, outcome=f"no worker is held; {HELD}", promise="fenced"
    )
    rig.judge()
