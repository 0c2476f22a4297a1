"""From a change upstream to the stream: `python -m benchmarks.near_real_time [--quick]`.

The sandbox plays Stripe. Its customers are changed one after the other, at random moments; a subscriber notes when it
is given each version. Once with a webhook and a look a day, once without and a look every two seconds; and Salesforce's
contacts by change events, with a look a day. Noted is the time from just before the change is asked for, so the
sandbox's own part is in it. Of webhooks also how long the receiver took to answer each delivery, as the sender
sees it: providers expect an answer at once.
"""

import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import deployed, figures, part, servers
from benchmarks.latency import BACKENDS
from benchmarks.part import Scale, Teller
from benchmarks.servers import Jetstream, eventually
from sandbox.process import RunningSandbox, running
from tests.nats_server import free_port

CUSTOMERS, PAUSE_S, GRACE_S = 20, (0.1, 0.5), 30.0
KEY = "rk_test_sandbox_demo"
DAY_S = 86_400


@dataclass(frozen=True)
class Mode:
    """How changes are found: of which records, at which interval, and what is done once history is read."""

    provider: str = "stripe"
    name: str = "customers"
    collection: str = "stripe:customer"
    field: str = "name"
    poll_s: int = DAY_S
    version: Callable[[Any], tuple[str, str]] = lambda record: (record["id"], record["metadata"]["sandbox_version"])

    @property
    def path(self) -> str:
        return f"records/{self.provider}/{self.name}"


MODES = {
    "webhook": Mode(),
    "polling every 2 s": Mode(poll_s=2),
    "change events": Mode(
        "salesforce",
        "Contact",
        "salesforce:contact",
        "LastName",
        version=lambda record: (record["Id"], str(record["Sandbox_Version__c"])),
    ),
}


class Versions:
    """When each version of each record came, by (id, version)."""

    def __init__(self, jetstream: Jetstream, prefix: str, mode: Mode) -> None:
        self.seen: dict[tuple[str, str], float] = {}
        self._mode = mode
        self._jetstream = jetstream
        self._subscription = jetstream.run(self._subscribe(prefix))

    async def _subscribe(self, prefix: str) -> Any:
        return await self._jetstream.client.jetstream().subscribe(f"{prefix}.>", cb=self._take, ordered_consumer=True)

    async def _take(self, message: Any) -> None:
        now, record = time.time(), json.loads(message.data)["data"]
        self.seen.setdefault(self._mode.version(record), now)

    def close(self) -> None:
        self._jetstream.run(self._subscription.unsubscribe())


