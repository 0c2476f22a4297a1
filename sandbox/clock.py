"""The sandbox's own time, and the ways the upstream APIs write times.

All moments are whole milliseconds since 1970 (UTC), because that is what is stored and compared.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

SECOND_MS = 1_000
DAY_MS = 86_400_000


class Clock:
    """A clock that can be set ahead or back, so that a client's trust in its own clock shows."""

    def __init__(self, skew_s: float = 0.0):
        self.skew_s = skew_s

    def now_ms(self) -> int:
        """Now, in milliseconds since 1970."""
        return int((time.time() + self.skew_s) * 1000)

    async def later_ms(self) -> int:
        """Now, once this millisecond is over: whatever was stamped before the call is earlier, not as late."""
        await asyncio.sleep(0.002)
        return self.now_ms()

    def http_date(self, extra_s: float = 0.0) -> str:
        """Now, as the HTTP `Date` header writes it. `extra_s` puts this one header off on purpose."""
        return formatdate(self.now_ms() / 1000 + extra_s, usegmt=True)


def whole_second(at_ms: int) -> int:
    """The moment with its fraction of a second cut off: upstream stamps are whole seconds."""
    return at_ms - at_ms % SECOND_MS


@lru_cache(maxsize=4096)
def salesforce_time(at_ms: int) -> str:
    """As the REST API writes date-times: `2026-11-20T08:15:00.000+0000`."""
    return f"{_utc(at_ms):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}+0000"


@lru_cache(maxsize=4096)
def salesforce_date(at_ms: int) -> str:
    """As the REST API writes dates: `2026-11-20`."""
    return f"{_utc(at_ms):%Y-%m-%d}"


def parse_time(text: str) -> int:
    """Milliseconds of an ISO 8601 moment with `Z`, `+0000` or `+00:00`. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return round(moment.timestamp() * 1000)


def readable(at_ms: int) -> str:
    """For the sandbox's own pages: `2026-11-20 08:15:00 UTC`."""
    return f"{_utc(at_ms):%Y-%m-%d %H:%M:%S} UTC"


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)
