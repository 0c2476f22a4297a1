"""A real Redis for tests: a folder and a free port of its own, stopped by its own process.

    with redis_server.running(folder) as server:
        server.url                                      # redis://127.0.0.1:41234/0, as REDIS_URL takes it
        server.kill(); server.start()                   # SIGKILL, and again on the same port; what it held is gone
        server.pause(); server.resume()                 # SIGSTOP, SIGCONT

It keeps nothing on disk, like most Redis that serve as a cache or queue: whoever stands on it must bear its loss.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.children import free_port, tie_to_us

READY_S, STOP_S = 10.0, 10.0
DATABASES = 10_000


@dataclass
class RedisServer:
    """One server process; its log is in `folder`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The server has DATABASES of them; each is a Redis of its own to who is given its URL."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start (again) on the same port; returns when it answers. Raises RuntimeError with its log if it does not."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "databases": str(DATABASES),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [_binary(), *options], stdout=log, stderr=log, cwd=self.folder, preexec_fn=tie_to_us()
            )
        deadline = time.monotonic() + READY_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start: {(self.folder / 'redis.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as probe:
            probe.settimeout(0.5)
            probe.sendall(b"PING\r\n")
            return probe.recv(7) == b"+PONG\r\n"
        return False

    def kill(self) -> None:
        """SIGKILL, as in a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: int) -> None:
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # one that is paused would not hear of it
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _binary() -> str:
    path = shutil.which("redis-server")
    assert path is not None, "no redis-server: run `make setup`, which gets one (Debian: apt-get install redis-server)"
    return path


@contextlib.contextmanager
def running(folder: Path) -> Iterator[RedisServer]:
    """A server for as long as the block lasts, its files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = RedisServer(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
