"""The deletion brake: a mass deletion and a lost permission look alike from outside, so beyond a share we ask."""

from collections.abc import Mapping
from dataclasses import dataclass

SHARE = 0.05
AT_LEAST = 50
WINDOW_S = 3600.0  # deletions that upstream tells of are counted together over so long


def is_mass_delete(missing: int, live: int, *, share: float = SHARE, at_least: int = AT_LEAST) -> bool:
    """Whether so many records missing from a sweep must wait for a person's decision (invariant 8).

    missing  records the sweep did not find
    live     records that were live before it
    A small collection that vanished whole is asked about too, for that is what a lost permission looks like.
    """
    if missing == 0:
        return False
    return missing > max(at_least, live * share) or (missing == live and live > 1)


@dataclass(frozen=True)
class Gone:
    """How many records upstream has said are deleted within the window that began at `since` (unix seconds)."""

    count: int
    since: float

    def more(self, count: int, *, now: float) -> "Gone":
        """The same with so many more; a window that is over begins anew."""
        return Gone(count, now) if now - self.since > WINDOW_S else Gone(self.count + count, self.since)


def out_of_reach(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of what was in reach at the last sweep and no longer is: repositories, projects … by id."""
    return sorted(name for key, name in before.items() if key not in now)
