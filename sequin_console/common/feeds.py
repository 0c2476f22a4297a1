"""WebSockets for people who are signed in. They carry ids, never HTML."""

import asyncio
import contextlib
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from sequin_console.accounts.rights import Right, may
from sequin_console.common.watcher import ANYTHING, watcher

NOT_SIGNED_IN, NOT_ALLOWED = 4401, 4403  # close codes, after HTTP's 401 and 403
CHECK_EVERY_S = 60.0
SEND_EVERY_S = 0.2


def user_topic(user_id: Any) -> str:
    """Announced when a person's rights or sessions change: her sockets are checked at once."""
    return f"user-{user_id}"


def signed_in_user(session_key: str | None) -> Any:
    """Who this session belongs to now, read afresh; AnonymousUser when it ended or she was deactivated."""
    from django.contrib.sessions.backends.db import SessionStore

    request = HttpRequest()
    request.session = SessionStore(session_key)
    return auth.get_user(request)


class SignedInFeed(AsyncJsonWebsocketConsumer):
    """A socket open only while its person is signed in and has `right`; checked each minute and when told.

    Subclasses start their work in `opened`, end it in `closed`, and hear of changes in `told`.
    """

    right = Right.SEE
    user: Any = None
    _checking: asyncio.Task[None] | None = None
    _check_now: asyncio.Event

    async def connect(self) -> None:
        await self.accept()  # first, for a browser learns the close code only of an accepted socket
        if not await self._close_unless_allowed():
            return
        self._check_now = asyncio.Event()
        self._checking = asyncio.create_task(self._keep_checking())
        watcher().join(self._told)
        await self.opened()

    async def disconnect(self, code: int) -> None:
        if self._checking is not None:
            watcher().leave(self._told)
            self._checking.cancel()
            await self.closed()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """A feed only speaks, unless its subclass listens."""

    async def opened(self) -> None:
        """The person is allowed in."""

    async def closed(self) -> None:
        """The socket is gone; end what `opened` began."""

    def told(self, topics: set[str]) -> None:
        """These changed. Must not block."""

    def _told(self, topics: set[str]) -> None:
        if topics & {user_topic(self.user.pk), ANYTHING}:
            self._check_now.set()
        self.told(topics)

    async def _close_unless_allowed(self) -> bool:
        session: SessionBase | None = self.scope.get("session")
        self.user = await database_sync_to_async(signed_in_user)(session.session_key if session else None)
        if not self.user.is_authenticated:
            await self.close(NOT_SIGNED_IN)
            return False
        if not may(self.user, self.right):
            await self.close(NOT_ALLOWED)
            return False
        return True

    async def _keep_checking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._check_now.wait(), CHECK_EVERY_S)
            self._check_now.clear()
            if not await self._close_unless_allowed():
                return


class ChangesFeed(SignedInFeed):
    """Sends `{"changed": [topics]}`, at most five times a second; `catch-up` among them: anything may have changed."""

    _pending: set[str]
    _noted: asyncio.Event
    _sending: asyncio.Task[None]

    async def opened(self) -> None:
        self._sending = asyncio.create_task(self._keep_sending())

    async def closed(self) -> None:
        self._sending.cancel()

    async def connect(self) -> None:
        self._pending, self._noted = set(), asyncio.Event()
        await super().connect()

    def told(self, topics: set[str]) -> None:
        self._pending |= topics
        self._noted.set()

    async def _keep_sending(self) -> None:
        while True:
            await self._noted.wait()
            self._noted.clear()
            topics, self._pending = self._pending, set()
            await self.send_json({"changed": sorted(topics)})
            await asyncio.sleep(SEND_EVERY_S)
