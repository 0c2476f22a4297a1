"""When a feed has something to do next. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta


def next_due(
    wanted: Iterable[datetime | None], *, now: datetime, not_before: datetime | None = None
) -> datetime | None:
    """The earliest moment at which the feed has something to do; None if it never will by itself.

    wanted      when each part of it next wants something: a collection, the look for changes; None for never
    not_before  a failure or a rate limit asks for patience
    """
    moments = [moment for moment in wanted if moment]
    return max(min(moments), not_before or now, now) if moments else None


def collection_due(
    *, now: datetime, is_reading: bool, retry_at: datetime | None, later: Iterable[datetime | None]
) -> datetime | None:
    """When one collection wants something besides looks for changes.

    is_reading  its backfill or sweep is under way: at once, unless it is in trouble (`retry_at`)
    later       its next sweep, second reading …
    """
    if retry_at or is_reading:
        return retry_at or now
    return min((moment for moment in later if moment), default=None)


def next_look(*, now: datetime, looked_at: datetime | None, pace_s: int) -> datetime:
    """When to look for changes next: `pace_s` after the last complete look, or now if there was none."""
    return looked_at + timedelta(seconds=pace_s) if looked_at else now


def next_pace(pace_s: int, *, has_found: bool, fastest_s: int, slowest_s: int) -> int:
    """Seconds to the look after the next: the fastest once a look found something, half as long again after each that
    did not, within the bounds.

    Half as long again: a collection that has just become quiet is still looked at often, and one that is quiet for a
    day costs what its slowest pace costs. 2 s become 60 s after some 12 looks, a good three minutes.
    """
    if has_found:
        return fastest_s
    return max(fastest_s, min(slowest_s, max(pace_s + 1, round(pace_s * 1.5))))
