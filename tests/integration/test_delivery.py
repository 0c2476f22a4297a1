"""Delivery against a real nats-server: what arrives, what the cursor says, and how it goes on after trouble."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from consumers import jetstream, links, services, working
from consumers.connection import CannotConnect
from consumers.delivery import Outcome
from consumers.models import ConsumerCursor, HeldMessage, NatsConsumer
from sequin_console.common import leases, task_queue
from syncs.models import Record
from tests.consumer_factories import Log, cursor_of, drain, drain_until_quiet, make_consumer
from tests.nats_server import NatsServer, jwt_server, make_tls, nats_server, run

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
LANES = {"fenced": {}, "basic": {"allow_atomic": False}}


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture(params=LANES)
def lane(request: pytest.FixtureRequest, server: NatsServer) -> str:
    """Both ways of delivery, each on a stream of its own kind."""
    run(server.make_stream(**LANES[request.param]))
    return str(request.param)


def bodies(server: NatsServer) -> dict[str, dict[str, Any]]:
    return {m.subject.rsplit(".", 1)[-1]: json.loads(m.data) for m in run(server.messages())}


def values(server: NatsServer) -> dict[str, Any]:
    return {key: body["data"]["n"] for key, body in bodies(server).items()}


def test_stock_reader_sees_every_record_once_as_one_line_of_json(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(1_500)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    found = run(server.messages())
    assert len(found) == len({m.subject for m in found}) == 1_500
    assert all(b"\n" not in m.data for m in found)
    body = json.loads(found[0].data)
    assert list(body) == [
        "id", "sync_id", "collection_id", "provider", "upstream_id", "data", "deleted", "seq",
        "upstream_created_at", "upstream_updated_at", "inserted_at",
    ]  # fmt: skip
    assert found[0].subject == f"sequin-records.{log.sync.pk}.fake:thing.thing-00000"
    assert found[0].headers["Sequin-Operation"] == "create"
    assert found[0].headers["Nats-Expected-Stream"] == "SEQUIN-RECORDS"
    assert "Nats-Msg-Id" not in found[0].headers
    consumer.refresh_from_db()
    cursor = cursor_of(consumer)
    assert (consumer.promise, consumer.state) == (lane, "active")
    assert (cursor.acked_seq, cursor.delivered) == (log.head, 1_500)


def test_change_and_change_back_both_arrive(server: NatsServer, lane: str) -> None:
    """Invariant 6: a content hash is never a message id, so A, B, A ends with A."""
    log = Log()
    consumer = make_consumer(server, log.sync)
    for n in (1, 2, 1):
        log.write("a", {"n": n})
        drain_until_quiet(consumer)
    assert values(server) == {"a": 1}
    assert cursor_of(consumer).delivered == 3


def test_deleted_is_a_tombstone_with_last_known_data(server: NatsServer, lane: str) -> None:
    """Invariant 8, the message's side."""
    log = Log()
    log.write("a", {"n": 7})
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    log.delete("a")
    drain_until_quiet(consumer)
    (message,) = run(server.messages())
    body = json.loads(message.data)
    assert (body["deleted"], body["data"]) == (True, {"n": 7})
    assert message.headers["Sequin-Operation"] == "delete"


