"""The servers around the product and its peers: upstream, nats-server, PostgreSQL as it comes, Redis."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.children import tie_to_us
from tests.nats_server import NatsServer, free_port, nats_server

ROOT = Path(__file__).resolve().parent.parent
START_S = 60.0
# The tests' server does without what keeps data safe in a power cut; a measured one must not.
AS_IT_COMES = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum_naptime": "1min"}


@dataclass(frozen=True)
class UpstreamServer:
    """benchmarks.upstream in a process of its own."""

    url: str
    pid: int

    def control(self, what: str, **query: Any) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_ctl/{what}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
            return dict(json.load(answer))


@contextlib.contextmanager
def upstream(records: int = 50_000, **environ: str) -> Iterator[UpstreamServer]:
    """The upstream with so many records; `environ` as in its docstring (UP_DELAY_MS="100")."""
    port = free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "benchmarks.upstream:app", *address],
        cwd=ROOT,
        env={**os.environ, "UP_N": str(records), **environ},
        preexec_fn=tie_to_us(),
    )
    server = UpstreamServer(f"http://127.0.0.1:{port}", process.pid)
    try:
        eventually(lambda: _answers(server), START_S, "the upstream does not answer")
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _answers(server: UpstreamServer) -> bool:
    with contextlib.suppress(OSError):
        return bool(server.control("stats"))
    return False


def eventually(claim: Any, within_s: float, told: str, *, every_s: float = 0.05) -> Any:
    """What `claim()` gives, as soon as it is something. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while not (found := claim()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{told} within {within_s:.0f} s")
        time.sleep(every_s)
    return found


class Jetstream:
    """One standing connection to look at streams with, from plain code; its loop runs in a thread."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.client = self.run(server.connect())

    def run(self, coroutine: Any, *, within_s: float = 60.0) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(within_s)

    def ask(self, verb: str, body: Any = None) -> dict[str, Any]:
        """One JetStream API request; errors come back as {"error": …}."""
        payload = json.dumps(body).encode() if body is not None else b""
        return dict(json.loads(self.run(self.client.request(f"$JS.API.{verb}", payload, timeout=30)).data))

    def make(self, name: str, prefix: str) -> None:
        """A stream as the console recommends it, whatever was there before."""
        self.drop(name)
        self.run(self.server.make_stream(name, prefix))

    def drop(self, name: str) -> None:
        self.ask(f"STREAM.DELETE.{name}")

    def state(self, name: str) -> dict[str, Any]:
        """Of a stream: messages, bytes, last_seq, last_ts …; empty when there is no such stream."""
        return dict(self.ask(f"STREAM.INFO.{name}").get("state") or {})

    def close(self) -> None:
        self.run(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)


def last_stored_at(state: dict[str, Any]) -> float:
    """When a stream stored its last message, unix seconds, by the server's clock."""
    whole, _, fraction = state["last_ts"].rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")


@contextlib.contextmanager
def nats() -> Iterator[tuple[NatsServer, Jetstream]]:
    """A nats-server with JetStream on files and a monitoring port, and a connection to look at it."""
    with nats_server(http=f"127.0.0.1:{free_port()}") as server:
        jetstream = Jetstream(server)
        try:
            yield server, jetstream
        finally:
            jetstream.close()


def nats_traffic(server: NatsServer) -> dict[str, int]:
    """Messages and bytes that clients have sent to the server so far."""
    with urllib.request.urlopen(f"http://{server.config['http']}/varz", timeout=10) as answer:
        told = json.load(answer)
    return {"messages": told["in_msgs"], "bytes": told["in_bytes"]}


def folder_bytes(folder: Path) -> int:
    """Disk space that the files of a folder take."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis that keeps nothing on disk; its URL."""
    from tests import redis_server

    with (
        tempfile.TemporaryDirectory(prefix="sequin-bench-redis-") as folder,
        redis_server.running(Path(folder)) as server,
    ):
        yield server.url
