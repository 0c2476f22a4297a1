"""The children of `up` together: dead ones start again, hung ones are replaced, all end in order."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sequin_console.up import logs
from sequin_console.up.process import Child, Spec

Say = Callable[[str], None]
CAP_EVERY_S = 10.0
MOST_TRIES_OF_ONCE = 5


class Crew:
    """Children by name. `tick` must be called a few times a second."""

    def __init__(self, log_dir: Path, say: Say, changed: Callable[[], None] = lambda: None) -> None:
        self._log_dir, self._say, self._changed = log_dir, say, changed
        self._children: dict[str, Child] = {}
        self._cap_at_s = 0.0

    def start(self, spec: Spec, now_s: float | None = None) -> None:
        child = self._children[spec.name] = Child(spec, self._log_dir)
        child.start(time.monotonic() if now_s is None else now_s)

    def pids(self) -> dict[str, int | None]:
        return {name: child.pid for name, child in self._children.items() if not child.spec.once}

    def started_s(self) -> dict[str, float]:
        """When each that runs now was started."""
        return {name: child.started_s for name, child in self._children.items() if child.pid}

    def log_of(self, name: str) -> Path:
        return self._children[name].log

    def failures(self, name: str) -> int:
        return self._children[name].failures

    def tick(self, now_s: float) -> None:
        """Notice deaths, say so, and start again what is due."""
        for child in list(self._children.values()):
            code = child.ended()
            if code is not None:
                self._after_death(child, code, now_s)
            elif child.restart_at_s is not None and now_s >= child.restart_at_s:
                child.start(now_s)
                self._changed()
        if now_s >= self._cap_at_s:
            self._cap_at_s = now_s + CAP_EVERY_S
            for child in self._children.values():
                logs.cap(child.log)

    def _after_death(self, child: Child, code: int, now_s: float) -> None:
        name, last = child.spec.name, logs.last_line(child.log)
        if child.spec.once and code == 0:
            del self._children[name]
            self._say(f"{name}: {last or 'done'}")
            return
        delay_s = child.plan_restart(now_s)
        why = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        said = f": {last}" if last and code > 0 else ""
        if child.spec.once and child.failures >= MOST_TRIES_OF_ONCE:
            del self._children[name]
            self._say(f"{name} {why}{said}. Given up after {MOST_TRIES_OF_ONCE} tries; see {child.log}")
        else:
            self._say(f"{name} {why}{said}. Starting it again in {delay_s:g} s; see {child.log}")
        self._changed()

    def replace(self, name: str, why: str) -> None:
        """Kill a hung child with all it has started; the next ticks notice its death and start it again."""
        self._say(f"{name} {why}: replacing it")
        self._children[name].kill()

    def stop(
        self, stages: Iterable[tuple[Sequence[str], float]], is_urgent: Callable[[], bool] = lambda: False
    ) -> None:
        """End stage after stage: ask all of a stage, give them its seconds, then kill. Names not running are skipped.

        is_urgent  once it says yes, nobody is waited for
        """
        for names, wait_s in stages:
            stage = [self._children[name] for name in names if name in self._children]
            for child in stage:
                child.ask_to_stop()
            self._wait_for(stage, wait_s, is_urgent)
            for child in stage:
                if child.pid:
                    self._say(f"{child.spec.name} did not stop in {wait_s:g} s: killed")
                    child.kill()
            self._wait_for(stage, 2.0, lambda: False)

    def _wait_for(self, stage: list[Child], wait_s: float, is_urgent: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + wait_s
        while any(child.pid and child.ended() is None for child in stage):
            if time.monotonic() > deadline_s or is_urgent():
                return
            time.sleep(0.05)
