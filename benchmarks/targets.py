"""What was promised, and whether the figures keep it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks import figures
from benchmarks.figures import spread
from benchmarks.tables_of_costs import DEEDS, drift
from benchmarks.wording import NAMES, OURS, ranged, rates

TIMES = {"good": 1.0, "redpanda": 2.0, "airbyte": 2.5, "dlt": 3.5, "singer": 6.0}
LATENCY_MS = {"postgres and redis": (10.0, 50.0), "sqlite": (20.0, 400.0)}
MOST_WORKER_BYTES = 200e6


class Target(NamedTuple):
    what: str
    wanted: str
    reached: str
    is_met: bool


def targets(result: Mapping[str, Any]) -> list[Target]:
    """Every target that was measured."""
    parts = result["parts"]
    makers = (("whole_path", _path), ("delayed", _delayed), ("latency", _latency), ("growth", _growth), ("idle", _idle))
    return [each for part, make in makers if _is_there(parts.get(part)) for each in make(parts[part])]


def _is_there(figures_of_part: Mapping[str, Any] | None) -> bool:
    return figures_of_part is not None and not isinstance(figures_of_part.get("failed"), str)


def _path(found: Mapping[str, Any]) -> Iterator[Target]:
    fresh = found["fresh"]
    for ours in (name for name in OURS if name in fresh):
        for peer, times in TIMES.items():
            if peer in fresh:
                reached = figures.ratios(rates(fresh[ours]), rates(fresh[peer]))
                what = f"{NAMES[ours]} against {NAMES[peer]}"
                yield Target(what, f"≥ {times:g}×", f"{ranged(reached, '.2f')}×", reached.median >= times)
        if again := found["unchanged"].get(ours):
            times_fresh = spread(rates(again)).median / spread(rates(fresh[ours])).median
            yield Target(f"{NAMES[ours]}: nothing changed", "≥ 2× fresh", f"{times_fresh:.2f}×", times_fresh >= 2)
        peak = max(run["peak_bytes"][role] for run in fresh[ours] for role in run["peak_bytes"] if "workers" in role)
        yield _memory(f"{NAMES[ours]}: memory of a worker, whole path", peak)


def _memory(what: str, peak: float) -> Target:
    return Target(what, "≤ 200 MB", f"{peak / 1e6:.0f} MB", peak <= MOST_WORKER_BYTES)


def _delayed(found: Mapping[str, Any]) -> Iterator[Target]:
    pace = found["product_per_s"] / found["bare_per_s"]
    yield Target("upstream of 100 ms: pace", "≥ 95 % of upstream's own", f"{pace:.1%}", pace >= 0.95)
    cpu = found["product_cpu_us"] / found["by_hand_cpu_us"]
    yield Target("upstream of 100 ms: CPU a record", "≤ 1.5× by hand", f"{cpu:.2f}×", cpu <= 1.5)


def _latency(found: Mapping[str, Any]) -> Iterator[Target]:
    for name, limits in LATENCY_MS.items():
        if one := found["backends"].get(name):
            for share, most in zip(("p50", "p99"), limits, strict=True):
                reached = one["ms"][share]
                yield Target(
                    f"commit to stream, {name}, {share}", f"≤ {most:g} ms", f"{reached:.1f} ms", reached <= most
                )


def _growth(found: Mapping[str, Any]) -> Iterator[Target]:
    for name, sizes in found["backends"].items():
        span = f"{sizes[0]['held']:,} to {sizes[-1]['held']:,}"
        for deed in DEEDS:
            grown = drift([sum(one[deed].values()) for one in sizes])
            yield Target(f"{NAMES[name]}: cost of {deed}, {span}", "± 20 %", f"{grown:+.0%}", abs(grown) <= 0.2)
        run = sizes[-1]["replay"]
        what = f"{NAMES[name]}: replay of {run['messages']:,}"
        yield Target(what, "≥ 25,000/s", f"{run['per_s']:,.0f}/s", run["per_s"] >= 25_000)
        peak = max(max(one["replay"]["peak_bytes"]["consumers workers"], one["writer_peak_bytes"]) for one in sizes)
        yield _memory(f"{NAMES[name]}: memory, replay and growth", peak)


def _idle(found: Mapping[str, Any]) -> Iterator[Target]:
    for name, one in found["backends"].items():
        what = f"{NAMES[name]}: {one['syncs']} idle syncs"
        yield Target(what, "≤ 25 % of one core", f"{one['share']:.1%}", one["share"] <= 0.25)
