"""A browser's end of a WebSocket, without a server. (channels.testing would need the daphne server installed.)"""

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.test import Client

from sequin_console import asgi

HERE = "http://testserver"
PATIENCE_S = 3


class Socket:
    """Opens `path` with the cookies of a test client, as a page of `origin` would."""

    def __init__(self, browser: Client, path: str, origin: str | None = HERE) -> None:
        url, _, query = path.partition("?")
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
        headers = [(b"host", b"testserver"), (b"cookie", cookies.encode())]
        headers += [(b"origin", origin.encode())] if origin else []
        scope = {
            "type": "websocket",
            "path": url,
            "query_string": query.encode(),
            "headers": headers,
            "subprotocols": [],
        }
        self._application = ApplicationCommunicator(asgi.application, scope)

    async def open(self) -> bool:
        """Whether the socket was accepted; it may still be closed right after."""
        await self._application.send_input({"type": "websocket.connect"})
        return (await self.receive())["type"] == "websocket.accept"

    async def receive(self) -> dict[str, Any]:
        return await self._application.receive_output(timeout=PATIENCE_S)

    async def receive_json(self) -> Any:
        message = await self.receive()
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def send(self, **message: str | bytes) -> None:
        """`text=` or `bytes=`."""
        await self._application.send_input({"type": "websocket.receive", **message})

    async def closed_with(self) -> int:
        """Wait until the server closes, passing over what it still says; return the close code."""
        while (message := await self.receive())["type"] != "websocket.close":
            pass
        return message["code"]

    async def leave(self) -> None:
        """Close from the browser's side."""
        await self._application.send_input({"type": "websocket.disconnect", "code": 1001})
        await self._application.wait(timeout=PATIENCE_S)
