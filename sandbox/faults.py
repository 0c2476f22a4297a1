"""Faults on demand: what may go wrong between a client and an upstream API, made to go wrong.

A fault waits for requests of one provider whose path and query (decoded) contain a piece of text, and strikes until its
`times` are used up. Several may lie in wait; delays and skews add up, of the others the oldest answers.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.side import Side

KINDS = {
    "rate_limit": "429: too many requests",
    "quota": "what the upstream says when a day's or an hour's calls are used up",
    "lock_timeout": "somebody else holds what is asked for, or a query took too long",
    "server_error": "500 with the provider's own error",
    "unavailable": "503 with an HTML page",
    "slow": "the answer comes late",
    "hang": "no answer at all, then the connection closes",
    "drop": "the connection closes in the middle of the body",
    "reset": "the connection is reset (RST) in the middle of the body",
    "truncated": "half a body, though the answer looks whole",
    "malformed": "a body that is no JSON",
    "trickle": "the body comes byte by byte, each late",
    "garbled_gzip": "a body that says it is gzip and is not",
    "redirect": "302 to another host",
    "expired_token": "the access token used is dead from now on",
    "revoked_grant": "all grants are revoked, with their tokens",
    "lost_page_token": "the place a next page starts at is no longer known",
    "forbidden": "403: no right to read this",
    "no_read_right": "no right to read this, in the words for things that do not exist",
    "clock_skew": "the Date header is off",
    "webhook_duplicate": "a webhook is sent twice",
    "webhook_out_of_order": "a webhook is sent after the next one",
    "webhook_drop": "a webhook is never sent",
}
WEBHOOK_KINDS = frozenset({"webhook_duplicate", "webhook_out_of_order", "webhook_drop"})
DEFAULT_SECONDS = {"slow": 2.0, "hang": 600.0, "trickle": 1.0, "clock_skew": 3_600.0}
QUIET_KINDS = frozenset({"slow", "clock_skew"})


@dataclass
class Fault:
    """One fault. times None: until taken away. share: the part of the matching requests that it strikes."""

    id: int
    provider: str
    kind: str
    path: str
    times: int | None
    share: float
    seconds: float
    retry_after: float | None
    what: str
    hits: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """All faults lying in wait. They are not kept over a restart."""

    def __init__(self, sides: Iterable[type[Side]], seed: int = 20261123):
        self._sides = {side.key: side for side in sides}
        self._numbers = itertools.count(1)
        self._random = random.Random(seed)
        self._faults: dict[int, Fault] = {}

    def add(self, asked: dict[str, Any]) -> Fault:
        """Lay a fault in wait. Raises ValueError, with a sentence, for what makes no sense."""
        provider, kind = asked.get("provider"), asked.get("kind")
        unknown = set(asked) - {"provider", "kind", "path", "times", "share", "seconds", "retry_after"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if provider not in self._sides:
            raise ValueError(f"provider must be one of {', '.join(self._sides)}")
        side = self._sides[provider]
        kinds = side.fault_kinds()
        if kind not in kinds:
            raise ValueError(f"kind must be one of {', '.join(kinds)}")
        fault = Fault(
            next(self._numbers),
            provider,
            kind,
            asked.get("path") or (side.page_token_mark if kind == "lost_page_token" else ""),
            None if asked.get("times") is None else int(asked["times"]),
            float(asked.get("share", 1.0)),
            float(asked.get("seconds", DEFAULT_SECONDS.get(kind, 0.0))),
            None if asked.get("retry_after") is None else float(asked["retry_after"]),
            kinds[kind],
        )
        if not 0 < fault.share <= 1 or (fault.times is not None and fault.times < 1):
            raise ValueError("share lies above 0 and up to 1, times is 1 or more")
        self._faults[fault.id] = fault
        return fault

    def strike(self, provider: str, target: str, *, webhook: bool = False, named: bool = False) -> list[Fault]:
        """The faults that strike this request, each counted: any number of quiet ones and at most one other.

        webhook   it is a webhook on its way out, and `target` the event's name
        named     only those that name a path: the rest has struck already, at the edge (what is asked stands in a body)
        """
        struck: list[Fault] = []
        loud = False
        for fault in list(self._faults.values()):
            if fault.provider != provider or fault.path not in target or (fault.kind in WEBHOOK_KINDS) != webhook:
                continue
            if named and not fault.path:
                continue
            if loud and fault.kind not in QUIET_KINDS:
                continue
            if fault.share < 1 and self._random.random() >= fault.share:
                continue
            fault.hits += 1
            loud = loud or fault.kind not in QUIET_KINDS
            struck.append(fault)
            if fault.times is not None and fault.hits >= fault.times:
                del self._faults[fault.id]
        return struck

    def remove(self, fault_id: int) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> int:
        """Take all away; how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def active(self) -> list[dict[str, Any]]:
        return [fault.as_dict() for fault in self._faults.values()]
