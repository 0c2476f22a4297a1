"""Faults while this process's courier and a worker of the queue deliver from the same cursor, over the same link."""

from collections.abc import Callable

import pytest
from django.db.models import F

from consumers.models import ConsumerCursor, NatsConsumer
from tests.faults.nats_stage import HOLD, LANES, STREAM, WATCHED, Stage, make_stream, stage
from tests.faults.report import rounds
from tests.nats_proxy import half_open, nats_proxy, passing
from tests.nats_server import nats_server, run

pytestmark = pytest.mark.django_db(transaction=True)
lanes = pytest.mark.parametrize("lane", LANES)
Record = Callable[..., None]


@lanes
def test_courier_and_worker_steal_each_others_lease(lane: str, record_fault: Record) -> None:
    """As if each lease had run out under its holder, again and again, in the middle of a batch."""
    times = rounds(25, 400)
    with stage(lane, by_courier=True) as on:
        for _ in range(times):
            on.strike(lambda: ConsumerCursor.objects.update(lease_until=None, lease_no=F("lease_no") + 1))
        record_fault(
            what="courier and worker lose their lease in mid-batch",
            times=times,
            counted=on.struck,
            outcome=HOLD[lane],
            promise=lane,
        )
        on.judge()


@lanes
def test_server_killed_under_courier_and_worker(lane: str, record_fault: Record) -> None:
    times = rounds(3, 40)
    with stage(lane, by_courier=True) as on:
        for _ in range(times):
            on.strike(on.server.kill)
            on.server.start()
            on.wait_until_well()
            on.assert_acknowledged_is_stored()
        record_fault(
            what="nats-server killed (SIGKILL) under courier and worker",
            times=times,
            counted=on.struck,
            outcome=HOLD[lane],
            promise=lane,
        )
        on.judge()


@lanes
def test_stream_made_again_while_it_is_trusted(lane: str, record_fault: Record) -> None:
    """The courier trusts what it knows of a stream for seconds: the fence must notice that it is another by now."""
    times = rounds(4, 40)
    with stage(lane, by_courier=True, watched=True) as on:
        for _ in range(times):
            on.strike(lambda: remake(on))
            on.wait_for_acks(5)
        record_fault(
            what="stream made again while the courier trusts it",
            times=times,
            counted=on.struck,
            outcome="everything sent again by itself; (a)-(f) hold",
            promise=lane,
        )
        on.editor.stop()
        created = run(on.server.ask(f"STREAM.INFO.{STREAM}"))["created"]
        on.wait_until(lambda: on.cursor.stream_created == created, what="the new stream noticed")
        on.judge_last_life()


def remake(on: Stage) -> None:
    run(on.server.ask(f"STREAM.DELETE.{STREAM}"))
    make_stream(on.server, on.lane, **WATCHED)


@lanes
def test_half_open_connection_under_courier_and_worker(lane: str, record_fault: Record) -> None:
    times = rounds(1, 8)
    with (
        nats_server() as server,
        nats_proxy(server) as proxy,
        stage(lane, server=server, through=proxy, by_courier=True) as on,
    ):
        for _ in range(times):
            on.wait_for_acks(20)
            proxy.rule = half_open
            on.wait_for_trouble("did not answer", "did not confirm", "stopped reading", "did not finish")
            proxy.rule = passing
            on.wait_until_well()
        record_fault(
            what="half-open connection under courier and worker",
            times=times,
            outcome=HOLD[lane],
            promise=lane,
        )
        on.judge()


def test_atomic_batches_switched_off_while_trusted(record_fault: Record) -> None:
    times = rounds(3, 20)
    with stage("basic", by_courier=True, config={"allow_atomic": True}) as on:
        for _ in range(times):
            on.strike(lambda: on.configure(allow_atomic=False))
            on.wait_until(lambda: NatsConsumer.objects.get().promise == "basic", what="the promise told")
            on.strike(lambda: on.configure(allow_atomic=True))
            on.wait_until_well()
        record_fault(
            what="allow_atomic switched off and on under courier and worker",
            times=times,
            counted=on.struck,
            outcome=HOLD["basic"],
            promise="fenced and basic",
        )
        on.judge()
