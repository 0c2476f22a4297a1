"""Bringing feeds up to date: look for changes, read history, compare ids. Runs inside a worker's task.

One lease covers all of a feed's walks. The order within a run: answer held deletes, fix where changes start (before the
first history page, invariant 5), read what webhooks named, look for changes, then read history of all its collections
side by side, then sweep and read again. Trouble holds back the smallest thing it can (invariant 9): a collection, the
feed, or the credential.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sequin_console.common import changes as pages
from sequin_console.common import trace
from sequin_console.common.leases import LeaseLost
from sequin_console.common.runner import Orm
from sequin_console.common.troubled import NO_TROUBLE
from syncs import braking, budget, census, health, hints, log, rereading, schema_watch, sweeping
from syncs.account import Account, draw_read_no
from syncs.catalogue import PROVIDERS
from syncs.connections import spec_of
from syncs.engine.due import collection_due, next_due, next_look, next_pace
from syncs.engine.pull import J, gathered, pull
from syncs.models import Feed, Purpose, SeenBy, Sync, SyncCollection
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.reading import Reader
from syncs.providers.kit.records import Page
from syncs.states import Phase, SyncState


class Superseded(Exception):
    """Somebody restarted, paused or removed this walk while it ran; what it holds is no longer wanted."""


@dataclass
class FeedRun:
    """One feed, under its lease, for one task's budget."""

    feed: Feed
    account: Account
    orm: Orm
    late_at: float  # time.monotonic()
    rows: dict[str, SyncCollection] = field(default_factory=dict)
    specs: dict[str, Collection] = field(default_factory=dict)
    not_before: datetime | None = None
    is_paused: bool = False
    has_hints: bool = False  # webhooks had named something when the run began
    has_looked: bool = False  # to the end, in this run
    has_found: bool = False  # something new by it
    is_look_asked: bool = False  # a webhook told of changes, but not of which records

    def __post_init__(self) -> None:
        numbers = itertools.count((self.feed.lease_no << 20) + 1)
        self.draw = lambda: next(numbers)

    @property
    def reader(self) -> Reader:
        return PROVIDERS[self.account.credential.provider].reader(self.account.client)

    def is_late(self) -> bool:
        return time.monotonic() >= self.late_at

    async def run(self) -> None:
        """Everything that is due on this feed, as far as the budget goes; then set when it is due again, and let go."""
        draw_read_no.set(self.draw)
        budget.spend_from(self.account.purse(self.feed.sync))
        try:
            if not await self.orm(self.load):
                return
            await self._guarded(self._begin())
            for row in self._in(Phase.BACKFILLING, Phase.LIVE):
                await self._guarded(schema_watch.look(self, row), row)
            await self._follow_hints()
            await self._guarded(self._look())
            backfilling = self._in(Phase.BACKFILLING)
            await self._side_by_side(self._guarded(self._backfill(row), row, Purpose.BACKFILL) for row in backfilling)
            for row in self._in(Phase.LIVE):
                for walk in (rereading.retry_set_aside, sweeping.sweep, rereading.reread):
                    await self._guarded(walk(self, row), row, Purpose.SWEEP)
            await self.orm(self._finish)
        except LeaseLost:
            pass  # whoever took the feed sets its next due time

    @staticmethod
    async def _side_by_side(walks: Iterable[Coroutine[Any, Any, None]]) -> None:
        for outcome in await asyncio.gather(*walks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    # --- The walks -------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Fix where looking for changes starts, then let waiting collections read their history (invariant 5)."""
        waiting = self._in(Phase.WAITING)
        if not waiting:
            return
        if self.feed.cursor is None:
            cursor = await self.reader.start(self.feed.key, list(self.specs.values()))
            await self.orm(self.feed.fenced_update, cursor=cursor, looked_at=timezone.now())
        for row in waiting:
            await self.orm(self._start_backfill, row)

    async def _follow_hints(self) -> None:
        """Read again what webhooks named, until nothing is left or time runs out (hints.py).

        What cannot be read now, because its collection rests after a failure or has just failed, is put off.
        """
        while self.has_hints and not self.is_late() and not self.is_paused:
            taken = await self.orm(hints.take, self.feed.pk)
            if not taken:
                return
            for row in self._in(Phase.BACKFILLING, Phase.LIVE):
                if row.pk in taken:
                    await self._guarded(hints.read(self, row, taken[row.pk]), row, Purpose.WEBHOOKS)
            if self.is_late() or await self.orm(hints.put_off, taken):
                return

    async def _look(self) -> None:
        """Look for changes, if it is time to."""
        followed = [self.specs[key] for key, row in self.rows.items() if row.phase in (Phase.BACKFILLING, Phase.LIVE)]
        is_due = self.is_look_asked or self._look_at() <= timezone.now()
        if self.feed.cursor is None or not followed or not is_due:
            return
        if why := census.missed(self, followed, timezone.now()):
            await self.orm(census.begin, self, why)
            return
        walk = self.reader.changes(self.feed.key, followed, self.feed.cursor)
        await self.follow(walk, self._store_changes)

    async def _backfill(self, row: SyncCollection) -> None:
        walk = self.reader.backfill(self.specs[row.collection_id], row.backfill_cursor)
        await self.follow(walk, self._store_backfill, row)

    async def follow(self, walk: AsyncIterator[J], store: Callable[..., object], *args: Any) -> bool:
        """Store a walk's pages by `store(*args, page)`, several at a time. False when time ran out before its end."""
        return await pull(gathered(walk), lambda page: self.orm(store, *args, page), is_late=self.is_late)

    def _look_at(self) -> datetime:
        return next_look(now=timezone.now(), looked_at=self.feed.looked_at, pace_s=self._pace_s())

    def _pace_s(self) -> int:
        pace_s = min(max(self.feed.pace_s, self.feed.sync.poll_s), self.feed.sync.slowest_s)
        return max(pace_s, *(spec.every_s or 0 for spec in self.specs.values()), 1)

    def _in(self, *phases: str) -> list[SyncCollection]:
        now = timezone.now()
        return [row for row in self.rows.values() if row.phase in phases and not (row.retry_at and row.retry_at > now)]

    # --- In the task's own thread: the database ----------------------------------------------------------------------

    def load(self) -> bool:
        """Read the feed's collections; those whose trouble has lasted long enough are tried again.

        False when the sync no longer runs, or it or its credential is paused (another process may have been told to
        slow down since this run was queued): the feed was read with both when its lease was taken, a moment ago.
        """
        feed, now = self.feed, timezone.now()
        pauses = (feed.sync.not_before, feed.sync.credential.not_before)
        if feed.sync.state != SyncState.ACTIVE or any(map(is_future, pauses)):
            return False
        for row in feed.collections.exclude(phase=Phase.REMOVING):
            if row.phase == Phase.ERROR:
                if row.retry_at is None or row.retry_at > now:
                    continue
                columns = {"phase": Phase.LIVE} if health.has_missed_nothing(feed, row) else health.read_anew()
                SyncCollection.objects.filter(pk=row.pk, phase=Phase.ERROR).update(**columns, retry_at=None)
                row.refresh_from_db()
            self.rows[row.collection_id] = row
            self.specs[row.collection_id] = spec_of(row)
        return True

    def _start_backfill(self, row: SyncCollection) -> None:
        now = timezone.now()
        won = SyncCollection.objects.filter(pk=row.pk, phase=Phase.WAITING).update(
            phase=Phase.BACKFILLING,
            backfill_cursor=None,
            backfill_read=0,
            backfill_started_at=now,
            reread_cursor=None,
            **rereading.NOTHING_ASIDE,
        )
        row.refresh_from_db()
        if won:
            pages.announce(self.feed.sync.topic)

    def _store_changes(self, page: Page) -> None:
        def move() -> None:
            columns: dict[str, Any] = {"looked_at": timezone.now(), **NO_TROUBLE} if page.done else {}
            if page.cursor is not None:
                columns["cursor"] = page.cursor
            if columns:
                self.feed.fenced_update(**columns)
            if page.done and any(row.failures for row in self.rows.values()):
                self.feed.collections.filter(phase=Phase.LIVE, retry_at=None, failures__gt=0).update(**NO_TROUBLE)

        self.store(page, SeenBy.FEED, move)

    def _store_backfill(self, row: SyncCollection, page: Page) -> None:
        def move() -> None:
            now = timezone.now()
            columns: dict[str, Any] = {
                "backfill_read": F("backfill_read") + len(page.records),
                "backfill_total": page.total if page.total is not None else row.backfill_total,
                "retry_at": None,
                **schema_watch.columns(row),
                **NO_TROUBLE,
            }
            if page.cursor is not None:
                columns["backfill_cursor"] = page.cursor
            if page.done:
                columns |= {"phase": Phase.LIVE, "backfilled_at": now, "backfill_cursor": None}
                columns |= rereading.read_again(self.specs[row.collection_id].reread_every_h)
            self.claim(row, Phase.BACKFILLING, **columns)

        self.store(page, SeenBy.BACKFILL, move)
        if page.done:
            row.refresh_from_db()
        pages.announce(self.feed.sync.topic)

    def claim(self, row: SyncCollection, phase: str, /, **columns: Any) -> None:
        """Write a collection's columns if the walk that asks for it is still wanted. Raises Superseded otherwise."""
        mine = {"phase": phase, "backfill_started_at": row.backfill_started_at}
        if not SyncCollection.objects.filter(pk=row.pk, **mine).update(**columns):
            raise Superseded

    def fenced(self, step: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """A step of a walk that stores no records, under the lease: who was overtaken must not move another's walk."""
        with transaction.atomic():
            self.feed.prove_lease()
            step(*args, **kwargs)

    def store(self, page: Page, seen_by: str, move: Callable[[], None]) -> None:
        """One page into the log, its cursor and what it sets aside in the same transaction (invariant 1)."""

        def with_last() -> None:
            rereading.set_aside(self.rows.values(), page)
            note_gone()
            move()

        with trace.span("store"):
            records = [record for record in page.records if record.collection_id in self.rows]
            schema_watch.notice(self, records)
            records, note_gone = braking.let_through(self, records)
            changed = log.append(self.feed, self.rows, records, seen_by=seen_by, with_last=with_last)
        self.has_found = self.has_found or (bool(changed) and seen_by == SeenBy.FEED)
        self.has_looked = self.has_looked or (page.done and seen_by == SeenBy.FEED)
        running = Sync.objects.filter(pk=self.feed.sync_id, state=SyncState.ACTIVE)
        pauses = running.values_list("not_before", "credential__not_before").first()
        if pauses is None or any(map(is_future, pauses)):  # by a person, or by another process that was told to
            self.is_paused = True
            raise Superseded

    def _finish(self) -> None:
        """Set when the feed is due again, from what is in the tables now."""
        now = timezone.now()
        rows = list(self.feed.collections.exclude(phase=Phase.REMOVING))
        self._end_waits(rows, now)
        if self.has_looked:
            bounds = {"fastest_s": self.feed.sync.poll_s, "slowest_s": self.feed.sync.slowest_s}
            self.feed.pace_s = next_pace(self._pace_s(), has_found=self.has_found, **bounds)
        is_followed = any(row.phase in (Phase.BACKFILLING, Phase.LIVE) for row in rows)
        look_at = self._look_at() if is_followed and self.specs else None
        due_at = next_due([look_at, *(_due_at(row, now) for row in rows)], now=now, not_before=self.not_before)
        census.end_if_done(self.feed)
        pace_s = self.feed.pace_s
        self.feed.fenced_update(due_at=due_at, pace_s=pace_s, queued_until=None, lease_until=None)
        pages.announce(self.feed.sync.topic)

    @staticmethod
    def _end_waits(rows: Iterable[SyncCollection], now: datetime) -> None:
        """Waits that are over and no walk took up: what is left to do has a time of its own, by which it is due."""
        over = [row for row in rows if row.phase == Phase.LIVE and row.retry_at and row.retry_at <= now]
        for row in over:
            row.retry_at = None
        if over:
            SyncCollection.objects.filter(pk__in=[row.pk for row in over], retry_at__lte=now).update(retry_at=None)

    # --- Trouble -----------------------------------------------------------------------------------------------------

    async def _guarded(
        self,
        walk: Coroutine[Any, Any, Any],
        row: SyncCollection | None = None,
        purpose: Purpose = Purpose.POLLING,
    ) -> None:
        """Run one walk; whatever goes wrong is written down where it belongs, and the others go on."""
        budget.spend_for(purpose)
        if self.is_late() or self.is_paused:
            walk.close()
            return
        try:
            await walk
        except LeaseLost:
            raise
        except Superseded:
            pass
        except Exception as error:
            await self.orm(health.note_trouble, self, error, row)


def is_future(moment: datetime | None) -> bool:
    return moment is not None and moment > timezone.now()


def _due_at(row: SyncCollection, now: datetime) -> datetime | None:
    is_asked = bool(row.held_deletes) and not row.held_decision  # its sweep waits for a person's decision
    is_reading = row.phase in (Phase.WAITING, Phase.BACKFILLING) or (row.sweep_read_no > 0 and not is_asked)
    later = [row.reread_due_at, row.aside_due_at, None if row.held_deletes else row.sweep_due_at]
    return collection_due(
        now=now, is_reading=is_reading, retry_at=row.retry_at, later=later if row.phase == Phase.LIVE else ()
    )
