"""How often a feed is looked at: quiet ones rarely, busy ones at once often again."""

from itertools import accumulate

import pytest

from syncs.engine.due import next_pace


def paces(fastest_s: int, slowest_s: int, looks: str) -> list[int]:
    """The pace after each look: `.` found nothing, `!` found something."""
    bounds = {"fastest_s": fastest_s, "slowest_s": slowest_s}
    each = accumulate(looks, lambda pace, look: next_pace(pace, has_found=look == "!", **bounds), initial=fastest_s)
    return list(each)[1:]


def test_looks_that_find_nothing_become_rarer_down_to_the_slowest() -> None:
    assert paces(2, 60, "." * 10) == [3, 4, 6, 9, 14, 21, 32, 48, 60, 60]


def test_one_that_finds_something_is_followed_at_the_fastest() -> None:
    assert paces(2, 60, ".....!!.") == [3, 4, 6, 9, 14, 2, 2, 3]


def test_without_a_slowest_pace_it_stays() -> None:
    assert paces(60, 60, "..!.") == [60, 60, 60, 60]
    assert paces(60, 0, "..!.") == [60, 60, 60, 60]


@pytest.mark.parametrize("pace", [0, 1, 2, 59, 60, 10_000])
def test_it_never_leaves_its_bounds(pace: int) -> None:
    for has_found in (False, True):
        assert 2 <= next_pace(pace, has_found=has_found, fastest_s=2, slowest_s=60) <= 60
