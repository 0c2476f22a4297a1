"""One cursor's drain: what is known while it runs, and everything it asks of the database, on the task's own thread."""

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from consumers.connection import NatsSettings
from consumers.jetstream import Link
from consumers.message import LONGEST_SUBJECT, Envelope, Message, render, subject_filter
from consumers.models import ConsumerCursor, HeldMessage, NatsConsumer
from consumers.states import DRAINING, ConsumerState, Messages, Promise
from consumers.streams import Stream
from sequin_console.common import changes
from syncs import log as record_log

FIRST_READ, MOST_READ = 200, 1_000  # entries; the first read is small, for records may be large
BATCH_BYTES = 4 * 1024 * 1024
HELD_A_DRAIN = 100


class StreamReset(Exception):
    """The stream is not the one this cursor knows, or fell back behind it: a new run must begin."""


@dataclass
class Job:
    """One cursor's drain: what does not change while it runs, and how far it is."""

    cursor: ConsumerCursor
    consumer: NatsConsumer
    settings: NatsSettings
    provider: str
    filter: str
    held: dict[int, HeldMessage]
    link: Link = field(init=False)
    stream: Stream = field(init=False)
    read_most: int = FIRST_READ
    delivered: int = 0
    clashes: int = 0  # batches refused in a row although the lease stands

    @property
    def envelope(self) -> Envelope:
        consumer = self.consumer
        return Envelope(
            prefix=consumer.subject_prefix,
            sync_id=self.cursor.sync_id,
            provider=self.provider,
            consumer_id=consumer.pk,
            run=self.cursor.run,
            stream=self.stream.name,
            tombstones=consumer.state == ConsumerState.REMOVING and consumer.removal == Messages.TOMBSTONES,
            tombstone_ttl_h=consumer.tombstone_ttl_h if self.stream.allows_ttl else None,
        )

    @property
    def most_bytes(self) -> int:
        """What one message may have: the server's limit, or the stream's own when that is lower."""
        limits = [limit for limit in (self.link.max_payload, self.stream.max_message_bytes) if limit > 0]
        return min(limits)


@dataclass(frozen=True)
class Batch:
    """Rendered messages in order of the log. `reached`: with them confirmed, the cursor may move there."""

    messages: list[Message]
    reached: int
    is_last: bool


@dataclass(frozen=True)
class Published:
    """`stream_seq` of the last message stored. `again`: nothing was, the cursor was set right; read the log again."""

    stream_seq: int
    count: int
    again: bool = False


def plan(cursor: ConsumerCursor) -> Job | None:
    """Step 1; None when the consumer is not to deliver now."""
    consumer = NatsConsumer.objects.filter(pk=cursor.consumer_id, state__in=DRAINING).first()
    if consumer is None or (consumer.state == ConsumerState.REMOVING and consumer.removal != Messages.TOMBSTONES):
        return None
    held = HeldMessage.objects.filter(consumer=consumer, sync_id=cursor.sync_id)[: 10 * HELD_A_DRAIN]
    return Job(
        cursor=cursor,
        consumer=consumer,
        settings=consumer.nats_settings(),
        provider=cursor.sync.provider,
        filter=subject_filter(consumer.subject_prefix, cursor.sync_id),
        held={row.record_id: row for row in held},
    )


def is_reset(cursor: ConsumerCursor, stream: Stream) -> bool:
    """Whether this is not the stream the cursor knows, or it lost messages behind the cursor's back."""
    if not cursor.stream_created:
        return False
    is_other = (stream.name, stream.created) != (cursor.stream_name, cursor.stream_created)
    return is_other or stream.last_seq < cursor.stream_seq


def meet(job: Job) -> None:
    """Step 3: note which stream this is; begin a new run when it is not the one of last time."""
    cursor, stream, consumer = job.cursor, job.stream, job.consumer
    place = {"stream_name": stream.name, "stream_created": stream.created}
    if is_reset(cursor, stream):
        cursor.fenced_update(run=cursor.run + 1, acked_seq=cursor.start_seq, stream_seq=0, **place)
        warn(consumer, f"The stream {stream.name} was made anew or lost messages, so everything is being sent again.")
    elif (cursor.stream_name, cursor.stream_created) != tuple(place.values()):
        cursor.fenced_update(**place)
    promise = Promise.FENCED if stream.is_atomic else Promise.BASIC
    now_known = {"stream_name": stream.name, "promise": promise, "working_inbox": job.link.inbox}
    if any(getattr(consumer, name) != value for name, value in now_known.items()):
        NatsConsumer.objects.filter(pk=consumer.pk).update(**now_known)
        changes.announce(consumer.topic)


