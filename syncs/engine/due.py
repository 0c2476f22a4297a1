"""When a feed has something to do next. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Work:
    """What one collection of a feed still wants.

    is_reading   its backfill or sweep is under way
    retry_at     it is in trouble: not before
    sweep_at     its next sweep
    """

    is_reading: bool
    retry_at: datetime | None = None
    sweep_at: datetime | None = None


def next_due(
    works: Iterable[Work], *, now: datetime, look_at: datetime | None, not_before: datetime | None = None
) -> datetime | None:
    """The earliest moment at which the feed has something to do; None if it never will by itself.

    look_at     the next look for changes; None when there is nothing to follow
    not_before  a failure or a rate limit asks for patience
    """
    moments = [look_at] if look_at else []
    for work in works:
        if work.retry_at:
            moments.append(work.retry_at)
        elif work.is_reading:
            moments.append(now)
        elif work.sweep_at:
            moments.append(work.sweep_at)
    return max(min(moments), not_before or now, now) if moments else None


def next_look(*, now: datetime, looked_at: datetime | None, pace_s: int) -> datetime:
    """When to look for changes next: `pace_s` after the last complete look, or now if there was none."""
    return looked_at + timedelta(seconds=pace_s) if looked_at else now
