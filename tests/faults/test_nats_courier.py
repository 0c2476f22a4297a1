"""Faults while this process's courier and a worker of the queue deliver from the same cursor, over the same link."""

import pytest
from django.db.models import F

from consumers.models import ConsumerCursor, NatsConsumer
from tests.faults.nats_stage import Record, lanes, stage
from tests.faults.report import rounds
from tests.nats_proxy import half_open, passing

pytestmark = pytest.mark.django_db(transaction=True)


@lanes
def test_courier_and_worker_steal_each_others_lease(lane: str, record_fault: Record) -> None:
    """As if each lease had run out under its holder, again and again, in the middle of a batch."""
    times = rounds(25, 400)
    with stage(lane, by_courier=True) as on:
        for _ in range(times):
            on.strike(lambda: ConsumerCursor.objects.update(lease_until=None, lease_no=F("lease_no") + 1))
        on.end(record_fault, "courier and worker lose their lease in mid-batch", times)


@lanes
def test_server_killed_under_courier_and_worker(lane: str, record_fault: Record) -> None:
    times = rounds(3, 40)
    with stage(lane, by_courier=True) as on:
        for _ in range(times):
            on.strike(on.server.kill)
            on.server.start()
            on.wait_until_well()
            on.assert_acknowledged_is_stored()
        on.end(record_fault, "nats-server killed (SIGKILL) under courier and worker", times)


@lanes
def test_stream_made_again_while_it_is_trusted(lane: str, record_fault: Record) -> None:
    """The courier trusts what it knows of a stream for seconds: the fence must notice that it is another by now."""
    times = rounds(4, 40)
    with stage(lane, by_courier=True, watched=True) as on:
        for _ in range(times):
            on.strike(on.remake_stream)
            on.wait_for_acks(5)
        on.end(
            record_fault,
            "stream made again while the courier trusts it",
            times,
            outcome="everything sent again by itself; (a)-(f) hold",
            judge=on.judge_last_life,
        )


@lanes
def test_half_open_connection_under_courier_and_worker(lane: str, record_fault: Record) -> None:
    times = rounds(1, 8)
    with stage(lane, proxied=True, by_courier=True) as on:
        for _ in range(times):
            on.wait_for_acks(20)
            on.proxy.rule = half_open
            on.wait_for_trouble("did not answer", "did not confirm", "stopped reading", "did not finish")
            on.proxy.rule = passing
            on.wait_until_well()
        on.end(record_fault, "half-open connection under courier and worker", times)


def test_atomic_batches_switched_off_while_trusted(record_fault: Record) -> None:
    times = rounds(3, 20)
    with stage("basic", by_courier=True, config={"allow_atomic": True}) as on:
        for _ in range(times):
            on.strike(lambda: on.configure(allow_atomic=False))
            on.wait_until(lambda: NatsConsumer.objects.get().promise == "basic", what="the promise told")
            on.strike(lambda: on.configure(allow_atomic=True))
            on.wait_until_well()
        on.end(
            record_fault, "allow_atomic switched off and on under courier and worker", times, promise="fenced and basic"
        )
