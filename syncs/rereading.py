"""Second readings: collections whose values change without a word, and records that could not be read the first time.

Both stand behind looks for changes and history, go on from run to run within its budget, and leave the phase alone.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from sequin_console.common.troubled import NO_TROUBLE
from syncs import log
from syncs.engine import aside
from syncs.engine.aside import Aside
from syncs.models import SeenBy, SyncCollection
from syncs.providers.kit.errors import CursorLost, UnexpectedShape
from syncs.providers.kit.records import Page, RawRecord
from syncs.states import Phase

if TYPE_CHECKING:
    from syncs.reading import FeedRun

NOTHING_ASIDE: dict[str, Any] = {"skipped_count": 0, "skipped_sample": [], "set_aside": [], "aside_due_at": None}


async def reread(run: "FeedRun", row: SyncCollection) -> None:
    """Read all records of a collection again if that is due or under way; the log drops those that are the same."""
    spec = run.specs[row.collection_id]
    if not spec.reread_every_h or row.reread_due_at is None or row.reread_due_at > timezone.now():
        return
    if row.reread_cursor is None and not await run.reader.changes_silently(spec):
        await run.orm(run.fenced, run.claim, row, Phase.LIVE, **read_again(spec.reread_every_h))
        return
    walk = run.reader.backfill(spec, row.reread_cursor)
    try:
        await run.follow(walk, _store, run, row)
    except CursorLost:
        await run.orm(run.fenced, run.claim, row, Phase.LIVE, **read_again(1))


def _store(run: "FeedRun", row: SyncCollection, page: Page) -> None:
    def move() -> None:
        columns: dict[str, Any] = {"retry_at": None, **NO_TROUBLE}
        if page.cursor is not None:
            columns["reread_cursor"] = page.cursor
        if page.done:
            columns |= read_again(run.specs[row.collection_id].reread_every_h)
        run.claim(row, Phase.LIVE, **columns)

    run.store(page, SeenBy.REREAD, move)


def read_again(hours: int | None) -> dict[str, Any]:
    """The columns of a collection that has just been read whole."""
    due_at = timezone.now() + timedelta(hours=hours) if hours else None
    return {"reread_cursor": None, "reread_due_at": due_at, "retry_at": None, **NO_TROUBLE}


async def retry_set_aside(run: "FeedRun", row: SyncCollection) -> None:
    """Try some of the records that could not be read once more, if it is time to."""
    if not row.set_aside or (row.aside_due_at and row.aside_due_at > timezone.now()):
        return
    ids = row.set_aside[: aside.AT_ONCE]
    found = await run.reader.read(run.specs[row.collection_id], ids)
    await run.orm(_settle, run, row, ids, found)


def _settle(run: "FeedRun", row: SyncCollection, ids: Sequence[str], found: Sequence[RawRecord]) -> None:
    def move() -> None:
        came = {record.upstream_id for record in found}
        save(row, set_aside_of(row).retried(ids, came))
        SyncCollection.objects.filter(pk=row.pk).update(retry_at=None, **NO_TROUBLE)

    log.append(run.feed, run.rows, found, seen_by=SeenBy.REREAD, with_last=move)


def set_aside(rows: Iterable[SyncCollection], page: Page) -> None:
    """Remember what a page could not bring, and forget what it brought after all."""
    for row in rows:
        if not page.skipped and not row.set_aside:
            continue
        came = {each.upstream_id for each in page.records if each.collection_id == row.collection_id}
        skipped = [each for each in page.skipped if each.collection_id == row.collection_id]
        known = set_aside_of(row)
        now = known.after(came, skipped)
        if now.is_too_much:
            error = UnexpectedShape(f"More than {aside.MOST} records could not be read.")
            error.collection_id = row.collection_id
            raise error
        if now != known:
            save(row, now)


def set_aside_of(row: SyncCollection) -> Aside:
    """What of a collection is set aside, out of its columns."""
    return Aside(row.set_aside, row.skipped_count, row.skipped_sample)


def save(row: SyncCollection, now: Aside) -> None:
    """Store what is set aside, and when it is tried again."""
    row.set_aside, row.skipped_count, row.skipped_sample = now.ids, now.count, now.sample
    row.aside_due_at = timezone.now() + timedelta(seconds=aside.AGAIN_S) if now.ids else None
    row.save(update_fields=["set_aside", "skipped_count", "skipped_sample", "aside_due_at"])
