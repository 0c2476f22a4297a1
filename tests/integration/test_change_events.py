"""Change events of the sandbox's Salesforce, over a connection that is held open: hints only, and one listener."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from syncs import connections, listening, oauth_apps, tasks
from syncs.models import (
    NO_SYNC,
    ChangeStream,
    Credential,
    Feed,
    Hint,
    OAuthApp,
    Record,
    RecordChange,
    RequestCount,
    SeenBy,
    Sync,
)
from syncs.providers.salesforce import streaming
from syncs.services import create_sync
from tests.api_client import ApiClient

pytestmark = [
    pytest.mark.queue,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("queued"),
    pytest.mark.timeout(600),
]
TICKED = "Account,Contact"
PLAIN = {"salesforce_hold_s": 1.0, "salesforce_change_data_capture": TICKED, "salesforce_events_max": 25_000,
         "salesforce_shows_setup": True, "salesforce_view_all": True}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: RunningSandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """An empty org in which two objects are ticked; taking leave may last as long as a busy machine needs."""
    monkeypatch.setattr(streaming, "LEAVE_S", 60.0)
    monkeypatch.setattr(listening, "STOP_S", 90.0)
    shared.control("POST", "reset", {"seed": "empty"})
    shared.control("POST", "settings", PLAIN)
    settings.PROVIDER_URLS = json.dumps({"salesforce": shared.salesforce})
    return shared


def wait_until(holds: Callable[[], Any], seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.02)
    return found


def connect(sandbox: RunningSandbox) -> Credential:
    grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
    names = {"client_id": grant["client_id"], "client_secret": grant["client_secret"]}
    app = OAuthApp.objects.first() or oauth_apps.create({"provider": "salesforce", **names}, by=None)
    data = {"provider": "salesforce", "kind": "salesforce", "name": "Org", "oauth_app": app}
    secrets, place = {"refresh_token": grant["refresh_token"]}, {"instance_url": grant["instance_url"]}
    return connections.create_credential({**data, "secrets": secrets, "settings": place}, by=None)


def read(sync: Sync) -> None:
    Feed.objects.update(queued_until=None)
    tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))


def follow(sync: Sync) -> None:
    """Read what is named, until nothing is left: a run passes over a feed that is being queued at that moment."""
    wait_until(lambda: read(sync) or not Hint.objects.exists())


def make_sync(sandbox: RunningSandbox, *names: str) -> Sync:
    """A sync of Contacts (or these) whose history is read, and which would look again in an hour."""
    picked = [f"salesforce:{name}" for name in names or ("contact",)]
    data = {"name": "Org", "credential": connect(sandbox), "collection_ids": picked, "poll_s": 3600}
    made = create_sync(data, by=None)
    read(made)
    assert set(made.collections.values_list("phase", flat=True)) == {"live"}
    return made


@pytest.fixture
def ears() -> Iterator[Callable[[], listening.Listener]]:
    """Listeners of as many processes as a test asks for."""
    made: list[listening.Listener] = []

    def make() -> listening.Listener:
        made.append(listening.Listener())
        return made[-1]

    yield make
    for listener in made:
        listener.stop()


@pytest.fixture
def listener(ears: Callable[[], listening.Listener]) -> listening.Listener:
    return ears()


def stream() -> ChangeStream:
    return ChangeStream.objects.get()


def listen(listener: listening.Listener) -> None:
    """Attend until we are connected."""

    def is_connected() -> bool:
        listener.attend()
        row = ChangeStream.objects.first()
        return row is not None and row.connected_at is not None

    wait_until(is_connected)


def subscribers(sandbox: RunningSandbox) -> list[list[str]]:
    return list(sandbox.control("GET", "salesforce/subscribers")["subscribers"].values())


def create(sandbox: RunningSandbox, name: str = "Contact", **fields: Any) -> str:
    return sandbox.control("POST", f"records/salesforce/{name}", fields)["id"]


def hints() -> set[str]:
    return set(Hint.objects.values_list("upstream_id", flat=True))


def heard(listener: listening.Listener, *ids: str) -> None:
    """Wait until these records are named, whatever happens to the connection meanwhile."""

    def are_named() -> bool:
        listener.attend()
        return set(ids) <= hints()

    wait_until(are_named)


def in_log(sync: Sync) -> dict[str, bool]:
    return dict(Record.objects.filter(sync=sync).values_list("upstream_id", "deleted"))


# --- From a change to the log ----------------------------------------------------------------------------------------


def test_a_change_is_read_long_before_the_next_look_and_no_task_is_held(sandbox, listener, queued) -> None:
    kept = create(sandbox, LastName="Before")
    sync = make_sync(sandbox)
    queued.clear()
    listen(listener)
    assert queued == []  # waiting is no task
    assert sync.feeds.get().lease_until is None
    looked_at = sync.feeds.get().looked_at
    sandbox.control("PATCH", f"records/salesforce/Contact/{kept}", {"LastName": "After"})
    new = create(sandbox, LastName="New")
    heard(listener, kept, new)
    wait_until(lambda: {call[0] for call in queued} == {"syncs.tasks.read_feeds"})  # after they are named
    follow(sync)
    assert json.loads(Record.objects.get(upstream_id=kept).data)["LastName"] == "After"
    assert in_log(sync) == {kept: False, new: False}
    assert set(RecordChange.objects.values_list("seen_by", flat=True)) == {SeenBy.WEBHOOK}
    assert sync.feeds.get().looked_at == looked_at  # nobody looked
    row = stream()
    assert row.received >= 2
    assert row.last_event_at is not None
    listener.stop()
    assert RequestCount.objects.filter(purpose="webhooks", sync_id=NO_SYNC).exists()


def test_deletions_of_every_kind_are_told(sandbox, listener) -> None:
    binned, gone, back = (create(sandbox, LastName=name) for name in ("Binned", "Gone", "Back"))
    sync = make_sync(sandbox)
    listen(listener)
    sandbox.control("DELETE", f"records/salesforce/Contact/{binned}")
    sandbox.control("DELETE", f"records/salesforce/Contact/{gone}?hard=1")
    sandbox.control("DELETE", f"records/salesforce/Contact/{back}")
    sandbox.control("POST", f"records/salesforce/Contact/{back}/undelete")
    last = create(sandbox, LastName="Last")
    heard(listener, binned, gone, back, last)
    follow(sync)
    assert in_log(sync) == {binned: True, gone: True, back: False, last: False}


def test_what_is_told_twice_or_about_something_else_changes_nothing(sandbox, listener) -> None:
    mine = create(sandbox, LastName="Mine")
    sync = make_sync(sandbox)
    listen(listener)
    create(sandbox, "Account", Name="Not synced")
    for _ in range(3):
        sandbox.control("POST", "salesforce/events", told("UPDATE", mine))
    sandbox.control("POST", "salesforce/events", told("UPDATE", "003000000000ABCAA0"))
    heard(listener, mine, "003000000000ABCAA0")
    follow(sync)
    assert in_log(sync) == {mine: False}
    assert not RecordChange.objects.exists()
    assert not Hint.objects.exists()


def told(kind: str, *ids: str) -> dict[str, Any]:
    return {"entityName": "Contact", "changeType": kind, "recordIds": list(ids)}


@pytest.mark.parametrize(
    ("kind", "ids", "expected"),
    [
        ("GAP_UPDATE", ["003000000000ABCAA0"], "003000000000ABCAA0"),
        ("GAP_DELETE", ["003000000000ABCAA0"], "003000000000ABCAA0"),
        ("GAP_OVERFLOW", ["000000000000000AAA"], ""),
        ("UPDATE", ["003*"], ""),
    ],
)
def test_gap_events_name_records_and_overflows_ask_for_a_look(sandbox, listener, kind, ids, expected) -> None:
    make_sync(sandbox)
    listen(listener)
    sandbox.control("POST", "salesforce/events", told(kind, *ids))
    heard(listener, expected)
    assert hints() == {expected}


# --- What upstream refuses -------------------------------------------------------------------------------------------


def test_a_token_that_ends_in_mid_poll_is_renewed_and_nothing_is_missed(sandbox, listener) -> None:
    sync = make_sync(sandbox)
    listen(listener)
    before = Credential.objects.get().secrets["access_token"]
    first = create(sandbox, LastName="First")
    heard(listener, first)
    sandbox.control("POST", "expire", {"provider": "salesforce"})
    second = create(sandbox, LastName="Second")
    heard(listener, second)
    assert Credential.objects.get().secrets["access_token"] != before
    assert stream().error == ""
    follow(sync)
    assert in_log(sync) == {first: False, second: False}


def test_a_client_that_upstream_forgot_shakes_hands_again(sandbox, listener) -> None:
    make_sync(sandbox)
    listen(listener)
    first = create(sandbox, LastName="First")
    heard(listener, first)
    sandbox.control("DELETE", "salesforce/subscribers")
    second = create(sandbox, LastName="Second")
    heard(listener, second)
    assert subscribers(sandbox) == [["/data/ContactChangeEvent"]]


@pytest.mark.parametrize("fault", ["drop", "truncated", "server_error"])
def test_events_that_went_with_a_lost_answer_are_told_once_more(sandbox, listener, fault) -> None:
    make_sync(sandbox)
    listen(listener)
    first = create(sandbox, LastName="First")
    heard(listener, first)
    sandbox.control("POST", "faults", {"provider": "salesforce", "kind": fault, "path": "/cometd", "times": 2})
    second = create(sandbox, LastName="Second")
    heard(listener, second)


def test_a_place_that_upstream_lost_asks_for_a_look_and_goes_on_from_now(sandbox, listener) -> None:
    make_sync(sandbox)
    listen(listener)
    heard(listener, create(sandbox, LastName="First"))
    assert stream().place["/data/ContactChangeEvent"] > 0
    sandbox.control("DELETE", "salesforce/events")
    sandbox.control("DELETE", "salesforce/subscribers")
    heard(listener, "")
    second = create(sandbox, LastName="Second")
    heard(listener, second)


def test_an_old_place_is_not_gone_back_to(sandbox, ears) -> None:
    make_sync(sandbox)
    first, second = ears(), ears()
    listen(first)
    heard(first, create(sandbox, LastName="First"))
    first.stop()
    Hint.objects.all().delete()
    missed = create(sandbox, LastName="Missed")
    ChangeStream.objects.update(heard_at=timezone.now() - timedelta(hours=2))
    listen(second)
    assert stream().place == {}  # nor later
    fresh = create(sandbox, LastName="Fresh")
    heard(second, fresh)
    assert missed not in hints()  # looks found it


def test_the_daily_limit_is_said_waited_for_and_holds_nobody_else(sandbox, listener, vera, browser_of) -> None:
    sandbox.control("POST", "settings", {"salesforce_events_max": 0})
    sync = make_sync(sandbox)
    wait_until(lambda: listener.attend() or stream_error())
    row = stream()
    assert (row.error_kind, row.failures, row.connected_at, row.lease_until) == ("rate_limit", 1, None, None)
    assert row.due_at > timezone.now() + timedelta(minutes=14)
    assert Credential.objects.get().not_before is None
    page = browser_of(vera).get(sync.get_absolute_url()).content.decode()
    assert "Interrupted" in page
    assert "all the events it allows your org for 24 hours" in page
    create(sandbox, LastName="Found by looking")
    Feed.objects.update(looked_at=timezone.now() - timedelta(days=1))
    read(sync)
    assert len(in_log(sync)) == 1
    sandbox.control("POST", "settings", {"salesforce_events_max": 100})
    ChangeStream.objects.update(due_at=timezone.now())
    listen(listener)
    assert stream().error == ""


def stream_error() -> str:
    return next(iter(ChangeStream.objects.values_list("error", flat=True)), "")


def test_waits_grow_with_failures_and_end(sandbox, listener) -> None:
    sandbox.control("POST", "settings", {"salesforce_events_max": 0})
    make_sync(sandbox)
    for failures, most_h in ((1, 0.4), (2, 0.7), (9, 2.6)):
        ChangeStream.objects.update(due_at=None, failures=failures - 1)
        wait_until(lambda n=failures: listener.attend() or is_off(n))
        assert stream().due_at < timezone.now() + timedelta(hours=most_h)


def is_off(failures: int) -> bool:
    return ChangeStream.objects.filter(failures=failures, due_at__gt=timezone.now()).exists()


def test_revoked_access_stops_listening_and_reconnecting_takes_it_up(sandbox, listener) -> None:
    make_sync(sandbox)
    listen(listener)
    sandbox.control("POST", "revoke", {"provider": "salesforce"})
    wait_until(lambda: listener.attend() or Credential.objects.get().state == "reconnect")
    wait_until(lambda: listener.attend() or stream().lease_until is None)
    grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
    place = {"instance_url": grant["instance_url"]}
    data = {"secrets": {"refresh_token": grant["refresh_token"]}, "settings": place}
    connections.update_credential(Credential.objects.get(), data, by=None)
    ChangeStream.objects.update(due_at=None)
    listen(listener)


# --- What is not offered ---------------------------------------------------------------------------------------------


def test_an_org_without_it_is_looked_at_and_says_so(sandbox, listener, admin, ada, browser_of) -> None:
    sandbox.control("POST", "settings", {"salesforce_change_data_capture": ""})
    sync = make_sync(sandbox)
    Sync.objects.update(poll_s=30)
    wait_until(lambda: listener.attend() or ChangeStream.objects.filter(is_offered=False, lease_until=None).exists())
    assert subscribers(sandbox) == []
    assert stream().due_at > timezone.now() + timedelta(minutes=10)
    words = "This Salesforce does not offer Change Data Capture for Contacts: looked at every 30 s."
    assert words in browser_of(ada).get(sync.get_absolute_url()).content.decode()
    card = browser_of(ada).get(f"/connections/{sync.credential_id}/").content.decode()
    assert "move Contact to Selected Entities" in card
    told = admin.get(f"syncs/{sync.pk}").json()["change_events"]
    assert told["status"] == "absent"
    assert told["not_told"][0]["titles"] == ["Contacts"]
    sandbox.control("POST", "settings", {"salesforce_change_data_capture": TICKED})
    ChangeStream.objects.update(due_at=timezone.now())
    listen(listener)
    heard(listener, create(sandbox, LastName="Ticked"))
    told = admin.get(f"syncs/{sync.pk}").json()["change_events"]
    assert (told["status"], told["not_told"]) == ("listening", [])
    assert told["last_event_at"]
    assert "Listening" in browser_of(ada).get(f"/connections/{sync.credential_id}/change-events/").content.decode()


@pytest.fixture
def admin(db: None) -> ApiClient:
    return ApiClient()


@pytest.mark.parametrize(
    ("more", "step"),
    [
        ({"salesforce_change_data_capture": "Account"}, "move Contact, UserRole to Selected Entities"),
        ({"salesforce_view_all": False}, "View All Records for Contact"),
    ],
)
def test_collections_that_are_not_told_of_are_named_with_what_to_do(sandbox, listener, more, step) -> None:
    sandbox.control("POST", "settings", more)
    make_sync(sandbox, "contact", "user_role")
    wait_until(lambda: listener.attend() or ChangeStream.objects.exclude(lacking=[]).exists())
    lacking = {each["title"]: each["step"] for each in stream().lacking}
    assert step in lacking["Contacts"]
    assert "Roles" in lacking


def test_without_a_view_of_setup_we_listen_to_all_that_can_be_listened_to(sandbox, listener) -> None:
    sandbox.control("POST", "settings", {"salesforce_shows_setup": False})
    make_sync(sandbox, "contact", "user_role")
    listen(listener)
    assert stream().lacking == [
        {"id": "salesforce:user_role", "title": "Roles", "step": "Salesforce captures no changes of UserRole."}
    ]
    heard(listener, create(sandbox, LastName="Heard"))


# --- Who listens -----------------------------------------------------------------------------------------------------


def test_of_two_listeners_one_listens_and_the_other_takes_over_when_it_goes(sandbox, ears) -> None:
    make_sync(sandbox)
    first, second = ears(), ears()
    listen(first)
    for _ in range(3):
        second.attend()
        first.attend()
    assert len(subscribers(sandbox)) == 1
    first.stop()
    assert stream().lease_until is None
    assert subscribers(sandbox) == []  # it took leave
    listen(second)
    heard(second, create(sandbox, LastName="Heard"))


def test_a_listener_whose_lease_was_taken_stores_nothing_and_stops(sandbox, listener) -> None:
    make_sync(sandbox)
    listen(listener)
    [session] = listener._sessions.values()
    ChangeStream.objects.update(lease_no=99, lease_until=timezone.now() + timedelta(hours=1))
    create(sandbox, LastName="Not ours to note")
    wait_until(session.is_over.is_set)
    assert not Hint.objects.exists()
    listener.attend()
    assert listener._sessions == {}
    assert stream().lease_no == 99
    assert stream().lease_until is not None


def test_a_listener_that_is_killed_is_followed_by_another_from_the_same_place(sandbox, listener) -> None:
    make_sync(sandbox)
    command = [sys.executable, "-m", "tests.listen_worker", str(connection.settings_dict["NAME"])]
    keys = {
        "SECRET_KEY": settings.SECRET_KEY,
        "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
        "SEQUIN_PROVIDER_URLS": settings.PROVIDER_URLS,
    }
    first = create(sandbox, LastName="Before anybody listened")
    worker = subprocess.Popen(command, env=os.environ | keys)
    try:
        wait_until(lambda: ChangeStream.objects.filter(connected_at__isnull=False).exists())
        second = create(sandbox, LastName="Second")
        wait_until(lambda: second in hints())
        listener.attend()
        assert listener._sessions == {}  # it stands by
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
    missed = create(sandbox, LastName="While nobody listened")
    ChangeStream.objects.update(lease_until=timezone.now())  # as if the dead process's lease had run out
    heard(listener, missed)
    assert first not in hints()


def test_pausing_the_sync_ends_listening_and_resuming_begins_it(sandbox, listener) -> None:
    sync = make_sync(sandbox)
    listen(listener)
    Sync.objects.update(state="paused")
    listener.attend()
    assert subscribers(sandbox) == []
    assert (stream().lease_until, stream().connected_at) == (None, None)
    Sync.objects.update(state="active")
    listen(listener)
    assert sync.credential.change_stream.error == ""


def test_other_collections_are_subscribed_to_as_syncs_change(sandbox, listener) -> None:
    make_sync(sandbox)
    listen(listener)
    other = make_sync(sandbox, "account")
    Sync.objects.filter(pk=other.pk).update(credential=Sync.objects.exclude(pk=other.pk).get().credential)
    both = [["/data/AccountChangeEvent", "/data/ContactChangeEvent"]]
    wait_until(lambda: listener.attend() or subscribers(sandbox) == both)


def test_it_costs_one_query_where_nobody_could_be_listened_to(db, listener) -> None:
    with CaptureQueriesContext(connection) as queries:
        listener.attend()
    assert len(queries) <= 1
    assert listener._thread is None
