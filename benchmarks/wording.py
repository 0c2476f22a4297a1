"""How figures are written. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.figures import Spread, spread
from benchmarks.peers import PEERS

OTHERS = ("nats-server", "upstream", "postgres")  # whose CPU is not the console's own
NAMES = {"sqlite": "Sequin Console, SQLite", "postgres": "Sequin Console, PostgreSQL"}
NAMES |= {peer.key: peer.label for peer in PEERS}
OURS = ("sqlite", "postgres")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, words: int = 1) -> str:
    """Markdown; the first columns are words, to the left, the others figures, to the right."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * words + "---:|" * (len(head) - words)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def rates(runs: Sequence[Mapping[str, Any]], seconds: str = "from_first_request_s") -> list[float]:
    """Records a second of each run, by the one view or the other."""
    return [run["records"] / run[seconds] for run in runs]


def cpu_us(run: Mapping[str, Any], roles: Iterable[str] | None = None) -> float:
    """CPU µs a record of a run's own processes, or of these roles."""
    wanted = [role for role in run["cpu_s"] if role not in OTHERS] if roles is None else roles
    return sum(run["cpu_s"].get(role, 0.0) for role in wanted) / run["records"] * 1e6


def ranged(found: Spread, form: str = ",.0f") -> str:
    """`12,345 (11,000–13,000)`."""
    return f"{found.median:{form}} ({found.least:{form}}–{found.most:{form}})"


def whole(runs: Sequence[Mapping[str, Any]]) -> Spread:
    """Records a second from a peer's start or the sync's creation."""
    return spread(rates(runs, "whole_s"))


def mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.0f}"
