"""Consumers as people and programs make, change, pause, replay and remove them; and what lists say of them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consumers import queries, scheduling, services
from consumers.models import ConsumerCursor, HeldMessage, NatsConsumer
from sequin_console.accounts.models import User
from sequin_console.common.models import AuditEvent
from sequin_console.common.problems import Problem
from syncs import log as record_log
from syncs.models import Record
from tests.consumer_factories import Log, cursor_of, drain_until_quiet, make_consumer, nats_of
from tests.nats_server import JwtServer, NatsKey, NatsServer, free_port, jwt_server, nats_server, run

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]


@pytest.fixture(scope="module")
def running() -> Iterator[NatsServer]:
    with nats_server() as started:
        yield started


@pytest.fixture
def server(running: NatsServer) -> NatsServer:
    run(running.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    run(running.make_stream())
    return running


@pytest.fixture(scope="module")
def operated() -> Iterator[JwtServer]:
    with jwt_server() as started:
        run(started.make_stream())
        yield started


def refused(fields: str, server: NatsServer, sync: Any = None, **data: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        make_consumer(server, sync, **data)
    assert list(caught.value.fields) == [fields], caught.value.fields
    return caught.value


# --- Making ----------------------------------------------------------------------------------------------------------


def test_the_well_known_guides_body_works_as_it_stands(operated: JwtServer, ada: User) -> None:
    creds = operated.make_user()
    log = Log()
    body = {
        "sync_id": str(log.sync.pk),
        "name": "guide",
        "subject_prefix": "sequin-records",
        "nats": {"host": "127.0.0.1", "port": operated.port, "tls": False, "jwt": creds.jwt, "nkey_seed": creds.seed},
    }
    consumer = services.create_consumer(body, by=ada)
    assert (consumer.sync_id, consumer.hosts, consumer.promise) == (
        log.sync.pk,
        [f"127.0.0.1:{operated.port}"],
        "fenced",
    )
    assert consumer.jwt_facts["account"] == creds.account
    assert consumer.secret_names == ["jwt", "nkey_seed"]
    assert creds.seed not in repr(consumer.secrets)
    event = AuditEvent.objects.get(action="consumer.created")
    assert event.user == ada
    assert creds.seed not in str(event.changes)
    assert creds.jwt not in str(event.changes)


def test_what_is_wrong_names_its_field(operated: JwtServer) -> None:
    one, other = operated.make_user(), operated.make_user()
    mixed = {"jwt": one.jwt, "nkey_seed": other.seed}
    assert "do not belong together" in refused("nats.jwt", operated, nats=mixed).message
    refused("nats.nkey_seed", operated, nats={"jwt": one.jwt, "nkey_seed": "SUNONSENSE"})
    refused("nats.nkey_seed", operated, nats={"jwt": one.jwt})
    refused("nats.creds", operated, nats={"creds": "nothing here"})
    stranger = operated.make_user(account=NatsKey("account"))
    assert refused("nats.jwt", operated, nats={"creds": stranger.text}).kind == "credentials"
    good = {"creds": one.text}
    refused("nats.host", operated, nats=good | {"port": free_port()})
    refused("nats.host", operated, nats=good | {"host": "no-such-host.invalid"})
    refused("nats.port", operated, nats=good | {"port": 99_999})
    refused("nats.tls", operated, nats=good | {"tls": True})
    refused("nats.ca", operated, nats=good | {"ca": "not a certificate"})
    refused("nats.client_key", operated, nats=good | {"client_cert": "-----BEGIN CERTIFICATE-----"})
    refused("nats.inbox_prefix", operated, nats=good | {"inbox_prefix": "sequin-records.inbox"})
    refused("subject_prefix", operated, nats=good, subject_prefix="has space")
    refused("subject_prefix", operated, nats=good, subject_prefix="$JS.API")
    refused("deliver_policy", operated, nats=good, deliver_policy="last")
    refused("name", operated, nats=good, name=" ")
    with pytest.raises(Problem) as caught:
        services.create_consumer({"name": "x", "sync_id": "1", "nats": nats_of(operated, one)}, by=None)
    assert list(caught.value.fields) == ["sync_id"]


def test_password_and_token_are_named_when_refused() -> None:
    with nats_server(user="ada", password="right") as server:
        refused("nats.password", server, nats={"user": "ada", "password": "wrong"})
        assert make_consumer(server, nats={"user": "ada", "password": "right"}).pk
    with nats_server(token="t0ken") as server:
        refused("nats.token", server, nats={"token": "wrong"})


def test_second_writer_of_the_same_place_is_refused_naming_the_first(server: NatsServer) -> None:
    log, other = Log(), Log()
    make_consumer(server, log.sync, name="first")
    assert "“first”" in refused("subject_prefix", server, log.sync).message
    assert "“first”" in refused("subject_prefix", server).message  # all syncs would write there, too
    assert make_consumer(server, other.sync).pk
    assert make_consumer(server, log.sync, subject_prefix="elsewhere").pk


def test_name_is_taken_once(server: NatsServer) -> None:
    make_consumer(server, name="records")
    with pytest.raises(Problem) as caught:
        make_consumer(server, name="records", subject_prefix="elsewhere")
    assert list(caught.value.fields) == ["name"]


def test_later_sync_is_picked_up_by_an_all_syncs_consumer(server: NatsServer) -> None:
    consumer = make_consumer(server)
    assert not consumer.cursors.exists()
    later = Log()
    scheduling.enqueue_due(timezone.now())
    assert cursor_of(consumer, later.sync).acked_seq == 0
    log = Log()
    log.fill(3)  # the signal is enough
    assert cursor_of(consumer, log.sync).pk


def test_hosts_as_a_list_with_the_first_one_down(server: NatsServer) -> None:
    hosts = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{server.port}"]
    log = Log()
    log.fill(2)
    consumer = make_consumer(server, log.sync, nats={"hosts": hosts})
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 2


# --- Changing --------------------------------------------------------------------------------------------------------


def test_update_keeps_what_is_not_named_and_masked_secrets(operated: JwtServer) -> None:
    consumer = make_consumer(operated, nats={"creds": operated.make_user().text})
    before = dict(consumer.secrets)
    services.update_consumer(
        consumer, {"name": "renamed", "nats": {"jwt": "********", "nkey_seed": "••••••••"}}, by=None
    )
    consumer.refresh_from_db()
    assert (consumer.name, dict(consumer.secrets)) == ("renamed", before)
    fresh = operated.make_user()
    services.update_consumer(consumer, {"nats": {"creds": fresh.text}}, by=None)
    consumer.refresh_from_db()
    assert consumer.jwt_facts["user"] == fresh.user
    consumer.delete()


def test_new_prefix_sends_everything_again_there(server: NatsServer) -> None:
    run(server.make_stream("ELSEWHERE", "elsewhere"))
    log = Log()
    log.fill(4)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    services.update_consumer(consumer, {"subject_prefix": "elsewhere"}, by=None)
    drain_until_quiet(consumer)
    assert len(run(server.messages("ELSEWHERE"))) == 4
    run(server.ask("STREAM.DELETE.ELSEWHERE"))


def test_sync_of_a_consumer_stays(server: NatsServer) -> None:
    one, other = Log(), Log()
    consumer = make_consumer(server, one.sync)
    with pytest.raises(Problem) as caught:
        services.update_consumer(consumer, {"sync_id": other.sync.pk}, by=None)
    assert list(caught.value.fields) == ["sync_id"]


def test_every_change_is_in_the_activity_log(server: NatsServer, ada: User) -> None:
    consumer = make_consumer(server, Log().sync, by=ada)
    services.pause(consumer, by=ada)
    services.resume(consumer, by=ada)
    services.replay(consumer, by=ada)
    services.update_consumer(consumer, {"name": "other"}, by=ada)
    services.remove(consumer, "leave", by=ada)
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions == [
        "consumer.created", "consumer.paused", "consumer.resumed", "consumer.replayed", "consumer.changed",
        "consumer.removed",
    ]  # fmt: skip


def test_consumer_being_removed_takes_no_orders(server: NatsServer) -> None:
    log = Log()
    log.fill(1)
    consumer = make_consumer(server, log.sync)
    services.remove(consumer, "tombstones", by=None)
    consumer.refresh_from_db()
    for order in (services.pause, services.resume, services.replay):
        with pytest.raises(Problem) as caught:
            order(consumer, by=None)
        assert caught.value.status == 409
    services.remove(consumer, "leave", by=None)
    assert not NatsConsumer.objects.exists()


# --- A sync or collection that goes ----------------------------------------------------------------------------------


def may_forget(log: Log, removal: str, collection_id: str | None = None) -> bool:
    answers = record_log.may_forget.send(sender=None, sync_id=log.sync.pk, collection_id=collection_id, removal=removal)
    return all(answer is not False for _, answer in answers)


def test_removal_waits_until_tombstones_are_delivered(server: NatsServer) -> None:
    log = Log()
    log.fill(3)
    consumer = make_consumer(server)
    assert not may_forget(log, "tombstones")
    drain_until_quiet(consumer)
    assert may_forget(log, "tombstones")
    assert not ConsumerCursor.objects.exists()
    assert NatsConsumer.objects.filter(pk=consumer.pk).exists()


def test_removal_with_leave_waits_for_nobody_and_takes_the_syncs_own_consumer_along(server: NatsServer) -> None:
    log = Log()
    log.fill(3)
    make_consumer(server, log.sync)
    assert may_forget(log, "leave")
    assert not NatsConsumer.objects.exists()
    assert AuditEvent.objects.filter(action="consumer.deleted").exists()


def test_removal_with_purge_empties_the_collections_subjects(server: NatsServer) -> None:
    log = Log("thing", "other")
    log.fill(3)
    log.fill(2, name="other")
    consumer = make_consumer(server)
    drain_until_quiet(consumer)
    assert may_forget(log, "purge", "fake:thing")
    assert {m.subject.split(".")[2] for m in run(server.messages())} == {"fake:other"}
    log.write("again", {"n": 1}, name="other")
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 3


# --- Lists -----------------------------------------------------------------------------------------------------------


def test_lag_counts_what_is_not_confirmed_and_what_is_held(server: NatsServer) -> None:
    log = Log("thing", "other")
    consumer = make_consumer(server, log.sync)
    log.fill(7)
    lag = queries.detail(consumer).lag
    assert (lag.records, lag.text, lag.is_over) == (7, "7", False)
    assert lag.oldest_at is not None
    drain_until_quiet(consumer)
    row = queries.detail(consumer)
    assert (row.lag.records, row.delivered, row.lag.oldest_at) == (0, 7, None)
    assert row.rate > 0
    record = Record.objects.first()
    HeldMessage.objects.create(
        consumer=consumer, record=record, sync=log.sync, seq=1, reason="r", next_step="n", at=timezone.now()
    )
    assert queries.detail(consumer).lag.records == 1


def test_lag_of_a_consumer_of_some_collections(server: NatsServer) -> None:
    log = Log("thing", "other")
    consumer = make_consumer(server, log.sync, collection_ids=["fake:other"])
    log.fill(7)
    log.fill(2, name="other")
    assert queries.detail(consumer).lag.records == 2


def test_lag_beyond_the_cap_is_told_as_over(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "LAG_CAP", 5)
    log = Log()
    consumer = make_consumer(server, log.sync)
    log.fill(5)
    assert queries.detail(consumer).lag.text == "5"
    log.fill(1, start=5)
    assert (queries.detail(consumer).lag.text, queries.detail(consumer).lag.is_over) == ("over 5", True)


def test_position_of_each_consumer_on_one_record(server: NatsServer) -> None:
    log = Log("thing", "other")
    early = make_consumer(server, log.sync, name="a early")
    log.write("x", {"n": 1})
    drain_until_quiet(early)
    make_consumer(server, log.sync, name="b waiting", subject_prefix="b")
    make_consumer(server, log.sync, name="c new", subject_prefix="c", deliver_policy="new")
    make_consumer(server, log.sync, name="d other", subject_prefix="d", collection_ids=["fake:other"])
    record = Record.objects.get(upstream_id="x")
    found = queries.positions(log.sync.pk, "fake:thing", record.pk, record.seq)
    assert [position.state for position in found] == ["delivered", "waiting", "unwanted", "unwanted"]


def test_lag_is_exact_up_to_a_number_and_counts_no_further(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far the log's end is away: a consumer of a quiet collection lags by that collection's records only."""
    monkeypatch.setattr(queries, "LAG_CAP", 5)
    log = Log("thing", "other")
    everything = make_consumer(server, log.sync, subject_prefix="a")
    quiet = make_consumer(server, log.sync, subject_prefix="b", collection_ids=["fake:thing"])
    busy = make_consumer(server, log.sync, subject_prefix="c", collection_ids=["fake:other", "fake:thing"])

    def lags() -> list[str]:
        return [queries.detail(consumer).lag.text for consumer in (everything, quiet, busy)]

    log.fill(3)
    assert lags() == ["3", "3", "3"]
    log.fill(12, name="other")
    assert lags() == ["over 5", "3", "over 5"]
    for number in range(20):  # moves to the end of the log each time, and stays one record
        log.write("thing-00000", {"n": number})
    assert lags() == ["over 5", "3", "over 5"]
    assert queries.detail(quiet).lag.oldest_at == Record.objects.get(upstream_id="thing-00001").changed_at


def test_lists_ask_the_same_number_of_questions_for_one_and_many(server: NatsServer) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as caught:
            for row in queries.rows(NatsConsumer.objects.all()):
                assert row.lag is not None
                assert [cursor.sync_name for cursor in row.cursors]
        return len(caught)

    log = Log()
    first = make_consumer(server, log.sync, collection_ids=["fake:thing"])
    log.fill(2)
    one = questions()
    for n in range(20):
        copy = NatsConsumer.objects.create(
            name=f"copy {n}",
            hosts=first.hosts,
            subject_prefix=f"p{n}",
            collection_ids=["fake:thing"] if n % 2 else None,
        )
        ConsumerCursor.objects.create(consumer=copy, sync=log.sync)
    assert questions() == one


def test_broken_consumer_is_tried_again_only_after_its_back_off(server: NatsServer) -> None:
    log = Log()
    log.fill(1)
    consumer = make_consumer(server, log.sync)
    now = timezone.now()
    ConsumerCursor.objects.update(queued_until=None)
    NatsConsumer.objects.update(state="error", failures=3, retry_at=now + timedelta(seconds=60))
    assert not scheduling.lagging(now).exists()
    assert scheduling.lagging(now + timedelta(seconds=61)).get() == cursor_of(consumer)
