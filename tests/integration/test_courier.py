"""The courier: what is committed is on the stream at once, without a queue; and nobody waits for somebody else."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from consumers import courier, jetstream, links, streams, taking
from consumers.courier import Courier
from consumers.models import ConsumerCursor, DeliverySample, NatsConsumer
from sequin_console.common import leases
from tests.consumer_factories import Log, cursor_of, drain_until_quiet, make_consumer
from tests.nats_server import NatsServer, nats_server, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
LANES = {"fenced": {}, "basic": {"allow_atomic": False}}


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        run(running.make_stream())
        yield running


@pytest.fixture
def ours(no_courier: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Courier]]:
    """Call it to let a real courier work in this process, from then on."""
    started: list[Courier] = []

    def start() -> Courier:
        started.append(Courier())
        monkeypatch.setattr(courier, "_courier", started[-1])
        return started[-1]

    yield start
    for one in started:
        one.stop()


def wait_for(is_so: Callable[[], bool], *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_caught_up(consumer: NatsConsumer, log: Log) -> bool:
    return cursor_of(consumer, log.sync).acked_seq == log.head


@pytest.mark.parametrize("lane", LANES)
def test_change_is_on_the_stream_without_any_worker(
    lane: str, ours: Callable[[], Courier], queued: list[tuple[Any, ...]]
) -> None:
    with nats_server() as server:
        run(server.make_stream(**LANES[lane]))
        log, other = Log(), Log()
        consumer = make_consumer(server)
        queued.clear()
        ours()
        for n in range(5):
            log.write("a", {"n": n})
            other.write(f"b{n}", {"n": n})
            wait_for(lambda: is_caught_up(consumer, log) and is_caught_up(consumer, other))
        assert len(run(server.messages())) == 6
        assert not queued
        wait_for(lambda: ConsumerCursor.objects.filter(lease_until=None).count() == 2)
        wait_for(lambda: sum(DeliverySample.objects.values_list("messages", flat=True)) == 10)


def test_what_lags_far_behind_is_queued_for_the_workers(
    server: NatsServer, ours: Callable[[], Courier], queued: list[tuple[Any, ...]]
) -> None:
    """A backfill's bulk must not be delivered in the process that reads it."""
    log = Log()
    consumer = make_consumer(server, log.sync)
    queued.clear()
    ours()
    log.fill(taking.SMALL + 1)
    wait_for(lambda: bool(queued))
    assert queued == [("consumers.tasks.drain", [cursor_of(consumer).pk])]
    assert cursor_of(consumer).delivered == 0


