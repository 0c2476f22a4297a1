"""A real `manage.py up` in a data folder of its own, for tests: `with running_up(tmp_path) as up: …`

It stands on SQLite unless told otherwise: `with backends.console() as env, running_up(tmp_path, env=env) as up: …`
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.children import tie_to_us

ROOT = Path(__file__).resolve().parent.parent
START_S, STOP_S = 120.0, 30.0


def eventually(claim: Callable[[], Any], within_s: float = 30.0, told: str = "it did not come true in time") -> Any:
    """What `claim` gives, as soon as it is something. Raises AssertionError after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while not (found := claim()):
        assert time.monotonic() < deadline_s, told
        time.sleep(0.1)
    return found


def clean_environment(data_dir: Path) -> dict[str, str]:
    """Ours without what would send `up` elsewhere."""
    elsewhere = (
        "SEQUIN_",
        "PUBLIC_URL",
        "DATABASE_URL",
        "REDIS_URL",
        "HOST",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "DJANGO_",
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
    return {**own, "SEQUIN_DATA_DIR": str(data_dir)}


def processes_of(data_dir: Path) -> dict[int, str]:
    """Every living process that was given this data folder, however it was started: pid to command line."""
    found = {}
    mark = f"SEQUIN_DATA_DIR={data_dir}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


class RunningUp:
    """The process, what it printed, and what run.json says."""

    def __init__(self, data_dir: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.given = dict(env or {})
        self.env = {**clean_environment(data_dir), **self.given}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", *options],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=tie_to_us(signal.SIGTERM),
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def facts(self) -> dict[str, Any]:
        """run.json; empty while there is none, or only that of a run that was killed before."""
        try:
            facts = json.loads((self.data_dir / "run.json").read_text())
        except OSError:
            return {}
        return facts if facts["pids"]["supervisor"] == self.process.pid else {}

    @property
    def url(self) -> str:
        return str(self.facts["console_url"])

    def manage(self, *words: str) -> str:
        """What a `manage.py` command prints, run against the same data."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def get(self, path: str) -> tuple[int, Any]:
        """(status, JSON or None)."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except (OSError, ValueError):
            return 0, None

    def wait_until_ready(self, within_s: float = START_S) -> None:
        """/readyz says 200: database, workers, scheduler and NATS truly work."""
        eventually(lambda: self.facts or self.process.poll() is not None, within_s, "no run.json")
        assert self.process.poll() is None, self.output
        eventually(lambda: self.get("/readyz")[0] == 200, within_s, "not ready")

    def wait_until_said(self, text: str, within_s: float = START_S) -> None:
        eventually(lambda: text in self.output, within_s, f"not said: {text}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """As the kernel would when memory is short: without a word."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running_up(data_dir: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[RunningUp]:
    """Start it, and leave nothing running whatever happens; what it said is shown when a test fails."""
    up = RunningUp(data_dir, *options, env=env)
    try:
        yield up
        up.stop()
    finally:
        if up.process.poll() is None:
            up.kill()
        print(up.output)
