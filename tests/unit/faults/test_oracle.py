"""The judge of the kill tests: it sees each way in which a stream can be wrong, and nothing in one that is right."""

import json
from pathlib import Path

import pytest

from tests.faults.oracle import Subject, Upstream, problems
from tests.faults.traces import Trace

A, B = ("x:thing", "a"), ("x:thing", "b")
UPSTREAM = {A: Upstream(3, deleted=False), B: Upstream(2, deleted=True)}
LAST_OF_B = (2, True, 5, 1)
RIGHT = {A: Subject([(1, False, 1, 1), (3, False, 4, 1)]), B: Subject([(1, False, 2, 1), LAST_OF_B])}


def test_stream_that_skips_a_version_is_right() -> None:
    assert problems(UPSTREAM, RIGHT, exactly_once=True) == []


def test_record_deleted_before_anybody_was_told_of_it_may_be_missing() -> None:
    assert problems(UPSTREAM, {A: RIGHT[A]}, exactly_once=True) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({B: RIGHT[B]}, "never arrived"),
        ({**RIGHT, A: Subject([(1, False, 1, 1)])}, "ends at"),
        ({**RIGHT, B: Subject([(1, False, 2, 1)])}, "ends at"),
        ({**RIGHT, B: Subject([(2, False, 2, 1)])}, "ends at"),
        ({**RIGHT, A: Subject([(3, False, 1, 1), (2, False, 3, 1), (3, False, 4, 1)])}, "goes backwards"),
        ({**RIGHT, A: Subject([(3, False, 4, 1), (3, False, 4, 1)])}, "stored twice"),
        ({**RIGHT, ("x:thing", "c"): RIGHT[A]}, "never existed"),
    ],
)
def test_what_is_wrong_is_said(wrong: dict[tuple[str, str], Subject], told: str) -> None:
    assert any(told in problem for problem in problems(UPSTREAM, wrong, exactly_once=True))


def test_same_message_in_another_run_is_a_replay_and_no_repeat() -> None:
    replayed = {**RIGHT, A: Subject([(3, False, 4, 1), (3, False, 4, 2)])}
    assert problems(UPSTREAM, replayed, exactly_once=True) == []


def test_span_without_an_end_is_under_way(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.jsonl")
    trace.read()
    first, second = ({"span": "publish", "pid": 7, "no": no, "began": float(no)} for no in (1, 2))
    half = json.dumps(second)
    trace.path.write_text(json.dumps(first) + "\n" + half[:10])
    trace.read()
    assert [span.no for span in trace.under_way("publish", pid=7)] == [1]
    with trace.path.open("a") as file:
        file.write(half[10:] + "\n" + json.dumps({**first, "ended": 3.0, "failed": True}) + "\n")
    trace.read()
    assert [span.no for span in trace.under_way("publish")] == [2]
    assert trace.spans[7, 1].failed
    assert trace.under_way("store") == trace.under_way("publish", pid=8) == []
