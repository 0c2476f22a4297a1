"""A purge by hand is noticed: the stream holds fewer subjects than the sync has live records."""

from collections.abc import Iterator

import pytest

from consumers import services, working
from consumers.models import NatsConsumer
from tests.consumer_factories import Log, drain_until_quiet, make_consumer
from tests.nats_server import NatsServer, nats_server, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as started:
        run(started.make_stream())
        yield started


def warning_of(consumer: NatsConsumer) -> str:
    working.check_consumers([str(consumer.pk)])
    return str(NatsConsumer.objects.get(pk=consumer.pk).warning)


def test_purged_messages_are_missed_and_a_replay_brings_them_back(server: NatsServer) -> None:
    log = Log()
    log.fill(20)
    consumer = make_consumer(server)
    drain_until_quiet(consumer)
    assert warning_of(consumer) == ""
    run(server.ask("STREAM.PURGE.SEQUIN-RECORDS", {"filter": f"sequin-records.{log.sync.pk}.fake:thing.thing-00003"}))
    assert "19 of the 20 records" in warning_of(consumer)
    services.dismiss_warning(consumer, by=None)
    services.replay(NatsConsumer.objects.get(pk=consumer.pk), by=None)
    drain_until_quiet(consumer)
    assert warning_of(consumer) == ""


def test_what_is_still_on_its_way_is_not_missed(server: NatsServer) -> None:
    log = Log()
    consumer = make_consumer(server)
    log.fill(20)
    assert warning_of(consumer) == ""


def test_consumer_from_now_on_does_not_miss_what_was_before(server: NatsServer) -> None:
    log = Log()
    log.fill(20)
    consumer = make_consumer(server, deliver_policy="new")
    log.fill(1, start=100)
    drain_until_quiet(consumer)
    assert warning_of(consumer) == ""
