"""What workers run. Every task takes ids, is safe to run twice, and may be lost: the scheduler finds the work again."""

from django.conf import settings
from django.utils import timezone

from consumers import scheduling, working
from consumers.models import ConsumerCursor
from sequin_console.common import heartbeats, leases

QUEUE = scheduling.CLUSTER


def drain(cursor_ids: list[int]) -> None:
    """Deliver what these cursors lag behind, side by side, within the budget. Leases let one worker in."""
    heartbeats.beat("consumers")
    drained = ConsumerCursor.objects.filter(pk__in=cursor_ids)
    drained.update(queued_until=None)  # what is appended from now on may queue them again
    with leases.hold_many(ConsumerCursor, cursor_ids, seconds=settings.LEASE_S) as cursors:
        working.drain(cursors, budget_s=settings.BUDGET_S)
    scheduling.queue_lagging(pk__in=cursor_ids)  # the budget may have ended before the log did
    heartbeats.beat("consumers")


def check_consumers(consumer_ids: list[str]) -> None:
    """Repeat the checks of these consumers, and finish removals whose last duty is done."""
    heartbeats.beat("consumers")
    working.check_consumers(consumer_ids)


def beat() -> None:
    """Show that a worker of this queue takes tasks and finishes them."""
    heartbeats.beat("consumers")


def enqueue_due() -> int:
    """For the scheduler, each second: queue every drain and check that is due; returns how many."""
    return scheduling.enqueue_due(timezone.now())
