"""What tests of consumers need: a log with records, a consumer at a test server, drains without a worker."""

import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from consumers import services, working
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.common import leases
from syncs import log
from syncs.models import Feed
from tests.fake_provider import make_log, raw
from tests.nats_server import Creds, NatsServer

_numbers = count(1)


class Log:
    """A sync's log to write to: `log.write("a", {"n": 1})`, `log.delete("a")`, `log.fill(1000)`."""

    def __init__(self, *names: str) -> None:
        self.sync, feed, self.rows = make_log(*names)
        self.feed = leases.take(Feed, feed.pk, seconds=3600)
        self._read_no = count(1)

    def write(self, upstream_id: str, content: Any, *, name: str = "thing", **fields: Any) -> None:
        self._append([raw(upstream_id, content, read_no=next(self._read_no), name=name, **fields)])

    def write_many(self, contents: Mapping[str, Any]) -> None:
        """Records of the first collection in one commit; None deletes."""
        news = contents.items()
        self._append([raw(i, c, read_no=next(self._read_no), deleted=c is None) for i, c in news])

    def delete(self, upstream_id: str, *, name: str = "thing") -> None:
        self.write(upstream_id, None, name=name, deleted=True)

    def fill(self, number: int, *, name: str = "thing", start: int = 0, **content: Any) -> None:
        ids = [f"{name}-{n:05}" for n in range(start, start + number)]
        self._append([raw(i, {"id": i, **content}, read_no=next(self._read_no), name=name) for i in ids])

    def _append(self, records: Sequence[Any]) -> None:
        assert self.feed is not None
        log.append(self.feed, self.rows, records, seen_by="feed")

    @property
    def head(self) -> int:
        return log.head(self.sync.pk)


def nats_of(server: NatsServer, creds: Creds | None = None, **more: Any) -> dict[str, Any]:
    """The `nats` part of an API body for a test server."""
    pair = {"jwt": creds.jwt, "nkey_seed": creds.seed} if creds is not None else {}
    return {"host": server.host, "port": server.port, **pair, **more}


def make_consumer(server: NatsServer, sync: Any = None, *, by: Any = None, **data: Any) -> NatsConsumer:
    """A consumer made as a person makes one. `data`: anything of the API body; `nats` is merged."""
    nats = nats_of(server) | data.pop("nats", {})
    body = {"name": f"consumer {next(_numbers)}", "sync_id": sync.pk if sync is not None else None, "nats": nats}
    return services.create_consumer(body | data, by=by)


def cursor_of(consumer: NatsConsumer, sync: Any = None) -> ConsumerCursor:
    cursors = ConsumerCursor.objects.filter(consumer=consumer)
    return (cursors.filter(sync=sync) if sync is not None else cursors).get()


def drain(consumer: NatsConsumer, *, budget_s: float = 20) -> dict[int, Any]:
    """One task's worth of delivery for all of a consumer's cursors, on this thread."""
    pks = list(consumer.cursors.values_list("pk", flat=True))
    NatsConsumer.objects.filter(pk=consumer.pk).update(retry_at=None)
    with leases.hold_many(ConsumerCursor, pks, seconds=60) as cursors:
        return working.drain(cursors, budget_s=budget_s)


def drain_until_quiet(consumer: NatsConsumer, *, within_s: float = 30) -> None:
    """Drain until nothing lags, trying again after trouble, as the scheduler would."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        drain(consumer)
        cursors = list(ConsumerCursor.objects.filter(consumer=consumer).select_related("sync"))
        if all(cursor.acked_seq >= log.head(cursor.sync_id) for cursor in cursors):
            return
        time.sleep(0.1)
    raise AssertionError(f"not delivered within {within_s} s: {NatsConsumer.objects.get(pk=consumer.pk).error}")
