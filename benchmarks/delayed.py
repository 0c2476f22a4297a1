"""An upstream that takes 100 ms for every answer: `python -m benchmarks.delayed [--quick]`.

Pages come one after the other, so upstream itself allows 1,000 records a second and no more. A bare reader that does
nothing with the pages says what its own speed is; then the product (SQLite) and the script written by hand. Told are
the pace at which each reads (from its first page to its last) and the CPU a record it spends meanwhile.
"""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks import deployed, part, peers, product, servers
from benchmarks.part import Scale, Teller
from benchmarks.wording import OTHERS

DELAY_MS = 100


def walk(url: str) -> float:
    """Read all pages in series and do nothing with them; seconds from the first request to the last answer."""
    host = urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=30)
    began, after, more = time.monotonic(), "", True
    while more:
        connection.request("GET", f"/v1/customers?limit=100{after}")
        page = json.loads(connection.getresponse().read())
        after, more = f"&starting_after={page['data'][-1]['id']}", page["has_more"]
    return time.monotonic() - began


def measure(scale: Scale, say: Teller) -> dict[str, Any]:
    """Pages a second and CPU of each."""
    records = min(20_000, scale.records)
    with (
        servers.upstream(records, UP_DELAY_MS=str(DELAY_MS)) as upstream,
        servers.nats() as (nats, jetstream),
    ):
        bare_s = walk(upstream.url)
        by_hand = peers.run(peers.BY_KEY["good"], upstream, nats, jetstream, records)
        with deployed.running_product(upstream, nats, jetstream) as ours:
            ours.start()
            first = product.first_time(ours, records)
    own = sum(cpu_s for role, cpu_s in first["cpu_s"].items() if role not in OTHERS)
    found = {
        "records": records,
        "delay_ms": DELAY_MS,
        "bare_per_s": records / bare_s,
        "product_per_s": records / first["pages_s"],
        "product_to_stream_per_s": records / first["from_first_request_s"],
        "by_hand_per_s": records / by_hand["pages_s"],
        "product_cpu_us": own / records * 1e6,
        "product_workers_cpu_us": sum(first["cpu_s"][f"{name} workers"] for name in deployed.CLUSTERS) / records * 1e6,
        "by_hand_cpu_us": by_hand["cpu_s"]["peer"] / records * 1e6,
    }
    say(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    part.main(__doc__, measure)
