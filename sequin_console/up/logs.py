"""The children's log files: one each, the last run's kept beside it, none growing without end."""

import shutil
from pathlib import Path

CAP_BYTES = 20 * 1024 * 1024
LINE = 200


def rotate(path: Path) -> None:
    """At the start: what is there becomes `<name>.log.1`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size:
        path.replace(path.with_name(path.name + ".1"))


def cap(path: Path, cap_bytes: int = CAP_BYTES) -> None:
    """Past the cap: copy to `<name>.log.1` and empty it. Children append, so they go on at its new end."""
    try:
        if path.stat().st_size > cap_bytes:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            with path.open("r+b") as file:
                file.truncate(0)
    except FileNotFoundError:
        pass


def last_line(path: Path) -> str:
    """The last line that says something, shortened; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    text = next((line for line in reversed(lines) if line), "")
    return text if len(text) <= LINE else text[: LINE - 1] + "…"
