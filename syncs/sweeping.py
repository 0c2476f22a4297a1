"""Sweeps: compare ids with upstream to find what was deleted without a word, with a brake against lost access."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from sequin_console.common import audit
from sequin_console.common import changes as pages
from sequin_console.common.troubled import NO_TROUBLE
from syncs import braking, log
from syncs.engine.brake import out_of_reach
from syncs.models import Record, SeenBy, SweptId, SyncCollection
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.reading import TellsReach
from syncs.providers.kit.records import IdPage, RawRecord

if TYPE_CHECKING:
    from syncs.reading import FeedRun

_CHUNK = 200
AGAIN_H = 7 * 24  # after "we lost access", where ids are not compared by themselves


async def sweep(run: "FeedRun", row: SyncCollection) -> None:
    """Carry on this collection's sweep if one is due or under way; bury what it finds missing.

    1. Note every id upstream has, page by page, resumable.
    2. What we hold live, read before the sweep began, and did not meet, is missing.
    3. Too much missing, or we reach less than at the last sweep, or upstream told of too many deletions at once
       (braking.py): hold the deletes back and ask (invariant 8). An incomplete sweep never gets this far.
    4. Else read the missing ones by id once more, and store what upstream says of each.
    """
    if row.held_deletes:
        await _decide(run, row)
        return
    if not row.sweep_read_no:
        if row.sweep_due_at is None or row.sweep_due_at > timezone.now():
            return
        if run.specs[row.collection_id].sweep_every_h is None:  # ids that go missing here say nothing of deletions
            await run.orm(run.fenced, _end, row, None, {})
            return
        await run.orm(run.fenced, _begin, row, run.draw())
    walk = run.reader.sweep(run.specs[row.collection_id], row.sweep_cursor)
    if not await run.follow(walk, run.fenced, _note, row):
        return
    count = await run.orm(count_missing, row)
    reach = await reach_of(run, row) if count else None
    if why := why_held(run, row, count, reach):
        await run.orm(run.fenced, _hold, run, row, count, why)
        return
    async for ids in _missing_in_parts(run, row):
        found = await run.reader.read(run.specs[row.collection_id], ids)
        await run.orm(log.append, run.feed, run.rows, found, seen_by=SeenBy.SWEEP)
        await run.orm(run.fenced, _meet, row, ids)  # settled, whatever upstream said of them
    reach = await reach_of(run, row) if reach is None else reach
    await run.orm(run.fenced, _end, row, every_h(row, run.specs[row.collection_id]), reach)


def every_h(row: SyncCollection, spec: Collection) -> int | None:
    """Hours between comparisons of ids: as chosen for this sync, else the provider's own interval; None for never."""
    if spec.sweep_every_h is None:
        return None
    return spec.sweep_every_h if row.sweep_every_h is None else row.sweep_every_h or None


async def reach_of(run: "FeedRun", row: SyncCollection) -> dict[str, str]:
    """What the connection can see of this collection, by id, where the provider tells."""
    reader = run.reader
    return dict(await reader.reach(run.specs[row.collection_id])) if isinstance(reader, TellsReach) else {}


def why_held(run: "FeedRun", row: SyncCollection, missing: int, reach: dict[str, str] | None) -> str:
    """Why these deletions must wait for a person; empty when they need not."""
    if not missing:
        return ""
    if lost := out_of_reach(row.reach, reach or {}):
        return f"The connection no longer sees {_some(lost)}, which it saw when ids were last compared."
    if row.is_braked:
        return "The provider said that many records were deleted within an hour."
    return "That is more than usual." if braking.is_mass(run.feed.sync, missing, row.live_count) else ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3])[:200] + more


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


def _hold(run: "FeedRun", row: SyncCollection, count: int, why: str) -> None:
    SyncCollection.objects.filter(pk=row.pk).update(
        held_deletes=count, held_decision="", held_why=why, sweep_due_at=None, is_braked=False, gone_count=0
    )
    audit.record(None, "deletes.held", row, {"held": count, "why": why})
    pages.announce(run.feed.sync.topic)


async def _decide(run: "FeedRun", row: SyncCollection) -> None:
    """Do what a person decided about held deletes; nothing while nobody has.

    Deleted: they are buried, and what we reach now is what we expect to. Lost access: the records stay, and ids are
    compared again later, against what we reached before.
    """
    hours = every_h(row, run.specs[row.collection_id])
    if row.held_decision == "release":
        async for ids in _missing_in_parts(run, row):
            gone = [RawRecord(row.collection_id, key, None, run.draw(), deleted=True) for key in ids]
            await run.orm(log.append, run.feed, run.rows, gone, seen_by=SeenBy.SWEEP)
            await run.orm(run.fenced, _meet, row, ids)
        await run.orm(run.fenced, _end, row, hours, await reach_of(run, row))
    elif row.held_decision:
        await run.orm(run.fenced, _end, row, hours or AGAIN_H, row.reach)


def _end(row: SyncCollection, every_h: int | None, reach: dict[str, str]) -> None:
    """The sweep is over: when is the next one? At once, if upstream told of too much while a question was open."""
    now = timezone.now()
    row.refresh_from_db(fields=["is_braked", "held_deletes"])
    is_braked = row.is_braked and row.held_deletes > 0
    due_at = now if is_braked else now + timedelta(hours=every_h) if every_h else None
    SyncCollection.objects.filter(pk=row.pk).update(
        sweep_cursor=None,
        sweep_read_no=0,
        swept_at=now,
        sweep_due_at=due_at,
        reach=reach,
        is_braked=is_braked,
        held_deletes=0,
        held_decision="",
        held_why="",
        retry_at=None,
        **({} if is_braked else {"gone_count": 0, "gone_since": None}),
        **NO_TROUBLE,
    )
    SweptId.objects.filter(collection=row).delete()
    row.refresh_from_db()
