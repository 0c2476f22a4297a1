"""Records set aside: counted once, remembered in order, forgotten when they come."""

from syncs.engine.aside import MOST, SAMPLE, Aside
from syncs.providers.kit.records import Skipped

NONE = Aside([], 0, [])


def skipped(*ids: str) -> list[Skipped]:
    return [Skipped("fake:thing", each, "Sick.") for each in ids]


def test_a_record_is_counted_once_however_often_it_is_skipped() -> None:
    once = NONE.after((), skipped("a", "b"))
    assert once == Aside(["a", "b"], 2, ["a: Sick.", "b: Sick."])
    assert once.after((), skipped("b", "a")) == once


def test_a_record_without_an_id_is_counted_and_shown() -> None:
    assert NONE.after((), skipped("")) == Aside([], 1, ["Sick."])


def test_what_came_after_all_is_forgotten() -> None:
    known = NONE.after((), skipped("", "a", "b"))
    assert known.after({"a"}, ()) == Aside(["b"], 2, ["Sick.", "b: Sick."])


def test_what_failed_again_goes_to_the_end_of_the_line() -> None:
    known = NONE.after((), skipped("a", "b", "c"))
    assert known.retried(["a", "b"], {"b"}).ids == ["c", "a"]


def test_the_sample_is_bounded_and_so_is_the_list() -> None:
    many = NONE.after((), skipped(*(f"id-{number}" for number in range(MOST + 1))))
    assert len(many.sample) == SAMPLE
    assert many.is_too_much
    assert not many.after({"id-0"}, ()).is_too_much
