"""Killing by SIGKILL while something is in flight, and counting only such kills.

How it is known that something was in flight: the process is stopped first (SIGSTOP), so that it can do nothing more.
Then its trace is read. If a span has begun and not ended, it is in the middle of it, and is killed there; if not, it
goes on and we try again. `transaction` spans lie between taking the write lock and COMMIT, `publish` spans between a
batch's first message and the stream's acknowledgement, `tick` spans are the scheduler finding and queueing work.
"""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.faults.traces import Span, Trace
from tests.nats_server import NatsServer

Tick = Callable[[], object]
LATEST_S = 0.01  # how long after a span has begun the process is stopped, at most


class Killer:
    """Kills processes of a world and keeps count. `tick` keeps the world's own supervisor going meanwhile."""

    def __init__(self, trace: Trace, tick: Tick, *, seed: int) -> None:
        self.trace, self._tick = trace, tick
        self.random = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()

    def kill_within(self, kind: str, *spans: str, within_s: float) -> bool:
        """Kill whoever is caught within one of these spans; False if nobody was in time."""
        caught = self.catch(*spans, within_s=within_s)
        if caught is None:
            return False
        self.kill_blindly(kind, caught.pid, *spans)
        return True

    def catch(self, *spans: str, within_s: float, among: Callable[[int], bool] = lambda _pid: True) -> Span | None:
        """Stop one `among` all that is for sure within such a span; None if none was caught. The caller kills it."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self._tick()
            self.trace.read()
            for span in self.trace.under_way(*spans):
                if is_running(span.pid) and among(span.pid) and self._stop(span):
                    return span
            time.sleep(0.001)
        return None

    def wait_for_work(self, *spans: str, within_s: float) -> list[Span]:
        """As soon as somebody is within such a span: all who are; nothing if nobody was in time."""
        deadline = time.monotonic() + within_s
        while True:
            self._tick()
            self.trace.read()
            busy = [span for span in self.trace.under_way(*spans) if is_running(span.pid)]
            if busy or time.monotonic() > deadline:
                return busy
            time.sleep(0.001)

    def _stop(self, span: Span) -> bool:
        time.sleep(self.random.uniform(0, LATEST_S))  # any moment of the span, not only its first
        with contextlib.suppress(ProcessLookupError):
            stop(span.pid)
            self.trace.read()
            if span in self.trace.under_way(span.name, pid=span.pid):
                return True
            os.kill(span.pid, signal.SIGCONT)
        return False

    def kill_blindly(self, kind: str, pid: int, *spans: str) -> bool:
        """Kill it now, whatever it does. It counts if what it wrote shows that it was within such a span."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), 10)
        self.trace.read()
        was_in_flight = bool(self.trace.under_way(*spans, pid=pid))
        self.note(kind, was_in_flight)
        return was_in_flight

    def kill_server(self, kind: str, server: NatsServer, *, within_s: float) -> bool:
        """Kill a nats-server while a batch is on its way to it; False if none was in time. Start it again yourself.

        Stopped first, too: then nothing it does can end a `publish` span. Counted if such a span fails once it is dead,
        for an acknowledgement may have been on its way back already.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self._tick()
            self.trace.read()
            if any(is_running(span.pid) for span in self.trace.under_way("publish")):
                time.sleep(self.random.uniform(0, LATEST_S))
                if self._kill_stopped(kind, server):
                    return True
            time.sleep(0.001)
        return False

    def _kill_stopped(self, kind: str, server: NatsServer) -> bool:
        assert server.process is not None
        stop(server.process.pid)
        self.trace.read()
        in_flight = [span for span in self.trace.under_way("publish") if is_running(span.pid)]
        if not in_flight:
            os.kill(server.process.pid, signal.SIGCONT)
            return False
        server.kill()
        for span in in_flight:
            self.wait_until_over(span)
        self.note(kind, any(span.failed for span in in_flight))
        return True

    def wait_until_over(self, span: Span, within_s: float = 30) -> None:
        """A worker has noticed that its batch will not be acknowledged."""

        def is_over() -> bool:
            self._tick()
            self.trace.read()
            return span.ended is not None or not is_running(span.pid)

        wait_until(is_over, within_s, "a worker still waits for a dead server")

    def note(self, kind: str, was_in_flight: bool | None) -> None:
        """None: that cannot be said of this kind."""
        self.sent[kind] += 1
        if was_in_flight is not None:
            self.counted[kind] += was_in_flight

    def summary(self) -> str:
        """`sync worker 3 of 4, nats-server 2 of 2`: counted of all that were sent."""
        return ", ".join(f"{kind} {self.counted[kind]} of {sent}" for kind, sent in sorted(self.sent.items()))


def wait_until(claim: Callable[[], object], within_s: float, told: str = "it did not come true in time") -> None:
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(told)
        time.sleep(0.002)


def stop(pid: int) -> None:
    """SIGSTOP, and wait until every thread of it stands still. Raises ProcessLookupError when it is gone."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _states(pid) <= set("TtZX"), 10)
    if not is_running(pid):
        raise ProcessLookupError(pid)


def is_running(pid: int) -> bool:
    """Whether it exists and is no zombie."""
    return bool(_states(pid) - set("ZX"))


def is_stopped(pid: int) -> bool:
    return "T" in _states(pid)


def _states(pid: int) -> set[str]:
    """The states of all its threads, as the kernel abbreviates them; nothing when it is gone."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            found.add(stat.read_text().rpartition(")")[2].split()[0])
    return found
