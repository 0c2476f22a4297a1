"""Two worker processes that deliberately drain the same cursor at the same time: the stream alone judges them.

Fenced on one server and on three with leader changes under way; basic on a stream without atomic batches and on
Debian's older nats-server. The same with the guard taken out must fail.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connection

from consumers.models import NatsConsumer
from tests.children import tie_to_us
from tests.faults.nats_stage import Stage, backend, stage
from tests.faults.report import SEED, rounds
from tests.nats_cluster import nats_cluster
from tests.nats_server import OLD_BINARY, NatsServer, nats_server, run

pytestmark = pytest.mark.django_db(transaction=True)
EDITS, RECORDS = rounds(120, 3_000), 15  # versions written while both are at work, of few records: they all clash
MODES = ["disabled", "stolen"][: rounds(1, 2)]  # courier and worker steal from each other in every form
Record = Callable[..., None]


@contextlib.contextmanager
def rogues(on: Stage, mode: str, guard: str = "") -> Iterator[Counter[str]]:
    """Two of them at work for as long as the block lasts; what they say of themselves is in the counter afterwards."""
    keys = {"SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS)}
    argv = [sys.executable, "-m", "tests.faults.rogue_worker", connection.settings_dict["NAME"], str(on.consumer.pk)]
    said: Counter[str] = Counter()
    workers = [
        subprocess.Popen(
            [*map(str, argv), mode, f"{SEED}-{no}", *([guard] if guard else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | keys,
            preexec_fn=tie_to_us(),
        )
        for no in range(2)
    ]
    try:
        yield said
    finally:
        for worker in workers:
            try:
                told, _ = worker.communicate("", timeout=60)
                said.update(json.loads(told.splitlines()[-1]))
            finally:
                worker.kill()
                worker.wait(10)


def two_on_one_cursor(
    lane: str, server: NatsServer, mode: str, *, guard: str = "", meanwhile: Callable[[Stage], object] = lambda on: None
) -> tuple[Stage, Counter[str], int]:
    """The scenario; judged by rules (a) to (g), and by both having been refused something."""
    NatsConsumer.objects.all().delete()
    hosts = {"hosts": server.hosts} if hasattr(server, "hosts") else {}
    with stage(lane, server=server, busy=False, records=RECORDS, ack_s=15, nats=hosts) as on:
        with rogues(on, mode, guard) as said:
            on.wait_for_acks(RECORDS)
            on.editor.pause_s = 0.005
            start = on.editor.edits
            on.editor.start()
            meanwhile(on)
            on.wait_until(lambda: on.editor.edits >= start + EDITS, what="edits")
            on.editor.stop()
        count = on.judge()
        assert said["refused"], f"they were hardly ever in each other's way: {said}"
        return on, said, count


def note(record_fault: Record, where: str, mode: str, lane: str, said: Counter[str], count: int) -> None:
    told = f"{count} messages" + (", each stored once, " if lane == "fenced" else ", ") + "none backwards"
    record_fault(
        what=f"two workers on one cursor, leases {mode}: {where}",
        times=said["sent"],
        counted=said["refused"],
        outcome=told,
        backend=backend(),
        promise=lane,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lane", ["fenced", "basic"])
def test_two_workers_on_one_cursor(lane: str, mode: str, record_fault: Record) -> None:
    with nats_server() as server:
        _, said, count = two_on_one_cursor(lane, server, mode)
    note(record_fault, "one server", mode, lane, said, count)


@pytest.mark.parametrize(("lane", "guard"), [("fenced", "fence"), ("basic", "fence_subject")])
def test_without_its_guard_the_same_two_workers_break_the_promise(lane: str, guard: str) -> None:
    """The proof that the test above can fail: nothing else keeps two workers apart."""
    with nats_server() as server, pytest.raises(AssertionError, match=r"stored twice|goes backwards"):
        two_on_one_cursor(lane, server, "disabled", guard=guard, meanwhile=wait_until_broken)


def wait_until_broken(on: Stage) -> None:
    """Until the stream shows it; a quiet machine needs a second."""

    def is_broken() -> bool:
        subjects = on.on_stream().values()
        return any(subject.goes_backwards or (on.lane == "fenced" and subject.repeats) for subject in subjects)

    on.wait_until(is_broken, what="a broken promise")


@pytest.mark.parametrize("mode", MODES)
def test_two_workers_on_one_cursor_of_an_older_server(mode: str, record_fault: Record) -> None:
    with nats_server(binary=OLD_BINARY) as server:
        _, said, count = two_on_one_cursor("basic", server, mode)
        assert NatsConsumer.objects.get().promise == "basic"
    note(record_fault, "nats-server 2.9", mode, "basic", said, count)


@pytest.mark.parametrize("lane", ["fenced", "basic"])
def test_two_workers_on_one_cursor_through_leader_changes(lane: str, record_fault: Record) -> None:
    times = rounds(2, 20)

    def leaders_change(on: Stage) -> None:
        for _ in range(times):
            on.wait_for_acks(5)
            run(cluster.step_down())
            run(cluster.leader())

    with nats_cluster() as cluster:
        _, said, count = two_on_one_cursor(lane, cluster, "disabled", meanwhile=leaders_change)
    note(record_fault, f"three servers, R3, {times} leaders stepped down", "disabled", lane, said, count)
