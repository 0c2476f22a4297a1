"""What every fault test needs: a world, somebody who edits upstream, a killer, a watcher and the judge."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.kills import Killer
from tests.faults.listener import Listener
from tests.faults.oracle import Oracle
from tests.faults.report import SEED, rounds
from tests.faults.upstream import Editor
from tests.faults.watcher import Watcher
from tests.faults.world import OBJECTS, World, running_world

RECORDS, PAGE = 1_000, 125  # in each of four collections; so a backfill is 32 pages
WANTED = rounds(2, 5)  # counted kills a test, of each kind it kills
CAUGHT_S, REST_S = 90.0, 150.0  # on a busy machine; an idle one needs a tenth
SYNC_WORKER, CONSUMER_WORKER = "worker that stores", "worker that publishes"
SCHEDULER, SERVER = "scheduler", "nats-server"
HELD = "nothing lost, nothing backwards, fenced exactly once"
SPANS = {SYNC_WORKER: ("transaction",), CONSUMER_WORKER: ("publish",), SCHEDULER: ("tick",)}
Record = Callable[..., None]


def named(kind: str) -> str:
    """What the table calls such a kill."""
    return f"SIGKILL of {kind}, in mid-work" if kind in SPANS else f"SIGKILL of {kind}"


class Stage:
    """`with staged(folder, backend, seed=1) as stage: …` and in the end `stage.judge(record_fault)`."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.oracle = world, Oracle(world)
        self.editor = Editor(world.sandbox, list(OBJECTS.values()), seed=seed)
        self.killer = Killer(world.trace, world.tick, seed=seed)
        self.watcher, self.listener = Watcher(world), Listener(world.nats)

    def kill(self, kind: str) -> None:
        """One kill in mid-work."""
        if kind == SERVER:
            assert self.killer.kill_server(named(kind), self.world.nats, within_s=CAUGHT_S), self.world.state()
            self.world.nats.start()
        else:
            assert self.killer.kill_within(named(kind), *SPANS[kind], within_s=CAUGHT_S), self.world.state()

    def kill_until_counted(
        self, kind: str, wanted: int = WANTED, *, after_each: Callable[[], None] = lambda: None
    ) -> None:
        """Kill until enough kills counted; bounded, for each is aimed."""
        for _ in range(3 * WANTED):
            if self.killer.counted[named(kind)] >= wanted:
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

    def some(self, most: int) -> int:
        """A number the seed chooses."""
        return self.killer.random.randrange(1, most)

    def judge(self, record: Record) -> None:
        """When all is quiet: what must be true of the log and of every stream."""
        self.editor.stop()
        same = {"outcome": HELD, "backend": self.world.on.label, "promise": "fenced and basic"}
        for kind, times in self.killer.sent.items():
            record(what=kind, times=times, counted=self.killer.counted.get(kind), **same)
        self.oracle.settle(REST_S)
        claims, heard = self.watcher.stop(), self.listener.stop()
        print(f"{self.killer.summary()}; {self.editor.edits} edits; {len(claims)} claims; seed {SEED}")
        assert claims, "the watcher saw no cursor move"
        server_was_killed = any(SERVER in kind and kind.startswith("SIGKILL") for kind in self.killer.sent)
        wrong = self.oracle.judge(claims, heard, server_was_killed=server_was_killed)
        assert not wrong, "\n".join([f"{len(wrong)} problems", *(told[:1000] for told in wrong[:10])])


@contextmanager
def staged(
    folder: Path,
    backend: str = "",
    *,
    seed: int,
    records: int = RECORDS,
    postgres_in: Path | None = None,
    **more_environ: str,
) -> Iterator[Stage]:
    """A world with history to read, and an editor at work. The other arguments are those of running_world."""
    with running_world(
        folder, backend=backend, records=records, page_size=PAGE, postgres_in=postgres_in, **more_environ
    ) as world:
        stage = Stage(world, SEED * 1_000 + seed)
        stage.editor.start()
        stage.watcher.start()
        stage.listener.start()
        try:
            yield stage
        finally:
            stage.watcher.stop()
            stage.listener.stop()
