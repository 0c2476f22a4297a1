"""What a user would take instead: each in a virtual environment of its own, its versions pinned in `{key}.txt`.

The scripts beside this file run in those environments; they share publisher.py, so that what differs is the engine.
"""

import contextlib
import hashlib
import os
import resource
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_s, memory_bytes, tree
from benchmarks.servers import Jetstream, UpstreamServer, last_stored_at
from tests.nats_server import NatsServer

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".peers"
STREAM, PREFIX = "BENCH", "bench"
WITHIN_S = 120.0


@dataclass(frozen=True)
class Peer:
    """scripts  run as one pipe, from left to right"""

    key: str
    label: str
    scripts: tuple[str, ...]


PEERS = (
    Peer("good", "by hand: httpx, publish_async", ("good.py",)),
    Peer("redpanda", "Redpanda Connect (embedded)", ("redpanda.py",)),
    Peer("airbyte", "airbyte-cdk", ("airbyte_tap.py", "airbyte_target.py")),
    Peer("dlt", "dlt", ("dlt_pipeline.py",)),
    Peer("singer", "singer-sdk", ("singer_tap.py", "singer_target.py")),
)
BY_KEY = {peer.key: peer for peer in PEERS}


class PeerFailed(Exception):
    """It could not be installed, or did not do the work; says why."""


def python_of(peer: Peer) -> Path:
    """The peer's own Python; its environment is made when it lacks or its pins have changed. Raises PeerFailed."""
    folder, pins = ENVIRONMENTS / peer.key, HERE / f"{peer.key}.txt"
    python, stamp = folder / "bin" / "python", folder / "pins"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        steps = (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-r", str(pins)],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                raise PeerFailed(f"cannot be installed: {(done.stderr.strip() or '?').splitlines()[-1]}")
        stamp.write_text(digest)
    return python


def run(peer: Peer, upstream: UpstreamServer, nats: NatsServer, jetstream: Jetstream, records: int) -> dict[str, Any]:
    """Let it carry all records to a fresh stream. Raises PeerFailed unless the stream then holds exactly so many.

    Seconds: `whole_s` of the whole process; `from_first_request_s` until the stream stored the last message.
    """
    python = python_of(peer)
    command = " | ".join(shlex.join([str(python), str(HERE / script)]) for script in peer.scripts)
    jetstream.make(STREAM, PREFIX)
    upstream.control("reset")
    assert nats.process
    before = [cpu_s(nats.process.pid), cpu_s(upstream.pid), _children_cpu_s()]
    started = time.time()
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "UPSTREAM": upstream.url, "NATS_URL": nats.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    memory = _Watch(process)
    try:
        _, complaint = process.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        for pid in reversed(tree(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        raise PeerFailed(f"did not end within {WITHIN_S:.0f} s") from None
    ended = time.time()
    if process.returncode:
        raise PeerFailed(complaint.decode()[-500:])
    after = [cpu_s(nats.process.pid), cpu_s(upstream.pid), _children_cpu_s()]
    state, stats = jetstream.state(STREAM), upstream.control("stats")
    if state["messages"] != records:
        raise PeerFailed(f"the stream holds {state['messages']} messages, not {records}")
    server, source, own = (round(now - then, 2) for now, then in zip(after, before, strict=True))
    return {
        "records": records,
        "whole_s": ended - started,
        "from_first_request_s": last_stored_at(state) - stats["first_at"],
        "pages_s": stats["last_page_at"] - stats["first_page_at"],
        "cpu_s": {"peer": own, "nats-server": server, "upstream": source},
        "peak_bytes": {"peer": memory.peak},
    }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch(threading.Thread):
    """The most memory a process and its descendants had at once, looked at ten times a second."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self.process, self.peak = process, 0
        self.start()

    def run(self) -> None:
        while self.process.poll() is None:
            self.peak = max(self.peak, sum(memory_bytes(pid, "VmRSS") for pid in tree(self.process.pid)))
            time.sleep(0.1)
