"""Who acts on a stage (nats_stage.py): an editor of the log, a worker that drains it, a watcher of the stream."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from django.db import connections

from consumers.models import NatsConsumer
from consumers.working import GRACE_S
from tests.consumer_factories import Log, drain
from tests.faults.oracle import Upstream
from tests.faults.report import SEED
from tests.nats_server import NatsServer

BURSTS = (1, 2, 4, 8, 25)  # a few go to the stream one by one, more as an atomic batch
SLACK_S = 10.0  # this machine is shared


class Editor:
    """Changes, deletes and brings back records of a log, on a thread of its own, and knows what it did."""

    def __init__(self, log: Log, records: int, *, pause_s: float = 0.06) -> None:
        self.log, self.pause_s = log, pause_s
        self.truth: dict[str, Upstream] = {}
        self.edits = 0
        self._ids = [f"r{n:04}" for n in range(records)]
        self._random = random.Random(SEED)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: BaseException | None = None

    def write(self, upstream_id: str, **content: Any) -> None:
        """One more version of a record."""
        self._append({upstream_id: False}, **content)

    def edit_some(self, number: int) -> None:
        """Change so many records, or delete some of them, in one commit."""
        ids = self._random.sample(self._ids, min(number, len(self._ids)))
        was = {upstream_id: self.truth.get(upstream_id) for upstream_id in ids}
        self._append({key: bool(was[key] and not was[key].deleted and self._random.random() < 0.15) for key in ids})

    def _append(self, deletes: Mapping[str, bool], **content: Any) -> None:
        """A version each; a deleted record keeps the one it had."""
        with self._lock:
            news = {}
            for key, deleted in deletes.items():
                was = self.truth.get(key)
                news[key] = Upstream((was.version if was else 0) + (not deleted), deleted)
            self.log.write_many(
                {key: None if now.deleted else {"id": key, "v": now.version, **content} for key, now in news.items()}
            )
            self.truth |= news
            self.edits += len(news)

    def start(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self.pause_s):
                self.edit_some(self._random.choice(BURSTS))
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(30)
            self._thread = None
        if self.error is not None:
            raise self.error


class Worker:
    """Drains a consumer again and again, and holds every drain to its budget."""

    def __init__(self, consumer: NatsConsumer, budget_s: float) -> None:
        self.consumer, self.budget_s = consumer, budget_s
        self.drains = self.failures = 0
        self.longest_s = 0.0
        self.error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def drain(self) -> Any:
        began = time.monotonic()
        result = drain(self.consumer, budget_s=self.budget_s)
        took_s = time.monotonic() - began
        self.drains, self.longest_s = self.drains + 1, max(self.longest_s, took_s)
        self.failures += sum(isinstance(each, Exception) for each in result.values())
        assert took_s < self.budget_s + GRACE_S + SLACK_S, f"a drain took {took_s:.1f} s"
        return result

    def start(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopped.wait(0.03):
                self.drain()
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(self.budget_s + GRACE_S + 3 * SLACK_S)
            assert not self._thread.is_alive(), "a drain hangs"
            self._thread = None
        if self.error is not None:
            raise self.error


class Watcher:
    """Everything a stream stores, in order, as it is republished to a plain subscriber; nothing is asked of the stream.

    A stream cannot keep it: the copies carry the conditions of the originals.
    """

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.messages: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._client: Any = None

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> None:
        async def heard(message: Any) -> None:
            self.messages.append(message)

        self._client = await self.server.connect(allow_reconnect=False)
        await self._client.subscribe("seen.>", cb=heard, pending_bytes_limit=-1)
        await self._client.flush()

    def stop(self) -> None:
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
