"""Picked fields on every way into the log, and changes of fields: noticed, shown, decided."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sequin_console.common import leases
from sequin_console.common.leases import LeaseLost
from sequin_console.common.models import AuditEvent
from sequin_console.common.problems import Problem
from syncs import field_picks, log, queries, schema_watch, services, tuning
from syncs.engine import retry
from syncs.models import Feed, HashKey, Record, SchemaChange, SeenBy, Sync, SyncCollection
from syncs.providers.kit.catalogue import Field
from syncs.states import Phase
from tests.api_client import ApiClient
from tests.fake_provider import Upstream, collection, raw
from tests.guards import proves
from tests.integration.test_deletions import look
from tests.integration.test_reading import read, row_of

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
PICKS = {"only": ["n", "email"], "hash": ["email"]}


@pytest.fixture(autouse=True)
def own_key() -> Iterator[None]:
    field_picks.workspace_key.cache_clear()
    yield
    field_picks.workspace_key.cache_clear()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream(collections=(collection("thing", reread_every_h=24),), silent=True)
    with world.registered():
        yield world


def person(upstream: Upstream, upstream_id: str = "ada", **more: Any) -> None:
    content: dict[str, Any] = {"n": 1, "email": "ada@example.test", "phone": "+49 555"} | more
    upstream.write(upstream_id, **content)


def data_of(sync: Sync, upstream_id: str = "ada") -> str:
    return Record.objects.get(sync=sync, upstream_id=upstream_id).data


# --- Picked fields ---------------------------------------------------------------------------------------------------


@contextmanager
def picked_nowhere() -> Iterator[None]:
    with mock.patch.object(field_picks, "applied", lambda collections, records: records):
        yield


def test_every_way_into_the_log_gives_the_same_picked_bytes(upstream: Upstream) -> None:
    """History, changes, reading again, sweeps' second look and webhooks: one form, and nothing left out comes in."""

    def scenario() -> None:
        upstream.things.clear()
        person(upstream)
        sync = upstream.sync(fields={"fake:thing": PICKS})
        read(sync)
        row = row_of(sync)
        by_history = data_of(sync)
        assert set(json.loads(by_history)) == {"id", "n", "email"}
        assert json.loads(by_history)["email"].startswith("hmac-sha256:")
        found = {by_history}
        for way in (SeenBy.FEED, SeenBy.REREAD, SeenBy.WEBHOOK, SeenBy.SWEEP):
            Record.objects.filter(sync=sync).update(data="{}", digest=b"", read_no=F("read_no") - 2**10)
            person(upstream)
            if way == SeenBy.FEED:
                read(sync)
            elif way == SeenBy.REREAD:
                upstream.journal.clear()
                Feed.objects.filter(sync=sync).update(cursor={"at": 0})
                sync.collections.update(reread_due_at=timezone.now())
                read(sync)
            else:
                held = leases.take(Feed, sync.feeds.get().pk, seconds=60)
                assert held is not None
                content = upstream.things["fake:thing"]["ada"]
                log.append(held, {"fake:thing": row}, [raw("ada", content, read_no=2**40)], seen_by=way)
                held.release()
            found.add(data_of(sync))
        assert found == {by_history}

    proves(scenario, without=picked_nowhere)


def test_a_change_of_what_is_left_out_is_silent(upstream: Upstream) -> None:
    person(upstream)
    sync = upstream.sync(fields={"fake:thing": PICKS})
    read(sync)
    upstream.write("ada", n=1, email="ada@example.test", phone="556")
    read(sync)
    assert log.head(sync.pk) == 1
    upstream.write("ada", n=1, email="other@example.test", phone="556")
    read(sync)
    assert log.head(sync.pk) == 2


def test_other_fields_mean_reading_from_the_beginning(upstream: Upstream) -> None:
    person(upstream)
    person(upstream, "bob")
    sync = upstream.sync()
    read(sync)
    assert "+49 555" in data_of(sync)
    tuning.change(row_of(sync), {"fields": PICKS}, by=None)
    assert row_of(sync).phase == Phase.WAITING
    read(sync)
    assert "+49 555" not in data_of(sync) + data_of(sync, "bob")
    first = data_of(sync)
    tuning.change(row_of(sync), {"fields": PICKS}, by=None)
    assert row_of(sync).phase == Phase.LIVE  # nothing new
    tuning.change(row_of(sync), {"fields": None}, by=None)
    read(sync)
    assert "+49 555" in data_of(sync)
    assert first != data_of(sync)


def test_whoever_reads_with_the_fields_of_before_stores_nothing_more(upstream: Upstream) -> None:
    person(upstream)
    sync = upstream.sync()
    read(sync)
    held = leases.take(Feed, sync.feeds.get().pk, seconds=60)
    assert held is not None
    before = row_of(sync)
    tuning.change(row_of(sync), {"fields": PICKS}, by=None)
    with pytest.raises(LeaseLost):
        log.append(held, {"fake:thing": before}, [raw("ada", {"phone": "1"}, read_no=2**40)], seen_by="feed")


