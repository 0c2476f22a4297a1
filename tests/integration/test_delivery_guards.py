"""Invariants 6, 7 and 9 of delivery, each with the proof that its guard guards: without it the scenario must fail.

Every scenario makes its own nats-server and log, and kills, overtakes or pauses a worker at the worst moment: after a
batch was read, after it was learnt where the stream is, after the lease was confirmed.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import pytest

from consumers import basic, delivery, fenced, jetstream, publishing, removal, services, streams
from consumers import job as jobs
from consumers.connection import BadAck, LinkLost, NoAnswer, Refused
from consumers.delivery import Outcome
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.common import leases, runner
from tests.consumer_factories import Log, cursor_of, drain, drain_until_quiet, make_consumer
from tests.guards import proves
from tests.nats_server import NatsServer, nats_server, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]


@contextlib.contextmanager
def stage(*, is_fenced: bool = True) -> Iterator[tuple[NatsServer, Log, NatsConsumer]]:
    """A server, a log with record `a` at n=1 delivered, and its consumer."""
    NatsConsumer.objects.all().delete()
    with nats_server() as server:
        run(server.make_stream(allow_atomic=is_fenced))
        log = Log()
        log.write("a", {"n": 1})
        consumer = make_consumer(server, log.sync)
        drain_until_quiet(consumer)
        yield server, log, consumer


def value_of(server: NatsServer, upstream_id: str = "a") -> Any:
    found = {m.subject.rsplit(".", 1)[-1]: json.loads(m.data) for m in run(server.messages())}
    return found[upstream_id]["data"]["n"]


def take(consumer: NatsConsumer, *, steal: bool = False) -> ConsumerCursor:
    pk = cursor_of(consumer).pk
    if steal:
        ConsumerCursor.objects.filter(pk=pk).update(lease_until=None)
    taken = leases.take(ConsumerCursor, pk, seconds=60)
    assert taken is not None
    return taken


def work(cursor: ConsumerCursor) -> Any:
    """One worker's drain; its result or exception."""

    async def one(_pk: int, orm: runner.Orm) -> Any:
        return await delivery.drain(cursor, orm, late_at=time.monotonic() + 10)

    return runner.run_side_by_side(one, [cursor.pk], timeout_s=20)[cursor.pk]


def overtaken_after_reading(consumer: NatsConsumer, log: Log, *, newer: int) -> Any:
    """A worker reads a batch with n=2 and is paused; another takes over and delivers `newer`; then the first goes on.

    Returns what the first, stale worker came to.
    """
    log.write("a", {"n": 2})
    stale = take(consumer)
    read, is_first = jobs.read_batch, [True]

    def read_and_pause(job: Any, after: int) -> Any:
        batch = read(job, after)
        if job.cursor is stale and is_first:
            is_first.clear()
            log.write("a", {"n": newer})
            assert not isinstance(work(take(consumer, steal=True)), Exception)
        return batch

    with mock.patch.object(jobs, "read_batch", read_and_pause):
        result = work(stale)
    ConsumerCursor.objects.update(lease_until=None)
    return result


def without(target: Any, name: str, replacement: Any) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.object(target, name, replacement)


# --- Invariant 7: a subject never goes backwards -------------------------------------------------------------------


def test_invariant_7_stale_fenced_worker_stores_nothing() -> None:
    def scenario() -> None:
        with stage() as (server, log, consumer):
            result = overtaken_after_reading(consumer, log, newer=3)
            assert value_of(server) == 3
            assert result[0] is Outcome.LOST

    proves(scenario, without=without(publishing, "fence", lambda subject, last_seq: b""))


