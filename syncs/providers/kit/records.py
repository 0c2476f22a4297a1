"""What reading an upstream API yields: raw records in pages, each page with the cursor that is safe after it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Cursor = dict[str, Any]
"""How far reading has safely come: JSON, its meaning private to the provider."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One upstream object as it was read.

    collection_id  such as `salesforce:contact`
    upstream_id    the provider's id, unencoded
    data           compact JSON of the object in the provider's own bytes (numbers untouched); None for a deletion
                   whose last content the provider no longer tells: the log then keeps what it knows
    read_no        drawn when the request that brought it left; orders reads where upstream has no change time
    created_at     upstream times, aware UTC, or None
    updated_at     upstream change time; orders versions if the collection says `versioned_by_time`
    """

    collection_id: str
    upstream_id: str
    data: bytes | None
    read_no: int
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that could not be read, and why. `upstream_id` empty: not even that is known."""

    collection_id: str
    upstream_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """Records to store together, in one transaction with the cursor.

    cursor    safe once this page is stored; None inside a walk that only counts as a whole
    done      this walk (backfill, or one look for changes) ends here
    total     how many records the walk will bring in all, if upstream says so
    skipped   records set aside: shown on the collection, and tried again later; their page goes on
    """

    records: list[RawRecord]
    cursor: Cursor | None
    done: bool
    total: int | None = None
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class IdPage:
    """Ids only, read by a sweep to find what upstream no longer has."""

    ids: list[str]
    cursor: Cursor | None
    done: bool
