"""Every process of a world, killed (SIGKILL) or stopped for longer than a lease (SIGSTOP, SIGCONT), as chance decides.

    chaos = Chaos(stage, ("sync worker", "PostgreSQL", …))
    for _ in range(60): chaos.strike()
    chaos.calm()

Who is hit is caught at work where that can be done within AIM_S (kills.py); else it is hit whatever it does. What was
under way when it stood still says whether the strike counts.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis

from tests.faults.kills import LATEST_S, is_running, is_stopped
from tests.faults.settings import LEASE_S
from tests.faults.stage import CONSUMER_WORKER, SCHEDULER, SERVER, SPANS, SYNC_WORKER, Stage
from tests.faults.traces import Span
from tests.faults.visitor import Visitor
from tests.faults.world import CLUSTERS, OBJECTS, SECOND_NODE

WEB, POSTGRES, REDIS = "web", "PostgreSQL", "Redis"
CLUSTER_OF = {SYNC_WORKER: "syncs", CONSUMER_WORKER: "consumers"}
IDLE = {f"idle process of the {cluster} cluster": cluster for cluster in CLUSTER_OF.values()}
WHOLE = {f"the whole {cluster} cluster": cluster for cluster in CLUSTER_OF.values()}
KINDS = (*CLUSTER_OF, *IDLE, *WHOLE, SCHEDULER, WEB, SERVER)
ALL_SPANS = ("fetch", "store", "transaction", "publish", "tick")
# What must be under way when it strikes: an open transaction, a batch not yet acknowledged, a page asked for under a
# lease, a tick of the scheduler.
AIMS = {
    **SPANS,
    **{f"the whole {cluster} cluster": ("fetch", *SPANS[worker]) for worker, cluster in CLUSTER_OF.items()},
    SERVER: ("publish",),
    POSTGRES: ("transaction", "tick"),
    REDIS: ("tick",),
}
AIM_S = 20.0  # a cluster that was killed just before must start first; an idle machine needs a second or two
WORK = 150  # in each collection
SETTLED_S = 0.02  # until who was stopped stands still
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
        self.visitor = Visitor(stage.world.url)
        self._frozen: list[tuple[float, Callable[[], None]]] = []
        self._left: list[tuple[str, bool]] = []

    def strike(self) -> None:
        """One kill or stop. Each kind comes once in a while, in an order that chance decides; idle ones seldom."""
        if not self._left:
            turns = [(kind, no < self.stops_of_ten) for kind in self.kinds for no in range(3 if kind in IDLE else 10)]
            self._left = self.killer.random.sample(turns, len(turns))
        kind, only_stops = self._left.pop()
        self._make_work()
        if kind in (POSTGRES, REDIS, SERVER):
            self._strike_server(kind, only_stops)
        elif kind == WEB:
            self._strike_web(only_stops)
        else:
            self._strike_ours(kind, only_stops)
        self.thaw()

    def _make_work(self) -> None:
        """More new records upstream than a committing process delivers by itself: all have something to do."""
        for name in OBJECTS.values():
            self.world.sandbox.control("POST", f"records/salesforce/{name}?count={WORK}", {})

    def calm(self) -> None:
        """Whoever is stopped goes on."""
        self.visitor.stop()
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
        _signal(pids, signal.SIGSTOP)  # a process that is stopped shows what it is in the middle of
        if not pids:
            return
        time.sleep(SETTLED_S)
        self.killer.trace.read()
        in_flight = any(self.killer.trace.under_way(*ALL_SPANS, pid=pid) for pid in pids)
        self._hit(pids, only_stops)
        self._note(kind, only_stops, in_flight)

    def _victims(self, kind: str) -> list[int]:
        """Pids to hit, one of them caught at work if it could be; none when there is nobody of the kind just now."""
        if kind in IDLE:
            busy = {span.pid for span in self.killer.trace.under_way(*ALL_SPANS)}
            idle = sorted(set(workers_of(self.world.pid(IDLE[kind]))) - busy)
            return [self.killer.random.choice(idle)] if idle else []
        if kind in CLUSTER_OF:
            caught = self.killer.catch(*AIMS[kind], within_s=AIM_S)
            return [caught.pid] if caught else []
        names = [name for name in (*CLUSTERS, *SECOND_NODE, SCHEDULER) if name.startswith(WHOLE.get(kind, kind))]
        caught = self.killer.catch(
            *AIMS[kind], within_s=AIM_S, among=lambda pid: any(pid in self._family(name) for name in names)
        )
        families = [family for name in names if (family := self._family(name))]
        if caught is not None:
            families = [family for family in families if caught.pid in family] or families
        return families[0] if families else []

    def _family(self, name: str) -> list[int]:
        """A program's processes, its first one first."""
        leader = self.world.pid(name)
        return [leader, *descendants(leader)] if leader and is_running(leader) else []

    def _strike_web(self, only_stops: bool) -> None:
        """Counted if somebody was being answered: the answer was cut off, or had to wait."""
        pids = [pid] if (pid := self.world.pid(WEB)) and is_running(pid) else []
        deadline = time.monotonic() + AIM_S
        while not self.visitor.is_asking and time.monotonic() < deadline:
            self.world.tick()
            time.sleep(0.001)
        cut = self.visitor.cut
        self._hit(pids, only_stops)
        if only_stops:
            _signal(pids, signal.SIGSTOP)
            time.sleep(SETTLED_S)
            was_asked = self.visitor.is_asking
        else:
            was_asked = self.visitor.was_cut(since=cut)
        if pids:
            self._note(WEB, only_stops, was_asked)

    def _hit(self, pids: list[int], only_stops: bool) -> None:
        if only_stops:
            _signal(pids, signal.SIGSTOP)
            self._frozen.append((time.monotonic() + LONGER_THAN_A_LEASE_S, lambda: _signal(pids, signal.SIGCONT)))
        else:
            _signal(pids, signal.SIGKILL)

    # --- Servers -----------------------------------------------------------------------------------------------------

    def _strike_server(self, kind: str, only_stops: bool) -> None:
        """Counted if something that was under way fails by it, or waits in Redis."""
        server: Any = {POSTGRES: self.world.on.postgres, REDIS: self.world.on.redis, SERVER: self.world.nats}[kind]
        waiting = self._let_tasks_wait(server) if kind == REDIS else False
        busy = self._stop_at_work(kind, server)
        if only_stops:
            time.sleep(LONGER_THAN_A_LEASE_S)  # nothing may ask the database meanwhile, or it would wait as long
            _signal(processes_of(server), signal.SIGCONT)
        else:
            _signal(processes_of(server), signal.SIGKILL)
            server.process.wait()
            time.sleep(self.killer.random.uniform(0, 1.0))
            server.start()
        for span in busy:
            with contextlib.suppress(AssertionError):  # its process is one of those that are stopped
                self.killer.wait_until_over(span, 2 * LEASE_S)
        self._note(kind, only_stops, waiting or (bool(busy) if only_stops else any(span.failed for span in busy)))

    def _stop_at_work(self, kind: str, server: Any) -> list[Span]:
        """Stop the server, in the middle of something if that could be; what was under way."""
        deadline = time.monotonic() + AIM_S
        while True:
            self.killer.wait_for_work(*AIMS[kind], within_s=max(0.0, deadline - time.monotonic()))
            time.sleep(self.killer.random.uniform(0, LATEST_S / 3))  # its processes are many, and stop one by one
            _signal(processes_of(server), signal.SIGSTOP)
            time.sleep(SETTLED_S)
            self.killer.trace.read()
            busy = [span for span in self.killer.trace.under_way(*AIMS[kind]) if is_running(span.pid)]
            if busy or time.monotonic() > deadline:
                return busy
            _signal(processes_of(server), signal.SIGCONT)

    def _let_tasks_wait(self, server: Any) -> bool:
        """Let nobody fetch tasks until some wait in Redis, which then loses them; whether there were any."""
        leaders = [pid for name in (*CLUSTERS, *SECOND_NODE) if (pid := self.world.pid(name))]
        pids = [pid for leader in leaders for pid in (leader, *descendants(leader)) if not is_stopped(pid)]
        _signal(pids, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + AIM_S
            with redis.Redis.from_url(server.url) as client:
                while not (found := tasks_in(client)) and time.monotonic() < deadline:
                    time.sleep(0.005)
            return found > 0
        finally:
            _signal(pids, signal.SIGCONT)

    def _note(self, kind: str, only_stops: bool, in_flight: bool) -> None:
        name = f"{kind}, in mid-work" if kind in CLUSTER_OF else kind
        self.killer.note(f"{STOP if only_stops else KILL} {name}", in_flight)


def processes_of(server: Any) -> list[int]:
    """A server's processes: PostgreSQL has many."""
    return [server.process.pid, *descendants(server.process.pid)]


def tasks_in(client: redis.Redis) -> int:
    """How many tasks wait in its lists."""
    return sum(client.llen(key) for key in client.scan_iter("*", _type="list"))  # type: ignore[misc]


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
