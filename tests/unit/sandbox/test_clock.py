"""The sandbox's clock: it may be set, but it does not go back by itself."""

import pytest

from sandbox.clock import Clock


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The machine's clock, to be set."""
    clock = {"s": 1_000.0}
    monkeypatch.setattr("sandbox.clock.time.time", lambda: clock["s"])
    return clock


def test_it_goes_on_while_the_machines_clock_is_set_back(machine):
    clock = Clock()
    before = clock.now_ms()
    machine["s"] = 999.5
    clock.skew_s = 0.0
    assert clock.now_ms() == before
    machine["s"] = 1_000.25
    assert clock.now_ms() == before + 250


def test_it_goes_back_when_it_is_set_back(machine):
    clock = Clock(skew_s=60.0)
    before = clock.now_ms()
    clock.skew_s = -60.0
    assert clock.now_ms() == before - 120_000
