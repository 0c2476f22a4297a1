"""Single values of records and parameters: ids, times in any of the usual spellings, times to ask by."""

from datetime import UTC, datetime

import msgspec

from syncs.providers.custom.definition import Incremental
from syncs.providers.kit import raw
from syncs.providers.kit.times import from_unix, parse_time, to_unix

MILLISECONDS_FROM = 1e11  # as seconds that is the year 5138, as milliseconds 1973
_number = msgspec.json.Decoder(float)


def text_at(record: msgspec.Raw | bytes, path: str) -> str:
    """The text or whole number at a path, as text; empty for everything else."""
    value = raw.scalar(raw.find(record, path)) if path else None
    return "" if value is None or isinstance(value, bool) else str(value)


def moment_at(record: msgspec.Raw | bytes, path: str) -> datetime | None:
    """The time at a path: RFC 3339, a date, or unix seconds or milliseconds as number or text. None for none."""
    found = raw.find(record, path) if path else None
    if found is None:
        return None
    text = raw.text_of(found)
    try:
        number = float(text) if text is not None else _number.decode(found)
    except (ValueError, msgspec.MsgspecError):
        number = None
    if number is not None:
        return from_unix(number / 1000 if abs(number) >= MILLISECONDS_FROM else number)
    try:
        return parse_time(text) if text else None
    except (ValueError, OverflowError):
        return None


def since(incremental: Incremental, moment: datetime) -> str:
    """A time as the API wants it, rounded down: reading twice costs little, reading too late loses."""
    if incremental.format == "date":
        return moment.astimezone(UTC).strftime("%Y-%m-%d")
    if incremental.format == "unix_s":
        return str(to_unix(moment))
    if incremental.format == "unix_ms":
        return str(to_unix(moment) * 1000)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
