"""One sync from its creation to the last acknowledgement, the product as it is deployed.

    python -m benchmarks.product [--database postgres] [--broker redis] [--records 50000] [--rounds 1] [--again]

One sync is created through the services; told is how long it took until the stream held exactly so many records and the
cursor was acknowledged at the end of the log, and what each process spent meanwhile. `--again` then reads everything a
second time, unchanged, and a third time with 5 % of the records changed.
"""

import argparse
import contextlib
import os
from typing import Any

from benchmarks import deployed, servers
from benchmarks.deployed import PREFIX, STREAM, WITHIN_S, Product
from benchmarks.servers import ROOT, eventually, last_stored_at
from benchmarks.wording import OTHERS


def first_time(product: Product, records: int) -> dict[str, Any]:
    """A consumer, then a sync of so many records; from the creation call to the last acknowledgement."""
    host = {"host": product.nats.host, "port": product.nats.port}
    consumer = product.hands.do("create_consumer", name="bench", prefix=PREFIX, **host)
    credential = product.hands.do("connect")
    assert consumer["promise"] == "fenced", consumer
    product.upstream.control("reset")
    before, traffic, meter = product.database.size_bytes(), servers.nats_traffic(product.nats), product.meter()
    sync = product.hands.do("create_sync", name="bench", credential=credential)
    eventually(lambda: product.cursor()[:2] == (records, records), WITHIN_S, "not all was delivered")
    cpu, stats = meter.read(), product.upstream.control("stats")
    state = product.jetstream.state(STREAM)
    assert state["messages"] == records, f"the stream holds {state['messages']} messages, not {records}"
    done_at = max(last_stored_at(state), product.cursor()[2])
    sent = servers.nats_traffic(product.nats)
    store = product.nats.folder / "store"
    return {
        "records": records,
        "sync": sync["id"],
        "credential": credential,
        "whole_s": done_at - sync["asked_at"],
        "from_first_request_s": done_at - stats["first_at"],
        "pages_s": stats["last_page_at"] - stats["first_page_at"],
        "cpu_s": cpu,
        "peak_bytes": meter.peak_bytes(),
        "bytes": {
            "upstream answers": stats["bytes"],
            "sent to nats": sent["bytes"] - traffic["bytes"],
            "stream": state["bytes"],
            "stream on disk": servers.folder_bytes(store),
            "database before": before,
            "database": product.database.size_bytes(),
        },
    }


def again(product: Product, first: dict[str, Any], permille: int) -> dict[str, Any]:
    """Read everything once more after so many of a thousand records have changed upstream."""
    eventually(lambda: is_quiet(product), WITHIN_S, "the sync does not come to rest")
    changed = product.upstream.control("bump", permille=permille)["changed"] if permille else 0
    head = product.cursor()[0]
    last_seq = product.jetstream.state(STREAM)["last_seq"]
    product.upstream.control("reset")
    meter = product.meter()
    asked_at = product.hands.do("resync", sync=first["sync"])

    def is_done() -> bool:
        return product.read_at() > asked_at and product.cursor()[:2] == (head + changed, head + changed)

    eventually(is_done, WITHIN_S, "not all was read again")
    cpu, stats = meter.read(), product.upstream.control("stats")
    state = product.jetstream.state(STREAM)
    assert state["messages"] == first["records"], state
    assert state["last_seq"] == last_seq + changed, f"{state['last_seq'] - last_seq} messages for {changed} changes"
    done_at = max(product.read_at(), product.cursor()[2] if changed else 0.0)
    return {
        "records": first["records"],
        "changed": changed,
        "whole_s": done_at - asked_at,
        "from_first_request_s": done_at - stats["first_at"],
        "cpu_s": cpu,
        "peak_bytes": meter.peak_bytes(),
    }


def is_quiet(product: Product) -> bool:
    """No feed is under way or due: a second reading is followed by a comparison of ids."""
    busy = "SELECT 1 FROM syncs_feed WHERE lease_until IS NOT NULL OR queued_until IS NOT NULL LIMIT 1"
    sweeping = "SELECT 1 FROM syncs_synccollection WHERE sweep_read_no > 0 OR phase <> 'live' LIMIT 1"
    return not product.database.query(busy) and not product.database.query(sweeping)


def per_record_us(measured: dict[str, Any]) -> dict[str, float]:
    """CPU microseconds a record, by role."""
    return {role: round(cpu_s / measured["records"] * 1e6, 1) for role, cpu_s in measured["cpu_s"].items()}


def told(name: str, measured: dict[str, Any]) -> str:
    """One measurement as lines for a person."""
    records, cpu = measured["records"], per_record_us(measured)
    own = sum(each for role, each in cpu.items() if role not in OTHERS)
    called, first = measured["whole_s"], measured["from_first_request_s"]
    lines = (
        f"{name}: {records:,} records, {records / called:,.0f}/s from the call ({called:.2f} s), "
        f"{records / first:,.0f}/s from the first request ({first:.2f} s)",
        f"  CPU µs a record: console {own:.1f}; " + ", ".join(f"{role} {each}" for role, each in cpu.items()),
        "  peak MB: " + ", ".join(f"{role} {each / 1e6:.0f}" for role, each in measured["peak_bytes"].items()),
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--broker", choices=("orm", "redis"), default="orm")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="read it a second time, unchanged, then with 5 %% changed")
    parser.add_argument("--keep", action="store_true", help="leave the folder with its logs")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(servers.upstream(options.records))
        nats, jetstream = stack.enter_context(servers.nats())
        server = stack.enter_context(deployed.postgres()) if options.database == "postgres" else None
        redis_url = stack.enter_context(servers.redis()) if options.broker == "redis" else ""
        for _ in range(options.rounds):
            with deployed.running_product(
                upstream, nats, jetstream, server=server, redis_url=redis_url, keep=options.keep
            ) as product:
                product.start()
                first = first_time(product, options.records)
                print(told("fresh", first), flush=True)
                if options.again:
                    print(told("unchanged", again(product, first, 0)), flush=True)
                    print(told("5 % changed", again(product, first, 50)), flush=True)
            jetstream.drop(STREAM)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
