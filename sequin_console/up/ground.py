"""The ground `up` stands on, taken before Django reads its settings: data folder, lock, ports, environment."""

import contextlib
import os
import sys
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sequin_console.up import arguments, runfile
from sequin_console.up.arguments import LOOPBACK
from sequin_console.up.ports import PortBook, PortTaken


@dataclass(frozen=True)
class Ground:
    """What this run has taken. `url` is where this machine reaches the console, whatever PUBLIC_URL says."""

    data_dir: Path
    host: str
    ports: dict[str, int]
    demo: bool
    lock_fd: int
    book: PortBook
    since_s: float

    def say(self, text: str) -> None:
        """One line for the person at the terminal, with the seconds since the start."""
        self.write(f"{time.monotonic() - self.since_s:6.1f} s  {text}\n")

    def write(self, text: str) -> None:
        """A terminal that was closed must not keep us from stopping in order."""
        with contextlib.suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()

    @property
    def url(self) -> str:
        return arguments.url(self.host, self.ports["web"])

    @property
    def nats_url(self) -> str:
        return f"nats://{LOOPBACK}:{self.ports['nats']}"

    @property
    def sandbox_url(self) -> str | None:
        return arguments.url(LOOPBACK, self.ports["sandbox"]) if self.demo else None


_taken: Ground | None = None


def take(argv: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> Ground | None:
    """Take folder, lock and ports, and tell the settings by the environment, which children inherit.

    Returns None when only help is asked for. Raises SystemExit, with a sentence, when we cannot have them.
    """
    global _taken
    if {"-h", "--help"} & set(argv):
        return None
    since_s = time.monotonic()
    options = arguments.parse(argv, environ)
    try:
        options.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_fd = runfile.lock(options.data_dir)
        book = PortBook(options.data_dir / "ports.json")
        any_port = 0 if options.port == 0 else None
        ports = {
            "web": book.choose("web", options.host, options.port),
            "nats": book.choose("nats", LOOPBACK, any_port),
        }
        if options.demo:
            ports["sandbox"] = book.choose("sandbox", LOOPBACK, any_port)
    except (runfile.AlreadyRunning, PortTaken) as refusal:
        raise SystemExit(str(refusal)) from None
    except OSError as error:
        raise SystemExit(f"The data folder {options.data_dir} cannot be used: {error.strerror}.") from None
    _taken = Ground(options.data_dir, options.host, ports, options.demo, lock_fd, book, since_s)
    _tell_settings(_taken, options.workers, environ)
    _taken.say(f"data folder {options.data_dir}, console on port {ports['web']}, NATS on port {ports['nats']}")
    for note in book.notes:
        _taken.say(note)
    return _taken


def taken() -> Ground | None:
    return _taken


def _tell_settings(ground: Ground, workers: int, environ: MutableMapping[str, str]) -> None:
    environ["SEQUIN_DATA_DIR"] = str(ground.data_dir)
    environ["SEQUIN_PORT"] = str(ground.ports["web"])
    environ["SEQUIN_WORKERS"] = str(workers)
    environ["SEQUIN_NATS_URL"] = ground.nats_url
    environ["SEQUIN_SANDBOX_URL"] = ground.sandbox_url or ""
    if not environ.get("PUBLIC_URL"):
        environ["PUBLIC_URL"] = ground.url
