"""What others may know of a running `up`: that it runs (a lock) and where (run.json, for scripts)."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK, RUN = "up.lock", "run.json"


class AlreadyRunning(Exception):
    """Another `up` has this data folder. Its text says who and where."""


def lock(data_dir: Path) -> int:
    """Take the data folder for this process, until it ends. Returns the lock's file descriptor.

    Raises AlreadyRunning. Children never inherit the lock, so that it ends with us even when they live on.
    """
    fd = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 20, 0).decode().strip() or "?"
        os.close(fd)
        where = (read(data_dir) or {}).get("console_url")
        at = f" at {where}" if where else ""
        raise AlreadyRunning(f"Already running on {data_dir}: process {owner}{at}. Stop it first.") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    remove(data_dir)  # left over by a run that was killed
    return fd


def write(data_dir: Path, facts: Mapping[str, Any]) -> None:
    """Replace run.json at once; only its owner may read it."""
    draft = data_dir / f".{RUN}.new"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(facts, indent=2) + "\n")
    draft.replace(data_dir / RUN)


def read(data_dir: Path) -> dict[str, Any] | None:
    try:
        return json.loads((data_dir / RUN).read_text())
    except (OSError, ValueError):
        return None


def remove(data_dir: Path) -> None:
    (data_dir / RUN).unlink(missing_ok=True)
