"""Many units side by side: coroutines on one event-loop thread, their database calls on the task's own thread.

Each worker process starts the loop thread lazily, after the fork; it owns HTTP and NATS. Django's ORM is synchronous
and tied to its thread, so a coroutine that needs it says `await orm(function, …)`: the call is run by the thread that
called `run_side_by_side`, in turn. Fetching, storing and publishing of different units thus overlap.
"""

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from django.db import connection

Item = TypeVar("Item", bound=Hashable)
TICK_S = 3.0
END_S = 2.0
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_starting = threading.Lock()
_endings: list[Callable[[], Awaitable[object]]] = []


def event_loop() -> asyncio.AbstractEventLoop:
    """This process's loop, running in a daemon thread; started on first use, so never shared over a fork."""
    with _starting:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="sequin-loop", daemon=True).start()
    return loop


def at_end(close: Callable[[], Awaitable[object]]) -> None:
    """Have this called on the loop when the process ends, after all that still runs there was cancelled."""
    _endings.append(close)


@atexit.register
def _end() -> None:
    loop = _loops.pop(os.getpid(), None)
    if loop is None:
        return

    async def finish() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, *(close() for close in _endings), return_exceptions=True)

    with contextlib.suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(finish(), loop).result(END_S)


os.register_at_fork(after_in_child=_endings.clear)  # what the parent opened is the parent's to close


class Orm:
    """`await orm(fn, *args, **kwargs)`: run `fn` on the task's thread and return (or raise) what it gives."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def __call__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        answer = self._loop.create_future()

        def settle(method: Callable[[Any], None], value: Any) -> None:
            if not answer.done():  # the waiting coroutine may have been cancelled meanwhile
                method(value)

        def call() -> None:
            try:
                value = fn(*args, **kwargs)
            except Exception as error:
                self._loop.call_soon_threadsafe(settle, answer.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(settle, answer.set_result, value)

        self._calls.put(call)
        return await answer

    def serve(self, tick: Callable[[], object]) -> None:
        """Run calls on this thread until `stop` is called; `tick` at least every few seconds, to show that we live."""
        while True:
            try:
                call = self._calls.get(timeout=TICK_S)
            except Empty:
                tick()
                continue
            if call is None:
                return
            call()
            tick()

    def serve_alone(self) -> None:
        """Run calls until `stop` is called, on a thread that does nothing else and outlives trouble of the database."""
        self.serve(_mend_connection)
        connection.close()

    def stop(self) -> None:
        self._calls.put(None)


def _mend_connection() -> None:
    if connection.errors_occurred:
        connection.close_if_unusable_or_obsolete()


def run_side_by_side(
    work: Callable[[Item, Orm], Awaitable[Any]],
    items: Iterable[Item],
    *,
    timeout_s: float,
    tick: Callable[[], object] = lambda: None,
) -> dict[Item, Any]:
    """Run `work(item, orm)` for all items at once; return each item's result, or the exception it raised.

    Whatever is not done after `timeout_s` is cancelled and has TimeoutError as its result. One unit's failure never
    touches another. If the calling thread is interrupted (the queue's own time-out), all work is cancelled first.
    """
    loop = event_loop()
    orm = Orm(loop)

    async def one(item: Item) -> tuple[Item, Any]:
        try:
            return item, await asyncio.wait_for(work(item, orm), timeout_s)
        except Exception as error:
            return item, error

    async def everything() -> dict[Item, Any]:
        return dict(await asyncio.gather(*(one(item) for item in items)))

    future = asyncio.run_coroutine_threadsafe(everything(), loop)
    future.add_done_callback(lambda _: orm.stop())
    try:
        orm.serve(tick)
    except BaseException:
        future.cancel()
        raise
    return future.result()


def run(work: Callable[[Orm], Awaitable[Any]], *, timeout_s: float) -> Any:
    """Run one coroutine the same way and return its result; raises what it raises. For commands, pages and the API."""
    outcome = run_side_by_side(lambda _item, orm: work(orm), [0], timeout_s=timeout_s)[0]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
