"""How long to wait after a failure. Pure: chance comes in as an argument."""

from collections.abc import Callable

FIRST_S, LONGEST_S = 2.0, 300.0


def backoff_s(failures: int, chance: Callable[[], float], *, longest_s: float = LONGEST_S) -> float:
    """Seconds until the next try after `failures` in a row (1 is the first): doubling, capped, half of it by chance.

    chance  gives numbers from 0 up to 1, such as random.random; the jitter keeps many units from trying in step
    """
    whole = min(FIRST_S * 2.0 ** min(max(failures, 1) - 1, 20), longest_s)
    return whole * (0.5 + chance() / 2)
