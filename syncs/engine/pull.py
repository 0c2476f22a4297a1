"""Pulling pages: the next one is read while the last one is being stored. Pure flow; storing comes in as a function."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar


class Walked(Protocol):
    """A page of a walk: records or ids."""

    @property
    def done(self) -> bool: ...


P = TypeVar("P", bound=Walked)


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
