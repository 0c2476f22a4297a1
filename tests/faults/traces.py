"""What every process of a world is in the middle of: spans read from the trace file as they are written."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Key = tuple[int, int]  # pid and number


@dataclass
class Span:
    """One stretch of work; `ended` is None while it lasts, and for ever if its process was killed in it."""

    name: str
    pid: int
    no: int
    began: float
    ended: float | None = None
    failed: bool = False


class Trace:
    """All spans so far. `read` takes in what was written since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spans: dict[Key, Span] = {}
        self._open: dict[Key, Span] = {}
        self._at = 0
        self._rest = b""

    def read(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._at)
            fresh = file.read()
        self._at += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, fact: dict[str, Any]) -> None:
        key = fact["pid"], fact["no"]
        span = self.spans.setdefault(key, Span(fact["span"], *key, fact["began"]))
        if "ended" in fact:
            span.ended, span.failed = fact["ended"], fact.get("failed", False)
            self._open.pop(key, None)
        else:
            self._open[key] = span

    def under_way(self, *names: str, pid: int | None = None) -> list[Span]:
        """Spans of these names that have begun and not ended, newest first; those of killed processes too."""
        found = [span for span in self._open.values() if span.name in names and pid in (None, span.pid)]
        return sorted(found, key=lambda span: -span.began)

    def pids(self, *names: str) -> set[int]:
        """Processes that ever had such a span."""
        return {span.pid for span in self.spans.values() if span.name in names}
