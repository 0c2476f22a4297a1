"""Reading a stream as it grows: an ordered JetStream reader, gone with its connection. Never a core subscription.

A core subscription on the prefix would turn "no stream takes this" into a bare time-out for publishers (DESIGN.md, NATS
as it really behaves), and would not show what is stored. So the stream is asked, by an ephemeral JetStream consumer:

1. find where the last N messages under the filter begin (`_place_of_last`)
2. push from there to a subject of our inbox, without acknowledgements, with flow control: we answer the server's flow
   control requests in turn, so it never sends more than we have worked off
3. a gap in the consumer's own sequence, or silence where heartbeats should be, begins again after the last message seen
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from consumers import streams
from consumers.connection import Denied, LinkLost
from consumers.jetstream import Link
from consumers.message import CONSUMER, OPERATION, SEQ
from consumers.streams import Stream

HEARTBEAT_S, WATCH_S = 5, 0.5
WIDEN, NEAR = 8, 4  # the search for the last N: looks that much further back, ends with at most that many times N
GONE_AFTER_NS = 10_000_000_000


@dataclass(frozen=True)
class StreamMessage:
    """One message of the stream. `pending`: how many more there were under the filter when it was sent to us."""

    seq: int
    subject: str
    payload: bytes
    at_ns: int
    pending: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def record_seq(self) -> int | None:
        """Our own header: the record's place in the log. None on a message of somebody else."""
        value = self.headers.get(SEQ, "")
        return int(value) if value.isascii() and value.isdigit() else None

    @property
    def consumer(self) -> str:
        return self.headers.get(CONSUMER, "")

    @property
    def operation(self) -> str:
        return self.headers.get(OPERATION, "")


class StreamReader:
    """Hands every message under `subject` to `on_message`, in the stream's order, each once."""

    def __init__(self, link: Link, stream: Stream, subject: str, on_message: Callable[[StreamMessage], None]) -> None:
        self.link, self.stream, self.subject, self.on_message = link, stream, subject, on_message
        self.last_seq = 0  # of the stream
        self._expected = 1  # of the JetStream consumer
        self._heard_at = 0.0
        self._is_broken = asyncio.Event()
        self._subscription: Any = None

    async def begin(self, *, last: int = 0, after: int = 0) -> int:
        """Start reading: the last so many, or what comes after a stream sequence, or only what is new.

        Returns how many messages there are to begin with. Raises Denied, Refused, or another LinkError.
        """
        start = after + 1 if after else await self._place_of_last(last) if last else 0
        self.last_seq = after
        return await self._create(start)

    async def keep_reading(self) -> None:
        """Watch over the reader for as long as it is wanted. Raises LinkLost, Denied or Refused."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_broken.wait(), WATCH_S)
            if not self.link.is_open:
                raise LinkLost("The connection to NATS was lost.", "Nothing to do: we connect again.")
            refused = next((subject for subject in self.link.denied_publishes if subject.startswith("$JS.FC")), "")
            if refused:  # without it the server stops after the first few thousand messages
                raise Denied("publish to", "$JS.FC.>")
            if self._is_broken.is_set() or time.monotonic() - self._heard_at > 3 * HEARTBEAT_S:
                await self._create(self.last_seq + 1 if self.last_seq else 0)

    async def end(self) -> None:
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            with contextlib.suppress(Exception):  # the connection may be gone; then so is the subscription
                await subscription.unsubscribe()

    # --- The JetStream consumer -------------------------------------------------------------------------------------

    async def _create(self, start: int) -> int:
        await self.end()
        self._is_broken.clear()
        self._expected, self._heard_at = 1, time.monotonic()
        inbox, self._subscription = await self.link.listen(self._on_message)
        config = {
            "deliver_subject": inbox,
            "flow_control": True,
            "idle_heartbeat": HEARTBEAT_S * 1_000_000_000,
            "description": "Sequin Console live viewer",
            **self._from(start),
        }
        return await self._ask(config)

    def _from(self, start: int) -> dict[str, Any]:
        place = {"deliver_policy": "by_start_sequence", "opt_start_seq": start} if start else {"deliver_policy": "new"}
        return {"ack_policy": "none", "max_deliver": 1, "filter_subject": self.subject, "mem_storage": True,
                "num_replicas": 1, "inactive_threshold": GONE_AFTER_NS, **place}  # fmt: skip

    async def _ask(self, config: dict[str, Any]) -> int:
        """Create it; how many messages wait for it."""
        name = f"sequin-view-{uuid4().hex[:16]}"
        body = {"stream_name": self.stream.name, "config": {"name": name, **config}}
        answer = await streams.ask(self.link, f"CONSUMER.CREATE.{self.stream.name}.{name}", body)
        return int(answer.get("num_pending") or 0)

    async def _place_of_last(self, wanted: int) -> int:
        """The stream sequence from which on there are at least `wanted` messages under the filter, and few more.

        Old versions leave holes in the sequence, so it is searched: wider and wider, then halved. Each look asks a
        JetStream consumer that nobody reads how much waits for it.
        """
        high, span, low, waiting = self.stream.last_seq + 1, wanted, 0, 0
        while waiting < wanted and low != 1:
            high = low or high
            low = max(1, self.stream.last_seq + 1 - span)
            waiting = await self._ask(self._from(low))
            span *= WIDEN
        while waiting > NEAR * wanted and high - low > 1:
            middle = (low + high) // 2
            found = await self._ask(self._from(middle))
            if found < wanted:
                high = middle
            else:
                low, waiting = middle, found
        return low

    # --- What comes -------------------------------------------------------------------------------------------------

    async def _on_message(self, msg: Any) -> None:
        self._heard_at = time.monotonic()
        headers = msg.headers or {}
        if headers.get("Status") == "100" and not msg.data:
            await self._on_control(msg, headers)
            return
        if self._is_broken.is_set():
            return
        seq, own, at_ns, pending = _place(msg.reply)
        if own != self._expected:
            self._is_broken.set()
            return
        self._expected, self.last_seq = own + 1, seq
        self.on_message(StreamMessage(seq, msg.subject, msg.data, at_ns, pending, headers))

    async def _on_control(self, msg: Any, headers: dict[str, str]) -> None:
        """Flow control is answered in turn, all before it being done. A heartbeat tells what should be here."""
        if msg.reply:
            await self.link.send(msg.reply, b"")
        if stalled := headers.get("Nats-Consumer-Stalled"):
            await self.link.send(stalled, b"")
        await self.link.flush()
        told = headers.get("Nats-Last-Consumer", "")
        if told.isdigit() and int(told) >= self._expected:
            self._is_broken.set()


def _place(reply: str) -> tuple[int, int, int, int]:
    """Stream sequence, consumer sequence, time in ns and pending, from `$JS.ACK.…` (9 tokens, or 11 and more)."""
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 1]), int(tokens[at + 2]), int(tokens[at + 3])
