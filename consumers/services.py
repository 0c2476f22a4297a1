"""Everything that changes a consumer: made, changed, paused, resumed, replayed, checked, removed."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from consumers import asking, inputs, places, removal, scheduling, streams
from consumers.models import ConsumerCursor, NatsConsumer
from consumers.preflight import Check, Preflight
from consumers.states import ConsumerState, DeliverPolicy, Messages
from sequin_console.common import audit, changes, runner
from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.troubled import NO_TROUBLE
from syncs import log as record_log

log = structlog.get_logger(__name__)
PREFLIGHT_S = 45.0
_FIELDS = {"resolve": "nats.host", "connect": "nats.host", "tls": "nats.tls"}


# --- Made and changed ----------------------------------------------------------------------------------------------


def create_consumer(data: Mapping[str, Any], *, by: Any) -> NatsConsumer:
    """Make a consumer and start it. Whether NATS lets us in is tried first; a missing stream or right is only reported.

    data  as in inputs.py. Raises Problem naming the field.
    """
    values = inputs.columns(data, None, now=timezone.now())
    sync_id = _sync_id(data)
    places.check_free_name(values["name"])
    places.check_no_overlap(values, sync_id)
    preflight = _try_to_connect(values, sync_id)
    consumer = NatsConsumer(**values, sync_id=sync_id, **_learnt(preflight))
    with transaction.atomic():
        consumer.save(force_insert=True)
        _make_cursors(consumer)
        audit.record(by, "consumer.created", consumer, _told(consumer))
    changes.announce(consumer.topic, "consumers")
    _queue(consumer)
    return consumer


def update_consumer(consumer: NatsConsumer, data: Mapping[str, Any], *, by: Any) -> NatsConsumer:
    """Change what `data` names; the rest stays. A new place or a wider choice begins a new run. Raises Problem."""
    if consumer.state == ConsumerState.REMOVING:
        raise Problem("This consumer is being removed.", kind="conflict", status=409)
    if "sync_id" in data and _sync_id(data) != consumer.sync_id:
        raise field_problem("sync_id", "A consumer stays with its sync.", next_step="Make another consumer for it.")
    before = _told(consumer)
    values = inputs.columns(data, consumer, now=timezone.now())
    places.check_free_name(values["name"], but=consumer)
    places.check_no_overlap(values, consumer.sync_id, but=consumer)
    learnt: dict[str, Any] = {}
    if inputs.settings_of(values) != inputs.settings_of(_columns_of(consumer)):
        learnt = _learnt(_try_to_connect(values, consumer.sync_id))
    starts_over = places.starts_over(consumer, values)
    for name, value in {**values, **learnt}.items():
        setattr(consumer, name, value)
    with transaction.atomic():
        consumer.save(update_fields=[*values, *learnt, "updated_at"])
        if starts_over:
            for cursor in consumer.cursors.all():
                removal.restart(cursor)
        audit.record(by, "consumer.changed", consumer, _difference(before, _told(consumer)))
    NatsConsumer.objects.filter(pk=consumer.pk, state=ConsumerState.ERROR).update(retry_at=None)
    changes.announce(consumer.topic, "consumers")
    _queue(consumer)
    return consumer


def pause(consumer: NatsConsumer, *, by: Any) -> None:
    """Stop delivering; the log keeps everything. Harmless when paused already."""
    running = [ConsumerState.ACTIVE, ConsumerState.ERROR]
    _change_state(consumer, running, ConsumerState.PAUSED, by, "consumer.paused")


def resume(consumer: NatsConsumer, *, by: Any) -> None:
    """Go on where delivery stopped. Harmless when running already; one in trouble is tried at once."""
    fresh = {"retry_at": None, "check_due_at": None, **NO_TROUBLE}
    paused = [ConsumerState.PAUSED, ConsumerState.ERROR]
    _change_state(consumer, paused, ConsumerState.ACTIVE, by, "consumer.resumed", **fresh)
    _queue(consumer)


def replay(consumer: NatsConsumer, *, by: Any, sync_id: UUID | None = None) -> int:
    """Send everything again from where this consumer began, as a new run, so that a purged stream fills again.

    Returns how many syncs are sent again. Raises Problem while the consumer is being removed.
    """
    if consumer.state == ConsumerState.REMOVING:
        raise Problem("This consumer is being removed.", kind="conflict", status=409)
    with transaction.atomic():
        cursors = list(consumer.cursors.select_for_update().filter(**({"sync_id": sync_id} if sync_id else {})))
        for cursor in cursors:
            removal.restart(cursor)
        NatsConsumer.objects.filter(pk=consumer.pk).update(retry_at=None, warning="", warned_at=None)
        audit.record(by, "consumer.replayed", consumer, {"sync_id": str(sync_id) if sync_id else "all"})
    changes.announce(consumer.topic, "consumers")
    _queue(consumer)
    return len(cursors)


def remove(consumer: NatsConsumer, messages: str = Messages.LEAVE, *, by: Any) -> None:
    """Remove a consumer; its messages are left, marked as deleted, or purged first. Again with `leave`: at once."""
    if messages not in Messages.values:
        raise field_problem("messages", "Choose leave, tombstones or purge.")
    with transaction.atomic():
        audit.record(by, "consumer.removed", consumer, {"messages": messages})
        removal.begin(consumer, messages)
    changes.announce(consumer.topic, "consumers")
    if messages != Messages.LEAVE:
        transaction.on_commit(lambda: _quietly(lambda: scheduling.enqueue_due(timezone.now())))


def dismiss_warning(consumer: NatsConsumer, *, by: Any) -> None:
    """A person has read it."""
    NatsConsumer.objects.filter(pk=consumer.pk).update(warning="", warned_at=None)
    changes.announce(consumer.topic)


# --- Checks and the stream -----------------------------------------------------------------------------------------


def preflight_of(consumer: NatsConsumer) -> Preflight:
    """The checks of a stored consumer, to be streamed; hand it to `store_preflight` when it has run."""
    return Preflight(
        consumer.nats_settings(), consumer.subject_prefix, sync_id=consumer.sync_id, facts=consumer.jwt_facts
    )


def preflight_of_data(data: Mapping[str, Any], consumer: NatsConsumer | None = None) -> Preflight:
    """The checks of a form not saved yet. Raises Problem when its fields are wrong by themselves."""
    named = {"name": "preflight", **data}
    values = inputs.columns(named, consumer, now=timezone.now())
    sync_id = _sync_id(data) if consumer is None else consumer.sync_id
    return Preflight(inputs.settings_of(values), values["subject_prefix"], sync_id=sync_id, facts=values["jwt_facts"])


def store_preflight(consumer: NatsConsumer, preflight: Preflight) -> None:
    """Keep what a preflight found; pages and /v1 show it until the next."""
    values = _learnt(preflight)
    NatsConsumer.objects.filter(pk=consumer.pk).update(**values)
    for name, value in values.items():
        setattr(consumer, name, value)
    changes.announce(consumer.topic, "consumers")


def run_preflight(consumer: NatsConsumer) -> list[dict[str, Any]]:
    """All checks now; stored and returned in order."""
    preflight = preflight_of(consumer)
    run_checks(preflight)
    store_preflight(consumer, preflight)
    return consumer.checks


def run_preflight_of_data(data: Mapping[str, Any], consumer: NatsConsumer | None = None) -> list[dict[str, Any]]:
    """The same for a form not saved yet; nothing is stored."""
    return [check.as_dict() for check in run_checks(preflight_of_data(data, consumer)).checks]


def create_stream(
    consumer: NatsConsumer, *, by: Any, name: str | None = None, replicas: int = 1
) -> list[dict[str, Any]]:
    """Create the stream with the recommended settings, then run the checks. Raises Problem with NATS's own reason.

    name  None: made from the subject prefix
    """
    prefix = consumer.subject_prefix
    name = name or streams.recommended_name(prefix)
    asking.ask(consumer.nats_settings(), lambda link: streams.create(link, name, prefix, replicas=replicas))
    return _after_stream_change(consumer, by, "consumer.stream_created", name)


def allow_atomic(consumer: NatsConsumer, *, by: Any) -> list[dict[str, Any]]:
    """Switch atomic batches on for the consumer's stream, then run the checks. Raises Problem."""
    if not consumer.stream_name:
        raise Problem("The stream is not known yet.", next_step="Run the checks first.", kind="conflict", status=409)
    asking.ask(consumer.nats_settings(), lambda link: streams.allow_atomic(link, consumer.stream_name))
    return _after_stream_change(consumer, by, "consumer.stream_changed", consumer.stream_name)


