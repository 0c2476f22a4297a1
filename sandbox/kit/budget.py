"""Calls a caller may make in a window of time, and what is left of them for the headers that say so."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.clock import SECOND_MS, Clock


@dataclass(frozen=True)
class Left:
    """Where a caller stands after a call. `reset_ms`: when the window ends."""

    limit: int
    used: int
    reset_ms: int

    @property
    def left(self) -> int:
        return max(self.limit - self.used, 0)

    @property
    def is_over(self) -> bool:
        return self.used > self.limit


class Budget:
    """Windows of `window_s`, one for each caller. Not kept over a restart."""

    def __init__(self, clock: Clock, window_s: int):
        self.clock, self.window_ms = clock, window_s * SECOND_MS
        self._used: dict[tuple[str, int], int] = {}

    def spend(self, caller: str, limit: int, cost: int = 1) -> Left:
        """Count a call."""
        window = self.clock.now_ms() // self.window_ms
        used = self._used.get((caller, window), 0) + cost
        if used == cost:
            self._used = {key: count for key, count in self._used.items() if key[1] == window}
        self._used[(caller, window)] = used
        return Left(limit, used, (window + 1) * self.window_ms)
