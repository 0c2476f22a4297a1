"""What workers do with consumers: deliver, repeat the checks, finish removals. Called by tasks.py."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from consumers import completeness, delivery, health, removal, scheduling, services
from consumers.connection import LinkError
from consumers.delivery import Outcome
from consumers.job import BATCH_BYTES, TASK_BYTES, is_reset
from consumers.models import ConsumerCursor, NatsConsumer
from consumers.preflight import Preflight
from consumers.states import ConsumerState
from sequin_console.common import heartbeats, runner
from sequin_console.common.task_queue import QueueAway

log = structlog.get_logger(__name__)
GRACE_S = 10.0  # for the batch under way when the budget ends; the queue's own time-out lies beyond


def drain(cursors: list[ConsumerCursor], *, budget_s: float) -> dict[int, Any]:
    """Deliver from all of these side by side; what each came to: (Outcome, messages) or the exception.

    One consumer's trouble holds back that consumer alone (invariant 9).
    """
    by_pk = {cursor.pk: cursor for cursor in cursors}
    late_at = time.monotonic() + budget_s
    batch_bytes = min(BATCH_BYTES, TASK_BYTES // max(len(by_pk), 1))

    async def work(pk: int, orm: runner.Orm) -> tuple[Outcome, int]:
        cursor = by_pk[pk]
        result = await delivery.drain(cursor, orm, late_at=late_at, batch_bytes=batch_bytes)
        await orm(cursor.release)  # it must not wait for a neighbour's time-out; a failed one waits to be noted
        return result

    results = runner.run_side_by_side(
        work, by_pk, timeout_s=budget_s + GRACE_S, tick=lambda: heartbeats.beat("consumers")
    )
    for pk, result in results.items():
        if isinstance(result, Exception) and not isinstance(result, LinkError | TimeoutError):
            log.error("drain failed", cursor=pk, exc_info=result)
    _note_results(by_pk, results)
    return results


def _note_results(by_pk: Mapping[int, ConsumerCursor], results: Mapping[int, Any]) -> None:
    concerned = NatsConsumer.objects.filter(pk__in={cursor.consumer_id for cursor in by_pk.values()}).defer("secrets")
    consumers = {consumer.pk: consumer for consumer in concerned}
    for consumer in consumers.values():
        own = [results[pk] for pk, cursor in by_pk.items() if cursor.consumer_id == consumer.pk and pk in results]
        failures = [result for result in own if isinstance(result, Exception)]
        confirmed = sum(result[1] for result in own if not isinstance(result, Exception))
        if failures:
            health.note_trouble(consumer, failures[0])
        elif any(result[0] in (Outcome.DONE, Outcome.MORE) for result in own):
            health.note_success(consumer)
        if confirmed:
            health.sample(consumer.pk, confirmed)
        if consumer.state == ConsumerState.REMOVING and not failures:
            removal.finish(consumer)


def check_consumers(consumer_ids: Iterable[str]) -> None:
    """The repeated checks: certificates, rights and streams change under us. Also ends removals."""
    for consumer in NatsConsumer.objects.filter(pk__in=list(consumer_ids)).exclude(state=ConsumerState.PAUSED):
        if consumer.state == ConsumerState.REMOVING:
            removal.finish(consumer)
            continue
        preflight = services.preflight_of(consumer)
        services.run_checks(preflight)
        services.store_preflight(consumer, preflight)
        _heed(consumer, preflight)
        heartbeats.beat("consumers")
    health.prune_samples()


def _heed(consumer: NatsConsumer, preflight: Preflight) -> None:
    """What a repeated check leads to: a stream made anew or with new limits is drained, though nothing is new."""
    stream = preflight.stream
    if stream is None or not all(check.ok for check in preflight.checks):
        return
    if consumer.state == ConsumerState.ERROR:
        NatsConsumer.objects.filter(pk=consumer.pk, state=ConsumerState.ERROR).update(retry_at=None)
    most = min(limit for limit in (preflight.max_payload, stream.max_message_bytes or preflight.max_payload) if limit)
    healed = consumer.held.filter(limit_bytes__gt=0, limit_bytes__lt=most, size_bytes__lte=most)
    due = set(healed.values_list("sync_id", flat=True))
    stale = [c.pk for c in consumer.cursors.all() if c.sync_id in due or is_reset(c, stream)]
    try:
        queued = scheduling.queue(ConsumerCursor.objects.filter(pk__in=stale))
    except QueueAway:  # the next check sees the same
        return
    if not queued:
        _check_completeness(consumer)


def _check_completeness(consumer: NatsConsumer) -> None:
    try:
        shortfalls = runner.run(lambda orm: completeness.look(consumer, orm), timeout_s=GRACE_S)
    except (LinkError, TimeoutError) as error:  # the checks have just said what they could about the connection
        log.info("completeness not checked", consumer=str(consumer.pk), error=type(error).__name__)
        return
    completeness.tell(consumer, shortfalls)
