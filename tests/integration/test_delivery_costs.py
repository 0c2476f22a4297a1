"""What delivery costs, as counts: a guard against regressions that no clock is needed for.

Two drains that differ by two thousand messages tell what a thousand more cost; what both have in common is the price of
a drain. Whoever adds a query a batch, or a call a message, finds out here.
"""

import asyncio
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from consumers import courier, working
from consumers.courier import Courier
from consumers.jetstream import Link
from consumers.job import BATCH_BYTES
from consumers.models import ConsumerCursor
from sequin_console.common import leases, runner
from tests.consumer_factories import Log, cursor_of, drain, make_consumer
from tests.nats_server import NatsServer, nats_server, run

pytestmark = pytest.mark.django_db(transaction=True)
LANES = {"fenced": {}, "basic": {"allow_atomic": False}}

# A thousand more messages: what they may cost at most.
MOST_A_THOUSAND = {
    "fenced": {"queries": 2, "transactions": 0, "requests": 1, "writes": 8, "calls": 38_000},
    "basic": {"queries": 2, "transactions": 0, "requests": 0, "writes": 8, "calls": 80_000},
}
MOST_A_DRAIN = {"queries": 20, "transactions": 1, "requests": 3}  # whatever it delivers
MOST_A_CHANGE = {"queries": 6, "transactions": 1, "requests": 1, "writes": 0}  # committed, and on the stream by courier
MOST_A_GROUP = {
    "queries": 6,
    "transactions": 1,
    "requests": 1,
    "writes": 4,
}  # the same for five pages of a slow upstream


@pytest.fixture(autouse=True)
def unqueued(queued: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """No queue; nor what is done by the clock and not by the work: a heartbeat, a sample in each new ten seconds."""
    monkeypatch.setattr("sequin_console.common.heartbeats.beat", lambda name: None)
    monkeypatch.setattr("consumers.health.sample", lambda consumer_id, messages: None)


@contextmanager
def counted(thread: str | None = None) -> Iterator[Counter[str]]:
    """Queries and transactions of one thread (else the caller's), requests to NATS and writes to its socket."""
    found: Counter[str] = Counter()
    wanted = thread or threading.current_thread().name
    execute, executemany, enter = CursorWrapper.execute, CursorWrapper.executemany, transaction.Atomic.__enter__
    request, write = Link.request, Link._write

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if threading.current_thread().name == wanted:
                found[name] += 1
            return real(*args, **options)

        return call

    async def asked(*args: Any, **options: Any) -> bytes:
        found["requests"] += 1
        return await request(*args, **options)

    async def written(link: Link, frames: list[bytes]) -> None:
        found["writes"] += bool(frames)
        await write(link, frames)

    with (
        mock.patch.object(CursorWrapper, "execute", counting("queries", execute)),
        mock.patch.object(CursorWrapper, "executemany", counting("queries", executemany)),
        mock.patch.object(transaction.Atomic, "__enter__", counting("transactions", enter)),
        mock.patch.object(Link, "request", asked),
        mock.patch.object(Link, "_write", written),
    ):
        yield found


@contextmanager
def calls_counted() -> Iterator[Counter[str]]:
    """Function calls on this thread and on the loop's, Python's and C's: work done, free of the machine's mood."""
    found: Counter[str] = Counter()

    def note(_frame: Any, event: str, _arg: Any) -> None:
        if event in ("call", "c_call"):
            found["calls"] += 1

    async def on_loop(profile: Any) -> None:
        sys.setprofile(profile)

    def everywhere(profile: Any) -> None:
        asyncio.run_coroutine_threadsafe(on_loop(profile), runner.event_loop()).result(10)
        sys.setprofile(profile)

    everywhere(note)
    try:
        yield found
    finally:
        everywhere(None)


def drained(server: NatsServer, messages: int) -> Counter[str]:
    """What a drain of so many new records cost."""
    log = Log()
    log.fill(messages, text="x" * 900)
    consumer = make_consumer(server, log.sync)
    drain(consumer, budget_s=0)  # connects, meets the stream, delivers one batch
    ConsumerCursor.objects.update(acked_seq=0, run=2)  # and all again
    cursor = leases.take(ConsumerCursor, cursor_of(consumer).pk, seconds=60)
    assert cursor is not None
    with counted() as found, calls_counted() as calls:
        results = working.drain([cursor], budget_s=60)
    assert [result[1] for result in results.values()] == [messages]
    return found + calls


@pytest.mark.parametrize("lane", LANES)
def test_thousand_messages_cost_a_fixed_number_of_queries_round_trips_and_calls(lane: str) -> None:
    with nats_server() as server:
        run(server.make_stream(**LANES[lane]))
        drained(server, 10)  # whatever is done once a process
        few, many = drained(server, 1_000), drained(server, 3_000)
    print({name: (many[name], (many[name] - few[name]) / 2) for name in sorted(many)})
    for name, most in MOST_A_THOUSAND[lane].items():
        assert (many[name] - few[name]) / 2 <= most, name
    for name, most in MOST_A_DRAIN.items():
        assert few[name] - (many[name] - few[name]) / 2 <= most, name


@pytest.mark.parametrize(("records", "most"), [(1, MOST_A_CHANGE), (500, MOST_A_GROUP)])
def test_what_the_courier_delivers_costs_few_queries_and_one_round_trip(
    records: int, most: dict[str, int], no_courier: None
) -> None:
    with nats_server() as server, mock.patch.object(courier, "_courier", Courier()):
        run(server.make_stream())
        log = Log()
        consumer = make_consumer(server, log.sync)

        def change(n: int) -> None:
            log.fill(records, n=n)
            deadline = time.monotonic() + 30
            while cursor_of(consumer).acked_seq < log.head or courier._courier._under_way:
                assert time.monotonic() < deadline
                time.sleep(0.005)

        with mock.patch.object(courier, "SAMPLE_S", 3600):
            change(0)  # connects, learns which stream it is
            with counted("sequin-courier") as found:
                for n in range(1, 6):
                    change(n)
        courier._courier.stop()
        print({name: found[name] / 5 for name in found})
        for name, allowed in most.items():
            assert found[name] <= 5 * allowed, name


def test_memory_of_a_drain_is_bounded_however_much_there_is_to_deliver() -> None:
    """Two batches at once, one on its way and one being read; not the log."""
    with nats_server() as server:
        run(server.make_stream())
        log = Log()
        for part in range(4):
            log.fill(500, start=500 * part, text="x" * 20_000)  # 10 MB each
        consumer = make_consumer(server, log.sync)
        tracemalloc.start()
        try:
            drain(consumer, budget_s=60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert cursor_of(consumer).acked_seq == log.head
        print(f"peak {peak / 1e6:.1f} MB")
        assert peak < 4 * BATCH_BYTES
