"""A Stripe that others wrote: `localstripe`, in a process of its own, so that our sandbox is not our only witness.

    with second_stripe.running() as stripe:
        customer = stripe.post("customers", name="Ada")

It knows about twenty kinds of object of an older API version, keeps all in memory, and lists oldest first.
Started as a program, this module is that server, on a free port of 127.0.0.1 alone.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.children import tie_to_us
from tests.running_up import ROOT

KEY = "sk_test_second"


@dataclass(frozen=True)
class SecondStripe:
    """One that listens."""

    url: str

    def call(self, method: str, path: str, **fields: str) -> bytes:
        """What it answers to this request: a path below /v1, and fields as a form."""
        request = urllib.request.Request(
            f"{self.url}/v1/{path}",
            data=urlencode(fields).encode() if fields else None,
            method=method,
            headers={"Authorization": f"Basic {b64encode(f'{KEY}:'.encode()).decode()}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def post(self, path: str, **fields: str) -> dict[str, Any]:
        return dict(json.loads(self.call("POST", path, **fields)))


@contextmanager
def running() -> Iterator[SecondStripe]:
    """An empty one; it ends with the block, or with us."""
    command = [sys.executable, "-m", "tests.second_stripe"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=tie_to_us())
    try:
        assert process.stdout is not None
        yield SecondStripe(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


def serve() -> None:
    """Say the address, then serve until killed."""
    import socket

    from aiohttp import web
    from localstripe.server import app

    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    web.run_app(app, sock=listening, print=None, access_log=None)


if __name__ == "__main__":
    serve()