def test_one_key_hashes_for_good_and_is_stored_encrypted(upstream: Upstream) -> None:
    person(upstream)
    first, second = (upstream.sync(fields={"fake:thing": PICKS}) for _ in range(2))
    read(first)
    field_picks.workspace_key.cache_clear()
    read(second)
    assert data_of(first) == data_of(second)
    assert HashKey.objects.count() == 1
    assert field_picks.workspace_key().hex() not in str(HashKey.objects.values_list("secrets", flat=True).query)


@pytest.mark.parametrize(
    "fields", [{"hash": ["id"]}, {"hash": ["updated_at"]}, {"only": [""]}, {"only": ["a..b"]}, {"only": ["a"] * 2_001}]
)
def test_impossible_picks_are_refused(upstream: Upstream, fields: dict) -> None:
    sync = upstream.sync()
    with pytest.raises(Problem) as refused:
        tuning.change(row_of(sync), {"fields": fields}, by=None)
    assert "fields" in refused.value.fields
    with pytest.raises(Problem):
        upstream.sync(fields={"fake:other": {"only": []}})


def test_a_sync_can_wait_until_its_fields_are_picked(upstream: Upstream) -> None:
    person(upstream)
    sync = upstream.sync(paused=True)
    read(sync)
    assert not Record.objects.filter(sync=sync).exists()
    tuning.change(row_of(sync), {"fields": PICKS}, by=None)
    services.resume_sync(sync, by=None)
    read(sync)
    assert "+49 555" not in data_of(sync)


def test_api_takes_and_tells_picked_fields(upstream: Upstream) -> None:
    person(upstream)
    sync, api = upstream.sync(), ApiClient()
    answer = api.patch(f"syncs/{sync.pk}/collections/fake:thing", {"fields": {"hash": ["email"]}})
    assert answer.json()["collections"][0]["fields"] == {"only": None, "hash": ["email"]}
    read(sync)
    assert "ada@example.test" not in data_of(sync)
    body = {"name": "Other", "credential_id": str(sync.credential_id), "collection_ids": ["fake:thing"], "paused": True}
    made = api.post("syncs", {**body, "fields": {"fake:thing": {"only": ["n"]}}, "on_drift": "stop"}).json()
    assert (made["status"], made["on_drift"]) == ("paused", "stop")
    assert made["collections"][0]["fields"]["only"] == ["n"]


def test_page_offers_fields_and_takes_picks(upstream: Upstream, ada, browser_of: Callable[..., Client]) -> None:
    upstream.fields = tuple(Field(name, "string", primary_key=name == "id") for name in ("id", "n", "email", "phone"))
    person(upstream)
    sync = upstream.sync()
    path = reverse("syncs:pick_fields", args=[sync.pk, row_of(sync).pk])
    page = browser_of(ada).get(path).content.decode()
    assert 'value="phone"' in page
    assert 'name="hash" value="id"' not in page
    posted = {"mode": "some", "only": ["n"], "hash": ["email"]}  # what is hashed is kept, ticked or not
    assert browser_of(ada).post(path, posted).status_code == 303
    assert row_of(sync).fields == {"only": ["email", "n"], "hash": ["email"]}
    assert queries.fields_in_words(row_of(sync)) == "Id, times and 1 more fields; 1 as hashes."
    assert browser_of(ada).post(path, {"mode": "all"}).status_code == 303
    assert row_of(sync).fields == {}
    assert browser_of(ada).post(path, {"mode": "none"}).status_code == 422


# --- Changes of fields -----------------------------------------------------------------------------------------------


def changes_of(sync: Sync) -> list[tuple[str, str]]:
    found = SchemaChange.objects.filter(collection__sync=sync)
    return [(each["path"], each["kind"]) for change in found for each in change.changes]


@pytest.mark.parametrize("policy", ["carry_on", "tell", "stop"])
def test_a_new_field_is_noticed_and_the_sync_does_as_told(upstream: Upstream, policy: str) -> None:
    person(upstream)
    sync = upstream.sync(on_drift=policy)
    read(sync)
    assert changes_of(sync) == []
    person(upstream, nick="ada")
    read(sync)
    assert changes_of(sync) == [("nick", "added")]
    change = SchemaChange.objects.get()
    assert (change.decided_at is None, change.is_holding) == (policy != "carry_on", policy == "stop")
    assert ("nick" in data_of(sync)) == (policy != "stop")
    assert (row_of(sync).phase == Phase.ERROR) == (policy == "stop")


@contextmanager
def nobody_looks() -> Iterator[None]:
    with mock.patch.object(schema_watch, "notice"):
        yield


