"""What a viewer is shown of a stream too quick for eyes: every message while there are few, else a sample. Pure."""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Window(Generic[Item]):
    """The newest items, bounded in number and bytes; older ones fall out and are only counted."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most, self.most_bytes, self.size_bytes, self.dropped = most, most_bytes, 0, 0
        self._items: deque[tuple[Item, int]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item, size: int) -> None:
        self._items.append((item, size))
        self.size_bytes += size
        while len(self._items) > self.most or (self.size_bytes > self.most_bytes and len(self._items) > 1):
            self._pop()
            self.dropped += 1

    def take(self, most: int) -> list[Item]:
        """The oldest of them, in order."""
        return [self._pop() for _ in range(min(most, len(self._items)))]

    def _pop(self) -> Item:
        item, size = self._items.popleft()
        self.size_bytes -= size
        return item


class Budget:
    """How many may be shown now: `per_s` for ever, and up to `burst` at once after a pause. Time is passed in."""

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s, self.burst, self._left, self._at = per_s, burst, burst, 0.0

    def left(self, now: float) -> int:
        if self._at:
            self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        return int(self._left)

    def spend(self, count: int) -> None:
        self._left -= count


class Rate:
    """Messages a second over the last moments. Time is passed in."""

    def __init__(self, over_s: float = 2.0) -> None:
        self.over_s = over_s
        self._marks: deque[tuple[float, int]] = deque()

    def at(self, now: float, total: int) -> float:
        """The rate, given that `total` have come by now."""
        self._marks.append((now, total))
        while len(self._marks) > 2 and self._marks[1][0] <= now - self.over_s:
            self._marks.popleft()
        began, before = self._marks[0]
        span = now - began
        return (total - before) / span if span > 0 else 0.0
