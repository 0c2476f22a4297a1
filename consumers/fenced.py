"""Fenced delivery: atomic batches that the stream stores only if nobody wrote under our filter since our last one.

So a batch is stored whole or not at all, a worker that was overtaken stores nothing, and an unknown outcome is settled
by reading the stream: its newest message carries our cursor (`Sequin-Seq`). Needs nats-server 2.12 and `allow_atomic`.
"""

from consumers import job as jobs
from consumers import publishing, streams
from consumers.connection import Conflict, NoAnswer, Refused
from consumers.job import Batch, Job, Published, StreamReset
from consumers.publishing import NOT_YET, WrongLast
from consumers.streams import LastMessage
from sequin_console.common import trace
from sequin_console.common.runner import Orm

MOST_CLASHES = 5
MOST_LOOKED_AT = 5_000  # messages since our last commit, one request each: a stranger may have written any number


async def publish(job: Job, batch: Batch, orm: Orm) -> Published:
    """Store a batch, or find out what became of it. Raises LeaseLost, StreamReset, LinkError."""
    if not batch.messages:
        return Published(job.stream_seq, 0)
    try:
        with trace.span("publish"):
            seq = await publishing.publish_batch(
                job.link, batch.messages, stream=job.stream.name, subject=job.filter, last_seq=job.stream_seq
            )
    except (WrongLast, NoAnswer):
        return await settle(job, orm)
    except Refused as error:
        if error.code not in NOT_YET:
            raise
        return await settle(job, orm)
    return Published(seq, len(batch.messages))


async def settle(job: Job, orm: Orm) -> Published:
    """Learn from the stream how far we are; the caller then reads the log again from there.

    1. read the newest message under our filter
    2. is this still the stream we know? A new one begins a new run
    3. ours, of this run, and the end of an atomic batch: all up to its `Sequin-Seq` is stored
    4. somebody else's: say so, and go on from there; how far we are, those of ours tell that came since our last commit
    5. confirm the lease, after reading and before anything is sent again (invariant 7)
    """
    await job.moved()
    cursor = job.cursor
    last = await streams.last_message(job.link, job.stream.name, job.filter)
    if jobs.is_reset(cursor, await streams.info(job.link, job.stream.name)):
        raise StreamReset
    acked, is_ours = cursor.acked_seq, last is not None and last.consumer == str(cursor.consumer_id)
    told = last if last is None or is_ours else await _newest_of_ours(job)
    if told is not None and told.run == cursor.run and told.ends_batch:
        acked = max(acked, told.record_seq)
    await orm(jobs.confirm_lease, cursor, acked_seq=acked, stream_seq=last.seq if last is not None else 0)
    job.stream_seq = cursor.stream_seq
    job.clashes += 1
    if last is not None and not is_ours and cursor.delivered:
        await orm(
            jobs.warn,
            job.consumer,
            f"Somebody else published to {last.subject} (message {last.seq:,}). Only this consumer should write there.",
        )
    if job.clashes > MOST_CLASHES:
        raise Conflict(
            f"The stream refused {job.clashes} batches in a row: somebody else keeps writing under {job.filter}.",
            "Find who publishes there, or give this consumer a subject prefix of its own.",
        )
    return Published(cursor.stream_seq, 0, again=True)


async def _newest_of_ours(job: Job) -> LastMessage | None:
    """Ours that ended the newest batch since the last commit the cursor knows of; None where only others wrote.

    A worker that died may have stored a batch that ends elsewhere than ours, so all that came since is looked at.
    """
    newest, after = None, job.cursor.stream_seq
    for _ in range(MOST_LOOKED_AT):
        message = await streams.next_message(job.link, job.stream.name, job.filter, after)
        if message is None:
            break
        mine = message.consumer == str(job.cursor.consumer_id) and message.run == job.cursor.run
        newest = message if mine and message.ends_batch else newest
        after = message.seq
    return newest
