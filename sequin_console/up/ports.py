"""Which ports to use. The first one chosen is kept in the data folder: an OAuth redirect URL must stay true."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DEFAULTS = {"web": 8000, "nats": 4222, "sandbox": 8200}
LABELS = {"web": "console", "nats": "NATS", "sandbox": "sandbox"}
NEIGHBOURS = 50
PATIENCE_S = 2.0  # a port of our own last run may take a moment to be let go

IsFree = Callable[[str, int], bool]


class PortTaken(Exception):
    """The port somebody asked for by name is in use."""


def is_free(host: str, port: int) -> bool:
    """Whether we could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def any_free(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


@dataclass
class PortBook:
    """Chooses ports, and holds each for this process: two `up` that start at once never choose the same."""

    path: Path
    probe: IsFree = is_free
    notes: list[str] = field(default_factory=list)
    _claims: list[socket.socket] = field(default_factory=list)

    def choose(self, name: str, host: str, asked: int | None = None, patience_s: float = PATIENCE_S) -> int:
        """The port for `web`, `nats` or `sandbox`. Raises PortTaken when `asked` names one that is in use."""
        kept = self._kept().get(name)
        if asked:
            if not self._take_patiently(host, asked, patience_s):
                raise PortTaken(
                    f"Port {asked} is taken by another program. Choose another, or stop what listens there."
                )
            return self._keep(name, asked)
        if kept and self._take_patiently(host, kept, patience_s):
            return kept
        first = kept or (0 if asked == 0 else DEFAULTS[name])
        port = next(port for port in _candidates(host, first) if self._take(host, port))
        if kept:  # this time only: the kept one is what redirect URLs were registered with
            self.notes.append(f"port {kept} of the {LABELS[name]} is taken by another program; {port} for now")
            return port
        return self._keep(name, port)

    def _take_patiently(self, host: str, port: int, patience_s: float) -> bool:
        give_up_s = time.monotonic() + patience_s
        while not self._take(host, port):
            if time.monotonic() >= give_up_s:
                return False
            time.sleep(0.1)
        return True

    def _take(self, host: str, port: int) -> bool:
        """Claim and probe. The claim is an abstract socket: it needs no file and ends with the process."""
        if sys.platform == "linux":
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0sequin-console-port-{port}")
            except OSError:
                claim.close()
                return False
            if not self.probe(host, port):
                claim.close()
                return False
            self._claims.append(claim)
            return True
        return self.probe(host, port)

    def release(self) -> None:
        while self._claims:
            self._claims.pop().close()

    def _kept(self) -> dict[str, int]:
        try:
            return {name: int(port) for name, port in json.loads(self.path.read_text()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _keep(self, name: str, port: int) -> int:
        kept = self._kept()
        if kept.get(name) != port:
            draft = self.path.with_suffix(".new")
            draft.write_text(json.dumps({**kept, name: port}))
            draft.replace(self.path)
        return port


def _candidates(host: str, first: int) -> Iterator[int]:
    """`first`, its neighbours, then whatever the system gives; only the latter for 0."""
    if first:
        yield from range(first, min(first + NEIGHBOURS, 65536))
    while True:
        yield any_free(host)