def test_purge_and_replay_fills_the_stream_again(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(50)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    run(server.ask("STREAM.PURGE.SEQUIN-RECORDS"))
    log.write("new", {"n": 1})
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 1
    services.replay(consumer, by=None)
    drain_until_quiet(consumer)
    found = run(server.messages())
    assert len(found) == 51
    assert {m.headers["Sequin-Run"] for m in found} == {"2"}


def test_stream_made_anew_begins_a_new_run_by_itself(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(20)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    run(server.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    run(server.make_stream(**LANES[lane]))
    log.write("new", {"n": 1})
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 21
    consumer.refresh_from_db()
    assert "being sent again" in consumer.warning
    assert cursor_of(consumer).run == 2


def test_stream_made_anew_is_noticed_by_the_repeated_check(
    server: NatsServer, lane: str, queued: list[tuple[Any, ...]]
) -> None:
    log = Log()
    log.fill(20)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    run(server.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    run(server.make_stream(**LANES[lane]))
    queued.clear()
    working.check_consumers([str(consumer.pk)])
    assert queued == [("consumers.tasks.drain", [cursor_of(consumer).pk])]
    drain(consumer)
    assert len(run(server.messages())) == 20


def test_some_collections_only_and_the_cursor_passes_the_others(server: NatsServer, lane: str) -> None:
    log = Log("thing", "other")
    log.fill(5)
    log.fill(5, name="other")
    consumer = make_consumer(server, log.sync, collection_ids=["fake:thing"])
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 5
    assert cursor_of(consumer).acked_seq == log.head


def test_new_consumer_starts_at_the_end_but_takes_later_syncs_whole(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(5)
    consumer = make_consumer(server, deliver_policy="new")
    log.write("late", {"n": 1})
    later = Log()
    later.fill(3)
    drain_until_quiet(consumer)
    assert sorted(m.subject.rsplit(".", 1)[-1] for m in run(server.messages())) == [
        "late", "thing-00000", "thing-00001", "thing-00002",
    ]  # fmt: skip


def test_record_too_large_is_held_and_the_others_go_on(server: NatsServer, lane: str) -> None:
    """Invariant 9: one sick record stops nobody; it goes out by itself once it fits."""
    run(server.ask("STREAM.UPDATE.SEQUIN-RECORDS", _config(server) | {"max_msg_size": 2_000}))
    log = Log()
    log.write("big", {"n": 1, "text": "x" * 5_000})
    log.write("small", {"n": 1})
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    assert set(values(server)) == {"small"}
    (held,) = HeldMessage.objects.all()
    assert "2,000 are allowed" in held.reason
    assert held.next_step
    run(server.ask("STREAM.UPDATE.SEQUIN-RECORDS", _config(server) | {"max_msg_size": -1}))
    drain(consumer)
    assert set(values(server)) == {"small", "big"}
    assert not HeldMessage.objects.exists()


def test_held_record_that_changes_comes_by_the_log(server: NatsServer, lane: str) -> None:
    log = Log()
    consumer = make_consumer(server, log.sync)
    log.write("x" * 390 + "ä" * 10, {"n": 1})
    long_id = "ü" * 400  # 2,400 bytes as a token
    log.write(long_id, {"n": 1, "text": "y" * 1_100_000})
    drain_until_quiet(consumer)
    assert HeldMessage.objects.count() == 1
    log.write(long_id, {"n": 2})
    drain_until_quiet(consumer)
    assert not HeldMessage.objects.exists()
    assert sorted(body["data"]["n"] for body in bodies(server).values()) == [1, 2]


def test_server_killed_and_restarted_loses_nothing(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(3_000)
    consumer = make_consumer(server, log.sync)
    drain(consumer, budget_s=0)
    assert 0 < cursor_of(consumer).acked_seq < log.head
    server.kill()
    (result,) = drain(consumer).values()
    assert isinstance(result, Exception)
    consumer.refresh_from_db()
    assert (consumer.state, consumer.failures, consumer.error_kind) == ("error", 1, "broker")
    assert consumer.retry_at is not None
    assert consumer.next_step
    server.start()
    drain_until_quiet(consumer)
    consumer.refresh_from_db()
    assert (consumer.state, consumer.error) == ("active", "")
    assert len(run(server.messages())) == 3_000


def test_paused_consumer_stands_still_and_resumes_where_it_was(server: NatsServer, lane: str) -> None:
    log = Log()
    consumer = make_consumer(server, log.sync)
    services.pause(consumer, by=None)
    log.fill(10)
    assert next(iter(drain(consumer).values())) == (Outcome.STOPPED, 0)
    services.resume(consumer, by=None)
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 10


def test_message_from_outside_is_survived_and_told(server: NatsServer, lane: str) -> None:
    log = Log()
    log.write("a", {"n": 1})
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    run(server.publish(f"sequin-records.{log.sync.pk}.fake:thing.intruder", b'{"data":{"n":0}}'))
    log.write("b", {"n": 2})
    drain_until_quiet(consumer)
    assert values(server) == {"a": 1, "b": 2, "intruder": 0}
    consumer.refresh_from_db()
    assert ("Somebody else" in consumer.warning) == (lane == "fenced")


def test_no_stream_is_trouble_with_a_next_step_and_heals(server: NatsServer) -> None:
    log = Log()
    log.fill(3)
    consumer = make_consumer(server, log.sync)
    drain(consumer)
    consumer.refresh_from_db()
    assert consumer.state == "error"
    assert "No stream takes messages" in consumer.error
    services.create_stream(consumer, by=None)
    drain_until_quiet(consumer)
    consumer.refresh_from_db()
    assert (consumer.state, consumer.promise) == ("active", "fenced")
    assert len(run(server.messages())) == 3


def test_atomic_batches_switched_on_later_lose_nothing(server: NatsServer) -> None:
    """A basic window's last message proves nothing of those before it; only an atomic batch's does."""
    run(server.make_stream(allow_atomic=False))
    log = Log()
    log.fill(300)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    type(cursor_of(consumer)).objects.update(acked_seq=0, stream_seq=0)
    services.allow_atomic(consumer, by=None)
    log.write("thing-00000", {"id": "thing-00000", "n": 9})
    drain_until_quiet(consumer)
    cursor = cursor_of(consumer)
    assert cursor.delivered == 600
    assert len(run(server.messages())) == 300


def test_restricted_user_stores_nothing_and_nothing_counts_as_delivered() -> None:
    with jwt_server() as server:
        run(server.make_stream())
        guide = server.make_user(publish=["sequin-records.>"], subscribe=["sequin-records.>"])
        log = Log()
        log.fill(3)
        consumer = make_consumer(server, log.sync, nats={"creds": guide.text})
        failed = next(check for check in consumer.checks if check["ok"] is False)
        assert failed["key"] == "ack"
        assert "may not subscribe" in failed["detail"]
        assert any("_INBOX_sequin.>" in block["text"] for block in failed["commands"])
        drain(consumer)
        consumer.refresh_from_db()
        assert (consumer.state, consumer.error_kind) == ("error", "permission")
        assert cursor_of(consumer).delivered == cursor_of(consumer).acked_seq == 0
        assert run(server.messages()) == []


def test_least_rights_as_printed_are_enough() -> None:
    from consumers import permissions

    with jwt_server() as server:
        run(server.make_stream())
        rights = permissions.publisher("sequin-records", "SEQUIN-RECORDS")
        user = server.make_user(publish=rights.publish, subscribe=rights.subscribe)
        log = Log()
        log.fill(1_200)
        consumer = make_consumer(server, log.sync, nats={"creds": user.text})
        assert all(check["ok"] for check in consumer.checks), consumer.checks
        drain_until_quiet(consumer)
        assert len(run(server.messages())) == 1_200


def test_delivery_over_tls_with_own_authority_and_client_certificate() -> None:
    tls = make_tls()
    with nats_server(tls=tls, verify_clients=True) as server:
        run(server.make_stream())
        log = Log()
        log.fill(10)
        pasted = {"ca": tls.ca_pem, "client_cert": tls.client_cert_pem, "client_key": tls.client_key_pem}
        consumer = make_consumer(server, log.sync, nats=pasted)
        assert consumer.tls
        drain_until_quiet(consumer)
        assert len(run(server.messages())) == 10


def test_one_consumer_in_trouble_does_not_stop_another(server: NatsServer) -> None:
    """Invariant 9: in the same task, the healthy one delivers while the other's server is gone."""
    run(server.make_stream())
    with nats_server() as gone:
        run(gone.make_stream())
        log = Log()
        well, ill = make_consumer(server, log.sync), make_consumer(gone, log.sync)
    log.fill(10)
    pks = list(ConsumerCursor.objects.values_list("pk", flat=True))
    with leases.hold_many(ConsumerCursor, pks, seconds=60) as cursors:
        working.drain(cursors, budget_s=10)
    states = dict(NatsConsumer.objects.values_list("pk", "state"))
    assert states == {well.pk: "active", ill.pk: "error"}
    assert len(run(server.messages())) == 10


def test_cursor_is_given_back_when_it_is_done_not_when_its_neighbours_are(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: a dead host's time-out must not keep the others of its task from their next change."""
    run(server.make_stream())
    log = Log()
    well = make_consumer(server, log.sync)
    ill = make_consumer(server, log.sync, subject_prefix="sequin-records.ill")
    log.fill(3)
    open_link, was_free = jetstream.open_link, threading.Event()

    def is_free() -> bool:
        try:
            return cursor_of(well).acked_seq == log.head and cursor_of(well).lease_until is None
        finally:
            connection.close()

    async def hangs_for_one(settings: Any, **options: Any) -> Any:
        if str(ill.pk) not in settings.name:
            return await open_link(settings, **options)
        for _ in range(200):
            if await asyncio.to_thread(is_free):
                was_free.set()
                break
            await asyncio.sleep(0.05)
        raise CannotConnect("dead")

    monkeypatch.setattr(links, "open_link", hangs_for_one)
    pks = list(ConsumerCursor.objects.values_list("pk", flat=True))
    with leases.hold_many(ConsumerCursor, pks, seconds=60) as cursors:
        working.drain(cursors, budget_s=20)
    assert was_free.is_set()


def test_queued_work_that_is_lost_is_found_again(server: NatsServer, lane: str, queued: list[tuple[Any, ...]]) -> None:
    """Invariant 11: the tables alone tell what lags; what is queued or held is left alone for a while only."""
    from datetime import timedelta

    from django.utils import timezone

    from consumers import scheduling

    log = Log()
    consumer = make_consumer(server, log.sync)
    queued.clear()
    log.fill(3)
    assert queued == [("consumers.tasks.drain", [cursor_of(consumer).pk])]
    now = timezone.now()
    assert scheduling.queue(scheduling.lagging(now)) == 0
    later = now + timedelta(seconds=task_queue.QUEUED_S + 1)
    assert scheduling.queue(scheduling.lagging(later)) == 1


def test_removed_with_tombstones_marks_every_live_record(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(5)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    services.remove(consumer, "tombstones", by=None)
    drain(consumer)
    assert {body["deleted"] for body in bodies(server).values()} == {True}
    assert not NatsConsumer.objects.exists()
    assert Record.objects.filter(deleted=False).count() == 5


def test_removed_with_purge_empties_its_subjects_only(server: NatsServer, lane: str) -> None:
    log = Log()
    log.fill(5)
    consumer = make_consumer(server, log.sync)
    drain_until_quiet(consumer)
    run(server.publish("sequin-records.somebody.else", b"{}"))
    services.remove(consumer, "purge", by=None)
    working.check_consumers([str(consumer.pk)])
    assert [m.subject for m in run(server.messages())] == ["sequin-records.somebody.else"]
    assert not NatsConsumer.objects.exists()


def _config(server: NatsServer) -> dict[str, Any]:
    return dict(run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["config"])
