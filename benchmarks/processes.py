"""What processes cost, as the kernel tells it: CPU seconds and memory, by role."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far, with its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


def memory_bytes(pid: int, line: str = "VmHWM") -> int:
    """The most memory a process has had resident (`VmRSS`: has now); 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [each for each in text.splitlines() if each.startswith(line + ":")]
    return int(found[0].split()[1]) * 1024 if found else 0


def children() -> dict[int, list[int]]:
    """Every living process's children, in the order they were started."""
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(folder.name))
    return {parent: sorted(pids) for parent, pids in found.items()}


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    known, found = children(), [pid]
    for each in found:
        found += known.get(each, [])
    return found


def cluster_roles(pid: int, workers: int) -> tuple[list[int], list[int]]:
    """(workers, helpers) of a django-q2 cluster: its sentinel starts the workers first, then monitor and pusher."""
    known = children()
    sentinels = known.get(pid, [])
    pool = known.get(sentinels[0], []) if sentinels else []
    found = pool[:workers]
    return found, [each for each in tree(pid) if each not in found]


class Meter:
    """CPU seconds by role since it was made, and the most memory one process of a role has had.

    roles  tells who plays which role now: a worker may be replaced meanwhile. What one that ended has used is then
           found with its parent, which the kernel has credited with it
    """

    def __init__(self, roles: Callable[[], Mapping[str, Sequence[int]]]) -> None:
        self._roles = roles
        self._before = {pid: cpu_s(pid) for pids in roles().values() for pid in pids}

    def read(self) -> dict[str, float]:
        return {
            role: round(sum(cpu_s(pid) - self._before.get(pid, 0.0) for pid in pids), 2)
            for role, pids in self._roles().items()
        }

    def peak_bytes(self) -> dict[str, int]:
        return {role: max(memory_bytes(pid) for pid in pids) for role, pids in self._roles().items()}
