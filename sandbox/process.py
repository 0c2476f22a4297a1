"""A sandbox in a process of its own, for tests and benchmarks: `with running(tmp_path) as sandbox: …`"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY = "SANDBOX READY "
START_TIMEOUT_S = 180.0  # on a machine whose cores are all taken
STOP_TIMEOUT_S = 10.0


@dataclass
class RunningSandbox:
    """A sandbox that listens."""

    url: str
    process: subprocess.Popen[str]

    def side(self, key: str) -> str:
        """The base URL of a provider."""
        return f"{self.url}/{key}"

    @property
    def salesforce(self) -> str:
        return self.side("salesforce")

    @property
    def stripe(self) -> str:
        return self.side("stripe")

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API: `control("POST", "faults", {...})`. Raises RuntimeError with the answer's text."""
        request = urllib.request.Request(
            f"{self.url}/_control/{path.lstrip('/')}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def kill(self) -> None:
        """End it without any warning, as a power cut would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(
    data_dir: Path | str, *, seed: str = "empty", churn_s: float = 0.0, port: int = 0, settings: dict | None = None
) -> Iterator[RunningSandbox]:
    """Start `python -m sandbox` on a free port, wait until it listens, end it on the way out.

    Called again with the same folder, it finds all records, keys and grants again.
    """
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--data-dir", str(data_dir), "--seed", seed,
               "--churn-s", str(churn_s), "--parent-dies"]  # fmt: skip
    root = Path(__file__).resolve().parent.parent
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        sandbox = RunningSandbox(_wait_until_ready(process), process)
        if settings:
            sandbox.control("POST", "settings", settings)
        yield sandbox
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _wait_until_ready(process: subprocess.Popen[str]) -> str:
    """The URL from the READY line. Raises RuntimeError when the process ends or is silent for too long."""
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    if stdout is None:
        raise RuntimeError("the sandbox has no stdout to say READY on")
    threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=START_TIMEOUT_S)
    except queue.Empty as error:
        raise RuntimeError("the sandbox did not start in time") from error
    if not line.startswith(READY):
        raise RuntimeError(f"the sandbox ended with {process.wait()}: {line!r}")
    return line.removeprefix(READY).strip()
