"""API to log to stream, beside what a user would take instead: `python -m benchmarks.whole_path [--quick]`.

All carry the same records over the same upstream to the same nats-server, in turn (A B C … A B C …), each to a fresh
stream that must then hold exactly so many messages. A peer is a process that is started, works and ends; the product's
processes are running already and are told of a new sync. So two times are kept of each: from the peer's start or the
sync's creation, and from the first request upstream until the stream has stored the last message (the product: until
its cursor is acknowledged as well). Before each of its turns the product's tables are empty; between them none of it
runs.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks import deployed, part, peers, product, servers
from benchmarks.deployed import Product
from benchmarks.part import Scale, Teller


@contextlib.contextmanager
def turn(database: str, *around: Any, server: Any) -> Iterator[Product]:
    """The product on this database, running; its stream is taken away afterwards."""
    upstream, nats, jetstream = around
    with deployed.running_product(upstream, nats, jetstream, server=server if database == "postgres" else None) as ours:
        ours.start()
        try:
            yield ours
        finally:
            jetstream.drop(deployed.STREAM)


def measure(scale: Scale, say: Teller) -> dict[str, Any]:
    """{"fresh": {name: [run, …]}, "unchanged": …, "changed": …, "reading_alone": …, "failed": {name: why}}"""
    found: dict[str, Any] = {"records": scale.records, "fresh": {}, "unchanged": {}, "changed": {}, "failed": {}}
    with (
        servers.upstream(scale.records) as upstream,
        servers.nats() as (nats, jetstream),
        deployed.postgres() as server,
    ):
        around = (upstream, nats, jetstream)

        def ours(database: str, *, is_last: bool) -> None:
            with turn(database, *around, server=server) as one:
                first = product.first_time(one, scale.records)
                found["fresh"].setdefault(database, []).append(first)
                say(product.told(f"{database} fresh", first))
                if not is_last:
                    return
                found["reading_alone"] = one.hands.do("read_only", credential=first["credential"])
                for what, permille in (("unchanged", 0), ("changed", 50)):
                    seen = product.again(one, first, permille)
                    found[what].setdefault(database, []).append(seen)
                    say(product.told(f"{database} {what}", seen))

        for number in range(scale.rounds):
            for database in ("sqlite", "postgres"):
                with _noted(found["failed"], database, say):
                    ours(database, is_last=number == scale.rounds - 1)
            for peer in peers.PEERS:
                if peer.key not in found["failed"]:
                    with _noted(found["failed"], peer.key, say):
                        run = peers.run(peer, upstream, nats, jetstream, scale.records)
                        found["fresh"].setdefault(peer.key, []).append(run)
                        say.keep(found)
                        say(f"{peer.key}: {scale.records / run['from_first_request_s']:,.0f}/s")
    return found


@contextlib.contextmanager
def _noted(failed: dict[str, str], name: str, say: Teller) -> Iterator[None]:
    """One that fails is told of, and the others go on."""
    try:
        yield
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"[-600:]
        say(f"{name} failed: {failed[name]}")


if __name__ == "__main__":
    part.main(__doc__, measure)
