"""Basic delivery, on any server: a window of single messages, each with the sequence its subject is expected to be at.

At least once, and never backwards: learn where the subject is, *then* confirm the lease, *then* send once with it. One
message in flight a subject; what is sent again is read from the log again, never taken from memory.
"""

import asyncio

from consumers import job as jobs
from consumers import publishing
from consumers.connection import Conflict, Refused
from consumers.job import Batch, Job, Published, StreamReset
from consumers.message import Message
from consumers.publishing import NOT_YET, WrongLast
from sequin_console.common import trace
from sequin_console.common.runner import Orm

ROUNDS = 8
NOT_YET_S = 0.05


async def publish(job: Job, batch: Batch, orm: Orm) -> Published:
    """Get every message of a batch confirmed. Raises LeaseLost, StreamReset, LinkError."""
    window = [(message, 0) for message in batch.messages]
    highest = count = 0
    for round_no in range(ROUNDS):
        with trace.span("publish"):
            results = await publishing.publish_window(job.link, window, stream=job.stream.name)
        stored = [result for result in results if isinstance(result, int)]
        if stored and min(stored) <= job.stream_seq:
            raise StreamReset  # a stream's sequence only grows: this is another one
        highest, count = max([highest, *stored]), count + len(stored)
        refused = _refused(window, results)
        if not refused:
            return Published(highest, count)
        await orm(jobs.confirm_lease, job.cursor)
        current = await orm(read_again, job, batch)
        window = [(current[message.record_id], seq) for message, seq in refused if message.record_id in current]
        if any(isinstance(result, Refused) and result.code in NOT_YET for result in results):
            await asyncio.sleep(NOT_YET_S * (round_no + 1))
    raise Conflict(
        f"{len(window)} subjects kept changing under us: somebody else writes there.",
        "Find who publishes there, or give this consumer a subject prefix of its own.",
    )


def _refused(window: list[tuple[Message, int]], results: list[int | Refused]) -> list[tuple[Message, int]]:
    """What to send again, each with the sequence just learnt. Raises what sending again would not cure."""
    again = []
    for (message, expected), result in zip(window, results, strict=True):
        if isinstance(result, WrongLast):
            again.append((message, result.last_seq))
        elif isinstance(result, Refused) and result.code in NOT_YET:
            again.append((message, expected))
        elif isinstance(result, Refused):
            raise result
    return again


def read_again(job: Job, batch: Batch) -> dict[int, Message]:
    """The batch's messages as the log has them now, by record; one that changed since comes later, in its order."""
    first = min(message.seq for message in batch.messages)
    wanted = {message.record_id for message in batch.messages}
    last = max(message.seq for message in batch.messages)
    entries, _ = job.reader.after(first - 1, limit=2 * len(batch.messages), head=last)
    return {e.record_id: job.render(e) for e in entries if e.record_id in wanted and e.seq <= last}
