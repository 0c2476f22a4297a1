"""What the record browser shows: a page of records, newest first, at the same cost however many there are.

    no filter, or one sync and one of its collections   read from an index, in order
    text                                                ids that begin with it, wherever they are, by index
    text, deleted or not, a collection over all syncs   looked for in SEARCHED records at a time

No index knows what documents contain (one that did would cost more than all the rest of storing them), so a search
looks through the newest records, says how far it has looked, and goes on from there with the next page.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from sequin_console.accounts.rights import Right, require
from syncs.models import Record, SyncCollection

PER_PAGE = 50
SEARCHED = 20_000
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Choice:
    """What somebody wants to see. `text` is the beginning of an upstream id, or any part of a document."""

    sync_id: UUID | None = None
    collection_id: str = ""
    text: str = ""
    deleted: bool | None = None


@dataclass(frozen=True)
class RecordPage:
    """One page. `older`: the place where the next one starts; None on the last.

    searched  how many records were looked through, for not all were; None when the page is complete
    """

    records: list[Record]
    older: int | None
    searched: int | None = None


def page(actor: Any, choice: Choice, *, before: int | None = None) -> RecordPage:
    """The records changed last, newest first, that fit a choice.

    before  the page's place, `older` of the page in front: a record's pk (over all syncs) or its seq (within one)
    """
    require(actor, Right.SEE)
    collections = _collections(choice)
    place = "pk" if choice.sync_id is None else "seq"
    rows = Record.objects.order_by(f"-{place}")
    in_order = rows if choice.sync_id is None else rows.filter(sync_id=choice.sync_id)
    if choice.sync_id is not None and choice.collection_id:
        in_order = rows.filter(collection=collections[0] if collections else None)
    if before is not None:
        in_order = in_order.filter(**{f"{place}__lt": before})
    is_search = bool(choice.text) or choice.deleted is not None
    is_search = is_search or (bool(choice.collection_id) and choice.sync_id is None)
    if not is_search:
        found = _whole(in_order[: PER_PAGE + 1])
        return RecordPage(found[:PER_PAGE], _place(found[PER_PAGE - 1], place) if len(found) > PER_PAGE else None)
    by_id = _beginning_with(choice, collections) if choice.text and before is None else []
    end = in_order.values_list(place, flat=True)[SEARCHED - 1 : SEARCHED].first()
    fitting = _fitting(in_order if end is None else in_order.filter(**{f"{place}__gte": end}), choice, collections)
    found = _whole(fitting.exclude(pk__in=[record.pk for record in by_id])[: PER_PAGE + 1])
    older = _place(found[PER_PAGE - 1], place) if len(found) > PER_PAGE else end
    return RecordPage(by_id + found[:PER_PAGE], older, SEARCHED if end is not None else None)


def _collections(choice: Choice) -> list[int]:
    """Primary keys of the collections in which to look."""
    rows = SyncCollection.objects.order_by("pk")
    rows = rows.filter(sync_id=choice.sync_id) if choice.sync_id is not None else rows
    rows = rows.filter(collection_id=choice.collection_id) if choice.collection_id else rows
    return list(rows.values_list("pk", flat=True))


def _beginning_with(choice: Choice, collections: list[int]) -> list[Record]:
    """The first records by id whose upstream id begins with the text: one range of an index for each collection."""
    rows = Record.objects.filter(
        collection__in=collections, upstream_id__gte=choice.text, upstream_id__lt=choice.text + _LAST_CHARACTER
    )
    rows = rows.filter(deleted=choice.deleted) if choice.deleted is not None else rows
    return _whole(rows.order_by("collection_id", "upstream_id")[:PER_PAGE])


def _fitting(rows: QuerySet[Record], choice: Choice, collections: list[int]) -> QuerySet[Record]:
    if choice.collection_id:  # "+ 0" keeps the planner from reading all of a collection by its index, only to sort it
        rows = rows.alias(own=F("collection_id") + 0).filter(own__in=collections)
    if choice.deleted is not None:
        rows = rows.filter(deleted=choice.deleted)
    return rows.filter(data__icontains=choice.text) if choice.text else rows


def _whole(rows: QuerySet[Record]) -> list[Record]:
    return list(rows.select_related("collection", "sync"))


def _place(record: Record, place: str) -> int:
    return int(getattr(record, place))
