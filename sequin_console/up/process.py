"""One child process of `up`: started in a group of its own, so that it can be ended with all it has started."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sequin_console.up import logs
from sequin_console.up.arguments import BASE_DIR

FIRST_DELAY_S, LONGEST_DELAY_S, STEADY_AFTER_S = 0.5, 30.0, 30.0


@dataclass(frozen=True)
class Spec:
    """What to run: `-m` and a module, a Python script, or a program, each with its arguments.

    env     on top of our own environment
    once    it is done when it ends well, and started again only when it fails
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    once: bool = False


def restart_delay_s(failures: int) -> float:
    """Seconds before the next start after `failures` deaths in a row: doubling, capped."""
    return min(FIRST_DELAY_S * 2.0 ** min(max(failures, 1) - 1, 20), LONGEST_DELAY_S)


class Child:
    """A spec and the process that runs it now, if any. Used from the main thread only: a child dies with the thread
    that started it (child.py)."""

    def __init__(self, spec: Spec, log_dir: Path) -> None:
        self.spec = spec
        self.log = log_dir / f"{spec.name}.log"
        self.failures = 0
        self.started_s = 0.0
        self.restart_at_s: float | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        logs.rotate(self.log)

    @property
    def pid(self) -> int | None:
        """Of the process, and of its group; None while none runs."""
        return self._popen.pid if self._popen else None

    def start(self, now_s: float) -> None:
        command = [sys.executable, "-m", "sequin_console.up.child", str(os.getpid()), *self.spec.argv]
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=BASE_DIR,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C in the terminal reaches us alone, and we end the others in order
            )
        self.started_s, self.restart_at_s = now_s, None

    def ended(self) -> int | None:
        """The exit code if it has just ended (negative: the signal), once; whatever it left behind is killed first.

        The group is killed while its dead leader is not yet reaped: till then nobody else can get its number.
        """
        if self._popen is None:
            return None
        if os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self.kill()
        code = self._popen.wait()
        self._popen = None
        return code

    def plan_restart(self, now_s: float) -> float:
        """After a death: when to start again. Returns the seconds until then. A steady life wipes out old failures."""
        self.failures = 1 if now_s - self.started_s > STEADY_AFTER_S else self.failures + 1
        delay_s = restart_delay_s(self.failures)
        self.restart_at_s = now_s + delay_s
        return delay_s

    def ask_to_stop(self) -> None:
        """SIGTERM to the process alone: django-q2's cluster then lets its workers finish."""
        self.restart_at_s = None
        if self._popen:
            os.kill(self._popen.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to its whole group. Works on stopped and on hung processes too."""
        if self._popen:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
