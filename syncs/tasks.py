"""What workers run. Every task takes ids, is safe to run twice, and may be lost: the scheduler asks again."""

import contextlib
import time
from collections.abc import Collection
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from sequin_console.common import heartbeats, leases, runner, task_queue
from syncs import catalogue, hints, removal, webhooks
from syncs.account import Account
from syncs.models import Feed
from syncs.reading import FeedRun
from syncs.states import CredentialState, SyncState

logger = structlog.get_logger(__name__)

QUEUE = "syncs"
ALL_OF_A_FEED = ("sync__credential__oauth_app",)


def read_feeds(feed_ids: list[int]) -> None:
    """Bring these feeds up to date, side by side, within the budget. Safe to call twice: leases let one worker in."""
    heartbeats.beat(QUEUE)
    late_at = time.monotonic() + settings.BUDGET_S
    with leases.hold_many(Feed, feed_ids, seconds=settings.LEASE_S, related=ALL_OF_A_FEED) as feeds:
        outcomes = _read(feeds, late_at)
    for pk, outcome in outcomes.items():
        if isinstance(outcome, Exception):
            logger.error("feed run failed", feed=pk, exc_info=outcome)
    # What a webhook named meanwhile was not queued, for the lease was ours: so look once more, now that it is not.
    hinted = set(hints.feeds_due(timezone.now(), feed_ids))
    if unfinished := [feed.pk for feed in feeds if feed.pk in outcomes and is_due(feed, outcomes[feed.pk], hinted)]:
        with contextlib.suppress(task_queue.QueueAway):  # the scheduler finds them again
            enqueue_due(Q(pk__in=unfinished))
    heartbeats.beat(QUEUE)


def is_due(feed: Feed, outcome: Any, hinted: Collection[int]) -> bool:
    """Whether a feed that was just read has more to do at once. One that failed waits for the scheduler."""
    is_late = feed.due_at is not None and feed.due_at <= timezone.now()
    return not isinstance(outcome, Exception) and (is_late or feed.pk in hinted)


def _read(feeds: list[Feed], late_at: float) -> dict[int, Any]:
    credentials = {feed.pk: feed.sync.credential for feed in feeds}
    catalogue.look_for({credential.provider for credential in credentials.values()})
    by_pk = {feed.pk: feed for feed in feeds}
    hinted = set(hints.feeds_due(timezone.now(), list(by_pk)))
    accounts: dict[UUID, Account] = {}
    spare_s = settings.TASK_TIMEOUT_S - settings.BUDGET_S
    give_up_at, hard_stop_s = late_at + spare_s / 4, settings.BUDGET_S + spare_s / 2

    async def work(pk: int, orm: runner.Orm) -> None:
        credential = credentials[pk]
        if credential.pk not in accounts:
            accounts[credential.pk] = Account(credential, orm, give_up_at)
        await FeedRun(by_pk[pk], accounts[credential.pk], orm, late_at, has_hints=pk in hinted).run()
        await orm(accounts[credential.pk].save)
        await orm(by_pk[pk].release)  # not only when the slowest of its neighbours is done

    return runner.run_side_by_side(work, by_pk, timeout_s=hard_stop_s, tick=lambda: heartbeats.beat(QUEUE))


def carry_on_removals() -> None:
    """Go on taking away what people removed."""
    heartbeats.beat(QUEUE)
    removal.carry_on()


def enqueue_removals() -> int:
    """Queue going on with removals if there are any; returns how many tasks."""
    if not removal.is_under_way():
        return 0
    task_queue.async_task("syncs.tasks.carry_on_removals", cluster=QUEUE)
    return 1


def tend_webhooks(webhook_ids: list[int]) -> None:
    """Renew these webhooks at their providers, or try to register them again. Safe to call twice."""
    heartbeats.beat(QUEUE)
    webhooks.tend(webhook_ids)


def enqueue_webhooks() -> int:
    """Queue tending the webhooks whose time has come; returns how many."""
    ids = webhooks.to_tend()
    if ids:
        task_queue.async_task("syncs.tasks.tend_webhooks", ids, cluster=QUEUE)
    return len(ids)


def enqueue_due(only: Q | None = None) -> int:
    """Queue every feed that has something to do and is in nobody's hands; returns how many. From the tables alone.

    Raises QueueAway; what was not queued is then found again by the next call.
    """
    now = timezone.now()
    hinted = hints.feeds_due(now)
    is_due = Q(due_at__lte=now) | Q(pk__in=hinted) if hinted else Q(due_at__lte=now)
    due = Feed.objects.filter(only or Q(), is_due, sync__state=SyncState.ACTIVE).filter(
        leases.is_free(now),
        task_queue.may_be_queued(now),
        Q(sync__credential__not_before=None) | Q(sync__credential__not_before__lte=now),
        Q(sync__not_before=None) | Q(sync__not_before__lte=now),
    )
    due = due.exclude(sync__credential__state=CredentialState.RECONNECT).order_by("sync__credential", "due_at")
    return task_queue.queue_units(due, "syncs.tasks.read_feeds", cluster=QUEUE)


def beat() -> None:
    """Show that a worker of this queue takes tasks and finishes them."""
    heartbeats.beat(QUEUE)
