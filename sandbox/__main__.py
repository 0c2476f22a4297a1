"""`python -m sandbox`: serve on a loopback port, say so on stdout, end cleanly on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path

import uvicorn

from sandbox.app import create_app

PARENT_LOOKED_AT_EVERY_S = 0.5
MAX_HEAD_READ = 256 * 1024


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stands in for upstream APIs.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free port")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder for sandbox.sqlite3")
    parser.add_argument("--churn-s", type=float, default=None, help="change something every so many seconds; 0: never")
    parser.add_argument("--seed", choices=("demo", "empty"), default="demo", help="what a new data folder is given")
    parser.add_argument("--allow-host", action="append", default=[], help="a further name it may be reached by")
    parser.add_argument("--parent-dies", action="store_true", help="end when the process that started it ends")
    return parser.parse_args()


class Server(uvicorn.Server):
    """Says READY once it listens, and ends when its parent is gone if asked to."""

    def __init__(self, config: uvicorn.Config, url: str, follows_parent: bool):
        super().__init__(config)
        self.url, self.follows_parent, self.parent = url, follows_parent, os.getppid()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(f"SANDBOX READY {self.url}\n")
            sys.stdout.flush()
        if self.follows_parent:
            self._watch = asyncio.create_task(self._end_with_parent())

    async def _end_with_parent(self) -> None:
        while os.getppid() == self.parent:
            await asyncio.sleep(PARENT_LOOKED_AT_EVERY_S)
        self.should_exit = True


def main() -> None:
    args = arguments()
    app = create_app(args.data_dir, args.seed, args.churn_s, tuple(args.allow_host))
    listener = socket.create_server((args.host, args.port), family=_family(args.host), backlog=512)
    shown = f"[{args.host}]" if ":" in args.host else args.host
    config = uvicorn.Config(
        app,
        log_level="warning",
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MAX_HEAD_READ,
        timeout_keep_alive=30,
    )
    server = Server(config, f"http://{shown}:{listener.getsockname()[1]}", args.parent_dies)
    app.state.sandbox.connections = server.server_state.connections
    server.run(sockets=[listener])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


if __name__ == "__main__":
    main()
