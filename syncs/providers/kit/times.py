"""Upstream times, whatever their spelling, as aware UTC moments; and back."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_time(text: str) -> datetime:
    """`2026-11-20T08:15:00.000+0000`, `…Z`, `…+01:00` or no zone (taken as UTC), as aware UTC.

    Digits beyond microseconds are cut off. Raises ValueError for what is no time.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def from_unix(seconds: float | None) -> datetime | None:
    """Unix seconds as aware UTC; None stays None, and so does a number that is no moment (a wrong unit)."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def to_unix(moment: datetime) -> int:
    """Whole unix seconds, rounded down."""
    return int(moment.timestamp() // 1)


def parse_http_date(text: str | None) -> datetime | None:
    """`Mon, 23 Nov 2026 09:00:00 GMT` as aware UTC; None when it is missing or broken."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_millis_z(moment: datetime) -> str:
    """`2026-11-20T08:15:00.000Z`: the spelling that needs no escaping in a URL."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