class Upstream:
    """The sandbox, as `running_product` takes an upstream."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.url, self.pid = sandbox.stripe, sandbox.process.pid


def measure_one(sandbox: RunningSandbox, scale: Scale, title: str, server: Any, redis_url: str) -> dict[str, Any]:
    """Milliseconds from change to arrival."""
    mode = MODES[title]
    sandbox.control("POST", "reset", {"seed": "empty"})
    sandbox.control("POST", "settings", {"salesforce_change_data_capture": "Contact"})
    ids = sandbox.control("POST", mode.path, [{mode.field: f"n{n}"} for n in range(CUSTOMERS)])["ids"]
    upstream: Any = Upstream(sandbox)
    with (
        servers.nats() as (nats, jetstream),
        deployed.running_product(upstream, nats, jetstream, server=server, redis_url=redis_url) as ours,
    ):
        port = free_port()
        ours.environ["PUBLIC_URL"] = f"http://127.0.0.1:{port}"
        ours.environ["SEQUIN_PROVIDER_URLS"] = json.dumps({key: sandbox.side(key) for key in ("stripe", "salesforce")})
        ours.start(web=True, port=port)
        place = {"prefix": deployed.PREFIX, "host": nats.host, "port": nats.port}
        ours.hands.do("create_consumer", name="near", **place)
        if mode.provider == "salesforce":
            grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
            credential = ours.hands.do("connect_salesforce", grant=grant)
        else:
            credential = ours.hands.do("connect", secret=KEY)
        picked = {"collections": [mode.collection], "poll_s": mode.poll_s}
        ours.hands.do("create_sync", name="near", credential=credential, **picked)
        versions = Versions(jetstream, deployed.PREFIX, mode)
        with contextlib.closing(versions):
            eventually(lambda: len(versions.seen) == CUSTOMERS, GRACE_S, "the customers did not arrive")
            eventually(lambda: ours.read_at() > 0, GRACE_S, "the history was not read")
            if title == "webhook":
                assert ours.hands.do("set_up_webhook", credential=credential), "not registered"
            if title == "change events":
                is_heard = lambda: bool(sandbox.control("GET", "salesforce/subscribers")["subscribers"])  # noqa: E731
                eventually(is_heard, GRACE_S, "nobody listens")
            waits = _change(sandbox, versions, ids, scale.latency_s * 2, mode)
    return {"changes": len(waits), "ms": figures.latency_ms(waits)} | _answers(sandbox)


def _answers(sandbox: RunningSandbox) -> dict[str, Any]:
    """Milliseconds until the receiver answered, of the deliveries it took; nothing where none were sent."""
    sent = sandbox.control("GET", "webhooks/stripe")["sent"]
    taken = [item["ms"] / 1000 for item in sent if item["outcome"] == "204"][5:]  # the first few only warm up
    refused = sum(item["outcome"] != "204" for item in sent)
    return {"answered": len(taken), "refused": refused, "answer_ms": figures.latency_ms(taken)} if taken else {}


def _change(sandbox: RunningSandbox, versions: Versions, ids: list[str], seconds: float, mode: Mode) -> list[float]:
    """Change records for so long; how long each change took to arrive. The first few only warm up."""
    dice, asked = random.Random(7), {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        key, at = dice.choice(ids), time.time()
        changed = sandbox.control("PATCH", f"{mode.path}/{key}", {mode.field: f"at {at}"})
        asked[(key, str(changed["version"]))] = at
        time.sleep(dice.uniform(*PAUSE_S))
    # A change that was overtaken by the record's next one is in that one's message.
    newest = {key: max(int(version) for each, version in asked if each == key) for key, _ in asked}
    eventually(
        lambda: all((key, str(version)) in versions.seen for key, version in newest.items()), GRACE_S, "not all arrived"
    )
    told = list(asked.items())[5:]
    return [_arrived(versions, key, int(version)) - at for (key, version), at in told]


def _arrived(versions: Versions, key: str, version: int) -> float:
    """When this version, or a later one of the record, was first seen."""
    return min(at for (each, found), at in versions.seen.items() if each == key and int(found) >= version)


def measure(scale: Scale, say: Teller) -> dict[str, Any]:
    found: dict[str, Any] = {"backends": {}, "failed": {}}
    with (
        tempfile.TemporaryDirectory(prefix="sequin-bench-sandbox-") as folder,
        running(Path(folder)) as sandbox,
        deployed.postgres() as server,
        servers.redis() as redis_url,
    ):
        for name, (on_postgres, on_redis) in BACKENDS.items():
            if on_postgres != on_redis:
                continue
            for mode in MODES:
                title = f"{name}, {mode}"
                try:
                    one = measure_one(
                        sandbox, scale, mode, server if on_postgres else None, redis_url if on_redis else ""
                    )
                except Exception as error:
                    found["failed"][title] = f"{type(error).__name__}: {error}"[-600:]
                    say(f"{title} failed: {found['failed'][title]}")
                    continue
                found["backends"][title] = one
                say.keep(found)
                say(f"{title}: {one['ms']} ms of {one['changes']} changes")
                if "answer_ms" in one:
                    say(f"{title}: answered in {one['answer_ms']} ms, {one['answered']} deliveries")
    return found


if __name__ == "__main__":
    part.main(__doc__, measure)
