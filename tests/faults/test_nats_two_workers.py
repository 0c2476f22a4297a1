"""Two worker processes that deliberately drain the same cursor at the same time: the stream alone judges them.

Fenced on one server and on three with leader changes under way; basic on a stream without atomic batches and on
Debian's older nats-server. The same with the guard taken out must fail.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from consumers.models import NatsConsumer
from tests.children import tie_to_us
from tests.faults.nats_stage import Record, Stage, stage
from tests.faults.report import SEED, rounds
from tests.nats_cluster import nats_cluster
from tests.nats_server import OLD_BINARY, NatsServer, nats_server, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]
PATIENCE_S = 150.0  # two processes start on a shared machine
EDITS, RECORDS = rounds(120, 3_000), 15  # versions written while both are at work, of few records: they all clash
MODES = ["disabled", "stolen"][: rounds(1, 2)]  # courier and worker steal from each other in every form


@contextlib.contextmanager
def rogues(on: Stage, folder: Path, mode: str, guard: str = "") -> Iterator[list[Path]]:
    """Two of them at work for as long as the block lasts; what each says is in a file."""
    keys = {"SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS)}
    argv = [sys.executable, "-m", "tests.faults.rogue_worker", connection.settings_dict["NAME"], on.consumer.pk, mode]
    files, workers = [folder / f"rogue-{no}" for no in range(2)], []
    for no, file in enumerate(files):
        with file.open("w") as said:
            told = [*map(str, argv), f"{SEED}-{no}", *([guard] if guard else [])]
            workers.append(
                subprocess.Popen(
                    told, stdin=subprocess.PIPE, stdout=said, env=os.environ | keys, preexec_fn=tie_to_us()
                )
            )
    try:
        yield files
    finally:
        for worker in workers:
            worker.stdin.close()
        for worker in workers:
            try:
                worker.wait(PATIENCE_S)
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
        with tempfile.TemporaryDirectory() as folder, rogues(on, Path(folder), mode, guard) as files:
            on.wait_until(lambda: on.cursor.acked_seq, PATIENCE_S, "the first acknowledgement")
            on.editor.pause_s = 0.005
            start = on.editor.edits
            on.editor.start()
            meanwhile(on)
            on.wait_until(lambda: on.editor.edits >= start + EDITS, PATIENCE_S, "edits")
            if not guard:  # they were in each other's way, or it proves nothing
                on.wait_until(lambda: all("refused" in file.read_text() for file in files), PATIENCE_S, "clashes")
            on.editor.stop()
            last = [file.read_text() for file in files]
        count = on.judge()
        return on, Counter(refused=sum(text.count("refused\n") for text in last)), count


def note(record_fault: Record, where: str, mode: str, lane: str, said: Counter[str], count: int) -> None:
    told = f"{count} messages" + (", each stored once, " if lane == "fenced" else ", ") + "none backwards"
    record_fault(
        what=f"two workers on one cursor, leases {mode}: {where}",
        times=said["refused"],
        counted=said["refused"],
        outcome=told,
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

    on.wait_until(is_broken, PATIENCE_S, "a broken promise")


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
