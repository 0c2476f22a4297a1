"""Census: everything is read again, and all ids compared, because changes went by that upstream no longer tells of."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils import timezone

from sequin_console.common import audit
from syncs import health
from syncs.catalogue import PROVIDERS
from syncs.models import Feed, SyncCollection
from syncs.providers.kit.catalogue import Collection
from syncs.states import Phase

if TYPE_CHECKING:
    from syncs.reading import FeedRun

SLACK = 0.98  # of what upstream remembers: its end must not overtake a look under way
GOING_ON = "Everything is being read again, and all ids are compared."


def missed(run: "FeedRun", followed: Iterable[Collection], now: datetime) -> str:
    """Why looking for changes from here would miss some, in words; empty when it would not."""
    memories = [spec.remembers_s for spec in followed if spec.remembers_s is not None]
    looked_at = run.feed.looked_at
    if not memories or looked_at is None:
        return ""
    away, remembered = now - looked_at, timedelta(seconds=min(memories))
    if away <= remembered * SLACK:
        return ""
    label = PROVIDERS[run.account.credential.provider].label
    return f"We were away {_span(away)}; {label} remembers {_span(remembered)}."


def begin(run: "FeedRun", why: str) -> None:
    """Forget where looking stood; all its collections read their history anew, from a new start."""
    run.feed.fenced_update(cursor=None, census_at=timezone.now(), census_why=why[:300])
    rows = run.feed.collections.filter(phase__in=[Phase.BACKFILLING, Phase.LIVE])
    run.fenced(rows.update, **health.read_anew())
    audit.record(None, "sync.census", run.feed.sync, {"feed": run.feed.key, "why": why})
    for row in run.rows.values():
        row.refresh_from_db()


def under_way(feed: Feed, rows: Iterable[SyncCollection]) -> bool:
    """Whether the feed's census still goes on: some of its collections have not been read and compared since."""
    at = feed.census_at
    if at is None:
        return False
    reading = [row for row in rows if row.phase in (Phase.WAITING, Phase.BACKFILLING, Phase.LIVE)]
    return any(
        row.phase != Phase.LIVE or (row.sweep_due_at is not None and (row.swept_at is None or row.swept_at < at))
        for row in reading
    )


def told(feed: Feed, rows: Iterable[SyncCollection]) -> str:
    """What the sync's page says of a census under way; empty when none is."""
    return f"{feed.census_why} {GOING_ON}" if under_way(feed, rows) else ""


def end_if_done(feed: Feed) -> None:
    """Forget a census that is over."""
    if feed.census_at is not None and not under_way(feed, feed.collections.filter(~Q(phase=Phase.REMOVING))):
        feed.fenced_update(census_at=None, census_why="")


def _span(span: timedelta) -> str:
    return f"{span.days} days" if span.days > 1 else f"{round(span.total_seconds() / 3600)} hours"
