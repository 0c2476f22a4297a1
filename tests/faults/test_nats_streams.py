"""A stream that is purged, made again, full, edited under way, or written to by somebody else."""

import pytest

from consumers import services
from consumers.models import HeldMessage, NatsConsumer
from tests.faults.nats_stage import HOLD, STREAM, WATCHED, Record, lanes, make_stream, stage
from tests.faults.report import rounds
from tests.nats_server import run

pytestmark = pytest.mark.django_db(transaction=True)


@lanes
def test_stream_purged_in_mid_batch(lane: str, record_fault: Record) -> None:
    """What was removed by hand is told by the repeated check; a replay brings it all back; nothing goes backwards."""
    times = rounds(2, 15)
    with stage(lane, watched=True) as on:
        for _ in range(times):
            on.strike(lambda: run(on.server.ask(f"STREAM.PURGE.{STREAM}")))
            on.wait_for_acks(20)
        on.editor.stop()
        on.wait_until_well()
        on.check()
        row = NatsConsumer.objects.get()
        assert "Press Replay" in row.warning
        services.replay(row, by=None)
        on.wait_until_well()
        on.end(
            record_fault,
            "stream purged in mid-batch",
            times,
            outcome="missing records are told with the remedy; after Replay (a)-(f) hold",
            purged=True,
        )


@lanes
def test_stream_deleted_and_made_again_in_mid_batch(lane: str, record_fault: Record) -> None:
    times = rounds(3, 20)
    with stage(lane, watched=True) as on:
        for _ in range(times):
            on.wait_for_acks(20)
            before = on.cursor.run
            on.strike(lambda: run(on.server.ask(f"STREAM.DELETE.{STREAM}")))
            row = on.wait_for_trouble("No stream takes messages")
            assert "Create the stream" in row.next_step
            make_stream(on.server, lane, **WATCHED)
            on.wait_until(lambda before=before: on.cursor.run > before, what="a new run")
            on.wait_until_well()
            assert "sent again" in NatsConsumer.objects.get().warning
        on.end(
            record_fault,
            "stream deleted and made again in mid-batch",
            times,
            outcome="everything sent again by itself; (a)-(f) hold",
            judge=on.judge_last_life,
        )


@lanes
def test_stream_made_again_within_one_batch(lane: str, record_fault: Record) -> None:
    """Too quick to be seen by its absence: the cursor must not go on in the middle of the new one."""
    times = rounds(5, 40)
    with stage(lane, watched=True) as on:
        for _ in range(times):
            on.strike(on.remake_stream)
        on.end(
            record_fault,
            "stream deleted and made again within one batch",
            times,
            outcome="everything sent again by itself; (a)-(f) hold",
            judge=on.judge_last_life,
        )


@lanes
def test_full_stream_that_refuses(lane: str, record_fault: Record) -> None:
    """`discard new`: refused messages are not delivered, the page says what to raise, and it goes on once raised."""
    with stage(lane, config={"discard": "new", "max_bytes": 150_000}) as on:
        row = on.wait_for_trouble("maximum bytes")
        assert "max_bytes" in row.next_step
        on.editor.edit_some(20)
        on.assert_acknowledged_is_stored()
        on.configure(max_bytes=-1)
        on.wait_until_well()
        on.end(
            record_fault,
            "stream full (max_bytes, discard new)",
            outcome=f"refused, named, nothing called delivered; {HOLD[lane]} once raised",
        )


@lanes
def test_full_stream_that_forgets(lane: str, record_fault: Record) -> None:
    """`discard old`: the stream drops the oldest records by itself. Delivery goes on, in order; the page tells."""
    with stage(lane, watched=True, config={"max_bytes": 25_000}) as on:
        on.wait_for_acks(60)
        on.editor.stop()
        on.wait_until_well()
        on.check()
        row = NatsConsumer.objects.get()
        assert any("max_bytes 25,000" in check["detail"] for check in row.checks)
        assert "drops the oldest by itself (max_bytes 25,000): raise that limit" in row.warning
        on.end(
            record_fault,
            "stream full (max_bytes, discard old)",
            outcome="delivery goes on in order, nothing twice; missing records are told",
            is_whole=False,
        )


