"""The outermost layer: who may speak to the sandbox, what the network does to an answer, and the Date header.

Only loopback names are served (a page elsewhere cannot reach the sandbox by DNS rebinding), and a browser may change
something from the sandbox's own pages alone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.apps import LOOPBACK_HOSTS
from sandbox.faults import Fault

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing waits for nothing and sends a RST
HALF_ARRIVES_S = 0.05
BODY_FAULTS = ("drop", "reset", "truncated", "malformed", "garbled_gzip")


class Edge:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, sandbox: Any, allowed_hosts: tuple[str, ...] = ()):
        self.app = app
        self.sandbox = sandbox
        self.hosts = {*LOOPBACK_HOSTS, *allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        provider, target = target_of(scope)
        self.sandbox.requests[provider] += 1
        struck = self.sandbox.faults.strike(provider, target) if provider in self.sandbox.sides else []
        send = self._dated(send, sum(fault.seconds for fault in struck if fault.kind == "clock_skew"))
        for fault in struck:
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
        loud = next((fault for fault in struck if fault.kind not in ("slow", "clock_skew")), None)
        await self._answer(loud, provider, scope, receive, send)
        if loud is not None and loud.kind == "reset":
            await reset(self.sandbox.connections, scope["client"])

    async def _answer(self, fault: Fault | None, provider: str, scope: Scope, receive: Receive, send: Send) -> None:
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == "hang":
            await hang(fault.seconds, receive, send)
        elif fault.kind == "trickle":
            await trickle(fault.seconds, self.app, scope, receive, send)
        elif fault.kind == "redirect":
            await elsewhere(scope)(scope, receive, send)
        elif fault.kind in BODY_FAULTS:
            await damage(fault.kind, self.app, scope, receive, send)
        else:
            response = self.sandbox.sides[provider].answer_fault(fault, Headers(scope=scope))
            await (response or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if host not in self.hosts:
            return PlainTextResponse("The sandbox answers loopback names only.", 421)
        if scope["method"] not in SAFE_METHODS and not is_same_origin(headers):
            return PlainTextResponse("Requests from other sites are refused.", 403)
        side = self.sandbox.sides.get(target_of(scope)[0])
        return side.refuse(scope) if side else None

    def _dated(self, send: Send, skew_s: float) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = self.sandbox.clock.http_date(skew_s)
            await send(message)

        return dated


def target_of(scope: Scope) -> tuple[str, str]:
    """Provider and decoded rest of a request: `("salesforce", "/services/data/v67.0/query?q=SELECT Id FROM Lead")`."""
    _, provider, *rest = scope["path"].split("/", 2)
    query = unquote_plus(scope["query_string"].decode("latin-1"))
    return provider, "/" + "".join(rest) + (f"?{query}" if query else "")


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser sent this from our own page, or no browser sent it at all."""
    source = headers.get("origin") or headers.get("referer")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return False
    return source is None or urlsplit(source).netloc == headers.get("host")


async def hang(seconds: float, receive: Receive, send: Send) -> None:
    """Say nothing until the client gives up or `seconds` are over; then close the connection without an answer."""
    try:
        await asyncio.wait_for(until_gone(receive), seconds)
    except TimeoutError:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


async def trickle(seconds: float, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer, then hand its body out byte by byte, `seconds` apart, until the client gives up."""
    start, body = await collect(app, scope, receive)
    gone = asyncio.ensure_future(until_gone(receive))
    await send(start)
    for at in range(len(body)):
        await send({"type": "http.response.body", "body": body[at : at + 1], "more_body": at + 1 < len(body)})
        done, _ = await asyncio.wait([gone], timeout=seconds)
        if done:
            return
    gone.cancel()


async def until_gone(receive: Receive) -> None:
    """Returns when the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def elsewhere(scope: Scope) -> Response:
    """To the same place under another name: who follows gets a good answer, and has carried the token to a stranger."""
    _, port = scope["server"]
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    return RedirectResponse(f"http://localhost:{port}{scope['path']}{query}", 302)


async def damage(kind: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer, then spoil the body. A body cut short of its length makes the server close the connection."""
    start, body = await collect(app, scope, receive)
    half = body[: len(body) // 2]
    if kind in ("drop", "reset"):
        await send(start)
        await send({"type": "http.response.body", "body": half, "more_body": True})
        return
    body = half if kind in ("truncated", "garbled_gzip") else b"{'oops': " + half + b"\xff}"
    headers = MutableHeaders(scope=start)
    headers["content-length"] = str(len(body))
    if kind == "garbled_gzip":
        headers["content-encoding"] = "gzip"
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def reset(connections: set[Any], client: tuple[str, int]) -> None:
    """Once what was sent has arrived, throw this client's connection away."""
    await asyncio.sleep(HALF_ARRIVES_S)
    transport = next(each.transport for each in connections if each.client == client)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


async def collect(app: Callable[..., Any], scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The app's answer: its start message and whole body."""
    start: Message = {}
    pieces: list[bytes] = []

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            pieces.append(message.get("body", b""))

    await app(scope, receive, keep)
    return start, b"".join(pieces)
