"""What a new sandbox is given. The same seed gives the same records, ids included; only times count from today."""

from __future__ import annotations

from typing import Any

SEED = 20261123


def plant(sandbox: Any) -> None:
    """Fill a new store: everything for `demo`; for `empty` only what later records cannot be without."""
    for side in sandbox.sides.values():
        side.plant(sandbox.seed_name == "demo")