@lanes
def test_max_msg_size_lowered_under_way(lane: str, record_fault: Record) -> None:
    times = rounds(2, 10)
    with stage(lane) as on:
        for no in range(times):
            on.wait_for_acks(10)
            on.configure(max_msg_size=3_000)
            on.editor.write(f"large-{no}", text="x" * 6_000)
            held = on.wait_until(HeldMessage.objects.first, what="set aside")
            assert "max_msg_size" in held.next_step
            on.wait_until_well()
            on.configure(max_msg_size=-1)
            on.wait_until(lambda: not HeldMessage.objects.exists(), what="sent by itself")
        on.end(
            record_fault,
            "max_msg_size lowered under way, and raised again",
            times,
            outcome=f"too large records set aside by name, sent when they fit; {HOLD[lane]}",
        )


def test_atomic_batches_switched_off_and_on_under_way(record_fault: Record) -> None:
    """The promise changes with the stream; what one way of delivery left half done, the other does not trust."""
    times = rounds(3, 20)
    with stage("basic", config={"allow_atomic": True}) as on:
        for _ in range(times):
            on.strike(lambda: on.configure(allow_atomic=False))
            on.wait_until(lambda: NatsConsumer.objects.get().promise == "basic", what="the promise told")
            on.wait_for_acks(20)
            on.configure(allow_atomic=True)
            on.wait_until(lambda: NatsConsumer.objects.get().promise == "fenced", what="the promise told")
            on.wait_until_well()
            on.assert_acknowledged_is_stored()
        on.end(
            record_fault,
            "allow_atomic switched off and on under way",
            times,
            outcome="the page tells the promise that holds; (a)-(f) hold",
            promise="fenced and basic",
        )


@lanes
@pytest.mark.parametrize("left", ["nothing", "another collection"])
def test_subjects_narrowed_under_way(lane: str, left: str, record_fault: Record) -> None:
    """The stream takes our subjects no more, or not all of them: named, and nothing is called delivered."""
    with stage(lane) as on:
        sync_id = on.log.sync.pk
        on.configure(subjects=["elsewhere.>" if left == "nothing" else f"sequin-records.{sync_id}.fake:other.>"])
        row = on.wait_for_trouble("No stream takes messages", "takes only")
        assert "stream" in row.next_step
        on.editor.edit_some(10)
        on.assert_acknowledged_is_stored()
        on.configure(subjects=["sequin-records.>"])
        on.wait_until_well()
        on.end(
            record_fault,
            "the stream's subjects narrowed under way, and widened again",
            outcome=f"named on the page; {HOLD[lane]} once widened",
        )


@lanes
def test_sealed_stream(lane: str, record_fault: Record) -> None:
    """Sealing cannot be undone: the page says so; a new stream of the same name gets everything."""
    with stage(lane, watched=True) as on:
        on.configure(sealed=True)
        row = on.wait_for_trouble("sealed")
        assert "another" in row.next_step or "again" in row.next_step
        on.remake_stream()
        on.wait_until_well()
        on.end(
            record_fault,
            "stream sealed under way, deleted and made again",
            outcome="named on the page; everything sent again by itself; (a)-(f) hold",
            judge=on.judge_last_life,
        )


@lanes
def test_somebody_else_writes_under_our_prefix(lane: str, record_fault: Record) -> None:
    """On subjects of their own, and on ours: survived and told (fenced); Replay puts our records back on top."""
    times = rounds(10, 100)
    with stage(lane) as on:
        place = f"sequin-records.{on.log.sync.pk}.fake:thing"
        for no in range(times):
            on.wait_for_acks(5)
            run(on.server.publish(f"{place}.{'intruder' if no % 2 else f'r{no:04}'}", b'{"data":{"n":0}}'))
        on.editor.stop()
        on.wait_until_well()
        row = NatsConsumer.objects.get()
        if lane == "fenced":
            assert "Somebody else published to" in row.warning
        services.replay(row, by=None)
        on.wait_until_well()
        on.end(
            record_fault,
            "somebody else writes under our prefix",
            times,
            outcome=f"survived, and told by the fence; after Replay {HOLD[lane]}",
            foreign=times,
        )
