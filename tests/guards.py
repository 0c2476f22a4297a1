"""Proof that a guard guards: the same scenario holds with it and fails without it."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest


def proves(scenario: Callable[[], None], *, without: Callable[[], AbstractContextManager[object]]) -> None:
    """Run the scenario as it is; then with the guard taken out, when its assertion must fail.

    A scenario starts from nothing each time it is called and asserts what must hold.
    """
    scenario()
    with without(), pytest.raises(AssertionError):
        scenario()
