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
