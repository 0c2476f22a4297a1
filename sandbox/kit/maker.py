"""What a table's `make` is given: luck, time, links to records that are there, serial numbers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from sandbox.clock import DAY_MS
from sandbox.rawjson import load
from sandbox.store import Row

if TYPE_CHECKING:
    from sandbox.kit.tables import Tables

ROWS_AT_HAND = 2_000


class Maker:
    """Made for one batch of records; links go to what the tables held when it began."""

    def __init__(self, tables: Tables, rng: random.Random):
        self.tables, self.rng = tables, rng
        self.now_ms = tables.clock.now_ms()
        self._rows: dict[str, list[Row]] = {}

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def moment_ms(self, earliest_days: float, latest_days: float = 0) -> int:
        """Some moment, in days from now: `moment_ms(-30)`."""
        return self.now_ms + round(self.rng.uniform(earliest_days, latest_days) * DAY_MS)

    def row(self, name: str) -> dict[str, Any] | None:
        """Some living record of another table, as values; None while there is none."""
        if name not in self._rows:
            self._rows[name] = self.tables.page(name, order="id", limit=ROWS_AT_HAND)
        known = self._rows[name]
        return load(self.rng.choice(known).body) if known else None

    def link(self, name: str) -> Any:
        """Some record's id, as its first id field has it; None while there is none."""
        found = self.row(name)
        for step in self.tables.table(name).ids[0].split("."):
            found = found[step] if found else None
        return found

    def serial(self, name: str) -> int:
        """1, 2, 3 … over the life of the sandbox."""
        return self.tables.store.count_up(f"{self.tables.key}/serial/{name}")
