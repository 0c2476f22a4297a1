"""One cursor's drain: what is known while it runs, and everything it asks of the database, on the task's own thread."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from consumers.connection import NatsSettings
from consumers.jetstream import Link
from consumers.message import LONGEST_SUBJECT, Envelope, Message, Renderer, subject_filter
from consumers.models import ConsumerCursor, HeldMessage, NatsConsumer
from consumers.states import DRAINING, ConsumerState, Messages, Promise
from consumers.streams import Stream
from sequin_console.common import changes
from syncs import log as record_log

BATCH_MOST = 1_000  # messages; the server's own limit
BATCH_BYTES = 4 * 1024 * 1024
TASK_BYTES = 32 * 1024 * 1024  # of a batch each of all cursors drained side by side; each may hold two
HELD_A_DRAIN = 100


class StreamReset(Exception):
    """The stream is not the one this cursor knows, or fell back behind it: a new run must begin."""


@dataclass
class Job:
    """One cursor's drain: what does not change while it runs, and how far it is.

    head        of the log as last seen
    stream_seq  of the newest message under our filter as the stream last told us; the cursor's row follows
    moving      the cursor's move for the last batch, while the next one is on its way already
    """

    cursor: ConsumerCursor
    consumer: NatsConsumer
    settings: NatsSettings
    provider: str
    filter: str
    held: dict[int, HeldMessage]
    reader: record_log.LogReader
    head: int
    stream_seq: int
    batch_bytes: int = BATCH_BYTES
    link: Link = field(init=False)
    stream: Stream = field(init=False)
    render: Renderer = field(init=False)
    most_bytes: int = 0  # of one message: the server's limit, or the stream's own when that is lower
    moving: asyncio.Future[None] | None = None
    delivered: int = 0
    clashes: int = 0  # batches refused in a row although the lease stands

    async def moved(self) -> None:
        """Wait until the cursor's row says what the stream has confirmed. Raises LeaseLost."""
        if self.moving is not None:
            await self.moving

    def confirmed(self, result: "Published") -> None:
        """A batch is on the stream."""
        self.clashes = 0
        self.stream_seq = max(self.stream_seq, result.stream_seq)
        self.delivered += result.count

    def prepare(self) -> None:
        """All is known by now: which stream, which run."""
        consumer = self.consumer
        envelope = Envelope(
            prefix=consumer.subject_prefix,
            sync_id=self.cursor.sync_id,
            provider=self.provider,
            consumer_id=consumer.pk,
            run=self.cursor.run,
            stream=self.stream.name,
            tombstones=consumer.state == ConsumerState.REMOVING and consumer.removal == Messages.TOMBSTONES,
            tombstone_ttl_h=consumer.tombstone_ttl_h if self.stream.allows_ttl else None,
        )
        self.render = Renderer(envelope)
        self.most_bytes = min(n for n in (self.link.max_payload, self.stream.max_message_bytes) if n > 0)


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


def plan(cursor: ConsumerCursor, *, head: int | None = None, has_held: bool = True) -> Job | None:
    """Step 1; None when the consumer is not to deliver now.

    head, has_held  of the sync's log, whether records are set aside: where the caller has just read them
    """
    consumer = cursor.consumer
    if consumer.state not in DRAINING or (
        consumer.state == ConsumerState.REMOVING and consumer.removal != Messages.TOMBSTONES
    ):
        return None
    held = HeldMessage.objects.filter(consumer=consumer, sync_id=cursor.sync_id)[: 10 * HELD_A_DRAIN]
    return Job(
        cursor=cursor,
        consumer=consumer,
        settings=consumer.nats_settings(),
        provider=cursor.sync.provider,
        filter=subject_filter(consumer.subject_prefix, cursor.sync_id),
        held={row.record_id: row for row in held} if has_held else {},
        reader=record_log.LogReader(cursor.sync_id, consumer.collection_ids),
        head=record_log.head(cursor.sync_id) if head is None else head,
        stream_seq=cursor.stream_seq,
    )


def is_reset(cursor: ConsumerCursor, stream: Stream) -> bool:
    """Whether this is not the stream the cursor knows, or it lost messages behind the cursor's back."""
    if not cursor.stream_created:
        return False
    is_other = (stream.name, stream.created) != (cursor.stream_name, cursor.stream_created)
    return is_other or stream.last_seq < cursor.stream_seq


