"""Many units side by side: none disturbs another, and all end in time."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sequin_console.common import runner
from sequin_console.common.runner import Orm


def test_units_run_at_the_same_time_and_their_database_calls_on_the_callers_thread() -> None:
    threads: set[str] = set()

    async def work(item: int, orm: Orm) -> int:
        await asyncio.sleep(0.2)
        await orm(lambda: threads.add(threading.current_thread().name))
        return item * 2

    started = time.monotonic()
    found = runner.run_side_by_side(work, range(10), timeout_s=5)
    assert found == {item: item * 2 for item in range(10)}
    assert time.monotonic() - started < 1
    assert threads == {threading.current_thread().name}


def test_one_units_failure_is_its_own() -> None:
    async def work(item: str, orm: Orm) -> str:
        if item == "loop":
            raise ValueError("on the loop")
        if item == "orm":
            await orm(int, "not a number")
        return "fine"

    found = runner.run_side_by_side(work, ["loop", "orm", "good"], timeout_s=5)
    assert isinstance(found["loop"], ValueError)
    assert isinstance(found["orm"], ValueError)
    assert found["good"] == "fine"


def test_what_takes_too_long_is_cancelled_alone() -> None:
    cancelled: list[str] = []

    async def work(item: str, orm: Orm) -> str:
        try:
            await asyncio.sleep(0 if item == "quick" else 60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return "done"

    found = runner.run_side_by_side(work, ["quick", "slow"], timeout_s=0.2)
    assert found["quick"] == "done"
    assert isinstance(found["slow"], TimeoutError)
    assert cancelled == ["slow"]


def test_an_interrupted_task_cancels_its_work_first() -> None:
    """As when the queue's own time-out strikes."""
    state: list[str] = []

    class Struck(BaseException):
        pass

    def strike(*_: object) -> None:
        raise Struck

    async def work(item: int, orm: Orm) -> None:
        state.append("began")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            state.append("cancelled")
            raise

    old = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Struck):
            runner.run_side_by_side(work, [1], timeout_s=60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    deadline = time.monotonic() + 3
    while state != ["began", "cancelled"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state == ["began", "cancelled"]


def test_run_returns_the_result_or_raises_the_error() -> None:
    async def good(orm: Orm) -> int:
        return await orm(lambda: 7)

    async def bad(orm: Orm) -> None:
        raise KeyError("no")

    assert runner.run(good, timeout_s=5) == 7
    with pytest.raises(KeyError):
        runner.run(bad, timeout_s=5)
    with pytest.raises(TimeoutError):
        runner.run(lambda _orm: asyncio.sleep(60), timeout_s=0.05)


def test_no_items_is_no_work() -> None:
    async def work(item: int, orm: Orm) -> None:
        raise AssertionError

    assert runner.run_side_by_side(work, [], timeout_s=1) == {}


def test_a_forked_process_gets_a_loop_of_its_own() -> None:
    runner.event_loop()
    child = os.fork()
    if child == 0:

        async def work(orm: Orm) -> int:
            return await orm(os.getpid)

        try:
            is_right = runner.run(work, timeout_s=3) == os.getpid()
        except BaseException:
            is_right = False
        os._exit(0 if is_right else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_process_that_ends_cancels_what_runs_on_its_loop_and_closes_what_was_opened_there() -> None:
    program = """
import asyncio
from sequin_console.common import runner

async def close():
    print("closed", flush=True)

async def standing():
    runner.at_end(close)
    begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)

begun = __import__("threading").Event()
asyncio.run_coroutine_threadsafe(standing(), runner.event_loop())
begun.wait()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert (sorted(ended.stdout.split()), ended.stderr) == (["cancelled", "closed"], "")
