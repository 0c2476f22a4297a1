"""Hears every message that a stream stores, as it is stored, though the stream keeps only the last of each subject.

The stream tells it (`republish`) with the message in hand. A source or a mirror reads the stream a moment later and
misses what was overwritten by then; and a stream cannot listen in our place, for it refuses messages that name another
in `Nats-Expected-Stream`. The sequence in each message shows whether one was missed, as happens when the server is
killed between storing and telling: then the stream itself still shows where each subject ends.
"""

import asyncio
import threading
from typing import Any

from tests.nats_server import NatsServer

PREFIX = "seen"
REPUBLISH = {"republish": {"src": ">", "dest": f"{PREFIX}.>"}}


class Listener(threading.Thread):
    """Listens from `start` until `stop`; comes back by itself when the server was away."""

    def __init__(self, nats: NatsServer) -> None:
        super().__init__(name="listener", daemon=True)
        self.nats = nats
        self.heard: list[Any] = []  # nats-py messages
        self._listens, self._done = threading.Event(), threading.Event()

    def start(self) -> None:
        """Returns when it listens."""
        super().start()
        assert self._listens.wait(30), "cannot listen"

    def run(self) -> None:
        asyncio.run(self._listen())

    def stop(self) -> list[Any]:
        """All that was heard, with what is still on its way."""
        self._done.set()
        self.join(120)
        assert not self.is_alive(), "does not stop listening"
        return self.heard

    async def _listen(self) -> None:
        options = {
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 0.02,
            "allow_reconnect": True,
            "drain_timeout": 60,
        }
        client = await self.nats.connect(**options, error_cb=_as_expected)
        await client.subscribe(f"{PREFIX}.>", cb=self._hear, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await client.flush()
        self._listens.set()
        while not self._done.is_set():
            await asyncio.sleep(0.05)
        await client.drain()

    async def _hear(self, message: Any) -> None:
        self.heard.append(message)


async def _as_expected(error: Exception) -> None:
    """The server is away: that is what the test is about."""