def test_invariant_9_consumer_that_hangs_delays_no_other(
    server: NatsServer, ours: Callable[[], Courier], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    well, ill = make_consumer(server, log.sync), make_consumer(server, log.sync, subject_prefix="sequin-records.ill")
    open_link = jetstream.open_link

    async def hangs_for_one(settings: Any, **options: Any) -> Any:
        if str(ill.pk) in settings.name:
            await asyncio.sleep(3600)
        return await open_link(settings, **options)

    monkeypatch.setattr(links, "open_link", hangs_for_one)
    monkeypatch.setattr(courier, "DELIVER_S", 60)  # only the test's end would cut it short
    ours()
    for n in range(10):
        log.write("a", {"n": n})
        wait_for(lambda: is_caught_up(well, log))
    assert cursor_of(ill).acked_seq == 0
    monkeypatch.setattr(courier, "DELIVER_S", 0.1)


def test_invariant_9_consumer_that_failed_is_left_to_the_queue(
    server: NatsServer, ours: Callable[[], Courier], queued: list[tuple[Any, ...]]
) -> None:
    log = Log()
    consumer = make_consumer(server, log.sync)
    server.kill()
    queued.clear()
    ours()
    log.write("a", {"n": 1})
    wait_for(lambda: bool(queued))
    log.write("a", {"n": 2})
    time.sleep(3 * courier.PAUSE_S)
    assert queued == [("consumers.tasks.drain", [cursor_of(consumer).pk])]
    assert cursor_of(consumer).lease_until is None
    server.start()
    drain_until_quiet(consumer)
    assert len(run(server.messages())) == 1


def test_cursor_that_somebody_holds_is_looked_at_again(server: NatsServer, ours: Callable[[], Courier]) -> None:
    """Its holder may have looked at the log a last time just before it grew."""
    log = Log()
    consumer = make_consumer(server, log.sync)
    held = leases.take(ConsumerCursor, cursor_of(consumer).pk, seconds=60)
    assert held is not None
    ours()
    log.write("a", {"n": 1})
    time.sleep(3 * courier.PAUSE_S)
    assert not is_caught_up(consumer, log)
    held.release()
    wait_for(lambda: is_caught_up(consumer, log))


def test_stream_made_anew_is_noticed_though_it_was_not_asked(server: NatsServer, ours: Callable[[], Courier]) -> None:
    log = Log()
    consumer = make_consumer(server, log.sync)
    ours()
    for n in range(12):
        log.write(f"r{n}", {"n": n})
    wait_for(lambda: is_caught_up(consumer, log))
    run(server.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    run(server.make_stream())
    log.write("new", {"n": 1})
    wait_for(lambda: cursor_of(consumer).run == 2 and is_caught_up(consumer, log))
    assert len(run(server.messages())) == 13


def test_record_that_never_fits_is_held_and_heals_by_its_next_change(
    server: NatsServer, ours: Callable[[], Courier]
) -> None:
    log = Log()
    consumer = make_consumer(server, log.sync)
    ours()
    log.write("big", {"n": 1, "text": "x" * 1_100_000})
    wait_for(lambda: consumer.held.count() == 1 and is_caught_up(consumer, log))
    log.write("big", {"n": 2})
    wait_for(lambda: consumer.held.count() == 0 and is_caught_up(consumer, log))
    assert len(run(server.messages())) == 1


@pytest.mark.parametrize("change", [{"state": "paused"}, {"retry_at": timezone.now() + timedelta(hours=1)}])
def test_consumer_that_is_paused_or_in_trouble_is_left_alone(
    change: dict[str, Any], server: NatsServer, ours: Callable[[], Courier], queued: list[tuple[Any, ...]]
) -> None:
    log = Log()
    consumer, other = make_consumer(server, log.sync), make_consumer(server, subject_prefix="sequin-records.other")
    NatsConsumer.objects.filter(pk=consumer.pk).update(**change)
    queued.clear()
    ours()
    log.write("a", {"n": 1})
    wait_for(lambda: is_caught_up(other, log))
    assert cursor_of(consumer).acked_seq == 0
    assert not queued


def test_secret_that_cannot_be_read_is_its_own_consumers_trouble(
    server: NatsServer, ours: Callable[[], Courier], queued: list[tuple[Any, ...]]
) -> None:
    log = Log()
    ill, well = make_consumer(server, log.sync), make_consumer(server, subject_prefix="sequin-records.other")
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE consumers_natsconsumer SET secrets = 'gone' WHERE name = %s", [ill.name])
    ours()
    log.write("a", {"n": 1})
    wait_for(lambda: is_caught_up(well, log))
    assert ("consumers.tasks.drain", [ConsumerCursor.objects.get(consumer=ill.pk).pk]) in queued


def test_forked_process_has_a_courier_of_its_own(ours: Callable[[], Courier]) -> None:
    ours()._loop = asyncio.new_event_loop()  # as if it had started
    child = os.fork()
    if not child:
        os._exit(0 if courier._courier._loop is None and not courier._courier._noted else 1)
    courier._courier._loop = None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_only_a_fenced_stream_is_trusted_and_only_for_a_while(server: NatsServer) -> None:
    async def scenario() -> None:
        link = await jetstream.open_link(NatsConsumer(hosts=[f"127.0.0.1:{server.port}"]).nats_settings())
        await server.make_stream("BASIC", "basic", allow_atomic=False)
        fenced, basic = await streams.info(link, "SEQUIN-RECORDS"), await streams.info(link, "BASIC")
        for stream, trust_s, is_known in ((fenced, 60, True), (fenced, 0, False), (basic, 60, False)):
            streams.remember(link, "x.>", stream)
            known = streams.recall(link, "x.>", at_least_seq=7, trust_s=trust_s)
            assert (known is not None and known.last_seq == 7) == is_known
            assert streams.recall(link, "x.>", at_least_seq=7, trust_s=60) is None  # recalled once
        await link.close()

    run(scenario())
