"""Hints: what webhooks named, remembered until it is read again under its feed's lease.

Losing all of them loses nothing: the next look finds what changed. So they are few columns, dropped after an hour, and
what fails is put off rather than insisted on.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection
from django.utils import timezone

from syncs.models import Hint, SeenBy, SyncCollection
from syncs.providers.kit.records import Page
from syncs.providers.kit.webhooks import Told
from syncs.states import Phase, SyncState

if TYPE_CHECKING:
    from syncs.reading import FeedRun

MERGED = 2_000  # hints taken together: many name the same record
READ_TOGETHER = 50
AGAIN_S = 60.0
LOOKS_APART_S = 10.0  # a look that hints ask for: exports and searches are counted more strictly than records
KEPT_S = 3600.0


def note(credential_ids: Iterable[UUID], told: Iterable[Told]) -> list[int]:
    """Remember what a delivery named, for every running sync of these connections; returns the feeds it is about.

    What no sync reads is left out; so is what waits for its history, which will bring it anyway.
    """
    wanted: dict[str, list[str]] = {}
    for each in dict.fromkeys(told):
        wanted.setdefault(each.collection_id, []).append(each.upstream_id)
    rows = SyncCollection.objects.filter(
        sync__credential__in=list(credential_ids),
        sync__state=SyncState.ACTIVE,
        collection_id__in=list(wanted),
        phase__in=[Phase.BACKFILLING, Phase.LIVE],
    ).values_list("pk", "feed_id", "collection_id")
    now, found = timezone.now(), list(rows)
    Hint.objects.bulk_create(
        Hint(feed_id=feed, collection_id=pk, upstream_id=upstream_id, due_at=now, noted_at=now)
        for pk, feed, collection_id in found
        for upstream_id in wanted[collection_id]
    )
    return sorted({feed for _, feed, _ in found})


def feeds_due(now: datetime, among: Sequence[int] | None = None) -> list[int]:
    """The feeds that have hints to follow, of these or a thousand at most; mostly none."""
    rows = (
        Hint.objects.filter(due_at__lte=now) if among is None else Hint.objects.filter(feed__in=among, due_at__lte=now)
    )
    return list(rows.order_by().values_list("feed_id", flat=True).distinct()[:1000])


def prune() -> None:
    """Drop what was put off for so long that a look must have found it."""
    Hint.objects.filter(noted_at__lt=timezone.now() - timedelta(seconds=KEPT_S))._raw_delete(connection.alias)


Taken = dict[int, dict[str, list[int]]]
"""Hints merged: by collection's key, each id once, in the order they were named, with the rows that named it."""


def take(feed_id: int) -> Taken:
    """What is to be read now of a feed, as much as is taken together."""
    found = Hint.objects.filter(feed=feed_id, due_at__lte=timezone.now()).order_by("pk")
    taken: Taken = {}
    for pk, collection_pk, upstream_id in found.values_list("pk", "collection_id", "upstream_id")[:MERGED]:
        taken.setdefault(collection_pk, {}).setdefault(upstream_id, []).append(pk)
    return taken


async def read(run: "FeedRun", row: SyncCollection, named: dict[str, list[int]]) -> None:
    """Read these records again, each once, however often it was named; "" asks for a look at the collection."""
    if "" in named:
        may_look_at = (run.feed.looked_at or timezone.now()) + timedelta(seconds=LOOKS_APART_S)
        run.is_look_asked = run.is_look_asked or may_look_at <= timezone.now()
        await run.orm(_drop, named[""]) if run.is_look_asked else await run.orm(_wait, named[""], may_look_at)
    ids = [each for each in named if each]
    for start in range(0, len(ids), READ_TOGETHER):
        part = ids[start : start + READ_TOGETHER]
        found = await run.reader.read(run.specs[row.collection_id], part)
        rows = [pk for each in part for pk in named[each]]
        await run.orm(run.store, Page(list(found), None, done=False), SeenBy.WEBHOOK, partial(_drop, rows))
        if run.is_late():
            return


def _drop(rows: Sequence[int]) -> None:
    Hint.objects.filter(pk__in=rows)._raw_delete(connection.alias)


def _wait(rows: Sequence[int], until: datetime) -> None:
    """One of them: the rest says the same."""
    _drop(rows[1:])
    Hint.objects.filter(pk__in=rows[:1]).update(due_at=until)


def put_off(taken: Taken) -> int:
    """Let what is left of these hints wait; returns how many there are."""
    rows = [pk for named in taken.values() for pks in named.values() for pk in pks]
    now = timezone.now()
    return Hint.objects.filter(pk__in=rows, due_at__lte=now).update(due_at=now + timedelta(seconds=AGAIN_S))
