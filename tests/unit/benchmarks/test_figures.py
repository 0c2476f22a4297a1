"""Arithmetic on measurements."""

import pytest

from benchmarks import figures
from benchmarks.tables_of_costs import drift


def test_a_spread_is_the_middle_and_both_ends() -> None:
    assert figures.spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="no values"):
        figures.spread([])


def test_ratios_are_taken_within_a_round() -> None:
    """A round on a busy machine slows both: the ratio of medians would be 2.5 here, though each round says 2."""
    assert figures.ratios([10.0, 100.0, 50.0], [5.0, 50.0, 20.0]) == (2.0, 2.0, 2.5)


def test_rounds_that_only_one_of_them_finished_do_not_count() -> None:
    assert figures.ratios([10.0, 100.0], [5.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("share", "found"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, found: int) -> None:
    assert figures.percentile(list(range(100, 0, -1)), share) == found


def test_the_worst_of_few_is_its_own_percentile() -> None:
    assert figures.latency_ms([0.001, 0.0025]) == {"p50": 1.0, "p90": 2.5, "p99": 2.5, "max": 2.5}


def test_drift_says_how_much_dearer_the_last_is() -> None:
    assert drift([10.0, 30.0, 12.0]) == pytest.approx(0.2)
    assert drift([]) == 0.0
