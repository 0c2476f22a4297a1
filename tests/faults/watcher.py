"""Sees which cursors move while the world is on fire: what a cursor has passed must have been stored by then."""

import threading
import time
from typing import NamedTuple

from tests.faults.ground import DATABASE_ERRORS
from tests.faults.world import World, as_uuid

MOVED = """
    SELECT n.name, c.sync_id, c.run, r.seq FROM consumers_consumercursor c
    JOIN consumers_natsconsumer n ON n.id = c.consumer_id
    JOIN syncs_record r ON r.sync_id = c.sync_id AND r.seq <= c.acked_seq AND r.seq > ?
    WHERE c.id = ?
"""


class Claim(NamedTuple):
    """At this moment (wall clock, when the answer had come) this stream's cursor had passed this entry of the log."""

    stream: str
    sync_id: str
    run: int
    seq: int
    at: float


class Watcher(threading.Thread):
    """Asks again and again how far each cursor is, and which entries of the log it has passed since: one statement, one
    snapshot. An entry that moved to the log's end meanwhile is not seen then, but at its new place."""

    def __init__(self, world: World, *, every_s: float = 0.05) -> None:
        super().__init__(name="watcher", daemon=True)
        self.world, self.every_s = world, every_s
        self.claims: list[Claim] = []
        self._passed: dict[int, int] = {}
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(self.every_s):
            try:
                self._look()
            except DATABASE_ERRORS:
                continue  # it is away; what moves meanwhile is seen a moment later

    def stop(self) -> list[Claim]:
        """Returns all claims."""
        self._done.set()
        self.join(30)
        return self.claims

    def _look(self) -> None:
        for pk, acked_seq in self.world.query("SELECT id, acked_seq FROM consumers_consumercursor"):
            passed = self._passed.get(pk, 0)
            if acked_seq > passed:
                rows, at = self.world.query(MOVED, (passed, pk)), time.time()
                self.claims += [Claim(stream, as_uuid(sync_id), run, seq, at) for stream, sync_id, run, seq in rows]
            self._passed[pk] = acked_seq  # less than before when a new run has begun
