"""The only module that imports nats: connect, ask and be answered, one inbox a connection, no reconnecting.

A `Link` is one connection without automatic reconnect: nats-py's reconnect buffer was seen to write a stale version
over an acknowledged newer one (invariant 7), so a lost connection is a lost window and says so. Frames are written by
hand (`_send_command`): nats-py's publish checks every header by regular expression, and ours are made by us. nats-py is
pinned to 2.16 for that; tests/integration/test_jetstream.py holds it to it.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from consumers import credentials, reaching
from consumers.connection import (
    INBOXES,
    CannotConnect,
    Denied,
    LinkError,
    LinkLost,
    NatsSettings,
    NoAnswer,
    NobodyListens,
    join_host,
    split_host,
    tls_context,
)
from consumers.reaching import CONNECT_S

ANSWER_S, CLOSE_S, WRITE_S = 5.0, 1.0, 15.0
DOUBT_S = 0.9  # answers take milliseconds
WRITE_BYTES = 256 * 1024  # a write: few enough for the socket, small enough for the server to begin early
_VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"?([^\"\s]+)", re.IGNORECASE)

Answer = bytes | LinkError


class _Client(Client):
    """nats-py's client, told to insist on TLS: by itself it speaks in clear when a server does not ask for TLS.

    Answers to our own inbox go straight to the link: nats-py would parse their headers and pass each through a queue.
    """

    insists_on_tls = False
    inbox_id = 0
    on_answer: Callable[[bytes, bytes, bytes], None]

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self.insists_on_tls and initial_connection:
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if sid == self.inbox_id:
            self.on_answer(subject, data, headers)
        else:
            await super()._process_msg(sid, subject, reply, data, headers)


class Link:
    """One connection to NATS, with its own inbox. Use from the event-loop thread only."""

    def __init__(self, settings: NatsSettings) -> None:
        self.settings, self.host = settings, ""
        self.used_at = time.monotonic()
        self.inbox = ""  # the inbox prefix that works; empty while none does
        self.denied_inboxes: list[str] = []
        self.denied_publishes: list[str] = []
        self.errors: list[str] = []
        self.is_doubted = False  # something was not answered: it may be half open, or our rights to hear have gone
        self.streams: dict[str, Any] = {}  # what streams.py remembers, by filter
        self._client = _Client()
        self._client.insists_on_tls = settings.tls
        self._client.on_answer = self._on_answer
        self._waiting: dict[int, tuple[str, Callable[[Answer], None]]] = {}
        self._next_no = 0
        self._box = ""

    # --- Life -------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._client.is_connected and not self.is_doubted

    @property
    def info(self) -> dict[str, Any]:
        """What the server said of itself: version, max_payload, jetstream, cluster …"""
        return dict(self._client._server_info)

    @property
    def max_payload(self) -> int:
        return self._client.max_payload

    @property
    def version(self) -> tuple[int, int, int]:
        version = self._client.connected_server_version
        return version.major, version.minor, version.patch

    async def listen(self, on_message: Callable[[Msg], Awaitable[None]]) -> tuple[str, Any]:
        """A new subject of our inbox, whose messages go to `on_message` in order; and its subscription.

        Raises Denied.
        """
        if not self.inbox:
            raise self._deaf()
        subject = f"{self.inbox}.{uuid4().hex}"
        return subject, await self._client.subscribe(subject, cb=on_message)

    async def close(self) -> None:
        """Close without waiting long: after a failed TLS handshake nats-py would wait for ever.

        What is still in a buffer does not leave any more, though the server may be about to read again.
        """
        client = self._client
        client._pending, client._pending_data_size = [], 0
        try:
            await asyncio.wait_for(client.close(), CLOSE_S)
        except TimeoutError:
            await self._on_closed()
        finally:
            writer = getattr(client._transport, "_io_writer", None)
            if writer is not None:
                writer.transport.abort()

    async def _opened(self, host: str, port: int, *, handshake_first: bool) -> None:
        settings = self.settings
        await self._client.connect(
            f"nats://{join_host(host, port)}",
            name=settings.name,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_S,  # type: ignore[arg-type]
            ping_interval=20,
            error_cb=self._on_error,
            closed_cb=self._on_closed,
            tls=tls_context(settings) if settings.tls or settings.ca_pem else None,
            tls_hostname=host if settings.tls or settings.ca_pem else None,
            tls_handshake_first=handshake_first,
            user=settings.user or None,
            password=settings.password if settings.user else None,
            token=settings.token or None,
            user_jwt_cb=(lambda: bytearray(settings.jwt.encode())) if settings.jwt else None,
            signature_cb=self._signature if settings.jwt else None,
            pending_size=8 * 1024 * 1024,
            flush_timeout=CONNECT_S,
        )
        self.host = join_host(host, port)

    def _signature(self, nonce: str) -> bytes:
        return credentials.sign(self.settings.nkey_seed, nonce.encode()) if self.settings.nkey_seed else b""

    async def _open_inbox(self, candidates: tuple[str, ...]) -> None:
        """Subscribe the first inbox prefix the server allows; refusals come before the flush returns."""
        for prefix in candidates:
            box = f"{prefix}.{uuid4().hex}"
            subscription = await self._client.subscribe(f"{box}.*")
            self._client.inbox_id = subscription._id
            await self.round_trip()
            if not any(denied.startswith(f"{prefix.lower()}.") for denied in self.denied_inboxes):
                self.inbox, self._box = prefix, box
                return
            await subscription.unsubscribe()

    # --- Sending ----------------------------------------------------------------------------------------------------

    def expect(self, subject: str, on_answer: Callable[[Answer], None]) -> str:
        """A reply subject; what comes to it, or the failure, goes to `on_answer`, once."""
        if not self._box:
            raise self._deaf()
        self._next_no += 1
        self._waiting[self._next_no] = (subject, on_answer)
        return f"{self._box}.{self._next_no}"

    def forget(self, reply: str) -> None:
        self._waiting.pop(int(reply.rsplit(".", 1)[-1]), None)

    async def send(self, subject: str, payload: bytes, *, headers: bytes = b"", reply: str = "") -> None:
        """Put one message on its way; `headers` are ready lines. Call `flush` after the last."""
        if not self._client.is_connected:
            raise _lost()
        await self._client._send_command(frame(subject, payload, headers, reply))

    async def write(self, frames: Iterable[bytes]) -> None:
        """Send many frames in few large writes, as fast as the server reads them; raises LinkLost or NoAnswer."""
        waiting: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(WRITE_S):
                for one in frames:
                    waiting.append(one)
                    size += len(one)
                    if size >= WRITE_BYTES:
                        await self._write(waiting)
                        waiting, size = [], 0
                await self._write(waiting)
        except TimeoutError:
            self.is_doubted = True
            raise NoAnswer("NATS stopped reading.", "Check that NATS runs. Nothing is lost: we try again.") from None
        except (OSError, RuntimeError):
            raise _lost() from None

    async def _write(self, frames: list[bytes]) -> None:
        transport = self._client._transport
        if transport is None or not self._client.is_connected:
            raise _lost()
        if frames:
            transport.write(b"".join(frames))
            await transport.drain()

    async def flush(self) -> None:
        """Hand what was sent to the socket."""
        await self._client._flush_pending()

    async def round_trip(self) -> None:
        """Wait until the server has read all we sent; its refusals have arrived by then.

        nats-py's own flush lets its PING overtake what is still in its buffer, so that goes out first.
        """
        try:
            await self._client._flush_pending(force_flush=True)
            await self._client.flush(CONNECT_S)  # type: ignore[arg-type]
        except nats.errors.Error:
            raise LinkLost("The connection to NATS was lost.", "Try again in a moment.") from None

    async def request(
        self, subject: str, payload: bytes = b"", *, headers: bytes = b"", wait_s: float = ANSWER_S
    ) -> bytes:
        """Send and return the answer's payload.

        Raises Denied, NobodyListens, LinkLost, or NoAnswer: then what was sent may or may not have been taken.
        """
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        reply = self.expect(subject, lambda answer: _settle(answered, answer))
        self.used_at = began = time.monotonic()
        try:
            await self.send(subject, payload, headers=headers, reply=reply)
            await self.flush()
            return await asyncio.wait_for(answered, wait_s)
        except TimeoutError:
            raise NoAnswer(
                f"NATS did not answer within {wait_s:g} seconds.",
                "Check that NATS runs. Nothing is lost: we try again.",
            ) from None
        finally:
            self.doubt_if_unanswered(answered, began)
            self.forget(reply)

    def doubt_if_unanswered(self, waited_for: "asyncio.Future[Any]", since: float) -> None:
        """Use this link no more if an answer was waited for in vain; being interrupted at once says nothing of it."""
        if waited_for.cancelled() and time.monotonic() - since > DOUBT_S:
            self.is_doubted = True

    # --- What comes back --------------------------------------------------------------------------------------------

    def _on_answer(self, inbox: bytes, data: bytes, headers: bytes) -> None:
        """`headers` is None where there are none, though nats-py's annotation does not say so."""
        token = inbox[len(self._box) + 1 :]
        waiting = self._waiting.pop(int(token), None) if token.isdigit() else None
        if waiting is None:
            return
        subject, on_answer = waiting
        if not data and headers and headers.startswith(b"NATS/1.0 503"):
            on_answer(nobody_listens(subject))
        else:
            on_answer(data)

    async def _on_error(self, error: Exception) -> None:
        """Permission violations arrive beside the message they are about; others end the connection."""
        found = _VIOLATION.search(str(error))
        if found is None:
            self.errors.append(f"{type(error).__name__}: {error}")
            return
        action, subject = found.group(1).lower(), found.group(2)
        if action == "subscription":
            self.denied_inboxes.append(subject.lower())
            return
        self.denied_publishes.append(subject)
        for token, (waited, on_answer) in list(self._waiting.items()):
            if waited.lower() == subject.lower():
                self._waiting.pop(token, None)
                on_answer(Denied("publish to", waited))

    async def _on_closed(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for _, on_answer in waiting.values():
            on_answer(_lost())

    def _deaf(self) -> Denied:
        return Denied("subscribe to", " or ".join(f"{prefix}.>" for prefix in self._inbox_candidates()))

    def _inbox_candidates(self) -> tuple[str, ...]:
        return (self.settings.inbox,) if self.settings.inbox else INBOXES


def _settle(future: "asyncio.Future[bytes]", answer: Answer) -> None:
    if future.done():
        return
    if isinstance(answer, LinkError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def frame(subject: str, payload: bytes, headers: bytes, reply: str = "") -> bytes:
    """A message as it goes over the wire; `headers` are ready lines."""
    where = f"{subject} {reply}" if reply else subject
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (where.encode(), len(payload), payload)
    size = len(headers) + _HEADERS_FRAME
    return b"HPUB %b %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n" % (where.encode(), size, size + len(payload), headers, payload)


_HEADERS_FRAME = len(b"NATS/1.0\r\n\r\n")


def _lost() -> LinkLost:
    return LinkLost("The connection to NATS was lost.", "Nothing to do: we connect and send again.")


def nobody_listens(subject: str) -> NobodyListens:
    if subject.startswith("$JS."):
        return NobodyListens("JetStream is not enabled for this account.", "Enable JetStream for the account in NATS.")
    return NobodyListens(
        f"No stream takes messages for {subject}: there is none, or it has no leader.",
        "Create the stream, or start its servers: more than half of its replicas must run. Then run the checks again.",
    )


# --- Opening -------------------------------------------------------------------------------------------------------


async def open_link(settings: NatsSettings, *, inboxes: tuple[str, ...] = ()) -> Link:
    """Connect to the first host that lets us in. Raises the first host's LinkError when none does.

    A user who may subscribe no inbox still gets a Link, with `inbox` empty: preflight explains what then fails.
    """
    first: LinkError | None = None
    for host in settings.hosts:
        try:
            return await _open_one(settings, *split_host(host), inboxes=inboxes)
        except LinkError as error:
            first = first or error
    raise first or CannotConnect("No NATS host is set.", "Enter a host name.")


@asynccontextmanager
async def linked(settings: NatsSettings) -> AsyncIterator[Link]:
    """A connection for a moment. Raises LinkError."""
    link = await open_link(settings)
    try:
        yield link
    finally:
        await link.close()


async def _open_one(settings: NatsSettings, host: str, port: int, *, inboxes: tuple[str, ...]) -> Link:
    await reaching.resolve(host, port)
    server = await reaching.greet(host, port)
    link = Link(settings)
    try:
        await asyncio.wait_for(link._opened(host, port, handshake_first=settings.tls and not server), 2 * CONNECT_S)
        await link._open_inbox(inboxes or link._inbox_candidates())
    except LinkError:
        await link.close()
        raise
    except (OSError, nats.errors.Error, TimeoutError, ValueError) as error:
        await link.close()
        raise reaching.explain(error, link.errors, settings, host, port, server) from None
    return link
