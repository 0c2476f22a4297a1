"""A nats-server that is restarted, killed, stands still, or has no room left."""

import pytest

from consumers.models import HeldMessage
from tests.faults.nats_stage import HOLD, Record, lanes, stage
from tests.faults.report import rounds
from tests.nats_server import NatsServer, nats_server

pytestmark = pytest.mark.django_db(transaction=True)


@lanes
@pytest.mark.parametrize("how", ["restarted", "killed (SIGKILL)"])
def test_server_restarted_in_mid_batch(lane: str, how: str, record_fault: Record) -> None:
    """What was not acknowledged is settled by reading the stream, once the server is back on its store."""
    times = rounds(3, 40)
    with stage(lane) as on:
        for _ in range(times):
            on.strike(on.server.stop if how == "restarted" else on.server.kill)
            on.wait_for_trouble("refused a connection", "connection to NATS was lost", kind="broker")
            on.server.start()
            on.wait_until_well()
            on.assert_acknowledged_is_stored()
        on.end(record_fault, f"nats-server {how} in mid-batch", times)


@lanes
def test_server_stands_still_for_longer_than_it_is_waited_for(lane: str, record_fault: Record) -> None:
    """SIGSTOP: sockets stay open, acknowledgements come late or never; a drain never outlives its budget."""
    times, still_s = rounds(1, 3), rounds(4, 30)
    with stage(lane, ack_s=rounds(2, 15), budget_s=rounds(2, 20)) as on:
        for _ in range(times):
            on.strike(on.server.pause)
            on.wait_for_trouble("did not answer", "did not confirm", "connection to NATS was lost", kind="broker")
            on.wait(still_s)
            on.server.resume()
            on.wait_until_well()
        on.end(
            record_fault,
            f"nats-server stands still for {still_s} s (SIGSTOP)",
            times,
            outcome=f"{HOLD[lane]}; no drain beyond its budget, longest {on.worker.longest_s:.0f} s",
        )


@lanes
def test_max_payload_lowered_by_restart(lane: str, record_fault: Record) -> None:
    """What is too large by now is set aside, named, and sent by itself once it fits again; the others go on."""
    with nats_server(max_payload=1_000_000) as server, stage(lane, server=server) as on:
        restart(on.server, max_payload=20_000)
        on.editor.write("r0001", text="x" * 60_000)
        held = on.wait_until(HeldMessage.objects.first, what="set aside")
        on.wait_until_well()
        assert "20,000 are allowed" in held.reason
        assert "max_payload" in held.next_step
        restart(on.server, max_payload=1_000_000)
        on.wait_until(lambda: not HeldMessage.objects.exists(), what="sent by itself")
        on.end(
            record_fault,
            "max_payload lowered by a restart, and raised again",
            outcome=f"too large records set aside by name, sent when they fit; {HOLD[lane]}",
        )


def restart(server: NatsServer, **config: object) -> None:
    server.stop()
    server.config |= config
    server.start()


@lanes
def test_server_has_no_room_left(lane: str, record_fault: Record) -> None:
    """JetStream's storage is used up: the page says so, nothing is lost, and it goes on when there is room."""
    with nats_server() as server:
        server.config["jetstream"]["max_file_store"] = 300_000
        server.stop()
        server.start()
        with stage(lane, server=server) as on:
            on.editor.stop()
            for no in range(60):
                on.editor.write(f"large-{no}", text="x" * 9_000)
            row = on.wait_for_trouble("storage", "space", "resources", "maximum bytes")
            assert "storage" in row.next_step or "room" in row.next_step
            acked = on.cursor.acked_seq
            assert acked < on.log.head
            on.server.stop()
            on.server.config["jetstream"]["max_file_store"] = 100_000_000
            on.server.start()
            on.wait_until_well()
            on.end(
                record_fault,
                "no storage left for JetStream (max_file_store)",
                outcome=f"named on the page, nothing called delivered; {HOLD[lane]} when there is room",
            )


def test_duplicate_window_shorter_than_the_outage(record_fault: Record) -> None:
    """Exactly once does not lean on the stream's duplicate window: no message ids are sent at all."""
    times = rounds(2, 20)
    with stage("fenced", config={"duplicate_window": 100_000_000}) as on:
        for _ in range(times):
            on.strike(on.server.kill)
            on.wait_for_trouble("refused a connection", "connection to NATS was lost")
            on.server.start()
            on.wait_until_well()
        on.end(
            record_fault,
            "outage longer than the duplicate window (0.1 s)",
            times,
            outcome="stream grew by exactly what was sent",
        )
