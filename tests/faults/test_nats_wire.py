"""What the network does between us and nats-server: nothing passes, answers are lost, come late, or the line is cut."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from consumers import jetstream, working
from consumers.connection import NatsSettings, NoAnswer
from tests.faults import nats_stage
from tests.faults.nats_stage import HOLD, STREAM, Record, lanes, stage
from tests.faults.report import rounds
from tests.nats_proxy import CUT, DROP, PASS, RESET, Frame, deaf, half_open, passing
from tests.nats_server import nats_server, run

pytestmark = pytest.mark.django_db(transaction=True)


class Once:
    """A rule that does something to the first frame it is about, and lets all others pass."""

    def __init__(self, about: Callable[[Frame], bool], fate: str | float) -> None:
        self.about, self.fate = about, fate
        self.happened = threading.Event()

    def __call__(self, frame: Frame) -> str | float:
        if self.happened.is_set() or not self.about(frame):
            return PASS
        self.happened.set()
        return self.fate


class Half:
    """The connection is cut, or reset, after so many records of a batch or window."""

    def __init__(self, records: int, fate: str = CUT) -> None:
        self.left, self.fate = records, fate
        self.happened = threading.Event()

    def __call__(self, frame: Frame) -> str | float:
        if frame.is_record and not self.happened.is_set():
            self.left -= 1
            if self.left < 0:
                self.happened.set()
                return self.fate
        return PASS


@lanes
@pytest.mark.parametrize("rule", [half_open, deaf], ids=["nothing passes", "answers are lost"])
def test_half_open_connection(lane: str, rule: Callable[[Frame], str], record_fault: Record) -> None:
    """Sockets stay open and nothing comes back: the link is given up after one unanswered question, not asked again."""
    times, last_s = rounds(1, 8), rounds(1, 40)
    with stage(lane, proxied=True) as on:
        for _ in range(times):
            on.wait_for_acks(20)
            on.proxy.rule = rule
            on.wait_for_trouble("did not answer", "did not confirm", "stopped reading", "did not finish", kind="broker")
            on.wait(last_s)
            on.proxy.rule = passing
            on.wait_until_well()
        on.end(
            record_fault,
            f"half-open connection: {'nothing passes' if rule is half_open else 'answers are lost'}",
            times,
            outcome=f"{HOLD[lane]}; no drain beyond its budget, longest {on.worker.longest_s:.0f} s",
        )


def test_an_old_half_open_connection_is_not_asked_again(record_fault: Record) -> None:
    """The dead one never comes back to life, as when a router forgets it: a new one must be made, and is."""
    with stage("fenced", proxied=True) as on:
        on.worker.stop()
        dead = on.proxy.connections
        on.proxy.bury()
        on.editor.edit_some(3)
        (first,) = on.worker.drain().values()
        assert isinstance(first, NoAnswer)
        (second,) = on.worker.drain().values()
        assert not isinstance(second, Exception)
        assert on.proxy.connections > dead
        on.end(
            record_fault,
            "connection forgotten by the network, for good",
            outcome="the next drain connects anew; (a)-(g) hold",
        )


@lanes
def test_acknowledgement_lost_after_commit(lane: str, record_fault: Record) -> None:
    """Stored, and we were not told: fenced learns it from the stream and sends nothing twice; basic sends again."""
    assert_unknown_outcomes_settle(lane, "acknowledgement lost", lambda frame: frame.is_ack, DROP, record_fault)


def test_commit_message_lost(record_fault: Record) -> None:
    """The batch is never committed: nothing of it is stored, all of it is sent again."""
    assert_unknown_outcomes_settle("fenced", "commit message lost", lambda f: f.is_commit, DROP, record_fault)


@lanes
def test_one_record_lost_on_the_way(lane: str, record_fault: Record) -> None:
    """A hole in a batch makes the stream refuse all of it; in a window the one record is sent again."""

    def is_inner(frame: Frame) -> bool:
        return frame.is_record and b"Nats-Batch-Sequence: 2\r\n" in frame.body if lane == "fenced" else frame.is_record

    assert_unknown_outcomes_settle(lane, "one record lost on the way", is_inner, DROP, record_fault)


@lanes
def test_acknowledgement_later_than_it_is_waited_for(lane: str, record_fault: Record) -> None:
    """It comes when nobody expects it any more, and must not be taken for another's."""
    late_s = rounds(3, 20)
    what = f"acknowledgement {late_s} s late"
    assert_unknown_outcomes_settle(lane, what, lambda frame: frame.is_ack, late_s, record_fault, ack_s=rounds(1.5, 15))


