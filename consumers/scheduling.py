"""Which drains and checks to queue. Everything queued can be lost: the tables tell all again (invariant 11)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from consumers.models import ConsumerCursor, NatsConsumer
from consumers.states import DRAINING, ConsumerState
from sequin_console.common import task_queue
from sequin_console.common.leases import is_free

CLUSTER = "consumers"
CHECK_EVERY = timedelta(minutes=5)
REMOVAL_EVERY = timedelta(seconds=5)
REMOVING = "removing"  # a sync's state, as syncs calls it

log = structlog.get_logger(__name__)


def enqueue_due(now: datetime) -> int:
    """Queue every drain and check that is due, from the tables alone; the scheduler calls this each second.

    Returns how many cursors and consumers were queued.
    """
    make_missing_cursors()
    return queue(lagging(now)) + _queue_checks(now)


def lagging(now: datetime) -> QuerySet[ConsumerCursor]:
    """Cursors that have something to deliver, that nobody holds and that may be tried now."""
    return ConsumerCursor.objects.filter(
        is_free(now),
        task_queue.may_be_queued(now),
        Q(due_at=None) | Q(due_at__lte=now),
        Q(consumer__retry_at=None) | Q(consumer__retry_at__lte=now),
        consumer__state__in=DRAINING,
        sync__head__head_seq__gt=F("acked_seq"),
    ).exclude(consumer__state=ConsumerState.REMOVING, consumer__removal="purge")


def queue(cursors: QuerySet[ConsumerCursor]) -> int:
    """Queue drains for these cursors; returns how many. Raises QueueAway."""
    return task_queue.queue_units(cursors.order_by("consumer", "pk"), "consumers.tasks.drain", cluster=CLUSTER)


def queue_lagging(**which: Any) -> int:
    """Queue what lags among the cursors with these columns; none when the queue is away: the scheduler finds them."""
    try:
        return queue(lagging(timezone.now()).filter(**which))
    except task_queue.QueueAway as error:
        log.warning("the queue is away; the scheduler will find the drains", error=str(error))
        return 0


def make_missing_cursors(sync_id: UUID | None = None) -> int:
    """Give every consumer a cursor in every sync it concerns: all-syncs consumers pick up syncs made later, from 0."""
    syncs = _syncs().exclude(state=REMOVING)
    if sync_id is not None:
        syncs = syncs.filter(pk=sync_id)
    consumers = list(NatsConsumer.objects.exclude(state=ConsumerState.REMOVING).values_list("pk", "sync_id"))
    sync_ids = set(syncs.values_list("pk", flat=True))
    wanted = {(pk, own) for pk, bound in consumers for own in ({bound} & sync_ids if bound else sync_ids)}
    cursors = ConsumerCursor.objects.filter(consumer__in=[pk for pk, _ in consumers], sync__in=sync_ids)
    if not wanted or cursors.count() == len(wanted):
        return 0
    missing = wanted - set(cursors.values_list("consumer_id", "sync_id"))
    rows = [ConsumerCursor(consumer_id=consumer, sync_id=own) for consumer, own in sorted(missing)]
    ConsumerCursor.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _queue_checks(now: datetime) -> int:
    due = NatsConsumer.objects.filter(Q(check_due_at=None) | Q(check_due_at__lte=now)).exclude(
        state=ConsumerState.PAUSED
    )
    found = list(due.values_list("pk", "state")[:200])
    if found:
        task_queue.async_task("consumers.tasks.check_consumers", [str(pk) for pk, _ in found], cluster=CLUSTER)
    for pk, state in found:
        later = REMOVAL_EVERY if state == ConsumerState.REMOVING else CHECK_EVERY
        NatsConsumer.objects.filter(pk=pk).update(check_due_at=now + later)
    return len(found)


def _syncs() -> QuerySet[Any]:
    """The syncs, by way of our own foreign key: this room does not import their models."""
    return ConsumerCursor._meta.get_field("sync").related_model._default_manager.all()


def sync_exists(sync_id: UUID) -> bool:
    return _syncs().exclude(state=REMOVING).filter(pk=sync_id).exists()
