"""Workers killed by SIGKILL with a batch in flight: nothing lost, no subject backwards (invariants 6, 7, 11)."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict

import pytest
from django.conf import settings
from django.db import connection

from consumers.models import ConsumerCursor, NatsConsumer
from tests.consumer_factories import Log, cursor_of, drain_until_quiet, make_consumer
from tests.nats_server import nats_server, run

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
KILLS, RECORDS = 5, 6_000


def kill_in_flight(consumer: NatsConsumer, chance: random.Random) -> bool:
    """Start a worker, wait for its n-th batch to leave, kill it a moment later; whether that batch was in flight."""
    command = [sys.executable, "-m", "tests.drain_worker", str(connection.settings_dict["NAME"]), str(consumer.pk)]
    keys = {"SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS)}
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | keys)
    assert worker.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(worker.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    wanted, deadline = chance.randint(1, 3), time.monotonic() + 30
    while lines.count("flight\n") < wanted and worker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(chance.random() * 0.01)
    worker.kill()
    worker.wait(10)
    reader.join(10)
    worker.stdout.close()
    return lines.count("flight\n") > lines.count("landed\n")


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "basic"])
def test_killed_workers_lose_nothing_and_step_nowhere_backwards(is_fenced: bool) -> None:
    chance = random.Random(7)
    with nats_server() as server:
        run(server.make_stream(allow_atomic=is_fenced, max_msgs_per_subject=-1))  # keeps the whole history
        log = Log()
        log.fill(RECORDS, n=0)
        consumer = make_consumer(server, log.sync)
        in_flight = tried = 0
        while in_flight < KILLS and tried < 6 * KILLS:
            tried += 1
            in_flight += kill_in_flight(consumer, chance)
            ConsumerCursor.objects.update(lease_until=None)  # as if the dead worker's lease had run out
            log.fill(500, start=chance.randrange(RECORDS - 500), n=tried)
        print(f"kills with a batch in flight: {in_flight} of {tried}")
        assert in_flight >= KILLS
        drain_until_quiet(consumer)
        history = defaultdict(list)
        stored: dict[tuple[str, int], list[dict[str, str]]] = defaultdict(list)
        for message in run(server.messages()):
            history[message.subject].append(int(message.headers["Sequin-Seq"]))
            stored[message.subject, int(message.headers["Sequin-Seq"])].append(message.headers)
        assert len(history) == RECORDS
        assert all(seqs == sorted(seqs) for seqs in history.values())
        wanted = {entry.upstream_id: entry.seq for entry in _entries(log)}
        assert {subject.rsplit(".", 1)[-1]: seqs[-1] for subject, seqs in history.items()} == wanted
        if is_fenced:  # exactly once into the stream
            twice = {version: headers for version, headers in stored.items() if len(headers) > 1}
            assert not twice, f"{len(twice)} stored twice, among them {list(twice.items())[:2]}"
        assert cursor_of(consumer).acked_seq == log.head


def _entries(log: Log) -> list:
    from syncs.log import entries_after

    found = entries_after(log.sync.pk, 0, limit=RECORDS + 1)
    assert all(json.loads(entry.data) for entry in found)
    return found
