"""Where the live viewer's messages come from: the consumer's stream, or our own log where NATS does not let us read.

A source calls `take(item, size, is_history)` for everything it sees, and `say(state, …)` when that changes. It never
waits for the browser: bounding what is shown is the taker's part.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

from channels.db import database_sync_to_async
from django.utils import timezone

from consumers import jetstream, live_rows, permissions, streams
from consumers.connection import Denied, LinkError
from consumers.jetstream import Link
from consumers.live_rows import Shown
from consumers.message import subject_filter
from consumers.models import NatsConsumer
from consumers.stream_reader import StreamMessage, StreamReader
from syncs import log as record_log
from syncs import queries as sync_queries

LAST_CHOICES = (50, 200, 1000)
LONGEST_TEXT = 200
RETRY_S = (1.0, 2.0, 5.0, 10.0, 15.0)
LOG_EVERY_S, LOG_PAGE = 1.0, 500
STREAM_AGAIN_S = 60.0  # where rights are missing, the stream is tried again so often
Item = StreamMessage | Shown


@dataclass(frozen=True)
class Wish:
    """What one wants to see: the last so many, or what follows a stream sequence; of a sync, a collection, a text."""

    last: int = 0
    after: int = 0
    sync_id: UUID | None = None
    collection: str = ""
    text: str = ""

    @classmethod
    def read(cls, asked: dict[str, Any]) -> "Wish":
        """From the browser's own words; nonsense is left out."""
        last, after = asked.get("last"), asked.get("after")
        try:
            sync_id = UUID(str(asked["sync"])) if asked.get("sync") else None
        except ValueError:
            sync_id = None
        return cls(
            last=last if last in LAST_CHOICES else 0,
            after=after if isinstance(after, int) and 0 < after < 2**63 else 0,
            sync_id=sync_id,
            collection=str(asked.get("collection") or "")[:LONGEST_TEXT],
            text=str(asked.get("text") or "")[:LONGEST_TEXT],
        )

    def subject(self, consumer: NatsConsumer) -> str:
        """The filter on the stream. A consumer of one sync never looks beyond it."""
        sync_id = consumer.sync_id or self.sync_id or ("*" if self.collection else None)
        return subject_filter(consumer.subject_prefix, sync_id, self.collection or None)

    def finds(self, text: bytes) -> bool:
        return not self.text or self.text.casefold().encode() in text.lower() or self.text.encode() in text


class Taker(Protocol):
    def take(self, item: Item, size: int, *, is_history: bool) -> None: ...

    def say(self, state: str, message: str = "", next_step: str = "", blocks: Any = ()) -> None: ...


async def follow(consumer: NatsConsumer, wish: Wish, taker: Taker) -> None:
    """Show what a person wished for, until cancelled; whatever goes wrong is said and tried again."""
    failures, from_log = 0, LogSource(consumer, wish, taker)
    while True:
        source = StreamSource(consumer, wish, taker)
        try:
            await source.run()
        except Denied as error:
            _say_log(consumer, error, taker)
            await from_log.run(STREAM_AGAIN_S)
            continue
        except LinkError as error:
            taker.say("trouble", error.message, error.next_step or "We try again by ourselves.")
        if source.last_seq:
            failures, wish = 0, replace(wish, after=source.last_seq)
        await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
        failures += 1


def _say_log(consumer: NatsConsumer, error: Denied, taker: Taker) -> None:
    settings = consumer.nats_settings()
    blocks = permissions.as_commands(
        consumer.subject_prefix, consumer.stream_name, api=settings.api, inbox=consumer.working_inbox or settings.inbox
    )
    wanted = [block for block in blocks if "watch" in block["label"]]
    what = f"{error.message} So this is our own log of what we read upstream, not what is on the stream."
    taker.say("log", what, "Give the user the rights below to watch the stream itself.", wanted)