# --- Small parts ---------------------------------------------------------------------------------------------------


def _try_to_connect(values: Mapping[str, Any], sync_id: UUID | None) -> Preflight:
    """Run the checks before anything is stored. Raises Problem when NATS cannot be reached or does not let us in."""
    settings = inputs.settings_of(values)
    preflight = run_checks(Preflight(settings, values["subject_prefix"], sync_id=sync_id, facts=values["jwt_facts"]))
    failed = preflight.failed
    if failed is not None and failed.key in {"resolve", "connect", "tls", "authenticate"}:
        field = _FIELDS.get(failed.key, f"nats.{settings.credential_field}")
        kind = "credentials" if failed.key == "authenticate" else "broker"
        raise field_problem(field, failed.detail, next_step=failed.remedy, kind=kind)
    return preflight


def run_checks(preflight: Preflight) -> Preflight:
    async def work(_orm: runner.Orm) -> None:
        async for _check in preflight.run():
            pass

    try:
        runner.run(work, timeout_s=PREFLIGHT_S)
    except TimeoutError:
        preflight.checks.append(Check("connect", "failed", "The checks took too long.", "Try again in a moment."))
    return preflight


def _learnt(preflight: Preflight) -> dict[str, Any]:
    """What a preflight found, as columns."""
    values: dict[str, Any] = {
        "checks": [check.as_dict() for check in preflight.checks],
        "checked_at": timezone.now(),
        "check_due_at": timezone.now() + scheduling.CHECK_EVERY,
    }
    if preflight.inbox:
        values["working_inbox"] = preflight.inbox
    if preflight.stream is not None:
        values |= {"stream_name": preflight.stream.name, "promise": preflight.promise}
    return values


