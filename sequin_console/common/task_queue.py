"""The task queue, as something that may be away for a while: Redis restarted, the database gone for a minute.

Nothing is lost by it (invariant 11), so whoever queues is told soon rather than kept waiting, and a cluster that
fetches waits and goes on by itself instead of ending. Settings choose the broker; django-q2 does all the rest.
"""

import time
from datetime import datetime, timedelta
from typing import Any

import django_q.tasks
import structlog
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_q.brokers import orm
from django_q.conf import Conf

from sequin_console.common import bell

AWAY_S = 1.0
UNITS_A_TASK = 20
QUEUED_S = 30  # what is queued is not queued again so soon, in case its task is lost

log = structlog.get_logger(__name__)


class QueueAway(Exception):
    """The queue took nothing. The scheduler finds the work again once it is back."""


def async_task(task: str, *args: Any, cluster: str) -> None:
    """Queue a task for a cluster. Raises QueueAway at once when there is no queue; a database's own errors as they are.

    args   ids alone: they lie in the queue for all to read (invariant 10)
    """
    django_q.tasks.async_task(task, *args, cluster=cluster)


def may_be_queued(now: datetime) -> Q:
    """A filter for what is not in the queue, or was so long ago that it must have been lost (invariant 11)."""
    return Q(queued_until=None) | Q(queued_until__lte=now)


def queue_units(units: QuerySet[Any], task: str, *, cluster: str) -> int:
    """Queue a task that takes ids for these rows, a thousand at most; returns how many there were.

    They are spread over the workers, but never so thin that each row is a task of its own.
    Raises QueueAway; what was not queued is then found again by the next call.
    """
    pks = list(units.values_list("pk", flat=True)[:1000])
    size = min(UNITS_A_TASK, max(1, -(-len(pks) // settings.WORKERS)))
    for start in range(0, len(pks), size):
        rows = units.model._base_manager.filter(pk__in=pks[start : start + size])
        queued = _mark(rows)
        try:
            if queued:
                async_task(task, queued, cluster=cluster)
        except QueueAway:
            rows.update(queued_until=None)
            raise
    return len(pks)


def _mark(rows: QuerySet[Any]) -> list[Any]:
    """Note that these rows are in the queue, and return their keys.

    A row that somebody just writes to is left out, not waited for: the scheduler must never stand behind a worker that
    froze in the middle of a transaction. It finds the row again a second later.
    """
    with transaction.atomic():
        free = list(rows.order_by().select_for_update(skip_locked=True).values_list("pk", flat=True))
        rows.filter(pk__in=free).update(queued_until=timezone.now() + timedelta(seconds=QUEUED_S))
    return free


class OrmBroker(orm.ORM):
    """The database's queue, with patience while the database is away, and a bell for who waits on the same machine."""

    def enqueue(self, task: Any) -> Any:
        task_id = super().enqueue(task)
        bell.ring(self.list_key)
        return task_id

    def dequeue(self) -> Any:
        """Tasks as (id, package), or None when there is none; then after a moment, or as soon as one is queued here."""
        try:
            found = self._take()
        except DatabaseError as error:
            connections[Conf.ORM].close()
            wait_for("the database", error)
            return None
        if not found:
            bell.wait(self.list_key, Conf.POLL)
        return found

    def _take(self) -> list[tuple[int, str]] | None:
        """As the parent does, but for its sleep; a task that another cluster was quicker to lock is left to it."""
        rows = self.get_connection()
        waiting = list(rows.filter(key=self.list_key, lock__lt=timezone.now())[: Conf.BULK])
        locked = [
            (task.pk, task.payload)
            for task in waiting
            if rows.filter(id=task.pk, lock=task.lock).update(lock=self.timeout(task))
        ]
        return locked or None

    def delete(self, task_id: int) -> None:
        """Take a task that is done out of the queue. If that fails it is run once more, which does no harm."""
        try:
            super().delete(task_id)
        except DatabaseError as error:
            connections[Conf.ORM].close()
            log.warning("a task that is done stays in the queue", error=str(error))


def wait_for(what: str, error: Exception) -> None:
    """Say that the queue is away, and give it a moment."""
    log.warning(f"the queue waits for {what}", error=str(error))
    time.sleep(AWAY_S)