def read_batch(job: Job, after: int) -> Batch | None:
    """The next entries of the log as messages, bounded by count and bytes; None once the consumer was stopped.

    What the stream can never take is set aside here, before anything is sent: were it noted only afterwards, a worker
    killed in between would leave it neither delivered nor held.
    """
    if not NatsConsumer.objects.filter(pk=job.consumer.pk, state__in=DRAINING).exists():
        return None
    head = record_log.head(job.cursor.sync_id)  # read first: what is appended meanwhile comes in the next batch
    asked = job.read_most
    entries = record_log.entries_after(
        job.cursor.sync_id, after, limit=asked, collection_ids=job.consumer.collection_ids
    )
    messages: list[Message] = []
    unfit: list[tuple[Message, tuple[str, str, int]]] = []
    taken = size = 0
    for entry in entries:
        message = as_message(job, entry)
        if reason := why_unfit(job, message):
            unfit.append((message, reason))
        elif messages and size + message.size_bytes > BATCH_BYTES:
            break
        else:
            messages.append(message)
            size += message.size_bytes
        taken += 1
    if unfit:
        hold(job, unfit)
    job.read_most = _read_next(size, len(messages))
    if taken < len(entries) or len(entries) == asked:
        return Batch(messages, entries[taken - 1].seq, is_last=False)
    return Batch(messages, max(head, entries[-1].seq if entries else 0, after), is_last=True)


def _read_next(size_bytes: int, count: int) -> int:
    """How many entries to read next, so that they make about one batch."""
    if not count:
        return FIRST_READ
    return max(10, min(MOST_READ, BATCH_BYTES // max(size_bytes // count, 1)))


def as_message(job: Job, entry: Any) -> Message:
    return render(entry, record_log.public_id(job.cursor.sync_id, entry.collection_id, entry.upstream_id), job.envelope)


def why_unfit(job: Job, message: Message) -> tuple[str, str, int] | None:
    """Why the stream can never take a message, what to do, and the limit in bytes (0: not about size); or None."""
    if message.size_bytes > job.most_bytes:
        by_stream = job.most_bytes == job.stream.max_message_bytes
        setting = "the stream's max_msg_size" if by_stream else "max_payload of the server or account"
        return (
            f"The message has {message.size_bytes:,} bytes; {job.most_bytes:,} are allowed.",
            f"Raise {setting}. It is then sent by itself.",
            job.most_bytes,
        )
    if len(message.subject) > LONGEST_SUBJECT:
        return ("The record's id makes the subject too long for NATS.", "Nothing can be done unless its id changes.", 0)
    return None


def hold(job: Job, unfit: list[tuple[Message, tuple[str, str, int]]]) -> None:
    """Set records aside; the cursor passes them, pages show them, and they count as lag."""
    now = timezone.now()
    rows = [
        HeldMessage(
            consumer=job.consumer,
            record_id=message.record_id,
            sync_id=job.cursor.sync_id,
            seq=message.seq,
            subject=message.subject,
            size_bytes=message.size_bytes,
            limit_bytes=limit,
            reason=reason,
            next_step=next_step,
            at=now,
        )
        for message, (reason, next_step, limit) in unfit
    ]
    with transaction.atomic():
        job.cursor.prove_lease()
        HeldMessage.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["consumer", "record"],
            update_fields=["seq", "subject", "size_bytes", "limit_bytes", "reason", "next_step", "at"],
        )
    job.held |= {row.record_id: row for row in rows}
    changes.announce(job.consumer.topic)


def move_cursor(job: Job, batch: Batch, result: Published) -> None:
    """Guard of invariant 6: after the acknowledgements, and only if the lease still stands, the cursor moves."""
    job.clashes = 0
    values: dict[str, Any] = {"acked_seq": batch.reached}
    if result.count:
        values |= {
            "stream_seq": max(result.stream_seq, job.cursor.stream_seq),
            "delivered": job.cursor.delivered + result.count,
            "last_acked_at": timezone.now(),
        }
    job.delivered += result.count
    sent = {message.record_id for message in batch.messages}
    healed = [row.pk for record_id, row in job.held.items() if record_id in sent]
    if healed:
        with transaction.atomic():
            job.cursor.fenced_update(**values)
            HeldMessage.objects.filter(pk__in=healed).delete()
        job.held = {record_id: row for record_id, row in job.held.items() if record_id not in sent}
    else:
        job.cursor.fenced_update(**values)
    changes.announce(job.consumer.topic)


def confirm_lease(cursor: ConsumerCursor, **learnt: Any) -> None:
    """Guard of invariant 7: after learning where the stream stands, and before sending again, ask whether we still may.

    In no other order: whoever took over meanwhile writes past what we learnt, and then the stream refuses us.
    Raises LeaseLost.
    """
    cursor.fenced_update(lease_no=cursor.lease_no, **learnt)


def warn(consumer: NatsConsumer, text: str) -> None:
    """Something worth knowing that does not stop delivery."""
    NatsConsumer.objects.filter(pk=consumer.pk).update(warning=text[:500], warned_at=timezone.now())
    changes.announce(consumer.topic)


def read_held(job: Job, rows: list[HeldMessage]) -> Batch:
    """Held records as they are now, without those that are gone or that the log will bring anyway."""
    messages: list[Message] = []
    settled: list[HeldMessage] = []
    size = 0
    for row in rows:
        entry = record_log.entry(row.record_id)
        if entry is None or entry.seq > job.cursor.acked_seq or not job.consumer.wants(entry.collection_id):
            settled.append(row)
            continue
        message = as_message(job, entry)
        if why_unfit(job, message) is None and (not messages or size + message.size_bytes <= BATCH_BYTES):
            messages.append(message)
            size += message.size_bytes
    HeldMessage.objects.filter(pk__in=[row.pk for row in settled]).delete()
    for row in settled:
        job.held.pop(row.record_id, None)
    return Batch(messages, job.cursor.acked_seq, is_last=True)
