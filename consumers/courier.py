"""Deliver what was just committed from the process that committed it: the short way round the queue.

`note` only remembers a sync. One coroutine on the process's loop looks which cursors lag behind, takes the leases of
those that lag a little, and delivers from each on its own; a thread of the courier's own serves their database calls.

1. small lags of healthy consumers are delivered here, side by side: one batch each, the lease given back with it
2. large ones (a backfill) are queued for the consumers' own processes; a held cursor is looked at again soon
3. who is slow or failed is left to the queue for a while, so a dead host delays nobody else (invariant 9)

All of it may be lost: the scheduler finds lagging cursors each second (invariant 11). ADR 0006 tells why.
"""

import asyncio
import atexit
import contextlib
import os
import threading
import time
from collections import Counter
from uuid import UUID

import structlog

from consumers import delivery, health, links, taking
from consumers.connection import NoAnswer
from consumers.delivery import Outcome
from consumers.job import Job
from consumers.taking import Look
from sequin_console.common import runner

MOST_AT_ONCE = 32  # deliveries under way in this process
DELIVER_S = 5.0  # well below the lease
SLOW_S = 0.5  # a consumer with a delivery under way for longer gets no more from here
SOUR_S = 30.0  # nor does one that failed, for so long
PAUSE_S = 0.05  # after a look that found nothing to deliver
TRUST_S = 5.0  # what is known of a stream need not be asked again; the fence notices when it is no longer true
SAMPLE_S = 2.0

log = structlog.get_logger(__name__)


class Courier:
    """This process's courier; it starts with the first sync noted. All but `note` happens on the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of what is noted; held for an instant
        self._noted: set[UUID] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._under_way: dict[int, tuple[UUID, float, asyncio.Task[None]]] = {}  # cursor: its consumer, since when
        self._again: set[UUID] = set()  # syncs that grew while being delivered from
        self._sour: dict[UUID, float] = {}  # consumer: until when it is left to the queue
        self._confirmed: Counter[UUID] = Counter()  # messages by consumer, not in a sample yet

    def note(self, sync_id: UUID) -> None:
        """A sync's log has grown. Costs microseconds; from any thread."""
        with self._lock:
            is_first = not self._noted
            self._noted.add(sync_id)
            loop = self._loop or self._start()
        if is_first:
            loop.call_soon_threadsafe(self._woken.set)

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = runner.event_loop()
        self._orm = runner.Orm(self._loop)
        self._thread = threading.Thread(target=self._orm.serve_alone, name="sequin-courier", daemon=True)
        self._thread.start()
        self._standing = [
            asyncio.run_coroutine_threadsafe(work, self._loop) for work in (self._attend(), self._keep_samples())
        ]
        return self._loop

    def stop(self) -> None:
        """End after the deliveries under way, so that no lease is left to run out. For a process that ends."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        for work in self._standing:
            work.cancel()
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._finish(), loop).result(DELIVER_S)
        self._orm.stop()
        self._thread.join(DELIVER_S)

    async def _finish(self) -> None:
        await asyncio.gather(*(task for _, _, task in self._under_way.values()), return_exceptions=True)

    async def _attend(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            with self._lock:
                sync_ids, self._noted = self._noted, set()
            found = await self._look(sync_ids)
            for job in found.jobs:
                task = asyncio.ensure_future(self._deliver(job))
                self._under_way[job.cursor.pk] = job.consumer.pk, time.monotonic(), task
            for cursor_id, sync_id in found.after.items():
                if cursor_id in self._under_way:
                    self._again.add(sync_id)
                else:  # ended while we looked
                    self.note(sync_id)
            if found.later:
                asyncio.get_running_loop().call_later(PAUSE_S, self._note_all, found.later)
            if not found.jobs:
                await asyncio.sleep(PAUSE_S)

    async def _look(self, sync_ids: set[UUID]) -> Look:
        now = time.monotonic()
        self._sour = {consumer_id: until for consumer_id, until in self._sour.items() if until > now}
        slow = {consumer_id for consumer_id, since, _ in self._under_way.values() if now - since > SLOW_S}
        try:
            return await self._orm(
                taking.look,
                sync_ids,
                under_way=set(self._under_way),
                shunned=slow | set(self._sour),
                most=MOST_AT_ONCE - len(self._under_way),
            )
        except Exception as error:  # a database that is away: the scheduler finds the work again
            log.warning("courier could not look", error=type(error).__name__)
            return Look()

    async def _deliver(self, job: Job) -> None:
        """One batch of one cursor. Whatever goes wrong, the queue's own drain finds out, tells, and backs off."""
        cursor, consumer_id, outcome = job.cursor, job.consumer.pk, None
        try:
            async with asyncio.timeout(DELIVER_S):
                outcome, _ = await delivery.carry(job, self._orm, late_at=0, trust_s=TRUST_S)
        except Exception as error:
            self._sour[consumer_id] = time.monotonic() + SOUR_S
            log.info("a consumer is left to the queue", consumer=str(consumer_id), error=type(error).__name__)
            if isinstance(error, TimeoutError | NoAnswer):
                await links.drop_link(str(consumer_id))  # it may be half-open, and would hang again
        self._confirmed[consumer_id] += job.delivered
        try:
            if cursor.lease_until is not None:
                await self._orm(taking.give_back, cursor, queue=outcome is None)
        except Exception as error:  # the lease runs out by itself
            log.warning("courier could not give a cursor back", cursor=cursor.pk, error=type(error).__name__)
        del self._under_way[cursor.pk]
        if outcome is Outcome.MORE or cursor.sync_id in self._again:
            self._note_all({cursor.sync_id})

    def _note_all(self, sync_ids: set[UUID]) -> None:
        self._again -= sync_ids
        for sync_id in sync_ids:
            self.note(sync_id)

    async def _keep_samples(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            counts, self._confirmed = +self._confirmed, Counter()
            for consumer_id, messages in counts.items():
                try:
                    await self._orm(health.sample, consumer_id, messages)
                except Exception as error:
                    log.info("sample dropped", consumer=str(consumer_id), error=type(error).__name__)


_courier = Courier()


def note(sync_id: UUID) -> None:
    """A sync's log has grown: deliver it from here, soon."""
    _courier.note(sync_id)


def _start_afresh() -> None:
    """After a fork: thread and loop did not come along, and the parent delivers what the parent noted."""
    global _courier
    _courier = Courier()


def _stop() -> None:
    _courier.stop()


os.register_at_fork(after_in_child=_start_afresh)
atexit.register(_stop)
