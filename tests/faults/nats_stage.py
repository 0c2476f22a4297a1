"""One log, one consumer and a nats-server that is about to suffer; delivery runs in this process, as a worker runs it.

    with stage("fenced") as on:                 # or "basic"; an editor keeps changing records, a worker keeps draining
        on.server.kill(); on.server.start()
        on.wait_for_trouble("lost")             # what the consumer's page says by now
        on.end(record_fault, "server killed")   # noted; then all quiet: rules (a) to (g)

Versions are the editor's own, inside `data`, so that the judge does not lean on our sequence. What was ever stored is
read from the stream, which keeps all of it; or where that is purged or made again, from what a watcher was told of
each message as it was stored (the stream republishes it).
"""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from consumers import courier, jetstream, publishing, scheduling, working
from consumers.models import ConsumerCursor, NatsConsumer
from syncs.log import entries_after
from tests.consumer_factories import Log, cursor_of, make_consumer
from tests.faults.nats_actors import Editor, Watcher, Worker
from tests.faults.oracle import Subject, Upstream, problems
from tests.faults.report import rounds
from tests.nats_proxy import nats_proxy
from tests.nats_server import NatsServer, nats_server, run

LANES: dict[str, dict[str, Any]] = {"fenced": {}, "basic": {"allow_atomic": False}}
COLLECTION, STREAM = "fake:thing", "SEQUIN-RECORDS"
lanes = pytest.mark.parametrize("lane", LANES)
Record = Callable[..., None]
HOLD = {"fenced": "(a)-(g) hold", "basic": "(a)-(f) hold"}
WATCHED = {"max_msgs_per_subject": 1, "republish": {"src": ">", "dest": "seen.>"}}
WRITE, REQUEST = jetstream.Link.write, jetstream.Link.request
BUDGET_S, REST_S = 2.0, 60.0
LONGEST_RETRY_S = 305.0
LONGEST_WAIT_S = rounds(2.0, 60.0)  # for any answer; in the long form as in real life


