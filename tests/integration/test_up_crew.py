"""The supervisor's crew with small stand-ins for its children: deaths, hangs, order, and nobody left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sequin_console.up import crew as crews
from sequin_console.up import ports
from sequin_console.up.crew import Crew
from sequin_console.up.process import Spec

ROOT = Path(__file__).resolve().parent.parent.parent
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
# As django-q2's cluster: a process that forks one that forks others, none of which notices when its parent dies.
CLUSTER = """
import multiprocessing, os, time
fork = multiprocessing.get_context("fork")
def work():
    os.write(1, f"{os.getpid()}{os.linesep}".encode())  # in one: unbuffered, print writes number and line's end apart
    time.sleep(60)
def guard():
    for _ in range(2):
        fork.Process(target=work).start()
    work()
if __name__ == "__main__":
    fork.Process(target=guard).start()
    work()
"""


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def eventually(claim: Callable[[], object], within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.05)


class Stage:
    """A crew, what it said, and a way to write its children."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()
        self.crew = Crew(folder / "logs", self.said.append)

    def start(self, name: str, program: str, *, once: bool = False) -> None:
        script = self.folder / f"{name}.py"
        script.write_text(program)
        self.crew.start(Spec(name, (str(script),), once=once))

    def pid(self, name: str) -> int:
        pid = self.crew.pids().get(name)
        assert pid
        return pid

    def log(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text()

    def ticked(self, claim: Callable[[], object]) -> Callable[[], object]:
        def tick() -> object:
            self.crew.tick(time.monotonic())
            return claim()

        return tick


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.crew.stop([(list(stage.crew.pids()), 0.0)])


def test_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
    assert ports.is_free("127.0.0.1", port)


def test_killed_child_is_started_again_and_said_so(stage: Stage) -> None:
    stage.start("web", SLEEPER)
    first = stage.pid("web")
    os.kill(first, signal.SIGKILL)
    eventually(stage.ticked(lambda: stage.crew.pids()["web"] not in (None, first)))
    assert stage.said[0].startswith("web was killed by signal 9. Starting it again in 0.5 s; see ")


def test_child_that_fails_says_why_in_one_line(stage: Stage) -> None:
    stage.start("web", "raise SystemExit('no such table: users')")
    eventually(stage.ticked(lambda: stage.said))
    assert stage.said[0].startswith("web ended with code 1: no such table: users. Starting it again")


def test_what_is_done_once_is_not_started_again(stage: Stage) -> None:
    stage.start("demo", "print('all there')", once=True)
    eventually(stage.ticked(lambda: stage.said))
    assert stage.said == ["demo: all there"]


def test_what_fails_again_and_again_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "MOST_TRIES_OF_ONCE", 2)
    stage.start("demo", "raise SystemExit('no')", once=True)
    eventually(stage.ticked(lambda: "Given up after 2 tries" in stage.said[-1] if stage.said else False))


def workers_of(stage: Stage) -> list[int]:
    eventually(lambda: len(stage.log("syncs").splitlines()) >= 4)
    return [int(line) for line in stage.log("syncs").splitlines()]


def test_hung_cluster_is_killed_with_all_its_workers_and_replaced(stage: Stage) -> None:
    stage.start("syncs", CLUSTER)
    first = stage.pid("syncs")
    pids = workers_of(stage)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    stage.crew.replace("syncs", "has given no sign of life for 26 s")
    eventually(stage.ticked(lambda: stage.crew.pids()["syncs"] not in (None, first)))
    eventually(lambda: not any(map(is_alive, pids)))


def test_dead_cluster_leaves_no_worker_behind(stage: Stage) -> None:
    stage.start("syncs", CLUSTER)
    first = stage.pid("syncs")
    pids = workers_of(stage)
    os.kill(first, signal.SIGKILL)
    eventually(stage.ticked(lambda: not any(map(is_alive, pids))))


def test_stages_end_in_order_and_the_stubborn_are_killed(stage: Stage) -> None:
    tell = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print(time.time(), flush=True)))\n"
    )
    stage.start("web", tell + SLEEPER)
    stage.start("syncs", STUBBORN)
    stage.start("nats", tell + SLEEPER)
    eventually(lambda: all("up" in stage.log(name) for name in ("web", "syncs", "nats")))
    pids = [stage.pid(name) for name in ("web", "syncs", "nats")]
    stage.crew.stop([(["web"], 5.0), (["syncs"], 0.5), (["nats"], 5.0)])
    assert not any(map(is_alive, pids))
    assert stage.said == ["syncs did not stop in 0.5 s: killed"]
    web_s, nats_s = (float(stage.log(name).split()[-1]) for name in ("web", "nats"))
    assert nats_s - web_s >= 0.5


def test_urgent_stop_waits_for_nobody(stage: Stage) -> None:
    stage.start("syncs", STUBBORN)
    eventually(lambda: "up" in stage.log("syncs"))
    started_s = time.monotonic()
    stage.crew.stop([(["syncs"], 30.0)], is_urgent=lambda: True)
    assert time.monotonic() - started_s < 5


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_nobody_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    """Neither children, nor what they forked, nor a program that is not Python."""
    (tmp_path / "syncs.py").write_text(CLUSTER)
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path\n"
            "from sequin_console.up.crew import Crew; from sequin_console.up.process import Spec\n"
            "folder = Path(sys.argv[1]); crew = Crew(folder / 'logs', print)\n"
            "crew.start(Spec('syncs', (str(folder / 'syncs.py'),))); crew.start(Spec('nats', ('/bin/sleep', '60')))\n"
            "print(*(pid for pid in crew.pids().values()), flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert supervisor.stdout
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        log = tmp_path / "logs" / "syncs.log"
        eventually(lambda: len(log.read_text().splitlines()) >= 4)
        pids += [int(line) for line in log.read_text().splitlines()]
        eventually(lambda: Path(f"/proc/{pids[1]}/comm").read_text().strip() == "sleep")
    finally:
        supervisor.kill()
        supervisor.communicate()
    eventually(lambda: not any(map(is_alive, pids)), within_s=5)
