"""What `up` is asked to do: options first, then the environment, then defaults."""

import argparse
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LOOPBACK, WILDCARDS = "127.0.0.1", ("0.0.0.0", "::")
DEFAULT_WORKERS = 2


@dataclass(frozen=True)
class Options:
    """port: None when nobody asked for one, 0 for any free one. workers: processes in each of the two clusters."""

    data_dir: Path
    host: str
    port: int | None
    workers: int
    demo: bool


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of `manage.py up`. No defaults here, so that what was not given can come from the environment."""
    parser.add_argument("--no-demo", action="store_true", help="without the sandbox and its data (SEQUIN_DEMO=0)")
    parser.add_argument("--host", help="address the console listens on (HOST; default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the console, 0 for any (SEQUIN_PORT; default 8000)")
    parser.add_argument("--data-dir", help="folder that holds all data (SEQUIN_DATA_DIR; default .sequin)")
    parser.add_argument("--workers", type=int, help="worker processes a cluster (SEQUIN_WORKERS; default 2)")


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Raises SystemExit, with a message, for a value that makes no sense. Django's own options are passed over."""
    parser = argparse.ArgumentParser(prog="manage.py up", add_help=False, allow_abbrev=False)
    add_to(parser)
    given, _ = parser.parse_known_args(list(argv))
    port = given.port if given.port is not None else _number(environ.get("SEQUIN_PORT", ""), "SEQUIN_PORT")
    workers = (
        given.workers if given.workers is not None else _number(environ.get("SEQUIN_WORKERS", ""), "SEQUIN_WORKERS")
    )
    if port is not None and not 0 <= port <= 65535:
        raise SystemExit(f"Port {port} does not exist; choose one from 1 to 65535.")
    if workers is not None and workers < 1:
        raise SystemExit("At least one worker is needed.")
    return Options(
        data_dir=Path(given.data_dir or environ.get("SEQUIN_DATA_DIR") or BASE_DIR / ".sequin").resolve(),
        host=given.host or _host(environ.get("HOST", "")),
        port=port,
        workers=workers or DEFAULT_WORKERS,
        demo=not given.no_demo and environ.get("SEQUIN_DEMO", "1").strip().lower() not in ("0", "false", "no", "off"),
    )


def _number(text: str, name: str) -> int | None:
    if not text.strip():
        return None
    try:
        return int(text)
    except ValueError:
        raise SystemExit(f"{name} must be a number, not {text!r}.") from None


def _host(text: str) -> str:
    """HOST if it is an address. Some shells set it to the machine's name, which must not open the console to others."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return LOOPBACK


def url(host: str, port: int) -> str:
    """The URL by which this machine reaches what listens there."""
    host = LOOPBACK if host in WILDCARDS else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
