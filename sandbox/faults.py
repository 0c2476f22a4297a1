"""Faults on demand: what may go wrong between a client and an upstream API, made to go wrong.

A fault waits for requests of one provider whose path and query (decoded) contain a piece of text, and strikes until its
`times` are used up. Several may lie in wait; delays and skews add up, of the others the oldest answers.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import asdict, dataclass
from typing import Any

PROVIDERS = ("salesforce", "stripe")
KINDS = {
    "rate_limit": "429: too many requests",
    "quota": "Salesforce: 403 REQUEST_LIMIT_EXCEEDED",
    "lock_timeout": "Stripe: 429 lock_timeout without a reason header; Salesforce: 400 QUERY_TIMEOUT",
    "server_error": "500 with the provider's JSON error",
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
    "no_read_right": "Salesforce: 400 INVALID_TYPE, as for objects the user may not see",
    "clock_skew": "the Date header is off",
}
DEFAULT_PATHS = {"lost_page_token": {"salesforce": "/query/0r8", "stripe": "starting_after="}}
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
    hits: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"what": KINDS[self.kind]}


class Faults:
    """All faults lying in wait. They are not kept over a restart."""

    def __init__(self, seed: int = 20261123):
        self._numbers = itertools.count(1)
        self._random = random.Random(seed)
        self._faults: dict[int, Fault] = {}

    def add(self, asked: dict[str, Any]) -> Fault:
        """Lay a fault in wait. Raises ValueError, with a sentence, for what makes no sense."""
        provider, kind = asked.get("provider"), asked.get("kind")
        unknown = set(asked) - {"provider", "kind", "path", "times", "share", "seconds", "retry_after"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if provider not in PROVIDERS:
            raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        fault = Fault(
            next(self._numbers),
            provider,
            kind,
            asked.get("path") or DEFAULT_PATHS.get(kind, {}).get(provider, ""),
            None if asked.get("times") is None else int(asked["times"]),
            float(asked.get("share", 1.0)),
            float(asked.get("seconds", DEFAULT_SECONDS.get(kind, 0.0))),
            None if asked.get("retry_after") is None else float(asked["retry_after"]),
        )
        if not 0 < fault.share <= 1 or (fault.times is not None and fault.times < 1):
            raise ValueError("share lies above 0 and up to 1, times is 1 or more")
        self._faults[fault.id] = fault
        return fault

    def strike(self, provider: str, target: str) -> list[Fault]:
        """The faults that strike this request, each counted: any number of quiet ones and at most one other."""
        struck: list[Fault] = []
        loud = False
        for fault in list(self._faults.values()):
            if fault.provider != provider or fault.path not in target:
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
