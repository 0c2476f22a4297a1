"""What reading an upstream API yields: raw records in pages, each page with the cursor that is safe after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

Cursor = dict[str, Any]
"""How far reading has safely come: JSON, its meaning private to the provider."""


class RawRecord(msgspec.Struct, frozen=True, gc=False):
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

    @property
    def weight(self) -> tuple[int, int]:
        """How many records, and how many bytes of them."""
        return len(self.records), sum([len(record.data) for record in self.records if record.data is not None])

    @property
    def closes_group(self) -> bool:
        """Nothing may be joined behind: an id set aside here and read on a later page must be noted in this order."""
        return self.done or bool(self.skipped)

    @classmethod
    def joined(cls, pages: "Sequence[Page]") -> "Page":
        """Pages of one walk, one after the other, as one: the last cursor is safe once all of them are stored."""
        cursors = [page.cursor for page in pages if page.cursor is not None]
        return cls(
            [record for page in pages for record in page.records],
            cursors[-1] if cursors else None,
            pages[-1].done,
            pages[-1].total,
            tuple(each for page in pages for each in page.skipped),
        )


@dataclass(frozen=True, slots=True)
class IdPage:
    """Ids only, read by a sweep to find what upstream no longer has."""

    ids: list[str]
    cursor: Cursor | None
    done: bool

    @property
    def weight(self) -> tuple[int, int]:
        return len(self.ids), 0

    @property
    def closes_group(self) -> bool:
        return self.done

    @classmethod
    def joined(cls, pages: "Sequence[IdPage]") -> "IdPage":
        """Pages of one walk, one after the other, as one."""
        return cls([each for page in pages for each in page.ids], pages[-1].cursor, pages[-1].done)