class StreamSource:
    """Reads the stream itself, on a connection of its own."""

    def __init__(self, consumer: NatsConsumer, wish: Wish, taker: Taker) -> None:
        self.consumer, self.wish, self.taker = consumer, wish, taker
        self.last_seq = self._history_to = 0
        self._last = wish.last or (LAST_CHOICES[0] if wish.after else 0)  # should the stream be another one now

    async def run(self) -> None:
        """Raises a LinkError."""
        settings = replace(self.consumer.nats_settings(), name=f"sequin-console viewer {self.consumer.pk}")
        async with jetstream.linked(settings) as link:
            reader = await self._begin(link)
            try:
                self.taker.say("live")
                await reader.keep_reading()
            finally:
                await reader.end()

    async def _begin(self, link: Link) -> StreamReader:
        subject = self.wish.subject(self.consumer)
        stream = await streams.find(link, subject, known_name=self.consumer.stream_name)
        reader = StreamReader(link, stream, subject, self._on_message)
        after = self.wish.after if self.wish.after <= stream.last_seq else 0  # else it is a new stream
        self._history_to = 0 if after else stream.last_seq
        await reader.begin(last=self._last, after=after)
        return reader

    def _on_message(self, msg: StreamMessage) -> None:
        self.last_seq = msg.seq
        is_history = msg.seq <= self._history_to
        if is_history and msg.pending >= self._last:
            return  # a little before the last N
        if self.wish.finds(msg.payload):
            self.taker.take(msg, len(msg.payload), is_history=is_history)


class LogSource:
    """Reads our record log: the last records, then each change soon after it was read upstream."""

    def __init__(self, consumer: NatsConsumer, wish: Wish, taker: Taker) -> None:
        self.consumer, self.wish, self.taker = consumer, wish, taker
        self._cursors: dict[UUID, int] | None = None
        self._providers: dict[UUID, str] = {}

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        is_history = self._cursors is None
        while time.monotonic() < until:
            found = await database_sync_to_async(self._read)()
            for shown in found:
                if self.wish.finds(shown.text.encode()):
                    self.taker.take(shown, len(shown.text), is_history=is_history)
            is_history = False
            await asyncio.sleep(0 if len(found) >= LOG_PAGE else LOG_EVERY_S)

    def _read(self) -> list[Shown]:
        collections = [self.wish.collection] if self.wish.collection else self.consumer.collection_ids
        if self._cursors is None:
            self._providers = sync_queries.providers_by_sync()
            heads = record_log.heads(self._sync_ids())
            self._cursors = {sync_id: max(0, head - self.wish.last) for sync_id, head in heads.items()}
        now_ms, found = timezone.now().timestamp() * 1000, []
        heads = record_log.heads(list(self._cursors))
        for sync_id, cursor in self._cursors.items():
            if heads.get(sync_id, 0) <= cursor:
                continue
            entries = record_log.entries_after(sync_id, cursor, limit=LOG_PAGE, collection_ids=collections)
            provider = self._providers.get(sync_id, "")
            found += [live_rows.of_entry(entry, sync_id, provider, self.consumer, now_ms) for entry in entries]
            last = entries[-1].seq if entries else 0
            self._cursors[sync_id] = last if len(entries) == LOG_PAGE else max(last, heads[sync_id])
        return found

    def _sync_ids(self) -> list[UUID]:
        one = self.consumer.sync_id or self.wish.sync_id
        return [one] if one else sync_queries.active_sync_ids()


async def last_messages(consumer: NatsConsumer, wish: Wish, *, wait_s: float = 3.0) -> list[StreamMessage]:
    """The last messages of the stream now, newest last; for the page without JavaScript. Raises LinkError."""
    found: list[StreamMessage] = []
    done = asyncio.Event()

    def on_message(msg: StreamMessage) -> None:
        if msg.pending < wish.last and wish.finds(msg.payload):
            found.append(msg)
        if not msg.pending:
            done.set()

    link = await jetstream.open_link(consumer.nats_settings())
    try:
        subject = wish.subject(consumer)
        stream = await streams.find(link, subject, known_name=consumer.stream_name)
        reader = StreamReader(link, stream, subject, on_message)
        if await reader.begin(last=wish.last):
            await asyncio.wait_for(done.wait(), wait_s)
    except TimeoutError:
        pass
    finally:
        await link.close()
    return found
