"""What every peer publishes by: nats-py's own `publish_async`, a bounded number in flight, every ack checked.

Environment: NATS_URL, UPSTREAM. Peers run in environments of their own, so nothing of ours is imported here.
"""

import asyncio
import os
import threading
from typing import Any

import nats
import orjson

UPSTREAM = os.environ.get("UPSTREAM", "")
WINDOW = 1024


def subject(record: dict[str, Any]) -> str:
    return f"bench.stripe.customers.{record['id']}"


class Publisher:
    """`await (await Publisher.connect()).put(record)` …, then `flush` and `close`."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.jetstream = client.jetstream(publish_async_max_pending=WINDOW)
        self.failed = 0

    @classmethod
    async def connect(cls) -> "Publisher":
        return cls(await nats.connect(os.environ["NATS_URL"]))

    async def put(self, record: dict[str, Any]) -> None:
        ack = await self.jetstream.publish_async(subject(record), orjson.dumps(record, default=str))
        ack.add_done_callback(self._note)

    def _note(self, ack: "asyncio.Future[Any]") -> None:
        self.failed += bool(ack.cancelled() or ack.exception())

    async def flush(self) -> None:
        """All is acknowledged. Raises RuntimeError if something was not."""
        if self.jetstream.publish_async_pending():
            await asyncio.wait_for(self.jetstream.publish_async_completed(), 60)
        if self.failed:
            raise RuntimeError(f"{self.failed} messages were not stored")

    async def close(self) -> None:
        await self.client.close()


class InThread:
    """The same for frameworks that call plain functions: its loop runs in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._publisher = self._run(Publisher.connect())

    def publish(self, records: list[dict[str, Any]]) -> None:
        """All of these, acknowledged."""
        self._run(self._publish(records))

    async def _publish(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            await self._publisher.put(record)
        await self._publisher.flush()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
