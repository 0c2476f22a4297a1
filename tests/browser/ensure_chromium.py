"""Prints the path of a Chromium that starts, getting one if need be; everything else it says goes to stderr.

In this order: SEQUIN_CHROMIUM, the system's own, Playwright's download, Debian's package (as root).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DOWNLOAD_S, PACKAGE_S = 300, 600


def on_system() -> str:
    return next((path for name in NAMES if (path := shutil.which(name))), "")


def from_playwright() -> str:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not os.path.exists(path):
        run([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_S)
    return path


def from_debian() -> str:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise OSError("needs apt-get and root")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], PACKAGE_S, environment)
    run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], PACKAGE_S, environment)
    return on_system()


SOURCES: dict[str, Callable[[], str]] = {
    "SEQUIN_CHROMIUM": lambda: os.environ.get("SEQUIN_CHROMIUM", ""),
    "the system": on_system,
    "Playwright's download": from_playwright,
    "Debian's package": from_debian,
}


def run(command: list[str], timeout_s: float, environment: dict[str, str] | None = None) -> None:
    print(f"Running {' '.join(command)}", file=sys.stderr)
    subprocess.run(command, check=True, timeout=timeout_s, env=environment, stdout=sys.stderr)


def starts(path: str) -> bool:
    """A download without the system libraries it needs is there, but does not start."""
    try:
        return bool(path) and subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def tries() -> Iterator[tuple[str, str]]:
    """(source, path that starts, or "" ) in order, the reasons told on the way."""
    for source, find in SOURCES.items():
        try:
            path = find()
        except (OSError, subprocess.SubprocessError, ImportError) as error:
            print(f"No Chromium from {source}: {error}", file=sys.stderr)
            continue
        if path and not starts(path):
            print(f"No Chromium from {source}: {path} does not start", file=sys.stderr)
            path = ""
        yield source, path


def find() -> str:
    """The path of a Chromium that starts; empty when there is none to be had."""
    for source, path in tries():
        if path:
            print(f"Chromium from {source}: {path}", file=sys.stderr)
            return path
    print("No Chromium. Install one, or name it by SEQUIN_CHROMIUM.", file=sys.stderr)
    return ""


def main() -> int:
    path = find()
    print(path)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
