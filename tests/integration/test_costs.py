"""What reading costs, in counts that no busy machine can bend: statements, transactions, requests, memory.

Each bound is what it takes today. A statement more a page or a record, a commit more a group, a request more a page or
a buffer without an end breaks it. (Delivery's half: test_delivery_costs.py.)
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from syncs import access, log, log_sql, reading, services, sweeping, tasks
from syncs.engine import pull
from syncs.models import Credential, Feed, Record, Sync
from syncs.providers.kit import raw
from syncs.providers.kit.records import RawRecord
from syncs.providers.stripe import lists
from syncs.reading import FeedRun
from tests import backends
from tests.guards import proves

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS, PAGE = 2_000, 100
GROUPS = 6  # 1, 1, 2, 4, 8 and 4 pages
# Statements around it: taking the feed, what webhooks named before and since, fixing the start, setting the next look,
# counting its requests; asking for it.
RUN, RESYNC = 16, 20
TAKING = 1  # transaction: the leases of a task's feeds are taken in one
MORE = RECORDS // 100 - GROUPS if backends.name() == backends.SQLITE else 0  # there rows are written 100 a statement


class Books:
    """A Stripe account that only has customers, as a transport: nothing listens anywhere."""

    def __init__(self, count: int, note: str = "") -> None:
        self.count, self.note, self.requests = count, note, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        query = {key: values[0] for key, values in parse_qs(request.url.query.decode()).items()}
        data: list[dict[str, Any]] = []
        more = False
        if request.url.path.endswith("/customers"):
            start = int(query["starting_after"][4:]) + 1 if "starting_after" in query else 0
            end = min(self.count, start + int(query["limit"]))
            data, more = [self._customer(number) for number in range(start, end)], end < self.count
        body = {"object": "list", "data": data, "has_more": more, "url": request.url.path}
        date = {"Date": "Thu, 26 Nov 2026 09:00:00 GMT"}
        return httpx.Response(200, content=msgspec.json.format(msgspec.json.encode(body)), headers=date)

    def _customer(self, number: int) -> dict[str, Any]:
        padding = {f"field_{each}": f"value {each} of {number}" for each in range(25)}
        return {"id": f"cus_{number:08}", "object": "customer", "created": 1_700_000_000, "note": self.note, **padding}


@dataclass
class Costs:
    """What one run of a feed took."""

    queries: int = 0
    transactions: int = 0
    requests: int = 0
    announced: int = 0


@pytest.fixture(autouse=True)
def no_clock(queued: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends because time goes by, and nobody but the test hears of growth."""
    monkeypatch.setattr(pull, "LINGER_S", 600.0)
    monkeypatch.setattr(settings, "BUDGET_S", 600)
    monkeypatch.setattr(settings, "TASK_TIMEOUT_S", 1_200)
    monkeypatch.setattr(tasks.heartbeats, "beat", lambda name: None)
    monkeypatch.setattr(log.appended, "receivers", [])
    log.appended.sender_receivers_cache.clear()


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    upstream = Books(RECORDS)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: upstream(request)))
    monkeypatch.setattr(access, "shared_http", lambda: http)
    return upstream


@pytest.fixture
def sync(books: Books) -> Sync:
    return make_sync()


def make_sync() -> Sync:
    credential = Credential.objects.create(
        provider="stripe", kind="stripe_key", name="Books", secrets={"secret": "rk_test_costs"}
    )
    return services.create_sync(
        {"name": "Costs", "credential": credential, "collection_ids": ["stripe:customer"]}, by=None
    )


@contextmanager
def counted(books: Books) -> Iterator[Costs]:
    """The costs of a block, filled in when it ends."""
    costs, before = Costs(), books.requests
    default = connections["default"]

    def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        costs.queries += not sql.startswith(("BEGIN", "SAVEPOINT", "RELEASE"))
        return execute(sql, params, many, context)

    def commit() -> None:
        costs.transactions += 1
        real()

    def listen(**_: object) -> None:
        costs.announced += 1

    def copy(*args: Any) -> None:
        costs.queries += 1  # a statement too, past Django's cursor
        real_copy(*args)

    real, real_copy = default._commit, log_sql._copy
    log.appended.connect(listen)
    with (
        default.execute_wrapper(statement),
        mock.patch.object(default, "_commit", commit),
        mock.patch.object(log_sql, "_copy", copy),
    ):
        yield costs
    log.appended.disconnect(listen)
    costs.requests = books.requests - before


def read(sync: Sync) -> None:
    """One task, as a worker runs it."""
    Feed.objects.update(due_at=timezone.now(), queued_until=None)
    tasks.read_feeds([sync.feeds.get().pk])
    assert sync.collections.get().phase == "live"


def read_again(sync: Sync) -> None:
    """The whole history once more, without comparing ids."""
    services.resync(sync, None, by=None)
    sync.collections.update(sweep_due_at=None)
    read(sync)


def costs_of(books: Books, work: Callable[[], None]) -> Costs:
    with counted(books) as costs:
        work()
    return costs


@pytest.fixture
def fresh(books: Books, sync: Sync) -> Costs:
    costs = costs_of(books, lambda: read(sync))
    assert Record.objects.count() == RECORDS
    return costs


