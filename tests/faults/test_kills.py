"""Workers, scheduler and nats-server killed with SIGKILL in the middle of their work: nothing lost, nothing backwards.

Real processes (tests/faults), several feeds, three consumers: fenced and basic delivery to streams that keep every
message, and fenced delivery to a stream with the recommended settings. A kill counts only if a transaction or batch was
in flight at that moment (tests/faults/kills.py says how that is known); each test wants some, and tells how many.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.kills import Killer, is_running
from tests.faults.oracle import Oracle, in_figures, problems
from tests.faults.report import SEED, rounds
from tests.faults.upstream import Editor
from tests.faults.world import OBJECTS, STREAMS, World, running_world

pytestmark = pytest.mark.timeout(600)
RECORDS, PAGE = 1_000, 125  # in each of four collections; so a backfill is 32 pages
WANTED = rounds(3, 5)  # counted kills a test, of each kind it kills
CAUGHT_S, REST_S = 90.0, 150.0  # on a busy machine; an idle one needs a tenth
SYNC_WORKER, CONSUMER_WORKER, SCHEDULER, SERVER = "sync worker", "consumer worker", "scheduler", "nats-server"
HELD = "nothing lost, nothing backwards"
SPANS = {SYNC_WORKER: ("transaction",), CONSUMER_WORKER: ("publish",), SCHEDULER: ("tick",)}
Record = Callable[..., None]


class Stage:
    """A world, somebody who edits upstream all the while, a killer, and the judge."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.oracle = world, Oracle(world)
        self.editor = Editor(world.sandbox, list(OBJECTS.values()), seed=seed)
        self.killer = Killer(world.trace, world.tick, seed=seed)

    def kill(self, kind: str) -> None:
        """One kill in mid-work."""
        if kind == SERVER:
            assert self.killer.kill_server(kind, self.world.nats, within_s=CAUGHT_S), self.world.state()
            self.world.nats.start()
        else:
            assert self.killer.kill_within(kind, *SPANS[kind], within_s=CAUGHT_S), self.world.state()

    def kill_until_counted(
        self, kind: str, wanted: int = WANTED, *, after_each: Callable[[], None] = lambda: None
    ) -> None:
        """Kill until enough kills counted; bounded, for each is aimed."""
        for _ in range(3 * WANTED):
            if self.killer.counted[kind] >= wanted:
                return
            self.kill(kind)
            after_each()
        raise AssertionError(f"too few kills counted: {self.killer.summary()}")

    def wait_for_log(self, more: int) -> None:
        """Until the logs have grown by so many entries, or history has been read."""
        start = self.entries()
        self.world.wait_for(lambda: self.entries() >= start + more or self.world.is_read(), REST_S, "logs do not grow")

    def wait_for_acks(self, more: int) -> None:
        """Until so many more messages were acknowledged."""
        start = self.acked()
        self.world.wait_for(lambda: self.acked() >= start + more, REST_S, "nothing is acknowledged")

    def entries(self) -> int:
        return sum(self.world.heads().values())

    def acked(self) -> int:
        return int(self.world.query("SELECT coalesce(sum(delivered), 0) FROM consumers_consumercursor")[0][0])

    def wait_for_edits(self, more: int) -> None:
        """Until upstream was edited so many more times: how chance decides when to kill."""
        start = self.editor.edits
        self.world.wait_for(lambda: self.editor.edits >= start + more, REST_S, "the editor stands still")

    def kill_at_random(self) -> None:
        """Somebody, whatever they do: a worker that has ever worked, the scheduler, a whole cluster, or the server."""
        world, killer = self.world, self.killer
        kind = killer.random.choice([*SPANS, SERVER, "syncs", "consumers"])
        killer.trace.read()
        if kind == SERVER:
            busy = killer.trace.under_way("publish")
            world.nats.kill()
            world.nats.start()
            for span in busy:
                killer.wait_until_over(span)
            killer.note(kind, any(span.failed for span in busy))
        elif kind in SPANS:
            alive = sorted(pid for pid in killer.trace.pids(*SPANS[kind]) if is_running(pid))
            if alive:
                killer.kill_blindly(kind, killer.random.choice(alive), *SPANS[kind])
        elif world.pid(kind):
            world.kill_group(kind)
            killer.note(f"the whole {kind} cluster", False)

    def some(self, most: int) -> int:
        """A number the seed chooses."""
        return self.killer.random.randrange(1, most)

    def judge(self, record: Record) -> None:
        """When all is quiet: what must be true of the log and of every stream."""
        self.editor.stop()
        self.oracle.settle(REST_S)
        told = f"{self.killer.summary()}; {self.editor.edits} edits; seed {SEED}"
        print(told)
        same = {"outcome": HELD, "backend": "SQLite", "promise": "fenced and basic"}
        for kind, sent in self.killer.sent.items():
            record(what=f"SIGKILL of {kind}", times=sent, counted=self.killer.counted[kind], **same)
        upstream = self.oracle.upstream()
        for stream, config in STREAMS.items():
            subjects = self.oracle.subjects(stream)
            print(in_figures(stream, subjects))
            assert problems(upstream, subjects, exactly_once=config.get("allow_atomic", True)) == []


