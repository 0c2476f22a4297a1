"""The live viewer's socket: `/ws/records/<consumer>/`. It reads quickly, sends slowly, and keeps little.

From the browser: `{"watch": {"last": 50, "sync", "collection", "text", "after"}}`, `{"pause": true}`.
To the browser, at most FRAMES_S times a second:
    {"state": "live" | "log" | "trouble" | "connecting", "message", "next_step", "blocks"}
    {"rows": [...], "seen", "shown", "rate", "waiting", "paused"}
Every message is counted; shown are all while there are few, else a sample of SHOWN_S a second. What waits to be shown
is a window of bounded number and bytes, so a slow browser or a pause costs no memory.
"""

import asyncio
import contextlib
import json
import time
from typing import Any
from uuid import UUID

import structlog
from channels.db import database_sync_to_async

from consumers import live_rows
from consumers.live_rows import Shown
from consumers.live_source import LAST_CHOICES, Item, Wish, follow
from consumers.models import NatsConsumer
from consumers.sampling import Budget, Rate, Window
from sequin_console.common.feeds import SignedInFeed
from sequin_console.common.watcher import ANYTHING
from syncs import queries as sync_queries

NOT_FOUND = 4404
FRAMES_S = 10
SHOWN_S, SHOWN_AT_ONCE = 30, 60
WAITING_MOST, WAITING_BYTES = 100, 4 * 1024 * 1024
HISTORY_BYTES, HISTORY_FRAME = 8 * 1024 * 1024, 100
COUNTS_EVERY_S, NAMES_EVERY_S = 0.5, 5.0
LONGEST_WORD = 4096  # bytes of one message from the browser

log = structlog.get_logger(__name__)


class RecordsFeed(SignedInFeed):
    """One person watching one consumer's stream."""

    consumer: NatsConsumer
    _reading: asyncio.Task[None] | None = None
    _sending: asyncio.Task[None] | None = None

    # --- From the browser -------------------------------------------------------------------------------------------

    async def opened(self) -> None:
        self._names: dict[UUID, str] = {}
        self._named_at = 0.0
        self._reset()
        self._paused = False
        if not await self._load():
            await self.close(NOT_FOUND)
            return
        self._sending = asyncio.create_task(self._keep_sending())

    async def closed(self) -> None:
        await _end(self._reading)
        await _end(self._sending)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        if self._sending is None or not text_data or len(text_data) > LONGEST_WORD:
            return
        try:
            asked = json.loads(text_data)
        except ValueError:
            return
        if not isinstance(asked, dict):
            return
        if isinstance(asked.get("watch"), dict):
            await self._watch(Wish.read(asked["watch"]))
        if isinstance(asked.get("pause"), bool):
            self._paused, self._is_told = asked["pause"], False
            self._paused_at = self._seen_live - len(self._waiting)

    async def _watch(self, wish: Wish) -> None:
        await _end(self._reading)
        self._reset()
        self._wish = wish
        self._reading = asyncio.create_task(self._read(wish))

    async def _read(self, wish: Wish) -> None:
        try:
            await follow(self.consumer, wish, self)
        except Exception:
            log.exception("live viewer failed", consumer=str(self.consumer.pk))
            self.say("trouble", "Something unexpected happened.", "Reload the page. The console's log says more.")

    def told(self, topics: set[str]) -> None:
        if self._sending is not None and topics & {self.consumer.topic, ANYTHING}:  # else it is only being opened
            self._loading = asyncio.create_task(self._look_again())

    async def _look_again(self) -> None:
        """The consumer was changed or removed while somebody watches."""
        before = self.consumer.nats_settings(), self.consumer.subject_prefix
        if not await self._load():
            await self.close(NOT_FOUND)
        elif before != (self.consumer.nats_settings(), self.consumer.subject_prefix) and self._reading is not None:
            await self._watch(self._wish)

    async def _load(self) -> bool:
        pk = self.scope["url_route"]["kwargs"]["consumer_id"]
        consumer = await database_sync_to_async(NatsConsumer.objects.filter(pk=pk).first)()
        self._names = await database_sync_to_async(sync_queries.sync_names)()
        if consumer is not None:
            self.consumer = consumer
        return consumer is not None

    # --- From the stream: never waits -------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._history: Window[Item] = Window(max(LAST_CHOICES), HISTORY_BYTES)
        self._waiting: Window[Item] = Window(WAITING_MOST, WAITING_BYTES)
        self._budget, self._rate = Budget(SHOWN_S, SHOWN_AT_ONCE), Rate()
        self._seen = self._seen_live = self._shown = 0
        self._state: dict[str, Any] | None = {"state": "connecting"}
        self._is_told, self._counted_at, self._paused_at = False, 0.0, 0
        self._counts: dict[str, Any] = {}

    def take(self, item: Item, size: int, *, is_history: bool) -> None:
        self._seen += 1
        if is_history:
            self._history.add(item, size)
        else:
            self._seen_live += 1
            self._waiting.add(item, size)

    def say(self, state: str, message: str = "", next_step: str = "", blocks: Any = ()) -> None:
        self._state = {"state": state, "message": message, "next_step": next_step, "blocks": list(blocks)}

    # --- To the browser ---------------------------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        """One frame every tenth of a second at most; `send_json` waits for a slow browser, the reading does not."""
        while True:
            began = time.monotonic()
            try:
                await self._send_frame(began)
            except Exception:
                log.exception("live viewer could not send", consumer=str(self.consumer.pk))
                return
            await asyncio.sleep(max(0.01, began + 1 / FRAMES_S - time.monotonic()))

    async def _send_frame(self, now: float) -> None:
        if self._state is not None:
            state, self._state = self._state, None
            await self.send_json(state)
        items, rate = self._due(now), self._rate.at(now, self._seen_live)
        if not items and self._is_told and now - self._counted_at < COUNTS_EVERY_S:
            return
        counts = {
            "seen": self._seen,
            "shown": self._shown + len(items),
            "rate": round(rate, 1),
            "waiting": self._seen_live - self._paused_at if self._paused else 0,
            "paused": self._paused,
        }
        if not items and counts == self._counts and self._is_told:
            return
        self._shown += len(items)
        self._is_told, self._counted_at, self._counts = True, now, counts
        await self.send_json({"rows": await self._rows(items), **counts})

    def _due(self, now: float) -> list[Item]:
        """What is shown now: history at once, in handy pieces; then what the budget allows."""
        if self._history:
            return self._history.take(HISTORY_FRAME)
        if self._paused:
            return []
        items = self._waiting.take(self._budget.left(now))
        self._budget.spend(len(items))
        return items

    async def _rows(self, items: list[Item]) -> list[dict[str, Any]]:
        if not items:
            return []
        shown = [item if isinstance(item, Shown) else live_rows.of_message(item, self.consumer) for item in items]
        is_new = any(one.sync_id and one.sync_id not in self._names for one in shown)
        if is_new and time.monotonic() - self._named_at > NAMES_EVERY_S:
            self._named_at = time.monotonic()
            self._names = await database_sync_to_async(sync_queries.sync_names)()
        return await database_sync_to_async(live_rows.rows)(shown, self._names)


async def _end(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
