"""What 200 syncs cost that look every 30 s and find nothing: `python -m benchmarks.idle [--quick]`.

All clusters, the scheduler and the web process run as deployed, with one consumer of all syncs. Measured over a minute,
after every sync has read its ten records, has had them delivered, and has looked once more: CPU of all the processes
as a share of one core, and how often upstream was asked meanwhile.
"""

import time
from typing import Any

from benchmarks import deployed, part, servers
from benchmarks.part import Scale, Teller
from benchmarks.servers import eventually
from benchmarks.wording import OTHERS

SYNCS, EVERY_S, RECORDS = 200, 30, 10
WITHIN_S = 180.0


def measure_one(scale: Scale, server: Any, redis_url: str = "") -> dict[str, Any]:
    with (
        servers.upstream(RECORDS) as upstream,
        servers.nats() as (nats, jetstream),
        deployed.running_product(upstream, nats, jetstream, server=server, redis_url=redis_url) as ours,
    ):
        ours.start(web=True)
        ours.hands.do("create_consumer", name="idle", prefix=deployed.PREFIX, host=nats.host, port=nats.port)
        credential = ours.hands.do("connect")
        for number in range(SYNCS):
            ours.hands.do("create_sync", name=f"sync {number}", credential=credential, poll_s=EVERY_S)
        everything = (SYNCS * RECORDS,) * 2
        eventually(lambda: ours.cursor()[:2] == everything and ours.read_at(), WITHIN_S, "not all was read", every_s=1)
        time.sleep(EVERY_S)
        upstream.control("reset")
        meter, began = ours.meter(), time.monotonic()
        time.sleep(scale.idle_s)
        cpu, took_s = meter.read(), time.monotonic() - began
        requests, peak = upstream.control("stats")["requests"], meter.peak_bytes()
    console = sum(cpu_s for role, cpu_s in cpu.items() if role not in OTHERS)
    everyone = sum(cpu_s for role, cpu_s in cpu.items() if role != "upstream")
    return {
        "syncs": SYNCS,
        "every_s": EVERY_S,
        "seconds": took_s,
        "requests": requests,
        "cpu_s": cpu,
        "console_share": round(console / took_s, 4),
        "share": round(everyone / took_s, 4),
        "peak_bytes": peak,
    }


def measure(scale: Scale, say: Teller) -> dict[str, Any]:
    found: dict[str, Any] = {"backends": {}, "failed": {}}
    with deployed.postgres() as server:
        for name in ("sqlite", "postgres"):
            try:
                found["backends"][name] = one = measure_one(scale, server if name == "postgres" else None)
            except Exception as error:
                found["failed"][name] = f"{type(error).__name__}: {error}"[-600:]
                say(f"{name} failed: {found['failed'][name]}")
                continue
            say.keep(found)
            say(f"{name}: {one['share']:.1%} of one core, {one['requests']} requests in {one['seconds']:.0f} s")
            say(f"  CPU s {one['cpu_s']}")
    return found


if __name__ == "__main__":
    part.main(__doc__, measure)
