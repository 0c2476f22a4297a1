"""Is a cluster hung? Judged by heartbeats: a process that lives is no proof that it works.

Each `up` watches its own node's rows: another node that works on the same queue says nothing about this one.

Killing an idle django-q2 worker can leave its siblings waiting for ever on a lock that it took along; the cluster then
looks alive, ignores SIGTERM, and runs nothing. Only our own clock is used: a heartbeat is fresh when its row has
changed lately, whatever time it names, so that neither a jump of the wall clock nor one between machines matters.
"""

import threading
import time
from collections.abc import Hashable, Mapping

from django.db import DatabaseError, connection

from sequin_console.common import heartbeats

SCHEDULER, CLUSTERS = "scheduler", ("syncs", "consumers")
ANY_SCHEDULER = "any scheduler"
HUNG_AFTER_S = 17.0  # with the start and the first beat of a new one, work goes on within 30 s
FIRST_BEAT_S = 60.0  # a cluster on a busy machine may take long to come up
FRESH_S = 10.0
BLIND_S = 5.0  # heartbeats not read for so long: what we know says nothing

Beats = Mapping[str, Hashable]


class Watch:
    """Remembers when each heartbeat last changed. Pure: readings and times come in as arguments."""

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._values: dict[str, Hashable] = {}
        self._beat_s: dict[str, float] = {}  # when a value was last seen to change
        self._seen_s = self._waiting_since_s = float("-inf")

    def see(self, beats: Beats, now_s: float) -> None:
        """Take a reading of the heartbeat rows. After a gap nothing is held against anybody: waiting starts anew."""
        beats = of_node(beats, self._node)
        if now_s - self._seen_s > BLIND_S:
            self._waiting_since_s = now_s
        else:
            self._beat_s |= {name: now_s for name, value in beats.items() if self._values.get(name) != value}
        self._seen_s, self._values = now_s, dict(beats)

    def hung(self, started_s: Mapping[str, float], now_s: float) -> dict[str, str]:
        """Who must be replaced, and why in words.

        started_s  when each process that runs now was started
        1. Blind (no reading for BLIND_S): nobody.
        2. A cluster that was silent for HUNG_AFTER_S while a scheduler, which asks for its heartbeat, is fresh,
           on whatever node.
        3. The scheduler silent for as long: it, and every silent cluster, for one of them may hold the database's
           write lock and keep the others from giving a sign of life.
        """
        if now_s - self._seen_s > BLIND_S:
            return {}
        silence_s = {
            name: now_s - max(self._beat_s.get(name, since_s), since_s, self._waiting_since_s)
            for name, since_s in started_s.items()
            if name in (SCHEDULER, *CLUSTERS)
        }
        silent = {
            name: f"has given no sign of life for {seconds:.0f} s"
            for name, seconds in silence_s.items()
            if seconds > (HUNG_AFTER_S if self.has_beaten(name, started_s[name]) else FIRST_BEAT_S)
        }
        is_fresh = now_s - self._beat_s.get(ANY_SCHEDULER, float("-inf")) < FRESH_S
        return silent if is_fresh or SCHEDULER in silent else {}

    def has_beaten(self, name: str, since_s: float) -> bool:
        """Whether it has given a sign of life since."""
        return self._beat_s.get(name, float("-inf")) > since_s


def of_node(beats: Beats, node: str) -> Beats:
    """This node's heartbeats by plain name; under ANY_SCHEDULER something that changes when any scheduler beats."""
    rows = {name: heartbeats.on_node(name, node) for name in (SCHEDULER, *CLUSTERS)}
    schedulers = sorted((name, value) for name, value in beats.items() if name.partition("@")[0] == SCHEDULER)
    return {name: beats[row] for name, row in rows.items() if row in beats} | {ANY_SCHEDULER: tuple(schedulers)}


class Reader(threading.Thread):
    """Reads the heartbeat rows again and again, in a thread: a database that hangs must not hang the supervisor."""

    def __init__(self, every_s: float = 1.0) -> None:
        super().__init__(name="heartbeats", daemon=True)
        self._every_s = every_s
        self._latest: Beats | None = None

    def take(self) -> Beats | None:
        """The newest reading, once; None when there is none since the last call."""
        latest, self._latest = self._latest, None
        return latest

    def run(self) -> None:
        from sequin_console.common.models import Heartbeat

        while True:
            try:
                self._latest = dict(Heartbeat.objects.values_list("name", "at"))
            except DatabaseError:
                connection.close()
            time.sleep(self._every_s)
