"""Debian's older nats-server (2.9): what it lacks, and that basic delivery keeps its promise there all the same."""

from collections.abc import Iterator

import pytest

from consumers import services, tryout, working
from consumers.models import NatsConsumer
from tests.consumer_factories import Log, drain_until_quiet, make_consumer
from tests.faults.nats_stage import STREAM, Record, Stage, stage
from tests.faults.report import rounds
from tests.nats_server import OLD_BINARY, NatsServer, nats_server, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server(binary=OLD_BINARY) as running:
        yield running


def test_every_request_we_make_is_known_to_an_older_server(server: NatsServer) -> None:
    """Checks, creating the stream from the console, delivering, counting, purging: as on the newest."""
    log = Log()
    log.fill(30)
    consumer = make_consumer(server, log.sync)
    failed = next(check for check in consumer.checks if check["ok"] is False)
    assert failed["key"] == "stream"
    checks = {check["key"]: check for check in services.create_stream(consumer, by=None)}
    assert all(check["ok"] for check in checks.values()), checks
    assert "older than 2.12" in checks["limits"]["detail"]
    assert checks["limits"]["remedy"] == "Update nats-server to 2.12 or later."
    assert not checks["limits"]["action"]
    drain_until_quiet(consumer)
    row = NatsConsumer.objects.get()
    assert (row.promise, row.state) == ("basic", "active")
    config = run(server.ask(f"STREAM.INFO.{STREAM}"))["config"]
    assert (config["max_msgs_per_subject"], config["allow_direct"]) == (1, True)
    assert run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["state"]["messages"] == 30
    services.remove(row, "purge", by=None)

    working.check_consumers([str(row.pk)])
    assert run(server.ask(f"STREAM.INFO.{STREAM}"))["state"]["messages"] == 0


def test_stream_made_for_a_form_not_stored_yet(server: NatsServer) -> None:
    log = Log()
    nats = {"host": server.host, "port": server.port}
    assert tryout.create_stream({"sync_id": log.sync.pk, "nats": nats}, None, by=None) == STREAM


def test_switching_atomic_batches_on_is_refused_in_words(server: NatsServer) -> None:
    """An older server ignores what it does not know: the console must not believe that it did it."""
    run(server.make_stream())
    log = Log()
    consumer = make_consumer(server, log.sync)
    assert consumer.promise == "basic"
    checks = services.allow_atomic(consumer, by=None)
    assert any("older than 2.12" in check["detail"] for check in checks)
    assert NatsConsumer.objects.get().promise == "basic"


@pytest.mark.parametrize("how", ["killed (SIGKILL)", "made again", "purged"])
def test_faults_of_an_older_server(how: str, server: NatsServer, record_fault: Record) -> None:
    times = rounds(2, 20)
    with stage("basic", server=server) as on:
        for _ in range(times):
            on.wait_for_acks(20)
            suffer(on, how)
            on.wait_until_well()
        if how == "purged":
            services.replay(NatsConsumer.objects.get(), by=None)
            on.wait_until_well()
        on.end(record_fault, f"nats-server 2.9: server or stream {how}", times)


def suffer(on: Stage, how: str) -> None:
    if how == "killed (SIGKILL)":
        on.server.kill()
        on.server.start()
    elif how == "purged":
        run(on.server.ask(f"STREAM.PURGE.{STREAM}"))
    else:
        run(on.server.ask(f"STREAM.DELETE.{STREAM}"))
        run(on.server.make_stream(max_msgs_per_subject=-1))
        created = run(on.server.ask(f"STREAM.INFO.{STREAM}"))["created"]
        on.wait_until(lambda: on.cursor.stream_created == created, what="the new stream noticed")
