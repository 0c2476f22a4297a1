"""What it costs as work grows: `python -m benchmarks.growth [--quick] [--database sqlite|postgres]`.

1. One log is laid to 10 thousand, 100 thousand and a million records, by `log.append` with pages of 500. CPU a record
   (of the appending process, and of PostgreSQL where there is one): of growing from the size before; at this size, of
   changing 10 thousand in order, of finding them unchanged, and of changing 10 thousand scattered over the log.
2. At each size a new consumer is made and the whole log replayed to it by the consumers' cluster: messages a second
   from its creation to the last one stored, CPU a message, and the most memory a worker had.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks import deployed, part, servers
from benchmarks.deployed import Product
from benchmarks.part import Scale, Teller
from benchmarks.processes import Meter
from benchmarks.servers import eventually, last_stored_at

SAMPLE = 10_000
DEEDS = ("append", "update", "unchanged", "scattered update")
REPLAY_WITHIN_S = 240.0


class Growing:
    """A product whose log grows."""

    def __init__(self, ours: Product) -> None:
        self.ours = ours
        self.revision = self.held = 0
        ours.module = "benchmarks.writer"
        self.sync = ours.hands.do("open_logs", syncs=1, records=0)[0]

    def cost(self, held: int) -> dict[str, Any]:
        """CPU µs a record of growing to this size, and of what is done at it."""
        laid, self.held = held - self.held, held
        grown = self._us("lay", laid, records=held)
        self.revision += 2
        old, new = self.revision - 1, self.revision
        return {
            "append": grown,
            "update": self._us("update", SAMPLE, records=SAMPLE, revision=old),
            "unchanged": self._us("update", SAMPLE, records=SAMPLE, revision=old),
            "scattered update": self._us("update", SAMPLE, records=SAMPLE, revision=new, scattered=True),
            "writer_peak_bytes": self.ours.hands.do("peak_bytes"),
        }

    def _us(self, deed: str, count: int, **told: Any) -> dict[str, float]:
        database = Meter(lambda: {"postgres": self.ours.database.pids()})
        spent = {"console": self.ours.hands.do(deed, number=0, **told)}
        if self.ours.database.server:
            spent |= database.read()
        return {who: round(cpu_s / count * 1e6, 1) for who, cpu_s in spent.items()}

    def replay(self, held: int) -> dict[str, Any]:
        """The whole log to a consumer made for it, which is removed afterwards."""
        ours, host = self.ours, {"host": self.ours.nats.host, "port": self.ours.nats.port}
        ours.start(only=("consumers", "scheduler"))
        meter = ours.meter()
        consumer = ours.hands.do("create_consumer", name=f"replay {held}", prefix=deployed.PREFIX, **host)
        eventually(lambda: ours.cursor()[1] == ours.cursor()[0], REPLAY_WITHIN_S, "not all was replayed", every_s=0.2)
        cpu, peak = meter.read(), meter.peak_bytes()
        state = ours.jetstream.state(deployed.STREAM)
        assert state["messages"] == held, f"the stream holds {state['messages']} messages, not {held}"
        took_s = last_stored_at(state) - consumer["asked_at"]
        ours.stop_processes()
        ours.hands.do("remove_consumer", consumer=consumer["id"])
        ours.jetstream.drop(deployed.STREAM)
        return {
            "messages": held,
            "took_s": took_s,
            "per_s": held / took_s,
            "cpu_us": {role: round(cpu_s / held * 1e6, 1) for role, cpu_s in cpu.items()},
            "peak_bytes": peak,
        }


def measure_one(scale: Scale, server: Any) -> Iterator[dict[str, Any]]:
    """What it costs at each size, smallest first."""
    with (
        servers.upstream(10) as upstream,
        servers.nats() as (nats, jetstream),
        deployed.running_product(upstream, nats, jetstream, server=server) as ours,
    ):
        growing = Growing(ours)
        for held in scale.held:
            one = {"held": held, **growing.cost(held)}
            one["replay"] = growing.replay(held)
            one["database_bytes"] = ours.database.size_bytes()
            yield one


def measure(scale: Scale, say: Teller) -> dict[str, Any]:
    found: dict[str, Any] = {"sample": SAMPLE, "backends": {}, "failed": {}}
    for name in ("sqlite", "postgres"):
        say(name)
        try:
            with deployed.postgres() if name == "postgres" else contextlib.nullcontext() as server:
                for one in measure_one(scale, server):
                    found["backends"].setdefault(name, []).append(one)
                    say(f"  {one['held']:,} held: CPU µs a record { ({deed: one[deed] for deed in DEEDS}) }")
                    say(f"  replayed {one['replay']['per_s']:,.0f}/s, CPU µs {one['replay']['cpu_us']}")
                    say.keep(found)
        except Exception as error:
            found["failed"][name] = f"{type(error).__name__}: {error}"[-600:]
            say(f"failed: {found['failed'][name]}")
    return found


if __name__ == "__main__":
    part.main(__doc__, measure)
