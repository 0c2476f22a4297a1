"""A queue that is away costs time, never work: who queues is told at once, who fetches goes on when it is back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError, connections
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.signing import SignedPackage

from consumers import scheduling
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.common import redis_queue, task_queue
from sequin_console.common.task_queue import OrmBroker, QueueAway
from sequin_console.management.commands.scheduler import Chore
from syncs import tasks
from syncs.models import Feed
from tests import redis_server
from tests.consumer_factories import Log
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True, databases="__all__")]
BEAT = "consumers.tasks.beat"


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A Redis of this test's own that the queue stands on, whatever the run's backend is."""
    with redis_server.running(tmp_path) as server:
        monkeypatch.setattr(Conf, "BROKER_CLASS", "sequin_console.common.redis_queue.RedisBroker")
        monkeypatch.setattr(Conf, "REDIS", server.url)
        monkeypatch.setattr(task_queue, "AWAY_S", 0.01)
        yield server


def fetched(cluster: str = "consumers") -> list[str]:
    """What the cluster's next fetch brings."""
    return [SignedPackage.loads(package)["func"] for _receipt, package in get_broker(cluster).dequeue() or []]


def test_a_cluster_fetches_on_after_redis_was_killed(redis: RedisServer) -> None:
    task_queue.async_task(BEAT, cluster="consumers")
    assert fetched() == [BEAT]
    redis.kill()
    assert fetched() == []
    with pytest.raises(QueueAway):
        task_queue.async_task(BEAT, cluster="consumers")
    redis.start()
    task_queue.async_task(BEAT, cluster="consumers")
    assert fetched() == [BEAT]


def test_a_redis_that_does_not_answer_is_not_waited_for_long(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "ANSWER_S", 0.2)
    redis_queue._redis.cache_clear()
    redis.pause()
    with pytest.raises(QueueAway):
        task_queue.async_task(BEAT, cluster="consumers")
    redis.resume()


def test_a_log_grows_while_redis_is_away_and_its_drain_is_found_again(redis: RedisServer) -> None:
    log = Log()
    consumer = NatsConsumer.objects.create(name="c", sync=log.sync, subject_prefix="p", hosts=["127.0.0.1:4222"])
    scheduling.make_missing_cursors()
    redis.kill()
    log.write("a", {"n": 1})
    assert log.head == 1
    lagging = ConsumerCursor.objects.filter(consumer=consumer)
    with pytest.raises(QueueAway):
        scheduling.queue(lagging)
    assert lagging.get().queued_until is None
    redis.start()
    assert scheduling.queue(lagging) == 1
    assert fetched() == ["consumers.tasks.drain"]
    assert lagging.get().queued_until is not None


def test_due_feeds_are_found_again_once_redis_is_back(redis: RedisServer) -> None:
    log = Log()
    log.feed.release()
    Feed.objects.update(due_at=timezone.now())
    redis.kill()
    with pytest.raises(QueueAway):
        tasks.enqueue_due()
    assert Feed.objects.get(pk=log.feed.pk).queued_until is None
    redis.start()
    assert tasks.enqueue_due() == 1
    assert fetched("syncs") == ["syncs.tasks.read_feeds"]


def test_a_chore_of_the_scheduler_survives_a_queue_that_is_away(redis: RedisServer) -> None:
    redis.kill()
    runs: list[int] = []

    def queue() -> None:
        runs.append(1)
        task_queue.async_task(BEAT, cluster="consumers")

    chore = Chore("beat", 0, queue)
    chore.run_if_due()
    chore.run_if_due()
    assert len(runs) == 2


def test_a_cluster_fetches_on_after_its_database_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_queue, "AWAY_S", 0.01)
    monkeypatch.setattr(Conf, "BROKER_CLASS", "sequin_console.common.task_queue.OrmBroker")
    alias = Conf.ORM or "default"
    monkeypatch.setattr(Conf, "ORM", alias)
    task_queue.async_task(BEAT, cluster="consumers")

    def fail(*args: object) -> None:
        raise OperationalError("gone")

    broker = OrmBroker("consumers")
    with connections[alias].execute_wrapper(fail):
        assert broker.dequeue() is None
    with connections[alias].execute_wrapper(fail):
        broker.acknowledge(1)
    ((receipt, _package),) = get_broker("consumers").dequeue()
    OrmBroker("consumers").acknowledge(receipt)
    assert get_broker("consumers").queue_size() == get_broker("consumers").lock_size() == 0
