"""Where and with what a benchmark ran, in general terms."""

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import peers
from tests import nats_server, postgres_server

OURS = (
    "django",
    "django-q2",
    "nats-py",
    "httpx",
    "httpx-aiohttp",
    "aiohttp",
    "msgspec",
    "orjson",
    "psycopg",
    "uvicorn",
)


def facts() -> dict[str, Any]:
    """Cores, memory, kernel, and the version of everything that took part."""
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {_memory_gb():.0f} GB, {platform.machine()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "nats-server": _says(nats_server.BINARY, "--version"),
        "postgres": _says(str((postgres_server.newest() or Path()) / "postgres"), "--version"),
        "redis": _says("redis-server", "--version").partition(" sha=")[0],
        "packages": {name: metadata.version(name) for name in OURS},
        "peers": {peer.key: _pins(peers.HERE / f"{peer.key}.txt") for peer in peers.PEERS},
        "commit": _says("git", "rev-parse", "--short", "HEAD"),
    }


def _says(program: str, *words: str) -> str:
    """The first line a program prints; `none` where it is not installed."""
    if shutil.which(program) is None:
        return "none"
    done = subprocess.run([program, *words], capture_output=True, text=True, cwd=Path(__file__).parent)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def _pins(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
