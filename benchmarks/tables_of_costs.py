"""Tables of what it costs as work grows, of standing still, and of bytes. Pure: figures in, Markdown out."""

from collections.abc import Mapping
from typing import Any

from benchmarks.charts import Bar
from benchmarks.wording import NAMES, mb, table

Figures = Mapping[str, Any]
DEEDS = ("append", "update", "unchanged", "scattered update")


def growth(found: Figures) -> str:
    """CPU a record by what is done and how much is held."""
    rows = []
    for name, sizes in found["backends"].items():
        for deed in DEEDS:
            cells = [" + ".join(f"{us:.0f}" for us in one[deed].values()) for one in sizes]
            rows.append((NAMES[name], deed, *cells, f"{drift([sum(one[deed].values()) for one in sizes]):+.0%}"))
    held = next(iter(found["backends"].values()), [])
    head = ("", "CPU µs a record", *(f"{one['held']:,} held" for one in held), "last to first")
    return "\n\n".join([table(head, rows, words=2), *_lost(found)])


def drift(values: list[float]) -> float:
    """How much dearer the last is than the first: 0.1 is a tenth dearer."""
    return values[-1] / values[0] - 1 if values and values[0] else 0.0


def replay(found: Figures) -> str:
    """A whole log to a new consumer."""
    rows = []
    for name, sizes in found["backends"].items():
        for one in sizes:
            run = one["replay"]
            own = run["cpu_us"].get("consumers workers", 0.0)
            rows.append(
                (
                    NAMES[name],
                    f"{run['messages']:,}",
                    f"{run['per_s']:,.0f}",
                    f"{own:.0f}",
                    f"{run['cpu_us']['nats-server']:.0f}",
                    mb(run["peak_bytes"]["consumers workers"]),
                    mb(one["writer_peak_bytes"]),
                )
            )
    head = ("", "messages", "messages/s", "worker CPU µs", "nats-server µs", "worker peak MB", "writer peak MB")
    return table(head, rows)


def idle(found: Figures) -> str:
    rows = [
        (
            NAMES[name],
            f"{one['share']:.1%}",
            f"{one['console_share']:.1%}",
            f"{one['requests']:,}",
            ", ".join(f"{role} {cpu_s / one['seconds']:.1%}" for role, cpu_s in one["cpu_s"].items() if cpu_s),
        )
        for name, one in found["backends"].items()
    ]
    head = ("", "of one core, all processes", "the console's own", "requests", "by process")
    return "\n\n".join([table(head, rows), *_lost(found)])


def sizes(found: Figures) -> str:
    """Bytes a record on the wire and on disk, of the first run on each database."""
    rows = []
    for name in ("sqlite", "postgres"):
        if name not in found["fresh"]:
            continue
        run = found["fresh"][name][0]
        told, records = run["bytes"], run["records"]
        grown = {part: size - told["database before"].get(part, 0) for part, size in told["database"].items()}
        rows += [
            (NAMES[name], "answers of upstream", f"{told['upstream answers'] / records:,.0f}"),
            (NAMES[name], "sent to NATS", f"{told['sent to nats'] / records:,.0f}"),
            (NAMES[name], "stream, as the server counts", f"{told['stream'] / records:,.0f}"),
            *((NAMES[name], f"on disk: {part}", f"{size / records:,.0f}") for part, size in grown.items() if size),
        ]
    return table(("", "", "bytes a record"), rows, words=2)


def growth_bars(found: Figures) -> list[Bar]:
    """Of SQLite, or what there is."""
    name = next(iter(found["backends"]))
    return [
        Bar(f"{deed}, {one['held']:,}", sum(one[deed].values()), f"{sum(one[deed].values()):.0f}", True)
        for deed in DEEDS
        for one in found["backends"][name]
    ]


def _lost(found: Figures) -> list[str]:
    return [f"{NAMES.get(name, name)} failed: {why}" for name, why in found["failed"].items()]
