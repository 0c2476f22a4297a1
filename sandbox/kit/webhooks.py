"""Webhooks: who wants to hear of what, and signed POSTs to them, upon each change.

Receivers are on this machine: the sandbox sends to loopback addresses and nowhere else. One delivery at a time, in the
order of the changes; a failed one is tried again a little later, as upstreams do.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from sandbox.apps import LOOPBACK_HOSTS
from sandbox.rawjson import dump, load

if TYPE_CHECKING:
    from sandbox.app import Sandbox
    from sandbox.side import Side

TIMEOUT_S = 10.0
HELD_S = 3.0
LOOKED_AT_EVERY_S = 0.5
RETRY_AFTER_S = (1.0, 5.0)
KEPT_DELIVERIES = 1_000
ALL = "*"


@dataclass(frozen=True)
class Hook:
    """One receiver. `events`: names it wants, `*` for all. `more`: what the side keeps with it."""

    id: int
    url: str
    secret: str
    events: tuple[str, ...] = (ALL,)
    more: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, event: str) -> bool:
        return ALL in self.events or event in self.events


Sign = Callable[[Hook, bytes, int], Mapping[str, str]]


@dataclass(frozen=True)
class Delivery:
    """One POST to one receiver. Each attempt is signed anew."""

    side: str
    hook: Hook
    event: str
    body: bytes
    headers: Mapping[str, str]
    sign: Sign
    attempt: int = 1


class Webhooks:
    """The receivers of one side.

    sign   (hook, body, now in ms) -> the headers that prove where it comes from
    """

    def __init__(self, side: Side, sign: Sign):
        self.side, self.sign, self.kind = side, sign, f"{side.key}_hook"

    def register(self, url: str, secret: str = "", events: Iterable[str] = (ALL,), **more: Any) -> Hook:
        """A new receiver; a secret that is left out is made up. Raises ValueError for an address elsewhere."""
        if urlsplit(url).hostname not in LOOPBACK_HOSTS:
            raise ValueError("webhooks are sent to loopback addresses only")
        number = self.side.store.count_up(self.kind)
        hook = Hook(number, url, secret or secrets.token_hex(24), tuple(events), more)
        self.side.store.keep_note(self.kind, str(number), dump(asdict(hook)).decode())
        return hook

    def all(self) -> list[Hook]:
        kept = [load(note) for note in self.side.store.notes(self.kind).values()]
        return sorted((Hook(**hook | {"events": tuple(hook["events"])}) for hook in kept), key=lambda hook: hook.id)

    def drop(self, hook_id: int) -> bool:
        is_there = self.side.store.note(self.kind, str(hook_id)) is not None
        self.side.store.drop_note(self.kind, str(hook_id))
        return is_there

    def tell(
        self,
        event: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        among: Callable[[Hook], bool] = lambda hook: True,
    ) -> None:
        """Send an event to all who want it, among those chosen."""
        for hook in self.all():
            if hook.wants(event) and among(hook):
                self.side.sandbox.courier.post(Delivery(self.side.key, hook, event, body, headers or {}, self.sign))


class Courier:
    """Carries the webhooks of all sides while `run` runs, and remembers the last ones."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        self.sent: deque[dict[str, Any]] = deque(maxlen=KEPT_DELIVERIES)
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._held: list[tuple[float, Delivery]] = []
        self._later: set[asyncio.Task[None]] = set()

    def post(self, delivery: Delivery) -> None:
        """Put on its way, unless a fault says otherwise."""
        struck = self.sandbox.faults.strike(delivery.side, delivery.event, webhook=True)
        kinds = {fault.kind for fault in struck}
        if "webhook_drop" in kinds:
            self._note(delivery, "dropped")
        elif "webhook_out_of_order" in kinds:
            self._held.append((time.monotonic(), delivery))
        else:
            for _ in range(2 if "webhook_duplicate" in kinds else 1):
                self._waiting.put_nowait(delivery)

    async def run(self) -> None:
        """Deliver one after the other, for as long as the sandbox lives; what is held back follows the next."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            while True:
                batch = await self._next()
                if batch or (self._held and self._held[0][0] < time.monotonic() - HELD_S):
                    batch += [delivery for _, delivery in self._held]
                    self._held.clear()
                for delivery in batch:
                    await self._send(http, delivery)

    async def _next(self) -> list[Delivery]:
        """What is first in line; nothing after a short while."""
        try:
            return [await asyncio.wait_for(self._waiting.get(), LOOKED_AT_EVERY_S)]
        except TimeoutError:
            return []

    async def _send(self, http: httpx.AsyncClient, delivery: Delivery) -> None:
        signed = delivery.sign(delivery.hook, delivery.body, self.sandbox.clock.now_ms())
        headers = {"Content-Type": "application/json", **delivery.headers, **signed}
        try:
            answer = await http.post(delivery.hook.url, content=delivery.body, headers=headers)
        except httpx.HTTPError as error:
            self._note(delivery, type(error).__name__)
        else:
            self._note(delivery, str(answer.status_code))
            if answer.is_success:
                return
        if delivery.attempt <= len(RETRY_AFTER_S):
            task = asyncio.create_task(self._again(delivery))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _again(self, delivery: Delivery) -> None:
        await asyncio.sleep(RETRY_AFTER_S[delivery.attempt - 1])
        self._waiting.put_nowait(replace(delivery, attempt=delivery.attempt + 1))

    def _note(self, delivery: Delivery, outcome: str) -> None:
        self.sent.append({"provider": delivery.side, "hook": delivery.hook.id, "event": delivery.event,
                          "attempt": delivery.attempt, "outcome": outcome})  # fmt: skip