def test_invariant_7_stale_fenced_worker_does_not_go_on_after_learning_where_the_stream_is() -> None:
    """Refused, it reads the newest message. Only the lease, asked after that, keeps it from sending its batch again."""

    def scenario() -> None:
        with stage() as (server, log, consumer):
            with mock.patch.object(fenced, "publish", _stubborn(fenced.publish)):
                overtaken_after_reading(consumer, log, newer=3)
            assert value_of(server) == 3

    def unguarded(cursor: ConsumerCursor, **learnt: Any) -> None:
        for name, value in learnt.items():
            setattr(cursor, name, value)

    proves(scenario, without=without(jobs, "confirm_lease", unguarded))


def _stubborn(publish: Any) -> Any:
    """A worker that sends the same batch again from memory, when it is told to send again."""

    async def again(job: Any, batch: Any, orm: Any) -> Any:
        result = await publish(job, batch, orm)
        return await publish(job, batch, orm) if result.again else result

    return again


def test_invariant_7_stale_basic_worker_does_not_overwrite() -> None:
    """Basic: the stale worker learns the newer sequence, then asks for its lease, and stops."""

    def scenario() -> None:
        with stage(is_fenced=False) as (server, log, consumer):
            remembered = {}

            def from_memory(job: Any, batch: Any) -> Any:
                remembered.update({m.record_id: m for m in batch.messages})
                return remembered

            with (
                mock.patch.object(jobs, "read_batch", jobs.read_batch),
                mock.patch.object(basic, "read_again", from_memory),
            ):
                result = overtaken_after_reading(consumer, log, newer=3)
            assert value_of(server) == 3
            assert result[0] is Outcome.LOST

    proves(scenario, without=without(jobs, "confirm_lease", lambda cursor, **learnt: None))


def test_invariant_7_basic_message_is_refused_when_its_subject_moved() -> None:
    """Overtaken *after* it confirmed its lease: then the expected sequence alone stands between."""

    def scenario() -> None:
        with stage(is_fenced=False) as (server, log, consumer):
            log.write("a", {"n": 2})
            stale, confirm, is_first = take(consumer), jobs.confirm_lease, [True]

            def confirm_and_pause(cursor: ConsumerCursor, **learnt: Any) -> None:
                confirm(cursor, **learnt)
                if cursor is stale and is_first:
                    is_first.clear()
                    log.write("a", {"n": 3})
                    work(take(consumer, steal=True))

            def as_it_was(job: Any, batch: Any) -> Any:  # read before the pause, so that memory is as stale as can be
                return {m.record_id: m for m in batch.messages}

            with (
                mock.patch.object(jobs, "confirm_lease", confirm_and_pause),
                mock.patch.object(basic, "read_again", as_it_was),
            ):
                work(stale)
            assert value_of(server) == 3

    def unguarded(last_seq: int) -> bytes:
        """As a worker without the guard would: refused once for not being first, then sent without a condition."""
        return b"Nats-Expected-Last-Subject-Sequence: 0\r\n" if last_seq == 0 else b""

    proves(scenario, without=without(publishing, "fence_subject", unguarded))


def test_invariant_7_a_lost_connection_is_a_lost_window() -> None:
    """What was in a buffer when the connection broke is gone with it: no reconnect, nothing sent later."""
    with stage() as (server, _, consumer):

        async def scenario() -> None:
            link = await jetstream.open_link(consumer.nats_settings())
            assert link._client.options["allow_reconnect"] is False
            server.kill()
            with pytest.raises((LinkLost, NoAnswer)):
                await link.request("sequin-records.x", b"{}")
            server.start()
            await asyncio.sleep(0.5)
            assert not link.is_open
            with pytest.raises(LinkLost):
                await link.send("sequin-records.x", b"{}")

        run(scenario())


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "basic"])
def test_invariant_7_two_workers_on_the_same_cursor(is_fenced: bool) -> None:
    """Leases stolen again and again while records change: every subject ends at its newest, none ever steps back."""
    with stage(is_fenced=is_fenced) as (server, log, consumer):
        for n in range(2, 12):
            log.fill(40, n=n)
            overtaken_after_reading(consumer, log, newer=1_000 + n)
        drain_until_quiet(consumer)
        assert value_of(server) == 1_011
        assert all(json.loads(m.data)["data"]["n"] in (11, 1_011) for m in run(server.messages()))


