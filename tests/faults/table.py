"""Renders what fault tests noted as the table in docs/reliability.md: `python -m tests.faults.table [FACTS [PAGE]]`."""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
FACTS, PAGE = ROOT / "docs/faults.jsonl", ROOT / "docs/reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEADER = ("what was tried", "backend", "promise", "how often", "counted in flight", "result")
Fact = dict[str, Any]


def main(facts: Path = FACTS, page: Path = PAGE) -> None:
    """Put the table of these facts between the page's markers."""
    table = render([json.loads(line) for line in facts.read_text().splitlines()])
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} has no place for the table: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def render(facts: Iterable[Fact]) -> str:
    """A Markdown table: one row a fault and promise, figures added up over all runs and backends."""
    groups: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact["what"], fact["promise"]].append(fact)
    rows = [(what, _backends(group), promise, *_figures(group)) for (what, promise), group in sorted(groups.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, ("---",) * len(HEADER), *rows))


def _backends(group: list[Fact]) -> str:
    """How often on each, where it was on several."""
    times: Counter[str] = Counter()
    for fact in group:
        times[fact["backend"]] += fact["times"]
    named = sorted(name for name in times if name)
    return named[0] if len(named) == 1 else ", ".join(f"{name} {times[name]:,}" for name in named)


def _figures(group: list[Fact]) -> tuple[str, str, str]:
    """How often, how often in flight, and what came of it."""
    counts = [fact["counted"] for fact in group if fact["counted"] is not None]
    failed = sum(not fact["passed"] for fact in group)
    result = f"failed in {failed} of {len(group)} runs" if failed else group[-1]["outcome"]
    return f"{sum(fact['times'] for fact in group):,}", f"{sum(counts):,}" if counts else "–", result


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
