"""Webhooks: who wants to hear of what, and signed POSTs to them, upon each change.

Receivers are on this machine: the sandbox sends to loopback addresses and nowhere else. One delivery at a time, in the
order of the changes; a failed one is tried again a little later where its upstream does that.
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
class Habits:
    """How an upstream delivers.

    again_after_s  a failed delivery is sent again after so many seconds, each; none: it is lost
    is_final       an answer's status after which nothing is sent again; 0 stands for no answer at all
    most_events    events sent together, where bodies are lists
    """

    again_after_s: tuple[float, ...] = (1.0, 5.0)
    is_final: Callable[[int], bool] = lambda status: False
    most_events: int = 1


@dataclass(frozen=True)
class Delivery:
    """One POST to one receiver. Each attempt is signed anew."""

    side: str
    hook: Hook
    event: str
    body: bytes
    headers: Mapping[str, str]
    sign: Sign
    habits: Habits = Habits()
    attempt: int = 1
    events: int = 1

    def joined(self, other: Delivery) -> Delivery | None:
        """Both in one POST, where this upstream sends several events together; None where it does not."""
        if self.hook != other.hook or self.events + other.events > self.habits.most_events:
            return None
        return replace(self, body=dump([*load(self.body), *load(other.body)]), events=self.events + other.events)


class Webhooks:
    """The receivers of one side.

    sign   (hook, body, now in ms) -> the headers that prove where it comes from
    """

    def __init__(self, side: Side, sign: Sign, habits: Habits = Habits()):
        self.side, self.sign, self.habits, self.kind = side, sign, habits, f"{side.key}_hook"

    def register(self, url: str, secret: str = "", events: Iterable[str] = (ALL,), **more: Any) -> Hook:
        """A new receiver; a secret that is left out is made up. Raises ValueError for an address elsewhere."""
        number = self.side.store.count_up(self.kind)
        return self.keep(Hook(number, url, secret or secrets.token_hex(24), tuple(events), more))

    def keep(self, hook: Hook) -> Hook:
        """The receiver as it is from now on. Raises ValueError for an address elsewhere."""
        self.check(hook.url)
        self.side.store.keep_note(self.kind, str(hook.id), dump(asdict(hook)).decode())
        return hook

    def check(self, url: str) -> None:
        """Raises ValueError for an address on another machine."""
        if urlsplit(url).hostname not in LOOPBACK_HOSTS:
            raise ValueError("webhooks are sent to loopback addresses only")

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
                self.send(hook, event, body, headers)

    def send(self, hook: Hook, event: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an event to one, whatever it wants."""
        self.side.sandbox.courier.post(
            Delivery(self.side.key, hook, event, body, headers or {}, self.sign, self.habits)
        )


class Courier:
    """Carries the webhooks of all sides while `run` runs, and remembers the last ones."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        self.sent: deque[dict[str, Any]] = deque(maxlen=KEPT_DELIVERIES)
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._held: list[tuple[float, Delivery]] = []
        self._later: set[asyncio.Task[None]] = set()
        self._sending = 0

    @property
    def under_way(self) -> int:
        """How many deliveries wait, are being sent, or will be sent again."""
        return self._waiting.qsize() + len(self._held) + len(self._later) + self._sending

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
                self._sending = len(batch)
                if batch or (self._held and self._held[0][0] < time.monotonic() - HELD_S):
                    batch += [delivery for _, delivery in self._held]
                    self._held.clear()
                    self._sending = len(batch)
                for delivery in batch:
                    await self._send(http, delivery)
                self._sending = 0

    async def _next(self) -> list[Delivery]:
        """What is first in line, with what is sent together with it; nothing after a short while."""
        try:
            first = await asyncio.wait_for(self._waiting.get(), LOOKED_AT_EVERY_S)
        except TimeoutError:
            return []
        while first.events < first.habits.most_events and not self._waiting.empty():
            following = self._waiting.get_nowait()
            both = first.joined(following)
            if both is None:
                return [first, following]
            first = both
        return [first]

    async def _send(self, http: httpx.AsyncClient, delivery: Delivery) -> None:
        signed = delivery.sign(delivery.hook, delivery.body, self.sandbox.clock.now_ms())
        headers = {"Content-Type": "application/json", **delivery.headers, **signed}
        began, status = time.monotonic(), 0
        try:
            answer = await http.post(delivery.hook.url, content=delivery.body, headers=headers)
        except httpx.HTTPError as error:
            outcome = type(error).__name__
        else:
            status = answer.status_code
            outcome = str(status)
        self._note(delivery, outcome, time.monotonic() - began)
        if not 200 <= status < 300 and not delivery.habits.is_final(status):
            self._try_again(delivery)

    def _try_again(self, delivery: Delivery) -> None:
        if delivery.attempt <= len(delivery.habits.again_after_s):
            task = asyncio.create_task(self._again(delivery))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _again(self, delivery: Delivery) -> None:
        await asyncio.sleep(delivery.habits.again_after_s[delivery.attempt - 1])
        self._waiting.put_nowait(replace(delivery, attempt=delivery.attempt + 1))

    def _note(self, delivery: Delivery, outcome: str, took_s: float = 0.0) -> None:
        self.sent.append({"provider": delivery.side, "hook": delivery.hook.id, "event": delivery.event,
                          "events": delivery.events, "attempt": delivery.attempt, "outcome": outcome,
                          "ms": round(took_s * 1000, 1)})  # fmt: skip