class Stage:
    """What a test of one fault has in hand."""

    def __init__(self, server: NatsServer, lane: str, consumer: NatsConsumer, editor: Editor, budget_s: float) -> None:
        self.server, self.lane, self.consumer, self.editor = server, lane, consumer, editor
        self.worker = Worker(consumer, budget_s)
        self.secrets = [value for value in consumer.secrets.values() if value]
        self.told: list[tuple[str, str, str]] = []
        self.watcher: Watcher | None = None
        self.proxy: Any = None
        self.struck = 0
        self._act: Callable[[], object] | None = None

    def configure(self, **changed: Any) -> None:
        """Edit the stream, as an administrator does under way."""
        config = run(self.server.ask(f"STREAM.INFO.{STREAM}"))["config"]
        answer = run(self.server.ask(f"STREAM.UPDATE.{STREAM}", config | changed))
        assert "error" not in answer, answer

    def remake_stream(self) -> None:
        """Delete the stream and make it again at once, as a watched one."""

        async def remake() -> None:
            await self.server.ask(f"STREAM.DELETE.{STREAM}")
            await self.server.make_stream(**{**LANES[self.lane], **WATCHED})

        run(remake())

    def check(self) -> None:
        """The repeated checks, as the scheduler has them run every few minutes."""
        working.check_consumers([str(self.consumer.pk)])

    @property
    def log(self) -> Log:
        return self.editor.log

    @property
    def cursor(self) -> ConsumerCursor:
        return cursor_of(self.consumer)

    # --- Striking ----------------------------------------------------------------------------------------------------

    def strike(self, act: Callable[[], object]) -> None:
        """Do something while a batch or window is half way out, or a message of its own is not yet acknowledged."""
        done = self.struck
        self._act = act
        self.wait_until(lambda: self.struck > done, what="a batch to strike")

    async def write(self, link: jetstream.Link, frames: Iterable[bytes]) -> None:
        """In place of Link.write, the way batches and windows take."""
        frames, act = list(frames), self._act
        if act is None or len(frames) < 2:
            await WRITE(link, frames)
            return
        self._act = None
        half = len(frames) // 2
        await WRITE(link, frames[:half])
        await self._strike(act)
        await WRITE(link, frames[half:])

    async def request(self, link: jetstream.Link, subject: str, *args: Any, headers: bytes = b"", **more: Any) -> bytes:
        """In place of Link.request, the way a few messages take."""
        act = self._act
        more["wait_s"] = min(more.get("wait_s", jetstream.ANSWER_S), LONGEST_WAIT_S)
        if act is None or b"Sequin-Seq" not in headers or b"Nats-Batch-Id" in headers:
            return await REQUEST(link, subject, *args, headers=headers, **more)
        self._act = None
        asking = asyncio.ensure_future(REQUEST(link, subject, *args, headers=headers, **more))
        await self._strike(act)
        return await asking

    async def _strike(self, act: Callable[[], object]) -> None:
        await asyncio.to_thread(act)
        self.struck += 1

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def wait_until(self, claim: Callable[[], Any], within_s: float = REST_S, what: str = "") -> Any:
        deadline = time.monotonic() + within_s
        while not (found := claim()):
            for thread in (self.worker, self.editor):
                if thread.error is not None:
                    raise thread.error
            assert time.monotonic() < deadline, f"{what} did not come true: {self.state()}"
            time.sleep(0.02)
        return found

    def wait_for_acks(self, more: int = 20) -> None:
        """Until the cursor has moved so far: delivery is at work."""
        start = self.cursor.acked_seq
        self.wait_until(lambda: self.cursor.acked_seq >= start + more, what=f"{more} more acknowledged")

    def wait_for_trouble(self, *words: str, kind: str = "") -> NatsConsumer:
        """Until the page names the trouble in one of these words; with a next step, a next try, and no secret."""

        def told() -> NatsConsumer | None:
            row = NatsConsumer.objects.get(pk=self.consumer.pk)
            return row if row.state == "error" and any(word in row.error for word in words) else None

        row = self.wait_until(told, what=f"an error with one of {words}")
        assert row.next_step
        assert not kind or row.error_kind == kind, (row.error_kind, row.error)
        assert row.error_kind != "bug", row.error
        assert not any(secret in row.error + row.next_step + row.warning for secret in self.secrets)
        if row.retry_at is not None:  # the worker here does not wait for it, and wipes it out
            assert (row.retry_at - timezone.now()).total_seconds() < LONGEST_RETRY_S
        if not self.worker.is_running:
            ConsumerCursor.objects.filter(consumer=self.consumer).update(queued_until=None)
            later = row.retry_at + timedelta(seconds=1)
            assert scheduling.lagging(later).filter(consumer=self.consumer).exists(), "nobody would try again"
        self.told.append((row.error_kind, row.error, row.next_step))
        return row

    def wait_until_well(self) -> None:
        """Until what there was when this was called is acknowledged, and the page says that all is well."""
        head = self.log.head

        def is_well() -> bool:
            row = NatsConsumer.objects.get(pk=self.consumer.pk)
            return row.state == "active" and not row.error and self.cursor.acked_seq >= head

        self.wait_until(is_well, what="well again")

    def wait(self, seconds: float) -> None:
        """Let a fault last, while worker and editor are watched."""
        end = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= end)

    def state(self) -> str:
        row = NatsConsumer.objects.filter(pk=self.consumer.pk).values("state", "error", "next_step", "warning").get()
        cursor = self.cursor
        place = {"acked": cursor.acked_seq, "head": self.log.head, "run": cursor.run, "stream_seq": cursor.stream_seq}
        return f"{row} {place} drains {self.worker.drains}, failed {self.worker.failures}"

    # --- The judge ---------------------------------------------------------------------------------------------------

    def on_stream(self) -> dict[tuple[str, str], Subject]:
        """Every message the stream has by record, in the order it was stored."""
        return self._by_record(run(self.server.messages(STREAM)))

    def ever_stored(self) -> dict[tuple[str, str], Subject]:
        """The same, with what the stream has not kept."""
        return self._by_record(self.watcher.messages) if self.watcher else self.on_stream()

    def _by_record(self, messages: Iterable[Any]) -> dict[tuple[str, str], Subject]:
        found: dict[tuple[str, str], Subject] = defaultdict(Subject)
        for message in messages:
            if (message.headers or {}).get("Sequin-Consumer") != str(self.consumer.pk):
                continue
            body = json.loads(message.data)
            assert message.subject.endswith(f"{body['sync_id']}.{COLLECTION}.{body['upstream_id']}")
            assert int(message.headers["Sequin-Seq"]) == body["seq"]
            place = body["seq"], int(message.headers["Sequin-Run"])
            found[body["collection_id"], body["upstream_id"]].messages.append(
                (body["data"]["v"], body["deleted"], *place)
            )
        return found

    def assert_acknowledged_is_stored(self) -> None:
        """Rule (f): the cursor, read first, never claims what the stream does not have."""
        cursor = self.cursor
        entries = entries_after(cursor.sync_id, 0, limit=100_000)
        stored = self.on_stream()
        for entry in entries:
            if entry.seq <= cursor.acked_seq:
                seqs = [seq for *_, seq, _run in stored[entry.collection_id, entry.upstream_id].messages]
                assert seqs, f"{entry.upstream_id} at {entry.seq} is called delivered and is not stored"
                assert max(seqs) >= entry.seq, f"{entry.upstream_id} at {entry.seq}: only {seqs} stored"

    def judge(self, *, is_whole: bool = True, foreign: int = 0, purged: bool = False) -> int:
        """Come to rest, then hold log, truth and stream against one another; how many messages were stored.

        is_whole  False where the stream itself threw messages away: then order and repeats alone are judged
        foreign   how many messages of the stream are somebody else's
        purged    whether messages were removed by hand: what was half way out is then sent again
        """
        self.editor.stop()
        if self.worker.is_running:
            self.wait_until_well()
            self.worker.stop()
        else:
            self.drain_until_well()
        truth = {(COLLECTION, key): was for key, was in self.editor.truth.items()}
        log = {(e.collection_id, e.upstream_id): e for e in entries_after(self.log.sync.pk, 0, limit=100_000)}
        assert {key: Upstream(json.loads(e.data)["v"], e.deleted) for key, e in log.items()} == truth
        stored, is_fenced = self.ever_stored(), self.lane == "fenced"
        ends = {key: Upstream(*subject.messages[-1][:2]) for key, subject in self.on_stream().items()}
        if is_whole:
            assert ends == truth, [(key, ends.get(key), was) for key, was in truth.items() if ends.get(key) != was][:5]
        else:
            assert ends.items() <= truth.items()
        known = truth if is_whole else {key: truth[key] for key in stored}
        wrong = problems(known, stored, exactly_once=is_fenced and not purged)
        assert not wrong, wrong[:5]
        count = sum(len(subject.messages) for subject in stored.values())
        if is_fenced and self.cursor.run == 1:
            grown = run(self.server.ask(f"STREAM.INFO.{STREAM}"))["state"]["last_seq"]
            assert grown == count + foreign, "the stream grew by more than was sent"
        return count

    def end(
        self,
        record: Record,
        what: str,
        times: int = 1,
        *,
        outcome: str = "",
        counted: int | None = None,
        promise: str = "",
        judge: Callable[..., object] | None = None,
        **how: Any,
    ) -> None:
        """Note what was done, as `record_fault` wants it, then judge; what was struck in mid-work is counted.

        judge  another judgement than `judge`; how: its arguments
        """
        record(
            what=what,
            times=times,
            counted=counted or self.struck or None,
            outcome=outcome or HOLD[self.lane],
            promise=promise or self.lane,
        )
        (judge or self.judge)(**how)

    def judge_last_life(self) -> None:
        """As `judge`, where the stream was made again: only what was stored since is held against the order.

        A new run sends what is now; the watcher's earlier messages belong to streams that are gone.
        """
        assert self.watcher is not None
        self.editor.stop()
        since = run(self.server.ask(f"STREAM.INFO.{STREAM}"))["created"]
        self.wait_until(lambda: self.cursor.stream_created == since, what="the new stream noticed")
        self.wait_until_well()
        self.watcher.messages = [m for m in self.watcher.messages if m.headers["Nats-Time-Stamp"] >= since]
        self.judge()

    def drain_until_well(self) -> None:
        """Without a worker's thread: drain here until all is delivered."""
        deadline = time.monotonic() + REST_S
        while self.cursor.acked_seq < self.log.head:
            self.worker.drain()
            assert time.monotonic() < deadline, self.state()


