"""From a commit to the stream: `python -m benchmarks.latency [--quick]`.

A process appends to the logs of 20 syncs, 100 changes a second, as a sync's worker does: `log.append`, one record each.
It notes when each transaction had committed. A subscriber notes when it was given each message; the same clock. The
console's clusters and scheduler run as deployed, idle but for this.
"""

import contextlib
import time
from typing import Any

from benchmarks import deployed, figures, part, servers
from benchmarks.part import Scale, Teller
from benchmarks.servers import Jetstream, eventually

SYNCS, RECORDS, RATE = 20, 200, 100.0
BACKENDS = {"sqlite": (False, False), "postgres": (True, False), "postgres and redis": (True, True)}
GRACE_S = 30.0


class Arrivals:
    """When each message came, by (sync id, sequence in the log)."""

    def __init__(self, jetstream: Jetstream, prefix: str) -> None:
        self.seen: dict[tuple[str, int], float] = {}
        self._jetstream = jetstream
        self._subscription = jetstream.run(self._subscribe(prefix))

    async def _subscribe(self, prefix: str) -> Any:
        return await self._jetstream.client.jetstream().subscribe(f"{prefix}.>", cb=self._take, ordered_consumer=True)

    async def _take(self, message: Any) -> None:
        now = time.time()
        self.seen[(message.subject.split(".")[1], int(message.headers["Sequin-Seq"]))] = now

    def close(self) -> None:
        self._jetstream.run(self._subscription.unsubscribe())


def measure_one(scale: Scale, server: Any, redis_url: str) -> dict[str, Any]:
    """Milliseconds from commit to arrival, and what the processes spent meanwhile."""
    with (
        servers.upstream(10) as upstream,
        servers.nats() as (nats, jetstream),
        deployed.running_product(upstream, nats, jetstream, server=server, redis_url=redis_url) as ours,
    ):
        ours.module = "benchmarks.writer"
        ours.hands.do("open_logs", syncs=SYNCS, records=RECORDS)
        ours.start()
        place = {"prefix": deployed.PREFIX, "host": nats.host, "port": nats.port}
        ours.hands.do("create_consumer", name="latency", **place)
        eventually(lambda: ours.cursor()[:2] == (SYNCS * RECORDS,) * 2, GRACE_S, "the logs were not delivered")
        arrivals = Arrivals(jetstream, deployed.PREFIX)
        with contextlib.closing(arrivals):
            eventually(lambda: len(arrivals.seen) == SYNCS * RECORDS, GRACE_S, "the subscriber has not all")
            ours.hands.do("change", rate=RATE, seconds=2, revision=1)
            meter, began = ours.meter(), time.monotonic()
            committed = ours.hands.do("change", rate=RATE, seconds=scale.latency_s, revision=2)
            took_s = time.monotonic() - began
            keys = [(sync, seq) for sync, seq, _ in committed]
            with contextlib.suppress(TimeoutError):  # a change may be overtaken by the next of the same record
                eventually(lambda: all(key in arrivals.seen for key in keys), 5.0, "not all arrived")
            cpu = meter.read()
    waits = [arrivals.seen[(sync, seq)] - at for sync, seq, at in committed if (sync, seq) in arrivals.seen]
    return {
        "changes": len(committed),
        "arrived": len(waits),
        "rate": round(len(committed) / took_s, 1),
        "ms": figures.latency_ms(waits),
        "cpu_s": cpu,
        "seconds": took_s,
    }


def measure(scale: Scale, say: Teller) -> dict[str, Any]:
    found: dict[str, Any] = {"syncs": SYNCS, "wanted_rate": RATE, "backends": {}, "failed": {}}
    with deployed.postgres() as server, servers.redis() as redis_url:
        for name, (on_postgres, on_redis) in BACKENDS.items():
            try:
                one = measure_one(scale, server if on_postgres else None, redis_url if on_redis else "")
            except Exception as error:
                found["failed"][name] = f"{type(error).__name__}: {error}"[-600:]
                say(f"{name} failed: {found['failed'][name]}")
                continue
            found["backends"][name] = one
            say.keep(found)
            say(
                f"{name}: {one['ms']} ms; {one['arrived']} of {one['changes']} at {one['rate']}/s; CPU s {one['cpu_s']}"
            )
    return found


if __name__ == "__main__":
    part.main(__doc__, measure)
