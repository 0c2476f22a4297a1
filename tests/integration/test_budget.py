"""Requests as a budget: counted by purpose, kept within a sync's share, gone on with in the next window."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import httpx
import pytest
from django.db.models import Sum
from django.utils import timezone

from sequin_console.common import runner
from syncs import access, budget, connections, queries, services, tasks
from syncs.models import Credential, Feed, Purpose, Record, RequestCount, Sync
from syncs.providers import PROVIDERS
from syncs.providers.kit.quota import HOUR_S, Quota
from tests.guards import proves
from tests.integration.test_costs import Books

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]

ALLOWED = 120


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    """A Stripe account of 2,000 customers that tells of 120 requests an hour, which start anew in ten minutes."""
    upstream = Books(2_000)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: upstream(request)))
    told = lambda headers: [Quota(upstream.requests, ALLOWED, "hour", HOUR_S, 600.0)]  # noqa: E731
    monkeypatch.setattr(access, "shared_http", lambda: http)
    monkeypatch.setitem(PROVIDERS, "stripe", replace(PROVIDERS["stripe"], read_quota=told))
    return upstream


def make_credential() -> Credential:
    secrets = {"secret": "rk_test_x"}
    return Credential.objects.create(provider="stripe", kind="stripe_key", name="Books", secrets=secrets)


def make_sync(credential: Credential, percent: int = 100, *names: str) -> Sync:
    picked = [f"stripe:{name}" for name in names or ("customer",)]
    data = {"name": "Shared", "credential": credential, "collection_ids": picked, "quota_percent": percent}
    return services.create_sync(data, by=None)


def read(sync: Sync) -> None:
    """What the scheduler finds due of this sync, done once."""
    due = Feed.objects.filter(sync=sync, due_at__lte=timezone.now(), sync__not_before=None)
    due |= Feed.objects.filter(sync=sync, due_at__lte=timezone.now(), sync__not_before__lte=timezone.now())
    tasks.read_feeds(list(due.values_list("pk", flat=True)))


def sent(**of: Any) -> dict[str, int]:
    rows = RequestCount.objects.filter(**of).order_by().values_list("purpose").annotate(Sum("count"))
    return dict(rows)


def window_is_over(sync: Sync) -> None:
    """Ten minutes later."""
    past = timezone.now() - timedelta(seconds=1)
    Sync.objects.filter(pk=sync.pk).update(not_before=past, quota_resets_at=past)
    Feed.objects.filter(sync=sync).update(due_at=past, queued_until=None)


def test_every_request_is_counted_for_what_it_was_sent(books: Books) -> None:
    sync = make_sync(make_credential())
    read(sync)
    assert sent() == {Purpose.BACKFILL: 20, Purpose.POLLING: 1}
    Feed.objects.update(due_at=timezone.now(), looked_at=timezone.now() - timedelta(days=1))
    sync.collections.update(sweep_due_at=timezone.now())
    read(sync)
    assert sent()[Purpose.SWEEP] == 20
    assert sent()[Purpose.POLLING] > 1
    assert sum(sent(sync_id=sync.pk).values()) == books.requests
    assert RequestCount.objects.count() == 3  # one a purpose and hour, however many runs


def test_what_people_ask_is_counted_apart(books: Books) -> None:
    credential = make_credential()
    connections.discover(credential, fresh=True)
    connections.test_credential(credential)
    assert sent() == ({Purpose.ASKING: books.requests} if books.requests else {})
    assert books.requests
    credential.refresh_from_db()
    assert budget.budgets(credential)[0].used == books.requests


def no_share_is_kept() -> AbstractContextManager[Any]:
    async def spend(self: budget.Purse, purpose: str) -> None:
        self.sent[purpose] += 1

    return mock.patch.object(budget.Purse, "spend", spend)


def test_a_sync_at_its_share_waits_and_its_neighbour_goes_on(books: Books) -> None:
    """10 % of 120 are twelve requests: not one more leaves, though the task had time for all."""

    def scenario() -> None:
        books.requests = 0
        credential = make_credential()
        small, free = make_sync(credential, 10), make_sync(credential)
        read(small)
        assert sum(sent(sync_id=small.pk).values()) == books.requests == 12
        small.refresh_from_db()
        assert small.not_before is not None
        assert timedelta(minutes=9) < small.not_before - timezone.now() <= timedelta(minutes=10)
        assert small.feeds.get().due_at == small.not_before
        assert small.feeds.get().error == ""
        read(small)
        assert books.requests == 12
        read(free)
        assert free.collections.get().phase == "live"

    proves(scenario, without=no_share_is_kept)


def test_it_goes_on_by_itself_where_it_stood_until_all_is_read(books: Books) -> None:
    sync = make_sync(make_credential(), 10)
    for windows in range(1, 4):
        read(sync)
        assert books.requests <= 12 * windows
        if sync.collections.get().phase == "live":
            break
        window_is_over(sync)
    assert sync.collections.get().phase == "live"
    assert Record.objects.count() == 2_000
    assert books.requests <= 20 + 1 + 2 * windows  # a page read ahead and not stored is read again


def test_what_was_taken_and_not_sent_goes_back(books: Books) -> None:
    sync = make_sync(make_credential(), 90)
    read(sync)
    sync.refresh_from_db()
    assert sync.quota_used == books.requests == 21


def test_workers_never_exceed_a_share_together(books: Books) -> None:
    credential = make_credential()
    sync = make_sync(credential, 50)
    told = budget.Told(Quota(0, ALLOWED, "hour", HOUR_S, 600.0), timezone.now())

    async def work(orm: runner.Orm) -> int:
        purses = [budget.Purse(sync, orm, lambda: told) for _ in range(4)]

        async def spend_all(purse: budget.Purse) -> int:
            for count in range(ALLOWED):
                try:
                    await purse.spend(Purpose.BACKFILL)
                except budget.ShareUsed:
                    return count
            return ALLOWED

        return sum(await asyncio.gather(*(spend_all(purse) for purse in purses)))

    assert runner.run(work, timeout_s=60) == ALLOWED // 2


def test_a_larger_share_lets_it_go_on_at_once(books: Books) -> None:
    sync = make_sync(make_credential(), 10)
    read(sync)
    services.update_sync(sync, {"quota_percent": 100}, by=None)
    sync.refresh_from_db()
    assert sync.not_before is None
    read(sync)
    assert sync.collections.get().phase == "live"


def test_the_page_says_that_the_share_is_used_and_when_it_goes_on(books: Books) -> None:
    sync = make_sync(make_credential(), 10)
    read(sync)
    trouble = queries.sync_page(Sync.objects.get(pk=sync.pk))["summary"].problem
    assert "10 %" in trouble.message
    assert "120" in trouble.message
    assert trouble.until == Sync.objects.get(pk=sync.pk).not_before
    assert trouble.since is None


def test_a_share_is_from_1_to_100_percent(books: Books) -> None:
    for percent in (0, 101, -5):
        with pytest.raises(services.Problem):
            make_sync(make_credential(), percent)