def _make_cursors(consumer: NatsConsumer) -> None:
    """A cursor for each sync there is now; a `new` consumer begins at the end of their logs."""
    scheduling.make_missing_cursors()
    if consumer.deliver_policy == DeliverPolicy.NEW:
        for cursor in consumer.cursors.all():
            head = record_log.head(cursor.sync_id)
            ConsumerCursor.objects.filter(pk=cursor.pk).update(acked_seq=head, start_seq=head)


def _sync_id(data: Mapping[str, Any]) -> UUID | None:
    """The sync a consumer is to be bound to. Raises Problem when there is no such sync."""
    given = data.get("sync_id") or getattr(data.get("sync"), "pk", None)
    if not given:
        return None
    try:
        sync_id = given if isinstance(given, UUID) else UUID(str(given))
    except ValueError:
        sync_id = None
    if sync_id is None or not scheduling.sync_exists(sync_id):
        raise field_problem("sync_id", "There is no such sync.", next_step="Leave it out to deliver all syncs.")
    return sync_id


def _change_state(
    consumer: NatsConsumer, old: list[ConsumerState], new: ConsumerState, by: Any, action: str, **values: Any
) -> None:
    """Compare-and-set. Raises Problem when the consumer is being removed."""
    with transaction.atomic():
        won = NatsConsumer.objects.filter(pk=consumer.pk, state__in=old).update(state=new, **values)
        if won:
            audit.record(by, action, consumer)
    consumer.refresh_from_db()
    if not won and consumer.state == ConsumerState.REMOVING:
        raise Problem("This consumer is being removed.", kind="conflict", status=409)
    changes.announce(consumer.topic, "consumers")


def _after_stream_change(consumer: NatsConsumer, by: Any, action: str, stream: str) -> list[dict[str, Any]]:
    audit.record(by, action, consumer, {"stream": stream})
    checks = run_preflight(consumer)
    NatsConsumer.objects.filter(pk=consumer.pk).update(retry_at=None)
    _queue(consumer)
    return checks


def _queue(consumer: NatsConsumer) -> None:
    transaction.on_commit(lambda: _quietly(lambda: scheduling.queue_lagging(consumer=consumer)))


def _quietly(queue: Callable[[], Any]) -> None:
    """Queueing only saves a second: the scheduler finds the same work from the tables."""
    try:
        queue()
    except Exception:
        log.exception("queueing failed; the scheduler will find the work")


def _columns_of(consumer: NatsConsumer) -> dict[str, Any]:
    names = ("hosts", "tls", "ca_pem", "secrets", "inbox_prefix", "jetstream_domain")
    return {name: getattr(consumer, name) for name in names}


def _told(consumer: NatsConsumer) -> dict[str, Any]:
    """What the activity log is told: no secret, only which kinds are set."""
    names = ("name", "subject_prefix", "deliver_policy", "collection_ids", "hosts", "tls", "inbox_prefix")
    told = {name: getattr(consumer, name) for name in names}
    return told | {
        "sync": str(consumer.sync_id) if consumer.sync_id else "all",
        "signs_in_by": [name for name in consumer.secret_names if not name.startswith("client_")],
    }


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [before[name], value] for name, value in after.items() if before[name] != value}
