"""Three real nats-servers that are one JetStream cluster, for leader changes.

    with nats_cluster() as cluster:
        run(cluster.make_stream())
        leader = run(cluster.leader())              # the NatsServer that leads the stream
        leader.kill(); leader.start()
        run(cluster.step_down())                    # the same without killing anybody

`ask`, `connect`, `messages`, `make_stream` are NatsServer's own, by way of whichever member answers.
"""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats

from tests.nats_server import NatsServer, free_port, run

READY_S, TRIES = 30.0, 3
PASSED_ON = {10008, 10009, 10118}  # no leader just now: ask again


@dataclass
class NatsCluster(NatsServer):
    """`members` are the servers; host and port are the first's."""

    members: list[NatsServer] = field(default_factory=list)

    @property
    def hosts(self) -> list[str]:
        return [f"{member.host}:{member.port}" for member in self.members]

    @property
    def alive(self) -> list[NatsServer]:
        return [member for member in self.members if member.process is not None]

    async def make_stream(self, name: str = "SEQUIN-RECORDS", prefix: str = "sequin-records", **config: Any) -> None:
        """With three replicas; one of the same name goes first."""
        await self.ask(f"STREAM.DELETE.{name}")
        await super().make_stream(name, prefix, num_replicas=3, **config)
        await self.wait_until_whole(name)

    async def connect(self, **options: Any) -> Any:
        urls = [member.url for member in self.alive]
        return await nats.connect(urls, **{"connect_timeout": 5, "allow_reconnect": False, **options})

    async def ask(self, verb: str, body: Any = None) -> dict[str, Any]:
        """One JetStream API request, again while the cluster is choosing a leader."""
        deadline, payload = time.monotonic() + READY_S, json.dumps(body).encode() if body is not None else b""
        answer: dict[str, Any] = {}
        while time.monotonic() < deadline:
            with contextlib.suppress(nats.errors.Error, OSError):
                client = await self.connect()
                try:
                    answer = json.loads((await client.request(f"$JS.API.{verb}", payload, timeout=3)).data)
                finally:
                    await client.close()
                if answer.get("error", {}).get("err_code") not in PASSED_ON:
                    return answer
            time.sleep(0.2)
        raise AssertionError(f"the cluster did not answer {verb}: {answer}")

    async def messages(self, name: str = "SEQUIN-RECORDS", *, subject: str = ">") -> list[Any]:
        """As NatsServer's; again while the cluster is choosing a leader."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                return await super().messages(name, subject=subject)
            except (nats.errors.Error, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    async def leader(self, stream: str = "SEQUIN-RECORDS") -> NatsServer:
        """The member that leads a stream."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            name = (await self.ask(f"STREAM.INFO.{stream}")).get("cluster", {}).get("leader")
            for member in self.alive:
                if member.config["server_name"] == name:
                    return member
            time.sleep(0.1)
        raise AssertionError(f"{stream} has no leader")

    async def step_down(self, stream: str = "SEQUIN-RECORDS") -> None:
        await self.ask(f"STREAM.LEADER.STEPDOWN.{stream}", {})

    async def wait_until_whole(self, stream: str = "SEQUIN-RECORDS") -> None:
        """Until all replicas are there and current, so that the next may be killed."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            cluster = (await self.ask(f"STREAM.INFO.{stream}")).get("cluster", {})
            replicas = cluster.get("replicas") or []
            if cluster.get("leader") and len(replicas) == 2 and all(one.get("current") for one in replicas):
                return
            time.sleep(0.1)
        raise AssertionError(f"{stream} did not become whole: {cluster}")


@contextlib.contextmanager
def nats_cluster() -> Iterator[NatsCluster]:
    """Three servers with a JetStream leader; another set of free ports is tried when one was taken meanwhile."""
    for left in reversed(range(TRIES)):
        folder = Path(tempfile.mkdtemp(prefix="sequin-cluster-"))
        cluster = _make(folder)
        try:
            try:
                for member in cluster.members:
                    member.start()
                run(_ready(cluster))
            except (RuntimeError, AssertionError):
                if not left:
                    raise
                continue
            yield cluster
            return
        finally:
            for member in cluster.members:
                member.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path) -> NatsCluster:
    routes = [free_port() for _ in range(3)]
    members = []
    for no, route in enumerate(routes, 1):
        home, port = folder / f"n{no}", free_port()
        home.mkdir()
        config = {
            "host": "127.0.0.1",
            "port": port,
            "server_name": f"n{no}",
            "jetstream": {"store_dir": str(home / "store")},
            "cluster": {
                "name": "test",
                "host": "127.0.0.1",
                "port": route,
                "no_advertise": True,
                "routes": [f"nats://127.0.0.1:{other}" for other in routes if other != route],
            },
        }
        members.append(NatsServer(home, config, port))
    return NatsCluster(folder, {}, members[0].port, members=members)


async def _ready(cluster: NatsCluster) -> None:
    """A meta leader that sees all three: a replicated stream can be made, and is taken away again."""
    deadline = time.monotonic() + READY_S
    config = {"name": "READY", "subjects": ["ready"], "num_replicas": 3}
    while "error" in (answer := await cluster.ask("STREAM.CREATE.READY", config)):
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    await cluster.ask("STREAM.DELETE.READY")
