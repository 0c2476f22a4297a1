"""Going away: a consumer of ours, or a sync or collection of theirs, with its messages left, marked or purged."""

from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from consumers import jetstream, streams
from consumers.connection import LinkError
from consumers.message import subject_filter
from consumers.models import ConsumerCursor, HeldMessage, NatsConsumer
from consumers.states import DRAINING, ConsumerState, Messages
from sequin_console.common import audit, changes, leases, runner
from syncs import log as record_log

log = structlog.get_logger(__name__)


def may_forget(sync_id: UUID, collection_id: str | None, removal: str) -> bool:
    """Whether all consumers are done with a sync, or one collection of it, that is being removed.

    1. tombstones, purge: every consumer that delivers must first have come to the end of the log
    2. purge: its subjects are then removed from the stream; a paused consumer's, too
    3. the whole sync: cursors go, and consumers of this sync alone with them
    Asked again a moment later after False. A consumer in trouble thus holds the removal back until it delivers
    again, is paused, or is removed itself.
    """
    cursors = list(ConsumerCursor.objects.filter(sync_id=sync_id).select_related("consumer"))
    concerned = [c for c in cursors if collection_id is None or c.consumer.wants(collection_id)]
    if removal != Messages.LEAVE and any(_is_behind(cursor) for cursor in concerned):
        return False
    if removal == Messages.PURGE:
        for consumer in (cursor.consumer for cursor in concerned):
            if not _purge(consumer, [subject_filter(consumer.subject_prefix, sync_id, collection_id)]):
                return False
    if collection_id is None:
        _forget_sync(sync_id, cursors)
    return True


def _is_behind(cursor: ConsumerCursor) -> bool:
    return cursor.consumer.state in DRAINING and cursor.acked_seq < record_log.head(cursor.sync_id)


def _forget_sync(sync_id: UUID, cursors: list[ConsumerCursor]) -> None:
    with transaction.atomic():
        HeldMessage.objects.filter(sync_id=sync_id).delete()
        ConsumerCursor.objects.filter(pk__in=[cursor.pk for cursor in cursors]).delete()
        for consumer in NatsConsumer.objects.filter(sync_id=sync_id):
            _delete(consumer, why="its sync was removed")


def _purge(consumer: NatsConsumer, subjects: list[str]) -> bool:
    """Remove messages from the stream; where that fails, the consumer's page tells why."""
    try:
        runner.run(lambda _orm: _purge_subjects(consumer, subjects), timeout_s=settings.BUDGET_S)
    except (LinkError, TimeoutError) as error:
        message = error.message if isinstance(error, LinkError) else "NATS did not answer in time."
        NatsConsumer.objects.filter(pk=consumer.pk).update(
            error_kind="broker",
            error=f"The messages could not be removed from the stream: {message}"[:500],
            next_step="Allow the user to publish $JS.API.STREAM.PURGE.<stream>, or remove again and leave the "
            "messages.",
        )
        changes.announce(consumer.topic, "consumers")
        return False
    return True


async def _purge_subjects(consumer: NatsConsumer, subjects: list[str]) -> None:
    async with jetstream.linked(consumer.nats_settings()) as link:
        for subject in subjects:
            stream = await streams.find(link, subject, known_name=consumer.stream_name)
            await streams.purge(link, stream.name, subject)


# --- A consumer of ours --------------------------------------------------------------------------------------------


def begin(consumer: NatsConsumer, messages: str) -> None:
    """Set a consumer on its way out; called by services.remove inside its transaction."""
    if messages == Messages.LEAVE:
        consumer.delete()  # services.remove has told the activity log
        return
    NatsConsumer.objects.filter(pk=consumer.pk).update(
        state=ConsumerState.REMOVING, removal=messages, retry_at=None, check_due_at=None
    )
    if messages == Messages.TOMBSTONES:  # a run of its own over the whole log, each live record told as deleted
        for cursor in consumer.cursors.all():
            restart(cursor, from_seq=0)


def restart(cursor: ConsumerCursor, *, from_seq: int | None = None) -> None:
    """Begin a new run; whoever drains this cursor right now has lost it by that."""
    ConsumerCursor.objects.filter(pk=cursor.pk).update(
        run=F("run") + 1,
        acked_seq=cursor.start_seq if from_seq is None else from_seq,
        lease_no=F("lease_no") + 1,
        lease_until=None,
        queued_until=None,
        due_at=None,
    )


def finish(consumer: NatsConsumer) -> bool:
    """Delete a removed consumer once its last duty is done; whether it is gone."""
    cursors = list(consumer.cursors.select_related("consumer"))
    if consumer.removal == Messages.TOMBSTONES and any(_is_behind(cursor) for cursor in cursors):
        return False
    purged = cursors if consumer.removal == Messages.PURGE else []
    with leases.hold_many(ConsumerCursor, [cursor.pk for cursor in purged], seconds=settings.LEASE_S) as held:
        if len(held) < len(purged):  # somebody still drains; what he sends after the purge would stay
            return False
        if purged and not _purge(consumer, [subject_filter(consumer.subject_prefix, c.sync_id) for c in purged]):
            return False
        with transaction.atomic():
            _delete(consumer, why="its messages are taken care of")
    return True


def _delete(consumer: NatsConsumer, *, why: str) -> None:
    audit.record(None, "consumer.deleted", consumer, {"reason": why})
    changes.announce(consumer.topic, "consumers")
    consumer.delete()