def test_a_new_run_takes_the_cursor_even_from_who_took_it_a_moment_ago() -> None:
    """A restart decided on a row read before a worker took its lease: it must not carry on into the new run."""
    with stage() as (_, _log, consumer):
        as_read = cursor_of(consumer)
        worker = take(consumer)
        removal.restart(as_read)
        with pytest.raises(leases.LeaseLost):
            worker.fenced_update(acked_seq=1)
        assert (cursor_of(consumer).acked_seq, cursor_of(consumer).run) == (0, 2)


# --- Invariant 6: delivered means the stream said so ---------------------------------------------------------------

GOOD = {"stream": "S", "seq": 7, "batch": "b", "count": 2}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"stream": "OTHER"}, BadAck),
        ({"seq": 0}, BadAck),
        ({"seq": None}, BadAck),
        ({"duplicate": True}, BadAck),
        ({"batch": "another"}, BadAck),
        ({"count": 1}, BadAck),
        ({"error": {"err_code": 10071, "description": "wrong last sequence: 9"}}, publishing.WrongLast),
        ({"error": {"err_code": 10054, "description": "message size exceeds maximum allowed"}}, Refused),
    ],
)
def test_invariant_6_only_this_batchs_own_ack_counts(change: dict[str, Any], error: type[Exception]) -> None:
    assert publishing.confirm(GOOD, stream="S", batch="b", count=2) == 7
    with pytest.raises(error):
        publishing.confirm(GOOD | change, stream="S", batch="b", count=2)


def test_invariant_6_refused_batch_does_not_move_the_cursor() -> None:
    """The stream shrank its messages meanwhile: the error ack is an answer, but no confirmation."""

    def scenario() -> None:
        with stage() as (server, log, consumer):
            before = cursor_of(consumer).acked_seq
            log.write("a", {"n": 2, "text": "x" * 4_000})
            find = streams.find

            async def found_before_the_change(*args: Any, **options: Any) -> Any:
                stream = await find(*args, **options)
                config = (await server.ask("STREAM.INFO.SEQUIN-RECORDS"))["config"]
                await server.ask("STREAM.UPDATE.SEQUIN-RECORDS", config | {"max_msg_size": 1_000})
                return stream

            with mock.patch.object(streams, "find", found_before_the_change):
                drain(consumer)
            assert cursor_of(consumer).acked_seq == before

    proves(scenario, without=without(publishing, "confirm", lambda ack, **_: 1_000_000))


def test_invariant_6_cursor_moves_only_after_the_ack() -> None:
    """The server dies after it got the batch and before it answered: unknown, so not delivered."""
    with stage() as (server, log, consumer):
        before = cursor_of(consumer).acked_seq
        log.fill(100)
        request = jetstream.Link.request

        async def dies(link: Any, subject: str, *args: Any, **options: Any) -> bytes:
            if subject.startswith("sequin-records."):
                server.kill()
            return await request(link, subject, *args, **options)

        with mock.patch.object(jetstream.Link, "request", dies):
            (result,) = drain(consumer).values()
        assert isinstance(result, LinkLost | NoAnswer)
        assert cursor_of(consumer).acked_seq == before
        server.start()
        drain_until_quiet(consumer)
        assert len(run(server.messages())) == 101


def test_invariant_6_unknown_outcome_is_settled_by_reading_the_stream() -> None:
    """The batch was stored, its ack was lost: the newest message says so, and nothing is sent twice."""
    with stage() as (server, log, consumer):
        log.fill(100)
        publish, is_first = publishing.publish_batch, [True]

        async def stored_but_unheard(*args: Any, **options: Any) -> int:
            seq = await publish(*args, **options)
            if is_first:
                is_first.clear()
                raise NoAnswer("lost")
            return seq

        with mock.patch.object(publishing, "publish_batch", stored_but_unheard):
            drain(consumer)
        assert cursor_of(consumer).acked_seq == log.head
        info = run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))
        assert info["state"]["last_seq"] == 101  # 1 + 100: none was stored twice


