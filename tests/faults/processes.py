"""Every process of a world, killed (SIGKILL) or stopped for longer than a lease (SIGSTOP, SIGCONT), as chance decides.

    chaos = Chaos(stage, ("sync worker", "PostgreSQL", …))
    for _ in range(60): chaos.strike()
    chaos.calm()

A worker is caught in mid-work where that can be done (kills.py); else, and for all others, it is hit whatever it does,
and what its trace says afterwards tells whether something was in flight.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.faults.kills import is_running
from tests.faults.settings import LEASE_S
from tests.faults.stage import CONSUMER_WORKER, SCHEDULER, SERVER, SPANS, SYNC_WORKER, Stage

WEB, POSTGRES, REDIS = "web", "PostgreSQL", "Redis"
CLUSTER_OF = {SYNC_WORKER: "syncs", CONSUMER_WORKER: "consumers"}
IDLE = {f"idle process of the {cluster} cluster": cluster for cluster in CLUSTER_OF.values()}
WHOLE = {f"the whole {cluster} cluster": cluster for cluster in CLUSTER_OF.values()}
KINDS = (*CLUSTER_OF, *IDLE, *WHOLE, SCHEDULER, WEB, SERVER)
ALL_SPANS = ("transaction", "publish", "tick")
AIM_S = 3.0
LONGER_THAN_A_LEASE_S = LEASE_S + 1.0
KILL, STOP = "SIGKILL of", "SIGSTOP, SIGCONT after more than a lease of"


def kinds_on(backend: str) -> tuple[str, ...]:
    """Whom chance may hit there."""
    servers = {"sqlite": (), "postgres": (POSTGRES,), "postgres-redis": (POSTGRES, REDIS)}
    return (*KINDS, *servers[backend])


class Chaos:
    """Strikes one process after another; whoever is stopped meanwhile goes on when its time has come."""

    def __init__(self, stage: Stage, *, stops_of_ten: int = 2) -> None:
        self.stage, self.world, self.killer = stage, stage.world, stage.killer
        self.kinds, self.stops_of_ten = kinds_on(stage.world.on.name), stops_of_ten
        self._frozen: list[tuple[float, Callable[[], None]]] = []
        self._left: list[tuple[str, bool]] = []

    def strike(self) -> None:
        """One kill or stop. Each kind comes once in a while, in an order that chance decides."""
        if not self._left:
            turns = [(kind, turn < self.stops_of_ten) for kind in self.kinds for turn in range(10)]
            self._left = self.killer.random.sample(turns, len(turns))
        kind, only_stops = self._left.pop()
        if kind in (POSTGRES, REDIS, SERVER):
            self._strike_server(kind, only_stops)
        else:
            self._strike_ours(kind, only_stops)
        self.thaw()

    def calm(self) -> None:
        """Whoever is stopped goes on."""
        while self._frozen:
            self.thaw()
            self.world.tick()
            time.sleep(0.02)

    def thaw(self) -> None:
        now_s = time.monotonic()
        for due in [frozen for frozen in self._frozen if frozen[0] <= now_s]:
            self._frozen.remove(due)
            due[1]()

    # --- Our own processes -------------------------------------------------------------------------------------------

    def _strike_ours(self, kind: str, only_stops: bool) -> None:
        pids = self._victims(kind)
        for pid in pids:  # a process that is stopped shows what it is in the middle of
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        if not pids:
            return
        time.sleep(0.02)
        self.killer.trace.read()
        in_flight = any(self.killer.trace.under_way(*ALL_SPANS, pid=pid) for pid in pids)
        if only_stops:
            self._frozen.append((time.monotonic() + LONGER_THAN_A_LEASE_S, lambda: _signal(pids, signal.SIGCONT)))
        else:
            _signal(pids, signal.SIGKILL)
        self._note(kind, only_stops, None if kind == WEB else in_flight)

    def _victims(self, kind: str) -> list[int]:
        """Pids to hit; none when there is nobody of the kind just now."""
        if kind in CLUSTER_OF:
            caught = self.killer.catch(*SPANS[kind], within_s=AIM_S)
            return [caught.pid] if caught else []
        if kind in IDLE:
            busy = {span.pid for span in self.killer.trace.under_way(*ALL_SPANS)}
            idle = sorted(set(workers_of(self.world.pid(IDLE[kind]))) - busy)
            return [self.killer.random.choice(idle)] if idle else []
        leader = self.world.pid(WHOLE.get(kind, kind))
        return [leader, *descendants(leader)] if leader and is_running(leader) else []

    # --- Servers -----------------------------------------------------------------------------------------------------

    def _strike_server(self, kind: str, only_stops: bool) -> None:
        """Counted if something that was under way fails by it."""
        server: Any = {POSTGRES: self.world.on.postgres, REDIS: self.world.on.redis, SERVER: self.world.nats}[kind]
        self.killer.trace.read()
        busy = [span for span in self.killer.trace.under_way(*ALL_SPANS) if is_running(span.pid)]
        if only_stops:
            self._pause(kind, server)
        else:
            server.kill()
            time.sleep(self.killer.random.uniform(0, 1.0))
            server.start()
        for span in busy:
            with contextlib.suppress(AssertionError):  # its process is one of those that are stopped
                self.killer.wait_until_over(span, 2 * LEASE_S)
        self._note(kind, only_stops, bool(busy) if only_stops else any(span.failed for span in busy))

    def _pause(self, kind: str, server: Any) -> None:
        """Nothing may ask the database while it is stopped, or it would wait as long; so nobody is restarted then."""
        pids = [server.process.pid, *descendants(server.process.pid)] if kind != SERVER else [server.process.pid]
        _signal(pids, signal.SIGSTOP)
        time.sleep(LONGER_THAN_A_LEASE_S)
        _signal(pids, signal.SIGCONT)

    def _note(self, kind: str, only_stops: bool, in_flight: bool | None) -> None:
        name = f"{kind}, in mid-work" if kind in CLUSTER_OF else kind
        self.killer.note(f"{STOP if only_stops else KILL} {name}", in_flight)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]


def workers_of(leader: int | None) -> list[int]:
    """The processes a cluster has for its work: its guard's children, pusher and monitor among them."""
    return [worker for guard in (children(leader) if leader else []) for worker in children(guard)]
