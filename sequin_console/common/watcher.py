"""The reading end of changes.py: one watcher a web process hears what changed, and tells this process's sockets."""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from sequin_console.common.changes import CHANNEL
from sequin_console.common.models import Change

POLL_S = 0.3
RETRY_S = 1.0
# A page is drawn before its socket opens: what changed in between is told to each new socket again.
REMEMBERED_S = 5.0
ANYTHING = "catch-up"  # a topic every live part of a page listens to: something may have been missed, look again

Tell = Callable[[set[str]], None]
log = structlog.get_logger(__name__)


class Watcher:
    """Hears of changes by SQLite's `data_version` or PostgreSQL's LISTEN, from the first `join` on."""

    def __init__(self) -> None:
        self._tells: set[Tell] = set()
        self._recent: deque[tuple[float, str]] = deque()
        self._task: asyncio.Task[None] | None = None

    def join(self, tell: Tell) -> None:
        """Call `tell` with topics from now on, and once with those of the last seconds."""
        self._tells.add(tell)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        if recent := {topic for _, topic in self._recent_now()}:
            tell(recent)

    def leave(self, tell: Tell) -> None:
        self._tells.discard(tell)

    def _recent_now(self) -> deque[tuple[float, str]]:
        while self._recent and self._recent[0][0] < time.monotonic() - REMEMBERED_S:
            self._recent.popleft()
        return self._recent

    def _heard(self, topics: set[str]) -> None:
        now_s = time.monotonic()
        self._recent_now().extend((now_s, topic) for topic in topics)
        for tell in list(self._tells):
            tell(topics)

    async def _run(self) -> None:
        hear = _from_postgresql if connection.vendor == "postgresql" else _from_sqlite
        while True:
            try:
                async with contextlib.aclosing(hear()) as news:
                    async for topics in news:
                        self._heard(topics)
            except Exception as error:  # the database is away, or a listener failed: no page may go deaf for it
                foreseen = isinstance(error, DatabaseError | psycopg.Error | OSError)
                log.warning("hearing of changes failed; trying again", exc_info=None if foreseen else error)
                await asyncio.sleep(RETRY_S)
                self._heard({ANYTHING})


async def _from_sqlite() -> AsyncGenerator[set[str], None]:
    """Yield sets of topics. Any commit moves `data_version`; only then are the rows looked at."""
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, thread_name_prefix="sequin-watcher")
    version, last = None, None
    try:
        while True:
            now_version = await loop.run_in_executor(thread, _data_version)
            if now_version != version:
                version = now_version
                topics, last = await loop.run_in_executor(thread, _changes_since, last)
                if topics:
                    yield topics
            await asyncio.sleep(POLL_S)
    finally:
        thread.submit(connection.close)
        thread.shutdown(wait=False)


def _data_version() -> int:
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA data_version").fetchone()[0]


def _changes_since(last: int | None) -> tuple[set[str], int]:
    """Topics with a greater `no`, and the greatest `no` now; at the start (None), those of the last seconds."""
    rows = Change.objects.all()
    if last is None:
        rows = rows.filter(at__gt=timezone.now() - timedelta(seconds=REMEMBERED_S))
    else:
        rows = rows.filter(no__gt=last)
    found = list(rows.values_list("topic", "no"))
    if found:
        return {topic for topic, _ in found}, max(no for _, no in found)
    return set(), last if last is not None else Change.objects.order_by("-no").values_list("no", flat=True).first() or 0


async def _from_postgresql() -> AsyncGenerator[set[str], None]:
    """Yield sets of topics, by LISTEN on a connection of its own."""
    params: dict[str, Any] = connection.get_connection_params()
    for of_django in ("cursor_factory", "context", "server_side_binding", "pool"):
        params.pop(of_django, None)
    async with await psycopg.AsyncConnection.connect(**params, autocommit=True) as listening:
        await listening.execute(f"LISTEN {CHANNEL}")
        yield {ANYTHING}  # what was announced before we listened
        async for notify in listening.notifies():
            yield set(json.loads(notify.payload))


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()


def watcher() -> Watcher:
    """This process's watcher: one an event loop, of which a web process has one."""
    return _watchers.setdefault(asyncio.get_running_loop(), Watcher())
