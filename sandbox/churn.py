"""A company at work: now and then somebody creates, edits or deletes something at each provider."""

from __future__ import annotations

import asyncio
from typing import Any

from sandbox.refusals import Refusal
from sandbox.side import Side

LOOKED_AT_EVERY_S = 0.2
MOST_AT_ONCE = 4


class Churn:
    """Makes changes at its pace while `run` runs, or on demand."""

    def __init__(self, sandbox: Any):
        self.sandbox = sandbox

    async def run(self) -> None:
        """Change a little every `churn_s` seconds, for as long as the sandbox lives."""
        waited_s = 0.0
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY_S)
            waited_s += LOOKED_AT_EVERY_S
            every_s = self.sandbox.settings.churn_s
            if every_s and waited_s >= every_s:
                waited_s = 0.0
                self.change(self.sandbox.rng.randint(1, MOST_AT_ONCE))

    def change(self, count: int) -> list[dict[str, str]]:
        """Make `count` changes at each provider; what was done to which record."""
        made = [self._one(side) for side in self.sandbox.sides.values() if side.churned for _ in range(count)]
        return [change for change in made if change]

    def _one(self, side: Side) -> dict[str, str] | None:
        rng, records = self.sandbox.rng, side.records(side.modes[0])
        name = rng.choice(side.churned)
        ids = side.store.sample_ids(records.shelf(name), 1)
        luck = rng.random()
        if luck < 0.2 or not ids:
            return _done("create", side, name, records.create(name, records.believable(name, 1))[0])
        if luck > 0.93:
            try:
                records.delete(name, ids[0])
            except Refusal:
                return None  # such as charges, which are never deleted upstream
            return _done("delete", side, name, ids[0])
        records.update(name, ids[0], side.edits[name](rng))
        return _done("update", side, name, ids[0])


def _done(what: str, side: Side, name: str, record: str) -> dict[str, str]:
    return {"what": what, "provider": side.key, "collection": name, "id": record}
