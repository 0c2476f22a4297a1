"""What a drain or check came to, written on the consumer: in trouble with back-off, or well again."""

import random
from datetime import timedelta
from typing import Any

import structlog
from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from consumers.connection import LinkError
from consumers.models import DeliverySample, NatsConsumer
from consumers.states import ConsumerState
from sequin_console.common import changes
from sequin_console.common.backoff import backoff_s
from sequin_console.common.fields import UnreadableSecret
from sequin_console.common.troubled import NO_TROUBLE, trouble

log = structlog.get_logger(__name__)
SAMPLE_S = 10
SAMPLES_KEPT = timedelta(hours=24)


def note_trouble(consumer: NatsConsumer, error: BaseException) -> None:
    """Hold this consumer back for a while, alone (invariant 9), and say why. The next try comes by itself."""
    kind, message, next_step = in_words(error)
    consumer.refresh_from_db(fields=["failures"])
    failures = consumer.failures + 1
    retry_at = timezone.now() + timedelta(seconds=backoff_s(failures, random.random))
    row = NatsConsumer.objects.filter(pk=consumer.pk)
    row.update(retry_at=retry_at, **trouble(kind, message, next_step, failures))
    row.filter(state=ConsumerState.ACTIVE).update(state=ConsumerState.ERROR)
    changes.announce(consumer.topic, "consumers")
    log.warning("consumer in trouble", consumer=str(consumer.pk), kind=kind, problem=message, failures=failures)


def note_success(consumer: NatsConsumer) -> None:
    """Well again: no error, no back-off."""
    done = NatsConsumer.objects.filter(pk=consumer.pk, failures__gt=0).update(retry_at=None, **NO_TROUBLE)
    done += NatsConsumer.objects.filter(pk=consumer.pk, state=ConsumerState.ERROR).update(state=ConsumerState.ACTIVE)
    if done:
        changes.announce(consumer.topic, "consumers")


def in_words(error: BaseException) -> tuple[str, str, str]:
    """Kind, sentence and next step for anything that went wrong. Never contains a secret."""
    if isinstance(error, LinkError):
        return error.kind, error.message, error.next_step or "We try again by ourselves."
    if isinstance(error, UnreadableSecret):
        return "credentials", str(error), "Bring back the keys of this installation, or enter the credentials again."
    if isinstance(error, TimeoutError):
        return "broker", "NATS took too long to confirm.", "Check that NATS runs. Nothing is lost: we send again."
    return "bug", f"Something unexpected happened ({type(error).__name__}).", "We try again. Please report this."


def sample(consumer_id: Any, messages: int) -> None:
    """Add confirmed messages to the present ten seconds."""
    now = timezone.now()
    at = now.replace(second=now.second - now.second % SAMPLE_S, microsecond=0)
    rows = DeliverySample.objects.filter(consumer_id=consumer_id, at=at)
    if rows.update(messages=F("messages") + messages):
        return
    try:
        DeliverySample.objects.bulk_create([DeliverySample(consumer_id=consumer_id, at=at)], ignore_conflicts=True)
        rows.update(messages=F("messages") + messages)
    except IntegrityError:
        log.info("consumer is gone; sample dropped", consumer=str(consumer_id))


def prune_samples() -> None:
    DeliverySample.objects.filter(at__lt=timezone.now() - SAMPLES_KEPT).delete()
