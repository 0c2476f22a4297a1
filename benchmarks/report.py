"""Figures as tables and charts: `python -m benchmarks.report` renders the newest of benchmarks/results/*.json.

Written are results/{date}.md, the charts docs/img/bench-*.svg, and what stands between `<!-- bench:NAME -->` and
`<!-- /bench:NAME -->` in docs/performance.md. What a part did not measure is said to have failed, with its reason.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import charts, tables_of_costs, tables_of_speed
from benchmarks.targets import targets
from benchmarks.wording import table

RESULTS = Path(__file__).resolve().parent / "results"
DOCS = RESULTS.parent.parent / "docs"
Result = Mapping[str, Any]

TITLES = {
    "speed": "Records a second, API to stream",
    "cpu": "CPU µs a record, API to stream",
    "latency": "Milliseconds from commit to stream",
    "growth": "CPU µs a record, by records held",
}

RENDERED: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "whole-path": ("whole_path", tables_of_speed.whole_path),
    "ratios": ("whole_path", tables_of_speed.ratios),
    "again": ("whole_path", tables_of_speed.again),
    "roles": ("whole_path", tables_of_speed.roles),
    "delayed": ("delayed", tables_of_speed.delayed),
    "latency": ("latency", tables_of_speed.latency),
    "growth": ("growth", tables_of_costs.growth),
    "replay": ("growth", tables_of_costs.replay),
    "idle": ("idle", tables_of_costs.idle),
    "bytes": ("whole_path", tables_of_costs.sizes),
}


def tables(result: Result) -> dict[str, str]:
    """Every table as Markdown, by name."""
    found = {"targets": target_table(result)}
    for name, (part, render) in RENDERED.items():
        figures = result["parts"].get(part, {"failed": "not run"})
        found[name] = f"Not measured: {figures['failed']}." if "failed" in figures and part_is_lost(figures) else ""
        found[name] = found[name] or render(figures)
    return {**found, "machine": machine(result)}


def part_is_lost(figures: Mapping[str, Any]) -> bool:
    """Whether all of a part failed; else `failed` says which of its members did."""
    return isinstance(figures["failed"], str)


def target_table(result: Result) -> str:
    rows = [(each.what, each.wanted, each.reached, "yes" if each.is_met else "**no**") for each in targets(result)]
    return table(("target", "wanted", "reached", "met"), rows, words=2)


def machine(result: Result) -> str:
    facts = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    pins = "; ".join(f"{name}: {', '.join(each)}" for name, each in facts["peers"].items())
    rows = [
        ("measured", f"{result['at']}, commit {facts['commit']}, in {result.get('minutes', '?')} minutes"),
        ("machine", f"{facts['machine']}, {facts['system']}, Python {facts['python']}"),
        ("servers", f"{facts['nats-server']}; {facts['postgres']}; SQLite {facts['sqlite']}; {facts['redis']}"),
        ("packages", packages),
        ("peers", pins),
    ]
    return table(("", ""), rows, words=2)


def fill(document: str, rendered: Mapping[str, str]) -> str:
    """The document with each table between its markers. Raises ValueError for markers nobody renders."""

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name not in rendered:
            raise ValueError(f"nobody renders {name}")
        return f"<!-- bench:{name} -->\n{rendered[name]}\n<!-- /bench:{name} -->"

    return re.sub(r"<!-- bench:([\w-]+) -->\n.*?<!-- /bench:\1 -->", put, document, flags=re.DOTALL)


def publish(file: Path) -> None:
    """Write everything that is rendered from these results."""
    result = json.loads(file.read_text())
    rendered = tables(result)
    sections = [f"## {name.replace('-', ' ').capitalize()}\n\n{text}" for name, text in rendered.items()]
    file.with_suffix(".md").write_text("\n\n".join([f"# Benchmarks, {result['at'][:10]}", *sections]) + "\n")
    for name, chart in drawings(result).items():
        (DOCS / "img" / f"bench-{name}.svg").write_text(chart)
    page = DOCS / "performance.md"
    page.write_text(fill(page.read_text(), rendered | pictures(result)))


def pictures(result: Result) -> dict[str, str]:
    """The charts as the page shows them; a note in the place of one that could not be drawn."""
    drawn = drawings(result)
    return {
        f"chart-{name}": f"![{title}](img/bench-{name}.svg)" if name in drawn else "No chart: not measured."
        for name, title in TITLES.items()
    }


def drawings(result: Result) -> dict[str, str]:
    """The charts, by name; of what was measured."""
    parts = result["parts"]
    found: dict[str, list[charts.Bar]] = {}
    if parts.get("whole_path", {}).get("fresh"):
        found |= {"speed": tables_of_speed.speed_bars(parts["whole_path"])}
        found |= {"cpu": tables_of_speed.cpu_bars(parts["whole_path"])}
    if parts.get("latency", {}).get("backends"):
        found["latency"] = tables_of_speed.latency_bars(parts["latency"])
    if parts.get("growth", {}).get("backends"):
        found["growth"] = tables_of_costs.growth_bars(parts["growth"])
    return {name: charts.bars(TITLES[name], rows) for name, rows in found.items()}


def newest(files: Sequence[Path]) -> Path:
    """Raises SystemExit when there is none."""
    dated = sorted(file for file in files if re.fullmatch(r"\d{4}-\d\d-\d\d.*", file.stem))
    if not dated:
        raise SystemExit("no results yet: run `make bench`")
    return dated[-1]


if __name__ == "__main__":
    publish(newest(list(RESULTS.glob("*.json"))))