def is_met(job: Job) -> bool:
    """Whether there is nothing to note: the stream is the one of last time, and works as it did."""
    cursor, stream, consumer = job.cursor, job.stream, job.consumer
    return (
        not is_reset(cursor, stream)
        and (cursor.stream_name, cursor.stream_created) == (stream.name, stream.created)
        and all(getattr(consumer, name) == value for name, value in _now_known(job).items())
    )


def meet(job: Job) -> None:
    """Step 3: note which stream this is; begin a new run when it is not the one of last time."""
    cursor, stream, consumer = job.cursor, job.stream, job.consumer
    place = {"stream_name": stream.name, "stream_created": stream.created}
    if is_reset(cursor, stream):
        cursor.fenced_update(run=cursor.run + 1, acked_seq=cursor.start_seq, stream_seq=0, **place)
        job.stream_seq = 0
        warn(consumer, f"The stream {stream.name} was made anew or lost messages, so everything is being sent again.")
    elif (cursor.stream_name, cursor.stream_created) != tuple(place.values()):
        cursor.fenced_update(**place)
    now_known = _now_known(job)
    if any(getattr(consumer, name) != value for name, value in now_known.items()):
        NatsConsumer.objects.filter(pk=consumer.pk).update(**now_known)
        changes.announce(consumer.topic)


def _now_known(job: Job) -> dict[str, Any]:
    promise = Promise.FENCED if job.stream.is_atomic else Promise.BASIC
    return {"stream_name": job.stream.name, "promise": promise, "working_inbox": job.link.inbox}


def read_batch(job: Job, after: int) -> Batch | None:
    """The next entries of the log as messages, bounded by count and bytes; None once the consumer was stopped.

    What the stream can never take is set aside here, before anything is sent: were it noted only afterwards, a worker
    killed in between would leave it neither delivered nor held.
    """
    if job.head <= after and not look_again(job):
        return None
    head = job.head  # read before: what is appended meanwhile comes in the next batch
    if head <= after:
        return Batch([], after, is_last=True)
    entries, is_all = job.reader.after(after, limit=BATCH_MOST, most_bytes=job.batch_bytes, head=head)
    messages: list[Message] = []
    unfit: list[tuple[Message, tuple[str, str, int]]] = []
    for entry in entries:
        message = job.render(entry)
        if reason := why_unfit(job, message):
            unfit.append((message, reason))
        else:
            messages.append(message)
    if unfit:
        hold(job, unfit)
    if is_all:
        return Batch(messages, max(head, entries[-1].seq if entries else 0), is_last=True)
    return Batch(messages, entries[-1].seq, is_last=False)


def look_again(job: Job) -> bool:
    """Read the log's head anew; whether the consumer still delivers."""
    found = ConsumerCursor.objects.filter(pk=job.cursor.pk, consumer__state__in=DRAINING)
    head = list(found.values_list("sync__head__head_seq", flat=True))
    job.head = max(job.head, (head[0] or 0) if head else 0)
    return bool(head)


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


def move_cursor(job: Job, batch: Batch, result: Published, *, is_final: bool = False) -> None:
    """Guard of invariant 6: after the acknowledgements, and only if the lease still stands, the cursor moves.

    With the final batch the lease is given back in the same statement.
    """
    values: dict[str, Any] = {"acked_seq": batch.reached}
    if result.count:
        values |= {
            "stream_seq": max(result.stream_seq, job.cursor.stream_seq),
            "delivered": job.cursor.delivered + result.count,
            "last_acked_at": timezone.now(),
        }
    if is_final:
        values["lease_until"] = None
    sent = {message.record_id for message in batch.messages} if job.held else set()
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
        entry = job.reader.one(row.record_id)
        if entry is None or entry.seq > job.cursor.acked_seq or not job.consumer.wants(entry.collection_id):
            settled.append(row)
            continue
        message = job.render(entry)
        if why_unfit(job, message) is None and (not messages or size + message.size_bytes <= job.batch_bytes):
            messages.append(message)
            size += message.size_bytes
    HeldMessage.objects.filter(pk__in=[row.pk for row in settled]).delete()
    for row in settled:
        job.held.pop(row.record_id, None)
    return Batch(messages, job.cursor.acked_seq, is_last=True)
