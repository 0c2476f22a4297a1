"""Tables of the whole path, of re-reading, of latency. Pure: figures in, Markdown out."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.charts import Bar
from benchmarks.figures import spread
from benchmarks.wording import NAMES, OURS, cpu_us, mb, ranged, rates, table, whole

Figures = Mapping[str, Any]
PLANNED = 16_000, 25_000  # records/s: what perfect use of two cores was worked out to give on this path


def whole_path(found: Figures) -> str:
    """One line a contender, the fastest first."""
    fresh = found["fresh"]
    rows = []
    for name in sorted(fresh, key=lambda each: -spread(rates(fresh[each])).median):
        runs = fresh[name]
        rows.append(
            (
                NAMES[name],
                ranged(spread(rates(runs))),
                ranged(whole(runs)),
                f"{median(cpu_us(run) for run in runs):.0f}",
                f"{median(cpu_us(run, ['nats-server']) for run in runs):.0f}",
                mb(max(max(run["peak_bytes"].values()) if name in OURS else run["peak_bytes"]["peer"] for run in runs)),
            )
        )
    head = ("", "records/s from the first request", "from start or creation", "CPU µs", "nats-server µs", "peak MB")
    lost = [f"{NAMES.get(name, name)} failed: {why}" for name, why in found["failed"].items()]
    return "\n\n".join([table(head, rows), *lost])


def ratios(found: Figures) -> str:
    """How many times each peer's speed ours is, round by round, in both views."""
    fresh, rows = found["fresh"], []
    for name in fresh:
        if name in OURS:
            continue
        cells = []
        for view in ("from_first_request_s", "whole_s"):
            for ours in OURS:
                cells.append(
                    ranged(figures.ratios(rates(fresh[ours], view), rates(fresh[name], view)), ".2f")
                    if ours in fresh
                    else "–"
                )
        rows.append((NAMES[name], *cells))
    views = [f"{ours}, {view}" for view in ("first request", "start") for ours in ("SQLite", "PostgreSQL")]
    return table(("times as fast as", *views), rows)


def again(found: Figures) -> str:
    """Fresh, unchanged and a little changed."""
    rows = []
    for name in OURS:
        fresh = found["fresh"].get(name)
        for what, runs in (
            ("fresh", fresh),
            ("unchanged", found["unchanged"].get(name)),
            ("5 % changed", found["changed"].get(name)),
        ):
            if not runs or not fresh:
                continue
            rate, base = spread(rates(runs)).median, spread(rates(fresh)).median
            cpu = median(cpu_us(run) for run in runs)
            rows.append((NAMES[name], what, f"{rate:,.0f}", f"{rate / base:.2f}", f"{cpu:.0f}"))
    return table(("", "records", "records/s", "× fresh", "CPU µs a record"), rows, words=2)


def roles(found: Figures) -> str:
    """CPU a record by process, and the pace at which all of it would keep both cores busy."""
    names = [name for name in OURS if name in found["fresh"]]
    every = sorted({role for name in names for run in found["fresh"][name] for role in run["cpu_s"]})
    used = {
        name: {role: median(cpu_us(run, [role]) for run in found["fresh"][name]) for role in every} for name in names
    }
    rows: list[tuple[Any, ...]] = [(role, *(f"{used[name][role]:.1f}" for name in names)) for role in every]
    if alone := found.get("reading_alone"):
        us = f"{alone['cpu_s'] / alone['records'] * 1e6:.1f}"
        at = every.index("syncs workers") + 1
        rows.insert(at, ("of it, reading pages and doing nothing with them", *([us] * len(names))))
    rows.append(("all", *(f"{sum(used[name].values()):.1f}" for name in names)))
    ceilings = {name: 2e6 / sum(used[name].values()) for name in names}
    rows.append(("ceiling of 2 cores at this cost, records/s", *(f"{ceilings[name]:,.0f}" for name in names)))
    reached = {name: spread(rates(found["fresh"][name])).median for name in names}
    rows.append(("reached, records/s", *(f"{reached[name]:,.0f}" for name in names)))
    rows.append(("reached, of that ceiling", *(f"{reached[name] / ceilings[name]:.0%}" for name in names)))
    planned = [f"{reached[name] / PLANNED[1]:.0%}–{reached[name] / PLANNED[0]:.0%}" for name in names]
    rows.append((f"reached, of the {PLANNED[0]:,} to {PLANNED[1]:,} worked out beforehand", *planned))
    return table(("CPU µs a record", *(NAMES[name] for name in names)), rows)


def delayed(found: Figures) -> str:
    """Pace and CPU at 100 ms a page."""
    rows = [
        ("nothing but reading", f"{found['bare_per_s']:,.0f}", "1.00", "–"),
        (NAMES["sqlite"], *_paced(found, "product"), f"{found['product_cpu_us']:.0f}"),
        (NAMES["good"], *_paced(found, "by_hand"), f"{found['by_hand_cpu_us']:.0f}"),
    ]
    return table(("", "records/s", "of upstream's own", "CPU µs a record"), rows)


def _paced(found: Figures, who: str) -> tuple[str, str]:
    return f"{found[f'{who}_per_s']:,.0f}", f"{found[f'{who}_per_s'] / found['bare_per_s']:.2f}"


def latency(found: Figures) -> str:
    rows = [
        (
            name,
            *(f"{one['ms'][key]:.1f}" for key in ("p50", "p90", "p99", "max")),
            one["rate"],
            f"{one['arrived']:,} of {one['changes']:,}",
        )
        for name, one in found["backends"].items()
    ]
    lost = [f"{name} failed: {why}" for name, why in found["failed"].items()]
    return "\n\n".join([table(("", "p50 ms", "p90", "p99", "worst", "changes/s", "arrived"), rows), *lost])


def speed_bars(found: Figures) -> list[Bar]:
    fresh = {name: spread(rates(runs)).median for name, runs in found["fresh"].items()}
    ordered = sorted(fresh, key=lambda name: -fresh[name])
    return [Bar(NAMES[name], fresh[name], f"{fresh[name]:,.0f}", name in OURS) for name in ordered]


def cpu_bars(found: Figures) -> list[Bar]:
    used = {name: median(cpu_us(run) for run in runs) for name, runs in found["fresh"].items()}
    return [
        Bar(NAMES[name], used[name], f"{used[name]:.0f}", name in OURS)
        for name in sorted(used, key=lambda name: used[name])
    ]


def latency_bars(found: Figures) -> list[Bar]:
    return [
        Bar(f"{name}, {key}", one["ms"][key], f"{one['ms'][key]:.0f}", key == "p50")
        for name, one in found["backends"].items()
        for key in ("p50", "p99")
    ]
