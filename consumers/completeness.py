"""Does the stream hold what we have delivered? A purge by hand leaves no other trace: the log says delivered, for ever.

Fewer subjects under a sync's filter than it has live records means that messages went missing; a replay sends them all
again. A count by subjects is a lower bound for what is missing, for tombstones are subjects too.
"""

from dataclasses import dataclass

from consumers import job as jobs
from consumers import links, streams
from consumers.message import subject_filter
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.common.runner import Orm
from syncs import log as record_log

MOST_COUNTED = 200_000  # subjects are listed to be counted; beyond this the count costs more than it tells


@dataclass(frozen=True)
class Shortfall:
    """A sync whose records the stream does not all hold. `limits`: what lets the stream drop records by itself."""

    sync_name: str
    on_stream: int
    live: int
    limits: str = ""


def is_due(cursor: ConsumerCursor) -> bool:
    """Whether the two numbers can be compared: all is delivered, from the very beginning, and nothing is held."""
    delivered_all = cursor.start_seq == 0 and cursor.acked_seq >= record_log.head(cursor.sync_id)
    return delivered_all and bool(cursor.stream_name) and not cursor.consumer.held.filter(sync=cursor.sync_id).exists()


def live_records(cursor: ConsumerCursor) -> int:
    return record_log.live_count(cursor.sync_id, collection_ids=cursor.consumer.collection_ids)


async def look(consumer: NatsConsumer, orm: Orm) -> list[Shortfall]:
    """Compare every cursor of a consumer that can be; raises LinkError."""
    found = []
    cursors = await orm(lambda: list(consumer.cursors.select_related("sync", "consumer")))
    for cursor in cursors:
        live = await orm(live_records, cursor)
        if not live or live > MOST_COUNTED or not await orm(is_due, cursor):
            continue
        link = await links.shared_link(
            str(consumer.pk),
            consumer.nats_settings(),
            inboxes=(consumer.working_inbox,) if consumer.working_inbox else (),
        )
        place = subject_filter(consumer.subject_prefix, cursor.sync_id)
        on_stream = await streams.subject_count(link, cursor.stream_name, place)
        if on_stream < live and await orm(lambda c=cursor, n=live: is_due(c) and live_records(c) >= n):
            limits = (await streams.info(link, cursor.stream_name)).limits
            found.append(Shortfall(cursor.sync.name, on_stream, live, limits))
    return found


def tell(consumer: NatsConsumer, shortfalls: list[Shortfall]) -> None:
    """Say so on the consumer's page, where *Replay from the beginning* is one click away."""
    if shortfalls:
        worst = max(shortfalls, key=lambda each: each.live - each.on_stream)
        why = (
            f"It drops the oldest by itself ({worst.limits}): raise that limit, then press Replay from the beginning."
            if worst.limits
            else "Somebody removed messages. Press Replay from the beginning to send everything again."
        )
        holds = f"The stream holds {worst.on_stream:,} of the {worst.live:,} records of {worst.sync_name}."
        jobs.warn(consumer, f"{holds} {why}")
