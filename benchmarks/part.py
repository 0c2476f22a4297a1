"""How a part of the benchmarks is run: alone by a person, or by `python -m benchmarks` in a process of its own."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    records  of the whole path
    rounds   of the comparison with peers
    held     sizes of the log at which its cost is measured
    """

    records: int = 50_000
    rounds: int = 3
    held: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    idle_s: float = 60.0
    latency_s: float = 20.0


QUICK = Scale(records=10_000, rounds=1, held=(10_000, 100_000), idle_s=20.0, latency_s=8.0)


class Teller:
    """Says what happens, and keeps the figures found so far: a part that is cut short has those at least."""

    def __init__(self, out: Path | None) -> None:
        self.out = out

    def __call__(self, text: str) -> None:
        print(text, flush=True)

    def keep(self, found: dict[str, Any]) -> None:
        if self.out:
            self.out.write_text(json.dumps(found, indent=1))


def main(description: str | None, measure: Callable[[Scale, Teller], dict[str, Any]]) -> None:
    """Measure, tell what was found on the way, and write the whole as JSON where `--out` says."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything: to see that it works")
    parser.add_argument("--out", type=Path, help="a file for the figures, JSON")
    options = parser.parse_args()
    say = Teller(options.out)
    found = measure(QUICK if options.quick else Scale(), say)
    say.keep(found)
    if not options.out:
        say(json.dumps(found, indent=1))