@contextmanager
def staged(folder: Path, *, seed: int) -> Iterator[Stage]:
    """A world with history to read, and an editor at work."""
    with running_world(folder, records=RECORDS, page_size=PAGE) as world:
        stage = Stage(world, SEED * 1_000 + seed)
        stage.editor.start()
        yield stage


def test_without_the_guard_of_invariant_1_such_kills_lose_records(tmp_path: Path) -> None:
    """The proof that kills and oracle see what they should: the cursor moves before its page is stored."""
    with running_world(
        tmp_path, records=RECORDS // 2, page_size=PAGE, streams={}, SEQUIN_FAULTS_CURSOR_FIRST="1"
    ) as world:
        stage = Stage(world, SEED * 1_000)
        world.start("syncs", "scheduler")
        for _ in range(2):
            stage.wait_for_log(RECORDS // 4)
            stage.kill(SYNC_WORKER)
        world.wait_for(world.is_read, REST_S, "history is not read")
        assert any("is not in the log" in problem for problem in stage.oracle.log_problems())


def test_sync_worker_killed_mid_backfill(tmp_path: Path, record_fault: Record) -> None:
    """Invariants 1 and 2: a page that was being stored is read again, none is lost, none is skipped."""
    with staged(tmp_path, seed=1) as stage:
        stage.world.start("syncs", "consumers", "scheduler")

        def kill() -> None:
            stage.wait_for_log(stage.some(RECORDS // 2))
            assert not stage.world.is_read(), "history was read too fast to kill anybody in mid-backfill"

        kill()
        stage.kill_until_counted(SYNC_WORKER, after_each=kill)
        stage.judge(record_fault)


def test_consumer_worker_killed_mid_drain(tmp_path: Path, record_fault: Record) -> None:
    """Invariants 6 and 7: whatever of the batch was stored, the next worker learns it from the stream."""
    with staged(tmp_path, seed=2) as stage:
        stage.world.start("syncs", "scheduler")
        stage.world.wait_for(stage.world.is_read, REST_S, "history is not read")
        stage.world.start("consumers")
        stage.kill_until_counted(CONSUMER_WORKER, after_each=lambda: stage.wait_for_acks(stage.some(RECORDS // 2)))
        stage.judge(record_fault)


def test_scheduler_killed_while_it_queues(tmp_path: Path, record_fault: Record) -> None:
    """Invariant 11: what it had half queued, its successor finds in the tables."""
    with staged(tmp_path, seed=3) as stage:
        stage.world.start("syncs", "consumers", "scheduler")
        stage.kill_until_counted(SCHEDULER, after_each=lambda: stage.wait_for_log(stage.some(RECORDS // 4)))
        stage.judge(record_fault)


def test_nats_server_killed_mid_backfill(tmp_path: Path, record_fault: Record) -> None:
    """Invariant 6: what it had not acknowledged is settled by reading the stream, once it is back on the same store."""
    with staged(tmp_path, seed=4) as stage:
        stage.world.start("syncs", "consumers", "scheduler")
        stage.kill_until_counted(SERVER, after_each=lambda: stage.wait_for_acks(stage.some(RECORDS // 2)))
        stage.judge(record_fault)


def test_everything_killed_at_random_moments(tmp_path: Path, record_fault: Record) -> None:
    """Whole clusters too, and without aiming; then as many aimed kills as it takes until each kind has counted."""
    with staged(tmp_path, seed=5) as stage:
        stage.world.start("syncs", "consumers", "scheduler")
        for _ in range(rounds(12, 60)):
            stage.wait_for_edits(stage.some(25))
            stage.kill_at_random()
        for kind in (*SPANS, SERVER):
            stage.kill_until_counted(kind, 1)
        stage.judge(record_fault)
