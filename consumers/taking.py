"""What the courier asks of the database: which cursors lag a little, and their leases. Runs on the courier's thread."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from consumers import job as jobs
from consumers import scheduling
from consumers.job import Job
from consumers.models import ConsumerCursor, HeldMessage, NatsConsumer
from consumers.states import ConsumerState
from sequin_console.common import leases

# Entries a cursor may lag behind to be delivered by the courier; more is a backfill's bulk. Where upstream takes 100 ms
# for a page of 100, five or six are stored at once (engine/pull.py): by the queue, their delivery cost twice the CPU.
SMALL = 600
MOST_BYTES = 2 * 1024 * 1024  # a delivery's, of which a courier has up to 32 under way
LEASE_S = 15.0

log = structlog.get_logger(__name__)


@dataclass
class Look:
    """What one look came to: jobs under our lease; syncs to look at again soon, or when a cursor's delivery ends."""

    jobs: list[Job] = field(default_factory=list)
    later: set[UUID] = field(default_factory=set)
    after: dict[int, UUID] = field(default_factory=dict)


def look(sync_ids: set[UUID], *, under_way: Collection[int], shunned: Collection[UUID], most: int) -> Look:
    """Take the cursors of these syncs that lag a little, and queue those that lag far.

    under_way  cursors this process delivers from already
    shunned    consumers left to the queue for now
    most       jobs to take
    """
    now, found = timezone.now(), Look()
    near: list[Any] = []
    far: list[int] = []
    for cursor in _lagging(sync_ids, now):
        if cursor.consumer_id in shunned:
            continue
        if cursor.pk in under_way:
            found.after[cursor.pk] = cursor.sync_id
        elif cursor.lease_until is not None and cursor.lease_until >= now:
            found.later.add(cursor.sync_id)  # its holder may have looked a last time before the log grew
        elif cursor.head_seq - cursor.acked_seq > SMALL:
            far.append(cursor.pk)
        elif len(near) < most:
            near.append(cursor)
        else:
            found.later.add(cursor.sync_id)
    if far:
        scheduling.queue_lagging(pk__in=far)
    if near:
        found.jobs = _take(near)
    return found


def give_back(cursor: ConsumerCursor, *, queue: bool) -> None:
    """Release a cursor; `queue` has a worker drain it, looking at everything anew."""
    cursor.release()
    if queue:
        scheduling.queue_lagging(pk=cursor.pk)


def _lagging(sync_ids: set[UUID], now: datetime) -> list[Any]:
    """Cursors of these syncs that lag behind and whose consumers are well; with all a drain needs, in one query."""
    held = HeldMessage.objects.filter(consumer=OuterRef("consumer"), sync=OuterRef("sync"))
    found = ConsumerCursor.objects.filter(
        Q(due_at=None) | Q(due_at__lte=now),
        sync__in=sync_ids,
        consumer__state=ConsumerState.ACTIVE,
        consumer__retry_at=None,
        sync__head__head_seq__gt=F("acked_seq"),
    )
    found = found.select_related("consumer", "sync").defer("consumer__secrets", "consumer__checks", "sync__metadata")
    return list(
        found.annotate(
            head_seq=F("sync__head__head_seq"),
            has_held=Exists(held),
            secrets=Cast("consumer__secrets", TextField()),  # as stored: what cannot be read is one consumer's trouble
        ).order_by("pk")
    )


def _take(near: list[Any]) -> list[Job]:
    """Jobs of those cursors whose lease we got."""
    with transaction.atomic():
        won = [cursor for cursor in near if leases.seize(cursor, seconds=LEASE_S)]
    taken = []
    for cursor in won:
        try:
            cursor.consumer.secrets = NatsConsumer._meta.get_field("secrets").from_db_value(cursor.secrets)
            job = jobs.plan(cursor, head=cursor.head_seq, has_held=cursor.has_held)
        except Exception as error:  # a secret that cannot be read: this consumer's trouble alone
            log.info("a cursor is left to the queue", cursor=cursor.pk, error=type(error).__name__)
            job = None
        if job is not None:
            job.batch_bytes = MOST_BYTES
            taken.append(job)
        else:
            give_back(cursor, queue=True)
    return taken
