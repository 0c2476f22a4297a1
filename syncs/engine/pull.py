"""Pulling pages: some are read while others are being stored. Pure flow; storing comes in as a function."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, Self, TypeVar

MOST_RECORDS = 1_000  # a group: past that, a transaction's own cost is small beside its records'
MOST_BYTES = 4 * 1024 * 1024  # three groups are in memory at once: one stored, one waiting, one being read
LINGER_S = 0.5  # a page waits no longer for the next ones


class Walked(Protocol):
    """A page of a walk: records or ids."""

    @property
    def done(self) -> bool: ...


class Joinable(Walked, Protocol):
    """A page that can be stored together with those before it."""

    @property
    def weight(self) -> tuple[int, int]:
        """Records and bytes."""

    @property
    def closes_group(self) -> bool: ...

    @classmethod
    def joined(cls, pages: Sequence[Self]) -> Self: ...


P = TypeVar("P", bound=Walked)
J = TypeVar("J", bound=Joinable)


async def read_ahead(walk: AsyncIterator[P]) -> AsyncIterator[P]:
    """The walk's pages, each followed up by a request for the next before it is handed out; ends after `done`."""
    upcoming: asyncio.Task[P] | None = asyncio.ensure_future(anext(walk))
    try:
        while upcoming is not None:
            try:
                page = await upcoming
            except StopAsyncIteration:
                upcoming = None
                return
            upcoming = None if page.done else asyncio.ensure_future(anext(walk))
            yield page
    finally:
        await _let_go(walk, upcoming)


async def gathered(walk: AsyncIterator[J]) -> AsyncIterator[J]:
    """The walk's pages, neighbours joined, so that one transaction stores several (group commit).

    1. A group ends with 1,000 records, with 4 MB, and with a page that closes it. No page is cut.
    2. It holds no more pages than went before it: 1, 1, 2, 4 … The first page is stored at once, and a walk that is
       stopped early has read little in vain.
    3. Where pages come slowly, none waits longer than half a second for the next.
    4. When the walk fails, what it brought before is handed out first.
    """
    upcoming: asyncio.Task[J] | None = None
    before = 0
    try:
        while True:
            group: list[J] = []
            records = size = 0
            wait_until = None
            while not group or _has_room(group, before, records, size):
                upcoming = upcoming or asyncio.ensure_future(anext(walk))
                await asyncio.wait({upcoming}, timeout=wait_until and max(0.0, wait_until - time.monotonic()))
                if not upcoming.done() or (group and upcoming.exception()):
                    break
                try:
                    page = upcoming.result()
                except StopAsyncIteration:
                    return
                finally:
                    upcoming = None
                group.append(page)
                records, size = records + page.weight[0], size + page.weight[1]
                wait_until = wait_until or time.monotonic() + LINGER_S
            before += len(group)
            yield type(group[0]).joined(group) if len(group) > 1 else group[0]
    finally:
        await _let_go(walk, upcoming)


def _has_room(group: Sequence[Joinable], before: int, records: int, size: int) -> bool:
    return not group[-1].closes_group and len(group) < before and records < MOST_RECORDS and size < MOST_BYTES


async def _let_go(walk: AsyncIterator[P], upcoming: "asyncio.Task[P] | None") -> None:
    """End a walk wherever it stands, the request for its next page included."""
    if upcoming is not None:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
    if hasattr(walk, "aclose"):
        await walk.aclose()


async def pull(walk: AsyncIterator[P], store: Callable[[P], Awaitable[object]], *, is_late: Callable[[], bool]) -> bool:
    """Store every page of a walk. True when the walk is done, False when time ran out between two pages.

    A page read ahead but not stored when time runs out is read again next time: its cursor was not moved.
    """
    pages = read_ahead(walk)
    try:
        async for page in pages:
            await store(page)
            if page.done:
                return True
            if is_late():
                return False
        return True
    finally:
        await pages.aclose()  # type: ignore[attr-defined]