def test_invariant_6_few_messages_go_one_by_one_and_are_settled_where_they_broke_off() -> None:
    """The third of five was stored and its ack lost: settled by reading the stream, none is stored twice."""
    with stage() as (server, log, consumer):
        log.fill(5)
        request, left = jetstream.Link.request, [3]

        async def third_is_unheard(link: Any, subject: str, *args: Any, **options: Any) -> bytes:
            answer = await request(link, subject, *args, **options)
            if subject.startswith("sequin-records."):
                left[0] -= 1
                if left[0] == 0:
                    raise NoAnswer("lost")
            return answer

        with mock.patch.object(jetstream.Link, "request", third_is_unheard):
            drain(consumer)
        assert cursor_of(consumer).acked_seq == log.head
        assert run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["state"]["last_seq"] == 1 + 5


@pytest.mark.parametrize("count", [5, 100])
def test_what_was_stored_before_a_strangers_message_is_not_sent_again(count: int) -> None:
    """Somebody else's is the newest then, and tells nothing: the newest on the batch's own subjects does."""
    with stage() as (server, log, consumer):
        log.fill(count)
        request, left = jetstream.Link.request, [3 if count <= publishing.FEW else 1]

        async def interrupted(link: Any, subject: str, *args: Any, **options: Any) -> bytes:
            answer = await request(link, subject, *args, **options)
            if subject.startswith("sequin-records."):
                left[0] -= 1
                if left[0] == 0:
                    await server.publish(f"sequin-records.{log.sync.pk}.fake:thing.intruder", b"{}")
                    raise NoAnswer("lost")
            return answer

        with mock.patch.object(jetstream.Link, "request", interrupted):
            drain_until_quiet(consumer)
        assert run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["state"]["last_seq"] == 1 + count + 1


def test_what_a_dead_worker_stored_before_a_strangers_message_is_not_sent_again() -> None:
    """It could not write down its last batch, and the next one's ends elsewhere: all that came since is looked at."""
    with stage() as (server, log, consumer):
        log.fill(30)
        drain_until_quiet(consumer)
        known = ConsumerCursor.objects.values("acked_seq", "stream_seq", "delivered").get()
        for no in range(20):
            log.write(f"second-{no}", {"n": no})
        drain_until_quiet(consumer)
        ConsumerCursor.objects.update(**known)  # as if that had not been written down
        run(server.publish(f"sequin-records.{log.sync.pk}.fake:thing.intruder", b"{}"))
        for no in range(20):
            log.write(f"third-{no}", {"n": no})
        drain_until_quiet(consumer)
        assert run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["state"]["last_seq"] == 1 + 30 + 20 + 1 + 20


def test_replay_is_not_cut_short_by_an_older_runs_messages() -> None:
    """A settle that trusted a message of the run before would skip the whole replay."""
    with stage() as (server, log, consumer):
        log.fill(30)
        drain_until_quiet(consumer)
        services.replay(consumer, by=None)
        ConsumerCursor.objects.update(stream_seq=1)  # as if the last commit had not been written down
        drain_until_quiet(consumer)
        assert {m.headers["Sequin-Run"] for m in run(server.messages())} == {"2"}


# --- Invariant 9: one sick neighbour stops nobody ------------------------------------------------------------------


def test_invariant_9_without_setting_aside_a_large_record_stops_its_consumer() -> None:
    def scenario() -> None:
        with stage() as (server, log, consumer):
            log.write("big", {"n": 1, "text": "x" * 1_100_000})
            log.write("small", {"n": 5})
            drain(consumer)
            ids = {m.subject.rsplit(".", 1)[-1] for m in run(server.messages())}
            assert ids == {"a", "small"}

    proves(scenario, without=without(jobs, "why_unfit", lambda job, message: None))
