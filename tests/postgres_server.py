"""A real PostgreSQL for tests: a folder and a free port of its own, stopped by its own process.

with postgres_server.running(folder) as server:
    server.url                                      # postgres://…, as DATABASE_URL takes it
    server.create("console", template="migrated")   # a database, and its URL
    server.kill(); server.start()                   # SIGKILL of the postmaster, and recovery on the same port
    server.pause(); server.resume()                 # SIGSTOP, SIGCONT of all its processes
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.children import free_port, tie_to_us

READY_S, STOP_S = 60.0, 20.0
# Nothing here outlives the machine: no fsync. Shared memory of its own kind, so that a SIGKILL leaves none behind.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10min",
}


def newest() -> Path | None:
    """The folder of the newest PostgreSQL's programs on this machine."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


def _bin() -> Path:
    folder = newest()
    assert folder is not None, "no PostgreSQL: run `make setup`, which gets it (Debian: apt-get install postgresql)"
    return folder


def _as_somebody_else() -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, or `nobody` where there is no such user."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    return ["setpriv", "--reuid", user, "--clear-groups"]


@dataclass
class PostgresServer:
    """One server; `settings` are PostgreSQL's own."""

    folder: Path
    port: int
    settings: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgres://sequin@127.0.0.1:{self.port}/{database}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def initialise(self) -> None:
        """Make the data directory, readable to the user the server runs as."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = _as_somebody_else()
        if user:
            shutil.chown(self.folder, user[2])
            for parent in self.folder.parents:  # the server's user must be able to come this far
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        command = [*user, _bin() / "initdb", "-D", self.folder / "data", "-U", "sequin", "-A", "trust", "-E", "UTF8"]
        done = subprocess.run([*command, "--no-sync"], capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start (again) on the same port and data; returns when it takes connections. Raises RuntimeError if not.

        It is tried again while processes of a killed postmaster still have its memory.
        """
        deadline = time.monotonic() + READY_S
        self._launch()
        while not self._answers():
            if self.process is None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {self.log[-2000:]}")
            time.sleep(0.05)
            if self.process.poll() is not None:
                self._launch()

    def _launch(self) -> None:
        user = _as_somebody_else()
        if user:
            user = [*user, "--pdeathsig", "QUIT"]  # another user's rights clear the wish that tie_to_us makes
        settings = {**SETTINGS, **self.settings, "port": self.port}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*user, _bin() / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=tie_to_us(signal.SIGQUIT),
            )

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=2).close()
            return True
        return False

    def create(self, database: str, *, template: str = "template1") -> str:
        """A new database, a copy of another to which nobody is connected; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url_of(database)

    def drop(self, database: str) -> None:
        """Whoever is connected is thrown out."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def kill(self) -> None:
        """SIGKILL to the postmaster; its processes end by themselves when they notice."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """At once, whoever is connected (immediate shutdown: the next start recovers)."""
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, how: int) -> None:
        process = self.process
        if process is None or process.poll() is not None:
            return
        self.resume()
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
        self.process = None


@contextlib.contextmanager
def running(folder: Path, **settings: Any) -> Iterator[PostgresServer]:
    """A server for as long as the block lasts, its data in `folder`. `settings`: PostgreSQL's own, over SETTINGS."""
    server = PostgresServer(folder, free_port(), settings)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
