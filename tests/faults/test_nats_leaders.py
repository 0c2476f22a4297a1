"""A stream of three replicas whose leader is killed, or steps down, in mid-batch, again and again."""

from collections.abc import Iterator
from typing import Any

import pytest

from consumers.models import NatsConsumer
from tests.faults.nats_stage import HOLD, LANES, STREAM, Record, Stage, lanes, stage
from tests.faults.report import rounds
from tests.nats_cluster import NatsCluster, nats_cluster
from tests.nats_server import run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[NatsCluster]:
    with nats_cluster() as running:
        yield running


@pytest.fixture
def on(cluster: NatsCluster, request: pytest.FixtureRequest) -> Iterator[Stage]:
    lane = request.getfixturevalue("lane")
    with stage(lane, server=cluster, nats={"hosts": cluster.hosts}, ack_s=5) as made:
        yield made


@lanes
def test_leader_killed_in_mid_batch(lane: str, cluster: NatsCluster, on: Stage, record_fault: Record) -> None:
    """Whoever is next has all that was acknowledged; what was under way is settled by reading the stream."""
    times = rounds(1, 25)
    for _ in range(times):
        on.wait_for_acks(15)
        leader = run(cluster.leader())
        on.strike(leader.kill)
        on.wait_until_well()
        leader.start()
        run(cluster.wait_until_whole())
        on.assert_acknowledged_is_stored()
    judge(on, "leader killed (R3)", times, record_fault)


@lanes
def test_leader_steps_down_in_mid_batch(lane: str, cluster: NatsCluster, on: Stage, record_fault: Record) -> None:
    times = rounds(3, 60)
    for _ in range(times):
        on.wait_for_acks(10)
        on.strike(lambda: run(cluster.step_down()))
        run(cluster.leader())
    judge(on, "leader steps down (R3)", times, record_fault)


@pytest.mark.parametrize("lane", [*LANES][: rounds(1, 2)])
def test_majority_lost_and_back(lane: str, cluster: NatsCluster, on: Stage, record_fault: Record) -> None:
    """One of three cannot decide anything: told, nothing called delivered, and it goes on when they are back."""
    times = rounds(1, 10)
    for _ in range(times):
        on.wait_for_acks(10)
        gone = cluster.members[1:]
        for member in gone:
            member.kill()
        on.wait_for_trouble("did not answer", "did not confirm", "temporarily unavailable", "lost", "no leader")
        for member in gone:
            member.start()
        run(cluster.wait_until_whole())
        on.wait_until_well()
    judge(on, "majority of a cluster lost, and back (R3)", times, record_fault)


def judge(on: Stage, what: str, times: int, record_fault: Record) -> None:
    created: Any = on.cursor.stream_created
    on.end(record_fault, what, times, outcome=f"{HOLD[on.lane]}, nothing sent anew")
    assert on.cursor.run == 1, f"taken for another stream: {NatsConsumer.objects.get().warning}"
    assert run(on.server.ask(f"STREAM.INFO.{STREAM}"))["created"] == created
