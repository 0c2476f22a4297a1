"""The judge of the kill tests: it sees each way in which a stream can be wrong, and nothing in one that is right."""

import json
from pathlib import Path

import pytest

from tests.faults.oracle import (
    Key,
    State,
    Stored,
    Subject,
    Upstream,
    differences,
    early,
    growth,
    inventions,
    last_states,
    problems,
    subjects,
)
from tests.faults.traces import Trace
from tests.faults.watcher import Claim

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


def stored(key: Key, version: int, *, seq: int, at: float = 1.0, deleted: bool = False, run: int = 1) -> Stored:
    return Stored(key, "sync", version, deleted, seq, run, at, seq, {"version": version})


HISTORY = [stored(A, 1, seq=1), stored(B, 1, seq=2), stored(A, 3, seq=4), stored(B, 2, seq=5, deleted=True)]
VERSIONS = {A: {1: False, 2: False, 3: False}, B: {1: False, 2: True}}
STATES = last_states(HISTORY)


def test_rules_find_nothing_in_a_history_that_is_right() -> None:
    assert problems(UPSTREAM, subjects(HISTORY), exactly_once=True) == inventions(VERSIONS, HISTORY) == []
    assert growth(4, HISTORY) == differences(STATES, STATES) == []
    assert early("fenced", [Claim("fenced", "sync", 1, one.seq, at=1.5) for one in HISTORY], HISTORY) == []


@pytest.mark.parametrize(
    "made_up", [stored(A, 4, seq=6), stored(A, 2, seq=6, deleted=True), stored(("x:thing", "c"), 1, seq=6)]
)
def test_version_that_never_was_is_an_invention(made_up: Stored) -> None:
    assert len(inventions(VERSIONS, [*HISTORY, made_up])) == 1


@pytest.mark.parametrize("other", [State(2, False, {}), State(3, True, {}), State(3, False, {"version": 4})])
def test_places_differ_in_version_delete_mark_or_content(other: State) -> None:
    assert len(differences({**STATES, A: other}, STATES)) == 1


def test_places_differ_in_what_they_hold() -> None:
    assert differences({B: STATES[B]}, STATES) == [f"{A} is missing"]
    assert differences(STATES, {B: STATES[B]}) == [f"{A} is in one place only"]
    assert differences({A: STATES[A]}, STATES) == []  # B was deleted before anybody read it


@pytest.mark.parametrize(
    "claim",
    [
        Claim("fenced", "sync", 1, 4, at=0.9),  # stored only a moment later
        Claim("fenced", "sync", 1, 3, at=2.0),  # never stored
        Claim("fenced", "sync", 2, 4, at=2.0),  # stored in another run only
        Claim("fenced", "other sync", 1, 4, at=2.0),
    ],
)
def test_cursor_that_moved_before_its_message_was_stored_is_early(claim: Claim) -> None:
    assert len(early("fenced", [claim], HISTORY)) == 1
    assert early("basic", [claim], HISTORY) == []  # that is another stream


def test_stream_that_grew_by_more_than_what_was_sent_has_stored_twice() -> None:
    assert growth(5, HISTORY) != []
    assert growth(5, [*HISTORY, stored(A, 3, seq=4)]) != []


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
