"""Faults: they strike where and as often as asked."""

import pytest

from sandbox.faults import Faults
from sandbox.sides import SIDES


def test_fault_strikes_its_path_and_then_is_over():
    faults = Faults(SIDES)
    faults.add({"provider": "stripe", "kind": "rate_limit", "path": "/v1/charges", "times": 2})
    assert faults.strike("stripe", "/v1/customers") == []
    assert faults.strike("salesforce", "/v1/charges") == []
    assert [bool(faults.strike("stripe", "/v1/charges?limit=1")) for _ in range(3)] == [True, True, False]
    assert faults.active() == []


def test_quiet_faults_add_up_and_one_loud_one_answers():
    faults = Faults(SIDES)
    for kind in ("slow", "server_error", "clock_skew", "rate_limit"):
        faults.add({"provider": "salesforce", "kind": kind})
    assert [fault.kind for fault in faults.strike("salesforce", "/")] == ["slow", "server_error", "clock_skew"]


def test_share_strikes_about_that_part():
    faults = Faults(SIDES)
    faults.add({"provider": "stripe", "kind": "server_error", "share": 0.2})
    assert 140 < sum(bool(faults.strike("stripe", "/")) for _ in range(1_000)) < 260


@pytest.mark.parametrize(
    "asked",
    [
        {"provider": "x", "kind": "slow"},
        {"provider": "stripe", "kind": "x"},
        {"provider": "stripe", "kind": "slow", "colour": 1},
        {"provider": "stripe", "kind": "slow", "share": 2},
        {"provider": "stripe", "kind": "slow", "times": 0},
    ],
)
def test_senseless_faults_are_refused(asked):
    with pytest.raises(ValueError, match=r"\w+"):
        Faults(SIDES).add(asked)
