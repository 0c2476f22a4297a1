"""What went wrong in a feed's run, written where it belongs: on the collection, the feed or the credential."""

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.utils import timezone

from sequin_console.common import changes as pages
from sequin_console.common import database_trouble
from sequin_console.common.troubled import trouble
from syncs.budget import ShareUsed
from syncs.engine.retry import judge
from syncs.models import Credential, Feed, Sync, SyncCollection
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, RateLimited
from syncs.states import Phase

if TYPE_CHECKING:
    from syncs.reading import FeedRun

logger = structlog.get_logger(__name__)


def note_trouble(run: "FeedRun", error: Exception, row: SyncCollection | None) -> None:
    """Hold back the smallest thing the error is about (invariant 9), and say why.

    row  of the walk that failed; None for a walk of the whole feed
    """
    if isinstance(error, ShareUsed):
        _rest(run, error.until)
        return
    feed, row = run.feed, row or _row_of(run, error)
    unit: SyncCollection | Feed = row or feed
    unit.refresh_from_db(fields=["failures"])
    verdict = judge(error, unit.failures, random.random)
    _log(error, feed, unit)
    if isinstance(error, CredentialsRefused):
        run.account.source.refuse(error)
        return
    until = timezone.now() + timedelta(seconds=verdict.wait_s or 0)
    needs_person = verdict.wait_s is None
    told = _told(error, unit.failures + 1)
    if verdict.scope == "walk":
        _walk_again(run, row, told["error"])
    elif isinstance(error, RateLimited):
        pause = {"not_before": until, "pause_why": error.message[:300]}
        Credential.objects.filter(pk=run.account.credential.pk).update(**pause)
        run.not_before, run.is_paused = until, True
        feed.fenced_update(**told)
    elif row is not None:
        phase = {"phase": Phase.ERROR} if verdict.scope == "collection" else {}
        wanted = SyncCollection.objects.filter(pk=row.pk).exclude(phase=Phase.REMOVING)
        run.fenced(wanted.update, retry_at=None if needs_person else until, **phase, **told)
    else:
        run.not_before = until
        feed.fenced_update(**told)
    pages.announce(feed.sync.topic)


def _rest(run: "FeedRun", until: datetime) -> None:
    """The sync has used its share of the quota: all its feeds wait for the next window. Nothing is wrong."""
    Sync.objects.filter(pk=run.feed.sync_id).update(not_before=until)
    run.not_before, run.is_paused = until, True
    pages.announce(run.feed.sync.topic, "syncs")


def _row_of(run: "FeedRun", error: Exception) -> SyncCollection | None:
    """The collection a feed's error is about: the one it names, or the only one there is."""
    named = run.rows.get(getattr(error, "collection_id", ""))
    is_about_one = judge(error, 0, random.random).scope == "collection" and len(run.rows) == 1
    return named or (next(iter(run.rows.values())) if is_about_one else None)


def _walk_again(run: "FeedRun", row: SyncCollection | None, why: str) -> None:
    """Upstream lost our place. In history: begin it anew. In changes: history again, from a new start (a census)."""
    if row is None:
        run.feed.fenced_update(cursor=None, census_at=timezone.now(), census_why=why[:300])
    pks = [each.pk for each in ([row] if row else run.rows.values())]
    walking = SyncCollection.objects.filter(pk__in=pks, phase__in=[Phase.BACKFILLING, Phase.LIVE])
    run.fenced(walking.update, **read_anew())


def read_anew() -> dict[str, Any]:
    """The columns of a collection whose history is read once more; what was deleted meanwhile is looked for as well."""
    return {"phase": Phase.WAITING, "backfill_cursor": None, "sweep_due_at": timezone.now()}


def has_missed_nothing(feed: Feed, row: SyncCollection) -> bool:
    """Whether a collection that was in trouble may go on from the feed's cursor, which stood still meanwhile.

    It did if nobody else follows that feed, and no look was completed since. Otherwise changes went by unread.
    """
    is_alone = not feed.collections.exclude(pk=row.pk).exists()
    stood_still = bool(row.failed_at and (feed.looked_at is None or feed.looked_at <= row.failed_at))
    return bool(row.backfilled_at) and row.backfill_cursor is None and is_alone and stood_still


def _log(error: Exception, feed: Feed, unit: SyncCollection | Feed) -> None:
    facts = {"sync": str(feed.sync_id), "feed": feed.key, "unit": str(unit)}
    if isinstance(error, ProviderError):
        logger.warning("reading failed", kind=error.kind, message=error.message, detail=error.detail, **facts)
    elif isinstance(error, database_trouble.AWAY):
        logger.warning("reading waits for the database", error=str(error), **facts)
    else:
        logger.error("reading failed in a way we did not foresee", exc_info=error, **facts)


def _told(error: Exception, failures: int) -> dict[str, Any]:
    kind, message, next_step = "internal", "Something went wrong on our side.", "We try again. Please report this."
    if isinstance(error, ProviderError):
        kind, message, next_step = error.kind, error.message, error.next_step
    elif isinstance(error, database_trouble.AWAY):
        problem = database_trouble.as_problem(error)
        kind, message, next_step = problem.kind, problem.message, problem.next_step
    return trouble(kind, message, next_step, failures)
