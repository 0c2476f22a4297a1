"""A client whose upstream is a function, with time that does not pass by itself."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from syncs.providers.kit.access import Access
from syncs.providers.kit.catalogue import Provider
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CredentialsRefused

NOW = "Mon, 23 Nov 2026 09:00:00 GMT"
BASE = "https://upstream.test"
SECRET = "rk_test_0123456789abcdef"


class Time:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Source:
    """Access that can be renewed `renewals` times: secret-0, secret-1 …"""

    def __init__(self, renewals: int = 1) -> None:
        self.left, self.count = renewals, 0

    async def access(self) -> Access:
        return Access(BASE, {"Authorization": f"Bearer {SECRET}-{self.count}"})

    async def renew(self, refused: Access) -> Access:
        if not self.left:
            raise CredentialsRefused("The grant is dead.")
        self.left, self.count = self.left - 1, self.count + 1
        return await self.access()


def answer(body: Any = None, status: int = 200, **headers: str) -> httpx.Response:
    """An answer with a Date, of JSON or of bytes."""
    headers = {"Date": NOW, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if isinstance(body, bytes):
        return httpx.Response(status, content=body, headers=headers)
    return httpx.Response(status, json=body, headers=headers)


def script(answers: Iterable[httpx.Response | Exception]) -> Callable[[httpx.Request], httpx.Response]:
    """An upstream that gives these answers in turn; `asked` on it lists the requests."""
    upcoming = iter(answers)

    def upstream(request: httpx.Request) -> httpx.Response:
        upstream.asked.append(request)
        given = next(upcoming)
        if isinstance(given, Exception):
            raise given
        return given

    upstream.asked = []
    return upstream


def client_for(
    upstream: Callable[[httpx.Request], httpx.Response],
    provider: Provider | None = None,
    *,
    source: Any = None,
    time: Time | None = None,
    **options: Any,
) -> Client:
    """A client over an upstream that is a function."""
    numbers, time = itertools.count(1), time or Time()
    http = httpx.AsyncClient(transport=httpx.MockTransport(upstream), follow_redirects=False)
    options |= {"draw_read_no": lambda: next(numbers), "sleep": time.sleep, "clock": time, "random": lambda: 1.0}
    if provider is None:
        return Client(http, source or Source(), **options)
    return Client.of(provider, http, source or Source(), **options)
