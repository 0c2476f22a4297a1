"""Makes sure that every program the tests start is on this machine, getting what lacks: `python -m tests.ensure`.

Prints lines of shell that tell the tests where they are; everything else it says goes to stderr. What is missing comes
from Debian's packages (as root), Chromium also as Playwright's download. Nothing that is installed is started: the
tests start servers of their own. Exit code 1, and one line for each program that is not to be had.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import nats_server, postgres_server

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DOWNLOAD_S, PACKAGE_S = 300, 900
POLICY = Path("/usr/sbin/policy-rc.d")  # https://www.debian.org/doc/debian-policy/ch-opersys.html#policy-rc-d


@dataclass(frozen=True)
class Program:
    """`find` gives the path, or nothing. `variable`: the tests are told the path by it, where they need telling."""

    name: str
    find: Callable[[], str]
    package: str
    variable: str = ""


def postgresql() -> str:
    folder = postgres_server.newest()
    return str(folder / "postgres") if folder and (folder / "initdb").exists() else ""


def old_nats() -> str:
    """Debian's own, older than atomic batches: users have such servers."""
    return nats_server.OLD_BINARY if os.access(nats_server.OLD_BINARY, os.X_OK) else ""


def chromium() -> str:
    """The first that starts of: SEQUIN_CHROMIUM, the system's, Playwright's download."""
    return next((path for path in _chromiums() if path and _starts(path)), "")


def _chromiums() -> Iterator[str | None]:
    yield os.environ.get("SEQUIN_CHROMIUM")
    yield from map(shutil.which, CHROMIUMS)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.executable_path


def _starts(path: str) -> bool:
    """A download without the system libraries it needs is there, but does not start."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


PROGRAMS = (
    Program("Chromium", chromium, "chromium", "SEQUIN_CHROMIUM"),
    Program("PostgreSQL", postgresql, "postgresql"),
    Program("Redis", lambda: shutil.which("redis-server") or "", "redis-server"),
    Program("an older nats-server", old_nats, "nats-server"),
)


def get(lacking: list[Program]) -> None:
    """Try to install them. What that comes to is seen by looking for them again."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with nothing_started():
            environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            _run(["apt-get", "update"], PACKAGE_S, environ)
            for program in lacking:  # one by one: a package that is not to be had keeps no other away
                _run(["apt-get", "install", "--yes", "--no-install-recommends", program.package], PACKAGE_S, environ)
    if any(program.find is chromium for program in lacking) and not chromium():
        _run([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_S, dict(os.environ))


@contextlib.contextmanager
def nothing_started() -> Iterator[None]:
    """Debian starts what it installs; while this lasts it does not. A policy that is there already is left alone."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _run(command: list[str], timeout_s: float, environ: dict[str, str]) -> None:
    print(f"Running {' '.join(command)}", file=sys.stderr)
    try:
        done = subprocess.run(command, timeout=timeout_s, env=environ, stdout=sys.stderr)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"It failed: {error}", file=sys.stderr)
    else:
        if done.returncode:
            print(f"It failed with code {done.returncode}.", file=sys.stderr)


def main() -> int:
    if lacking := [program for program in PROGRAMS if not program.find()]:
        print(f"Missing: {', '.join(program.name for program in lacking)}.", file=sys.stderr)
        get(lacking)
    code = 0
    for program in PROGRAMS:
        path = program.find()
        if not path:
            print(f"No {program.name}. Install it: apt-get install {program.package}", file=sys.stderr)
            code = 1
        elif program.variable:
            print(f"export {program.variable}={shlex.quote(path)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