def assert_unknown_outcomes_settle(
    lane: str, what: str, about: Callable[[Frame], bool], fate: str | float, record_fault: Record, *, ack_s: float = 1.0
) -> None:
    times = rounds(1, 15)
    with stage(lane, proxied=True, ack_s=ack_s) as on:
        for _ in range(times):
            on.wait_for_acks(10)
            rule = on.proxy.rule = Once(about, fate)
            on.wait_until(rule.happened.is_set, what=what)
            on.wait_until_well()
            on.assert_acknowledged_is_stored()
        on.end(
            record_fault,
            what,
            times,
            outcome="settled by reading the stream, nothing twice" if lane == "fenced" else "sent again, in order",
            counted=times,
        )


@lanes
@pytest.mark.parametrize("fate", [CUT, RESET])
def test_connection_ends_in_mid_batch(lane: str, fate: str, record_fault: Record) -> None:
    """Half a batch or window has left: of a batch nothing is stored, of a window what arrived."""
    times = rounds(4, 60)
    with stage(lane, proxied=True) as on:
        for no in range(times):
            on.wait_for_acks(10)
            rule = on.proxy.rule = Half(1 + no % 4, fate)
            on.wait_until(rule.happened.is_set, what="a batch of so many")
            on.wait_until_well()
        what = "connection cut in mid-batch" if fate == CUT else "connection reset (RST) within a message"
        on.end(record_fault, what, times, counted=times)


def test_many_batches_left_half_done(record_fault: Record) -> None:
    """A server takes 50 unfinished batches a stream and forgets them after 10 s: more of them hold us up, no longer."""
    times = rounds(60, 200)
    with stage("fenced", proxied=True) as on:
        on.editor.stop()
        on.worker.stop()
        on.drain_until_well()
        for _ in range(times):
            on.editor.edit_some(20)  # a batch, not a few
            on.proxy.rule = Half(2)
            on.worker.drain()
        on.proxy.rule = passing
        on.worker.start()
        on.wait_until_well()
        on.end(
            record_fault,
            "more batches left half done than a stream keeps open",
            times,
            outcome="goes on when the server has forgotten them; (a)-(g) hold",
            counted=times,
        )


@lanes
def test_drain_ends_within_its_budget_whatever_the_network_does(
    lane: str, record_fault: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget and its grace end a wait that would be longer, and the next drain settles."""
    monkeypatch.setattr(nats_stage, "LONGEST_WAIT_S", 60)
    monkeypatch.setattr(working, "GRACE_S", rounds(2.0, working.GRACE_S))
    with stage(lane, proxied=True, busy=False, ack_s=60, budget_s=0.5) as on:
        on.proxy.rule = lambda frame: DROP if frame.is_ack else PASS
        (result,) = on.worker.drain().values()
        assert isinstance(result, TimeoutError)
        assert on.worker.longest_s < on.worker.budget_s + working.GRACE_S + 5
        on.proxy.rule = passing
        on.drain_until_well()
        on.end(
            record_fault,
            "acknowledgement never comes, budget ends first",
            outcome=f"drain ended after {on.worker.longest_s:.0f} s; {HOLD[lane]}",
            counted=1,
        )


def test_what_a_closed_connection_had_in_its_buffers_never_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stood still while we gave up must not be sent the rest of an old batch when it wakes."""
    monkeypatch.setattr(jetstream, "WRITE_S", 1.0)
    with nats_server() as server:
        run(server.make_stream(max_msgs_per_subject=-1))
        left: list[int] = []

        def frames() -> Iterator[bytes]:
            for no in range(1_000):
                left.append(no)
                yield jetstream.frame(f"sequin-records.flood.{no}", b"x" * 100_000, b"")

        async def scenario() -> None:
            link = await jetstream.open_link(NatsSettings((f"{server.host}:{server.port}",)))
            server.pause()
            with pytest.raises(NoAnswer, match="stopped reading"):
                await link.write(frames())
            await link.close()
            server.resume()
            await asyncio.sleep(2)  # for whatever would come

        run(scenario())
        assert 0 < run(server.ask(f"STREAM.INFO.{STREAM}"))["state"]["messages"] < len(left)
