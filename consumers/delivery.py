"""Drain a sync's log into NATS from one cursor, in order, under a lease; the stream judges, not the worker.

1. plan      what to send where, read from the tables
2. connect   the process's shared connection of this consumer
3. meet      the stream: another one than last time, or one that fell back, begins a new run by itself
4. held      records set aside that the stream could take by now
5. pump      read and render a batch while the one before commits; move the cursor only after the stream confirmed;
             fenced.py or basic.py publish, as the stream allows

Coroutines run on the loop's thread, everything that touches the database on the task's own (job.py, through `orm`).
Invariants 6, 7 and 9 of ARCHITECTURE.md; ADR 0002 tells why.
"""

import asyncio
import time
from enum import Enum

from consumers import basic, fenced, links, streams
from consumers import job as jobs
from consumers.job import BATCH_BYTES, HELD_A_DRAIN, Batch, Job, Published, StreamReset
from consumers.models import ConsumerCursor
from sequin_console.common.leases import LeaseLost
from sequin_console.common.runner import Orm


class Outcome(Enum):
    DONE = "caught up"
    MORE = "more to do"
    STOPPED = "paused or removed meanwhile"
    LOST = "another worker took over"


async def drain(
    cursor: ConsumerCursor, orm: Orm, *, late_at: float, batch_bytes: int = BATCH_BYTES
) -> tuple[Outcome, int]:
    """Deliver until the log's end or until `late_at` (time.monotonic); how it ended, and how many were confirmed.

    Raises LinkError for what is wrong with the consumer's NATS.
    """
    job = await orm(jobs.plan, cursor)
    if job is None:
        return Outcome.STOPPED, 0
    job.batch_bytes = batch_bytes
    return await carry(job, orm, late_at=late_at)


async def carry(job: Job, orm: Orm, *, late_at: float, trust_s: float = 0) -> tuple[Outcome, int]:
    """Steps 2 to 5. What is known of a stream is trusted for `trust_s`, where the fence would tell that it changed."""
    try:
        await connect(job, orm, trust_s=trust_s)
        await try_held(job, orm)
        outcome = await pump(job, orm, late_at=late_at)
        streams.remember(job.link, job.filter, job.stream)  # all went as expected; else the next drain looks
    except LeaseLost:
        outcome = Outcome.LOST
    except StreamReset:
        outcome = Outcome.MORE
    return outcome, job.delivered


async def connect(job: Job, orm: Orm, *, trust_s: float = 0) -> None:
    """Steps 2 and 3: a connection, and the stream as it is now."""
    working = job.consumer.working_inbox
    inboxes = (working,) if working and not job.settings.inbox else ()
    job.link = await links.shared_link(str(job.consumer.pk), job.settings, inboxes=inboxes)
    if not job.link.inbox and inboxes:  # rights have changed: look again
        await links.drop_link(str(job.consumer.pk))
        job.link = await links.shared_link(str(job.consumer.pk), job.settings)
    known = streams.recall(job.link, job.filter, at_least_seq=job.cursor.stream_seq, trust_s=trust_s)
    job.stream = known or await streams.find(job.link, job.filter, known_name=job.consumer.stream_name)
    if not jobs.is_met(job):
        await orm(jobs.meet, job)
    job.prepare()


async def pump(job: Job, orm: Orm, *, late_at: float) -> Outcome:
    """Step 5. The next batch is read and rendered while the one before is on its way.

    It leaves as soon as that one is confirmed, while the cursor's row is still being moved: the stream's answer tells
    where its fence stands, and a crash in between is one before the row was written: settled by reading the stream.
    """
    batch: Batch | None = await orm(jobs.read_batch, job, job.cursor.acked_seq)
    reached = job.cursor.acked_seq
    while batch is not None and batch.reached > reached:
        sending = asyncio.ensure_future(_publish(job, batch, orm))
        is_final = time.monotonic() >= late_at
        try:
            await job.moved()
            following = None if batch.is_last or is_final else await orm(jobs.read_batch, job, batch.reached)
            result = await sending
        finally:
            sending.cancel()
        if result.again:
            following, reached = None, job.cursor.acked_seq
        else:
            job.confirmed(result)
            reached = batch.reached
            job.moving = asyncio.ensure_future(orm(jobs.move_cursor, job, batch, result, is_final=is_final))
        if is_final:
            await job.moved()
            return Outcome.DONE if batch.is_last and not result.again else Outcome.MORE
        if following is None:
            await job.moved()
            following = await orm(jobs.read_batch, job, reached)
        batch = following
    return Outcome.STOPPED if batch is None else Outcome.DONE


async def try_held(job: Job, orm: Orm) -> None:
    """Step 4: send what was set aside and fits by now. A record that changed since comes by the log's own order."""
    due = [
        row for row in job.held.values() if 0 < row.limit_bytes < job.most_bytes and row.size_bytes <= job.most_bytes
    ]
    if not due:
        return
    batch = await orm(jobs.read_held, job, due[:HELD_A_DRAIN])
    if batch.messages:
        result = await _publish(job, batch, orm)
        if not result.again:
            job.confirmed(result)
            await orm(jobs.move_cursor, job, batch, result)


async def _publish(job: Job, batch: Batch, orm: Orm) -> Published:
    return await (fenced if job.stream.is_atomic else basic).publish(job, batch, orm)