def test_fresh_records_take_seven_statements_a_transaction(fresh: Costs) -> None:
    """Prove the lease, see what is known, count, number, write, move the cursor; then ask whether to go on."""
    assert fresh.transactions <= TAKING + GROUPS
    assert fresh.queries <= RUN + 7 * GROUPS + MORE
    assert fresh.requests == RECORDS // PAGE + 1  # and where changes start
    assert fresh.announced == GROUPS


def test_a_page_is_made_compact_at_once(books: Books, sync: Sync) -> None:
    """Not object by object: that takes nearly twice the time."""
    with mock.patch.object(raw, "compact", wraps=raw.compact) as compacted:
        read(sync)
    assert Record.objects.count() == RECORDS
    assert compacted.call_count <= books.requests


@pytest.mark.usefixtures("fresh")
def test_nothing_changed_takes_four_statements_a_transaction(books: Books, sync: Sync) -> None:
    costs = costs_of(books, lambda: read_again(sync))
    assert costs.transactions <= TAKING + GROUPS + 1  # and the one that asks for it
    assert costs.queries <= RESYNC + 4 * GROUPS
    assert costs.requests == RECORDS // PAGE
    assert costs.announced == 0
    assert log.head(sync.pk) == RECORDS


@pytest.mark.usefixtures("fresh")
def test_all_changed_takes_eight_statements_a_transaction(books: Books, sync: Sync) -> None:
    books.note = "changed"
    costs = costs_of(books, lambda: read_again(sync))
    assert costs.transactions <= TAKING + GROUPS + 1
    assert costs.queries <= RESYNC + 8 * GROUPS + 2 * MORE
    assert costs.requests == RECORDS // PAGE
    assert costs.announced == GROUPS
    assert log.head(sync.pk) == 2 * RECORDS


@contextmanager
def a_statement_a_page() -> Iterator[None]:
    """What the guard is there to notice: somebody asks the database something for each page."""
    real = lists.Lists._to_page

    async def asking(self: Any, *args: Any, **kwargs: Any) -> Any:
        await runner_orm[0](Sync.objects.count)
        return await real(self, *args, **kwargs)

    runner_orm: list[Any] = []
    begin = FeedRun.load

    def load(run: FeedRun) -> bool:
        runner_orm.append(run.orm)
        return begin(run)

    with mock.patch.object(lists.Lists, "_to_page", asking), mock.patch.object(FeedRun, "load", load):
        yield


@contextmanager
def a_statement_a_record() -> Iterator[None]:
    real = log.news

    def asking(records: list[RawRecord], *args: Any, **kwargs: Any) -> Any:
        for record in records:
            Record.objects.filter(upstream_id=record.upstream_id).exists()
        return real(records, *args, **kwargs)

    with mock.patch.object(log, "news", asking):
        yield


@contextmanager
def a_commit_a_page() -> Iterator[None]:
    with mock.patch.object(reading, "gathered", lambda walk: walk):
        yield


@pytest.mark.parametrize("waste", [a_statement_a_page, a_statement_a_record, a_commit_a_page])
def test_the_bounds_notice_waste(books: Books, sync: Sync, waste: Callable[[], Any]) -> None:
    with waste():
        costs = costs_of(books, lambda: read(sync))
    assert Record.objects.count() == RECORDS
    with pytest.raises(AssertionError):
        test_fresh_records_take_seven_statements_a_transaction(costs)


# --- Memory -----------------------------------------------------------------------------------------------------------


def peak_bytes(work: Callable[[], None]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@contextmanager
def groups_without_end() -> Iterator[None]:
    with mock.patch.object(pull, "MOST_RECORDS", 10**9), mock.patch.object(pull, "MOST_BYTES", 10**12):
        yield


def test_memory_does_not_grow_with_the_history(books: Books) -> None:
    """Three groups of 1,000 records are in memory at most: one stored, one waiting, one being read."""
    books.count = 12_000

    def scenario() -> None:
        sync = make_sync()
        assert peak_bytes(lambda: read(sync)) < 10 * 1024 * 1024

    proves(scenario, without=groups_without_end)


@pytest.mark.usefixtures("fresh")
def test_nothing_is_left_behind_by_reading(books: Books, sync: Sync) -> None:
    """Not one object a record stays in memory, whether records changed or not."""
    read_again(sync)
    gc.collect()
    before = sys.getallocatedblocks()
    for note in ("", "changed", ""):
        books.note = note
        read_again(sync)
    gc.collect()
    assert sys.getallocatedblocks() - before < RECORDS // 4


# --- Comparing ids ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fresh")
def test_a_sweep_looks_each_record_up_by_itself(sync: Sync) -> None:
    """As a join PostgreSQL compared each record with each id, as long as nobody had counted the ids."""
    plan = sweeping.missing(sync.collections.get()).order_by().explain()
    assert "SUBQUERY" in plan.upper() or "SUBPLAN" in plan.upper()
    assert "ANTI JOIN" not in plan.upper()


@pytest.mark.usefixtures("fresh")
def test_a_sweep_commits_groups_of_pages_too(books: Books, sync: Sync) -> None:
    sync.collections.update(sweep_due_at=timezone.now() - timedelta(seconds=1))
    costs = costs_of(books, lambda: read(sync))
    assert not sync.collections.get().sweep_read_no
    assert costs.requests == RECORDS // PAGE
    assert costs.transactions <= TAKING + GROUPS + 2  # and those that begin and end it, under the lease