@contextlib.contextmanager
def stage(
    lane: str,
    *,
    server: NatsServer | None = None,
    proxied: bool = False,
    records: int = 150,
    busy: bool = True,
    watched: bool = False,
    by_courier: bool = False,
    budget_s: float = BUDGET_S,
    ack_s: float = 2.0,
    nats: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Iterator[Stage]:
    """A server, its stream, a log with `records` and a consumer.

    server   its own, when None
    proxied  the consumer connects by a proxy, `on.proxy`
    busy     editor and worker are at work already
    by_courier  small changes are delivered by this process's courier, too, as in a worker that reads
    watched  the stream keeps one message a subject, as recommended, and a watcher hears all of them
    ack_s    how long an acknowledgement is waited for: 15 in real life
    nats     more of the consumer's `nats` part; config: of the stream
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch("sequin_console.common.task_queue.async_task"))
        stack.enter_context(mock.patch.object(publishing, "ACK_S", ack_s))
        if by_courier:
            stack.callback(stack.enter_context(mock.patch.object(courier, "_courier", courier.Courier())).stop)
        server = server or stack.enter_context(nats_server())
        make_stream(server, lane, **(WATCHED if watched else {}) | (config or {}))
        editor = Editor(Log(), records)
        editor.edit_some(records)
        proxy = stack.enter_context(nats_proxy(server)) if proxied else None
        place = {"host": proxy.host, "port": proxy.port} if proxy else {}
        consumer = make_consumer(server, editor.log.sync, nats=place | (nats or {}))
        on = Stage(server, lane, consumer, editor, budget_s)
        on.proxy = proxy
        stack.enter_context(mock.patch.object(jetstream.Link, "write", lambda *args: on.write(*args)))
        stack.enter_context(
            mock.patch.object(jetstream.Link, "request", lambda *args, **more: on.request(*args, **more))
        )
        if watched:
            on.watcher = Watcher(server)
            on.watcher.start()
            stack.callback(on.watcher.stop)
        if busy:
            editor.start()
            on.worker.start()
            on.wait_for_acks()
        try:
            yield on
        finally:
            with contextlib.suppress(BaseException):
                editor.stop()
            with contextlib.suppress(BaseException):
                on.worker.stop()


def make_stream(server: NatsServer, lane: str, **config: Any) -> None:
    """The consumer's stream, which keeps every message unless told otherwise."""
    run(server.make_stream(**{**LANES[lane], "max_msgs_per_subject": -1, **config}))
