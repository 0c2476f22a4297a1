"""What it costs when nothing is new: counted in queries, for counts do not depend on the machine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import close_old_connections, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ

from consumers.live_source import LogSource, Wish
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console import settings as own_settings
from sequin_console.common.sqlite.base import DatabaseWrapper
from sequin_console.common.task_queue import OrmBroker
from sequin_console.management.commands import scheduler
from syncs import tasks
from syncs.models import Feed
from tests.fake_provider import Upstream

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
WRITES = ("INSERT", "UPDATE", "DELETE")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream()
    with world.registered():
        yield world


def live_feeds(upstream: Upstream, count: int) -> list[int]:
    """Feeds of so many new syncs whose history is read and whose next look is due now."""
    syncs = [upstream.sync(name=f"Sync {number}") for number in range(count)]
    pks = list(Feed.objects.filter(sync__in=syncs).values_list("pk", flat=True))
    tasks.read_feeds(pks)
    Feed.objects.filter(pk__in=pks).update(looked_at=timezone.now() - timedelta(hours=1), due_at=timezone.now())
    return pks


def look(pks: list[int]) -> tuple[int, int]:
    """How many queries, and how many writes among them, one task takes to look at these feeds."""
    before = set(Feed.objects.filter(pk__in=pks).values_list("looked_at", flat=True))
    with CaptureQueriesContext(connection) as caught:
        tasks.read_feeds(pks)
    assert before.isdisjoint(Feed.objects.filter(pk__in=pks).values_list("looked_at", flat=True))
    return len(caught), sum(1 for query in caught if query["sql"].startswith(WRITES))


def test_a_look_that_finds_nothing_takes_few_queries_and_fewer_writes(upstream: Upstream) -> None:
    """Two hundred syncs looked at every 30 s cost what this costs, 7 times a second."""
    one = look(live_feeds(upstream, 1))
    eleven = look(live_feeds(upstream, 11))
    assert (eleven[0] - one[0]) / 10 <= 8
    assert (eleven[1] - one[1]) / 10 <= 3  # the lease is proven, what was found is noted, the next look is set


def test_a_look_that_finds_nothing_queues_nothing(upstream: Upstream, queued: list[tuple[Any, ...]]) -> None:
    pks = live_feeds(upstream, 3)
    queued.clear()
    look(pks)
    assert queued == []


def test_a_tick_of_the_scheduler_costs_the_same_for_no_sync_and_for_two_hundred(upstream: Upstream) -> None:
    def tick() -> int:
        with CaptureQueriesContext(connection) as caught:
            for chore in scheduler.chores():
                chore.run_if_due()
        return len(caught)

    NatsConsumer.objects.create(name="out", hosts=["127.0.0.1"], check_due_at=timezone.now() + timedelta(hours=1))
    tick()
    none = tick()
    live_feeds(upstream, 200)
    Feed.objects.update(due_at=timezone.now() + timedelta(hours=1))
    tick()
    assert ConsumerCursor.objects.count() == 200
    assert none <= tick() <= none + 1  # are there cursors missing? is asked only where there are syncs


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db(transaction=True, databases="__all__")
def test_looking_for_work_opens_no_connection_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """django-q2 closes what is old before each look into the queue, the scheduler each second: nothing is old here."""
    monkeypatch.setattr(Conf, "POLL", 0)
    settings = {**connections.settings["queue"], **own_settings._sqlite("queue"), "NAME": tmp_path / "queue.sqlite3"}

    def look_ten_times() -> int:
        connections["queue"] = DatabaseWrapper(settings, "queue")  # this thread's own
        with connections["queue"].schema_editor() as tables:
            tables.create_model(OrmQ)
        real = DatabaseWrapper.get_new_connection
        with mock.patch.object(DatabaseWrapper, "get_new_connection", autospec=True, side_effect=real) as opened:
            for _ in range(10):
                assert not OrmBroker(list_key="syncs").dequeue()
                close_old_connections()
        connections["queue"].close()
        return opened.call_count

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(look_ten_times).result() == 0


def test_a_request_leaves_no_connection_behind() -> None:
    """Each has a thread of its own; what that kept open would be nobody's."""
    from sequin_console import asgi

    assert asgi.application
    assert all(database["CONN_MAX_AGE"] is not None for database in connections.settings.values())


def test_watching_our_own_log_asks_once_for_all_syncs_where_nothing_is_new(upstream: Upstream) -> None:
    """Where NATS does not let us read, each viewer looks into the log once a second."""
    consumer = NatsConsumer.objects.create(name="out", hosts=["127.0.0.1"], collection_ids=["fake:thing"])

    def look_again() -> tuple[int, int]:
        source = LogSource(consumer, Wish(last=50), taker=None)  # type: ignore[arg-type]
        first = len(source._read())
        with CaptureQueriesContext(connection) as caught:
            assert source._read() == []
        return first, len(caught)

    upstream.fill(3)
    live_feeds(upstream, 1)
    assert look_again() == (3, 1)
    live_feeds(upstream, 5)
    assert look_again() == (18, 1)
