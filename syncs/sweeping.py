"""Sweeps: compare ids with upstream to find what was deleted without a word, with a brake against lost access."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from sequin_console.common import changes as pages
from sequin_console.common.troubled import NO_TROUBLE
from syncs import log
from syncs.engine.brake import is_mass_delete
from syncs.engine.pull import gathered, pull
from syncs.models import Record, SeenBy, SweptId, SyncCollection
from syncs.providers.kit.records import IdPage, RawRecord

if TYPE_CHECKING:
    from syncs.reading import FeedRun

_CHUNK = 200


async def sweep(run: "FeedRun", row: SyncCollection) -> None:
    """Carry on this collection's sweep if one is due or under way; bury what it finds missing.

    1. Note every id upstream has, page by page, resumable.
    2. What we hold live, read before the sweep began, and did not meet, is missing.
    3. Too much missing: hold the deletes back and ask (invariant 8). An incomplete sweep never gets this far.
    4. Else read the missing ones by id once more, and store what upstream says of each.
    """
    if row.held_deletes:
        await _decide(run, row)
        return
    if not row.sweep_read_no:
        if row.sweep_due_at is None or row.sweep_due_at > timezone.now():
            return
        if run.specs[row.collection_id].sweep_every_h is None:  # ids that go missing here say nothing of deletions
            await run.orm(run.fenced, _end, row, None)
            return
        await run.orm(run.fenced, _begin, row, run.draw())
    walk = run.reader.sweep(run.specs[row.collection_id], row.sweep_cursor)
    if not await pull(gathered(walk), lambda page: run.orm(run.fenced, _note, row, page), is_late=run.is_late):
        return
    count = await run.orm(count_missing, row)
    if is_mass_delete(count, row.live_count):
        await run.orm(run.fenced, _hold, run, row, count)
        return
    async for ids in _missing_in_parts(run, row):
        found = await run.reader.read(run.specs[row.collection_id], ids)
        await run.orm(log.append, run.feed, run.rows, found, seen_by=SeenBy.SWEEP)
        await run.orm(run.fenced, _meet, row, ids)  # settled, whatever upstream said of them
    await run.orm(run.fenced, _end, row, run.specs[row.collection_id].sweep_every_h)


def missing(row: SyncCollection) -> QuerySet[Record]:
    """Live records of the collection that the sweep has not met though they were there before it began.

    Each is looked up by itself, on purpose. As a join, PostgreSQL compares every record with every id as long as it has
    not counted the ids that were just written: 20,000 records took longer than a task may.
    """
    met = SweptId.objects.filter(collection_id=row.pk, sweep_no=row.sweep_no, upstream_id=OuterRef("upstream_id"))
    before = Record.objects.filter(collection=row, deleted=False, read_no__lt=row.sweep_read_no)
    return before.alias(met=Subquery(met.order_by().values("pk")[:1])).filter(met=None)


def count_missing(row: SyncCollection) -> int:
    """How many are missing, once all ids are noted.

    PostgreSQL plans by statistics, and these ids have only just arrived: without any it compares each with each.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {SweptId._meta.db_table}")
    return missing(row).count()


def _begin(row: SyncCollection, read_no: int) -> None:
    SyncCollection.objects.filter(pk=row.pk).update(sweep_no=row.sweep_no + 1, sweep_cursor=None, sweep_read_no=read_no)
    row.refresh_from_db()


def _note(row: SyncCollection, page: IdPage) -> None:
    _meet(row, page.ids)
    SyncCollection.objects.filter(pk=row.pk).update(sweep_cursor=page.cursor)


def _meet(row: SyncCollection, ids: Iterable[str]) -> None:
    rows = [SweptId(collection_id=row.pk, sweep_no=row.sweep_no, upstream_id=upstream_id) for upstream_id in ids]
    SweptId.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


async def _missing_in_parts(run: "FeedRun", row: SyncCollection) -> AsyncIterator[list[str]]:
    """The ids of what is missing, some at a time; each time goes on where the last one ended."""
    after = 0
    while found := await run.orm(_missing_after, row, after):
        yield [upstream_id for _, upstream_id in found]
        after = found[-1][0]


def _missing_after(row: SyncCollection, seq: int) -> list[tuple[int, str]]:
    """In order of the log, for that has an index: each part costs what lies between it and the one before."""
    return list(missing(row).filter(seq__gt=seq).order_by("seq").values_list("seq", "upstream_id")[:_CHUNK])


def _hold(run: "FeedRun", row: SyncCollection, count: int) -> None:
    SyncCollection.objects.filter(pk=row.pk).update(held_deletes=count, held_decision="", sweep_due_at=None)
    pages.announce(run.feed.sync.topic)


async def _decide(run: "FeedRun", row: SyncCollection) -> None:
    """Do what a person decided about held deletes; nothing while nobody has."""
    if row.held_decision == "release":
        async for ids in _missing_in_parts(run, row):
            gone = [RawRecord(row.collection_id, key, None, run.draw(), deleted=True) for key in ids]
            await run.orm(log.append, run.feed, run.rows, gone, seen_by=SeenBy.SWEEP)
            await run.orm(run.fenced, _meet, row, ids)
    if row.held_decision:
        await run.orm(run.fenced, _end, row, run.specs[row.collection_id].sweep_every_h)


def _end(row: SyncCollection, every_h: int | None) -> None:
    now = timezone.now()
    SyncCollection.objects.filter(pk=row.pk).update(
        sweep_cursor=None,
        sweep_read_no=0,
        swept_at=now,
        sweep_due_at=now + timedelta(hours=every_h) if every_h else None,
        held_deletes=0,
        held_decision="",
        retry_at=None,
        **NO_TROUBLE,
    )
    SweptId.objects.filter(collection=row).delete()
    row.refresh_from_db()
