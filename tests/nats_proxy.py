"""Stands between a client and a nats-server, and loses, delays or cuts what a rule tells it to, frame by frame.

    with nats_proxy(server) as proxy:               # proxy.host, proxy.port
        proxy.rule = half_open                      # sockets stay open, nothing passes any more
        proxy.rule = lambda frame: DROP if frame.is_ack else PASS
        proxy.cut()                                 # both sockets of every connection

A rule sees each frame once, in order, and gives PASS, DROP, CUT, RESET (the same by RST, half of the frame sent on), or
a number: seconds to keep it (and all behind it).
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.nats_server import NatsServer

PASS, DROP, CUT, RESET = "pass", "drop", "cut", "reset"
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing waits for nothing and sends a RST
HALF_ARRIVES_S = 0.05
UP, DOWN = "up", "down"


@dataclass(frozen=True)
class Frame:
    """One protocol line with its payload. `goes`: UP to the server, DOWN to the client."""

    goes: str
    line: bytes
    body: bytes = b""

    @property
    def verb(self) -> str:
        return self.line.split(b" ", 1)[0].strip().decode().upper()

    @property
    def is_ack(self) -> bool:
        """An answer to something published: JetStream API answers have a type."""
        return self.goes == DOWN and b'"seq":' in self.body and b'"type":' not in self.body

    @property
    def is_record(self) -> bool:
        return self.goes == UP and b"Sequin-Seq:" in self.body

    @property
    def is_commit(self) -> bool:
        return self.is_record and b"Nats-Batch-Commit: 1" in self.body


Rule = Callable[[Frame], str | float]


def passing(_frame: Frame) -> str:
    return PASS


def half_open(_frame: Frame) -> str:
    return DROP


def deaf(frame: Frame) -> str:
    """The server hears us, and we hear nothing."""
    return DROP if frame.goes == DOWN else PASS


class NatsProxy:
    host = "127.0.0.1"

    def __init__(self, server: NatsServer) -> None:
        self.server, self.rule = server, passing
        self.port = 0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._buried: set[asyncio.StreamWriter] = set()

    rule: Rule

    def cut(self) -> None:
        """End every connection, both ends."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def bury(self) -> None:
        """Nothing passes any more on the connections there are; new ones are as the rule says."""
        self._buried |= self._writers

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _reset(self, writer: asyncio.StreamWriter, frame: Frame) -> None:
        whole = frame.line + frame.body
        writer.write(whole[: len(whole) // 2])
        await asyncio.sleep(HALF_ARRIVES_S)
        for each in self._writers:
            with contextlib.suppress(OSError):
                each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(self.host, self.server.port, limit=1 << 20)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        await asyncio.gather(self._pump(UP, reader, up_writer), self._pump(DOWN, up_reader, writer))
        self._writers -= {writer, up_writer}
        writer.transport.abort()
        up_writer.transport.abort()

    async def _pump(self, goes: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            while line := await reader.readline():
                frame = Frame(goes, line, await self._body(line, reader))
                fate = DROP if writer in self._buried else self.rule(frame)
                if fate == RESET:
                    await self._reset(writer, frame)
                if fate in (CUT, RESET):
                    await self._cut()
                    return
                if isinstance(fate, float | int):
                    await asyncio.sleep(fate)
                if fate != DROP:
                    writer.write(frame.line + frame.body)
                    await writer.drain()
        writer.close()

    async def _body(self, line: bytes, reader: asyncio.StreamReader) -> bytes:
        verb, *rest = line.split()
        if verb.upper() in (b"PUB", b"HPUB", b"MSG", b"HMSG"):
            return await reader.readexactly(int(rest[-1]) + 2)
        return b""

    def _run(self, ready: threading.Event) -> None:
        async def serve() -> None:
            listening = await asyncio.start_server(self._connected, self.host, 0, limit=1 << 20)
            self.port = listening.sockets[0].getsockname()[1]
            ready.set()
            await listening.serve_forever()

        asyncio.set_event_loop(self._loop)
        with contextlib.suppress(asyncio.CancelledError):
            self._serving = self._loop.create_task(serve())
            self._loop.run_until_complete(self._serving)


@contextlib.contextmanager
def nats_proxy(server: NatsServer) -> Iterator[NatsProxy]:
    """A proxy on a free port, for as long as the block lasts."""
    proxy, ready = NatsProxy(server), threading.Event()
    thread = threading.Thread(target=proxy._run, args=[ready], daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        proxy.cut()
        proxy._loop.call_soon_threadsafe(proxy._serving.cancel)
        thread.join(10)
