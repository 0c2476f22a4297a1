"""What a new sandbox is given. The same seed gives the same records, ids included; only times count from today."""

from __future__ import annotations

from typing import Any

SEED = 20261123


def plant(sandbox: Any) -> None:
    """Fill what is new: everything for `demo`; for `empty` only what later records cannot be without.

    A side that a newer version brought is new to an old data folder, and planted there too.
    """
    for side in sandbox.sides.values():
        if sandbox.store.note("seed", side.key) is None and not sandbox.store.counts(f"{side.key}/"):
            with sandbox.store.transaction():
                side.plant(sandbox.seed_name == "demo")
                sandbox.store.keep_note("seed", side.key, sandbox.seed_name)
