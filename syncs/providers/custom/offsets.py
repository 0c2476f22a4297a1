"""Pages by offset, made safe: a record deleted meanwhile moves all behind it up, and the next page would miss one.

Pages overlap by a few records. If none of these is met where it should be, the list has shifted further, and reading
goes back until one is. Records read twice do no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from syncs.providers.custom.definition import ByOffset, CustomCollection
from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.paging import Request
from syncs.providers.kit.records import Cursor, RawRecord

OVERLAP = 5


@dataclass(frozen=True)
class Shifting:
    """The page of such a list that is asked for.

    start  how many records are skipped
    size   how many the page before had
    tail   ids of the last records before, oldest first; empty for a first page
    """

    request: Request
    way: ByOffset
    start: int
    size: int
    tail: tuple[str, ...]

    @classmethod
    def at(cls, collection: CustomCollection, request: Request, place: Cursor | None) -> Self | None:
        """The page at a place; None where the list is not paged by offset."""
        if not isinstance(collection.paging, ByOffset):
            return None
        place = place or {}
        made = cls(request, collection.paging, place.get("at", 0), place.get("size", 0), tuple(place.get("tail", ())))
        return made._from(made.start - len(made.tail))

    def is_met(self, records: Sequence[RawRecord]) -> bool:
        """Whether this page joins the one before. From the very beginning it always does."""
        ids = {record.upstream_id for record in records}
        return self.start == 0 or not self.tail or any(each in ids for each in self.tail)

    def back(self) -> Self:
        """The page before this one, twice as far back each time."""
        step = max(self.size, 1)
        return replace(self._from(self.start - step), size=2 * step)

    def taken(self, records: list[RawRecord], answer: Answer) -> tuple[list[RawRecord], Cursor | None]:
        """What is new on this page, and where the next one starts; no place after the last."""
        met = [number for number, record in enumerate(records) if record.upstream_id in self.tail]
        new = records[met[-1] + 1 :] if met else records
        reached = self.start + len(records)
        total = raw.scalar(raw.find(answer.body, self.way.total)) if self.way.total else None
        is_told = isinstance(total, int) and reached >= total
        if is_told or (not new and len(records) <= len(self.tail)):
            return new, None
        overlap = min(OVERLAP, len(records) // 2)
        tail = [record.upstream_id for record in records[len(records) - overlap :]]
        return new, {"at": reached, "size": len(records), "tail": tail}

    def _from(self, start: int) -> Self:
        start = max(0, start)
        return replace(self, start=start, request=self.request.having(**{self.way.param: start}))