def test_nothing_with_changed_fields_is_stored_before_a_person_accepts(upstream: Upstream) -> None:
    def scenario() -> None:
        upstream.things.clear()
        upstream.journal.clear()
        for number in range(30):
            person(upstream, f"person-{number:02}")
        sync = upstream.sync(on_drift="stop")
        read(sync)
        for number in range(30):
            person(upstream, f"person-{number:02}", n=2, **({"nick": "x"} if number == 17 else {}))
        for _ in range(3):
            read(sync)
        assert "nick" not in "".join(Record.objects.filter(sync=sync).values_list("data", flat=True))
        row = row_of(sync)
        assert (row.phase, row.retry_at, row.error_kind) == (Phase.ERROR, None, "schema")
        assert "nick added" in row.error
        schema_watch.accept(row_of(sync), by=None)
        for _ in range(2):
            read(sync)
        assert row_of(sync).phase == Phase.LIVE
        assert '"nick":"x"' in data_of(sync, "person-17")
        assert '"n":2' in data_of(sync, "person-29")
        assert AuditEvent.objects.filter(action="schema.accepted").exists()

    proves(scenario, without=nobody_looks)


def test_a_stopped_collection_does_not_stop_its_neighbours() -> None:
    world = Upstream(collections=(collection("sick", "fake:all"), collection("well", "fake:all")))
    with world.registered():
        world.write("a", "sick", n=1)
        world.write("b", "well", n=1)
        sync = world.sync(on_drift="stop")
        read(sync)
        world.write("a", "sick", n=1, new=True)
        world.write("b", "well", n=2)
        read(sync)
        read(sync)
        assert '"n":2' in data_of(sync, "b")
        assert "new" not in data_of(sync, "a")
        schema_watch.accept(row_of(sync, "sick"), by=None)
        read(sync)
        read(sync)
        assert "new" in data_of(sync, "a")


def test_described_fields_are_asked_for_once_an_hour_and_compared() -> None:
    world = Upstream(collections=(collection("thing", described=True),))
    world.fields = (Field("id", "id"), Field("age", "int"), Field("old", "text"))
    asked: list[str] = []
    world.before_page = lambda walk, _: asked.append(walk)
    with world.registered():
        person(world)
        sync = world.sync()
        for _ in range(3):
            read(sync)
        assert asked.count("fields") == 1
        world.fields = (Field("id", "id"), Field("age", "text"), Field("new", "text"))
        sync.collections.update(schema_at=timezone.now() - timedelta(hours=2))
        read(sync)
        assert changes_of(sync) == [("age", "retyped"), ("new", "added"), ("old", "removed")]
        read(sync)
        assert SchemaChange.objects.count() == 1
        services.update_sync(sync, {"on_drift": "stop"}, by=None)
        world.fields = (Field("id", "id"),)
        sync.collections.update(schema_at=timezone.now() - timedelta(hours=2))
        person(world, n=2)
        read(sync)
        assert row_of(sync).phase == Phase.ERROR
        assert '"n":1' in data_of(sync)
        schema_watch.accept(row_of(sync), by=None)
        for _ in range(2):
            look(sync)
        assert row_of(sync).phase == Phase.LIVE
        assert '"n":2' in data_of(sync)


def test_accepting_nothing_is_refused(upstream: Upstream) -> None:
    with pytest.raises(Problem):
        schema_watch.accept(row_of(upstream.sync()), by=None)


def test_changed_fields_wait_for_a_person() -> None:
    assert retry.judge(schema_watch.SchemaHeld("x"), 0, lambda: 0.5) == retry.Verdict("collection", None)


def test_changes_are_shown_and_accepted_on_the_page_and_by_the_api(
    upstream: Upstream, ada, vera, browser_of: Callable[..., Client]
) -> None:
    person(upstream)
    sync = upstream.sync(on_drift="stop")
    read(sync)
    person(upstream, nick="ada")
    read(sync)
    page = browser_of(vera).get(sync.get_absolute_url()).content.decode()
    assert "nick" in page
    assert "Accept and go on" not in page.replace("press Accept and go on", "")
    page = browser_of(ada).get(sync.get_absolute_url()).content.decode()
    assert "Accept and go on</button>" in page
    told = ApiClient("viewer").get(f"syncs/{sync.pk}/schema-changes").json()["data"][0]
    assert (told["is_holding"], told["changes"][0]["path"], told["decided_at"]) == (True, "nick", None)
    path = reverse("syncs:accept_schema", args=[sync.pk, row_of(sync).pk])
    assert browser_of(ada).post(path).status_code == 303
    read(sync)
    assert "nick" in data_of(sync)
    person(upstream, nick="ada", other=1)
    read(sync)
    assert ApiClient().post(f"syncs/{sync.pk}/collections/fake:thing/accept-schema").status_code == 200
    assert ApiClient().post(f"syncs/{sync.pk}/collections/fake:thing/accept-schema").status_code == 409
    history = browser_of(ada).get(reverse("syncs:collection", args=[sync.pk, row_of(sync).pk])).content.decode()
    assert "nick" in history
    assert "other" in history


def test_removing_a_sync_takes_its_changes_of_fields_along(upstream: Upstream) -> None:
    from syncs import removal

    person(upstream)
    sync = upstream.sync()
    read(sync)
    person(upstream, nick="ada")
    read(sync)
    services.remove_sync(sync, "leave", by=None)
    removal.carry_on()
    assert not SyncCollection.objects.filter(sync=sync).exists()
    assert not SchemaChange.objects.exists()
