"""What is told of time and requests: before a sync starts, while it reads, and what it has spent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet, Sum
from django.utils import timezone

from syncs import budget, connections
from syncs.catalogue import PROVIDERS
from syncs.connections import spec_of
from syncs.engine import forecast as rules
from syncs.engine.forecast import Estimate, History
from syncs.models import Credential, Purpose, RequestCount, Sync, SyncCollection
from syncs.states import Phase, SyncState

SPENT_H = 24


@dataclass(frozen=True)
class Forecast:
    """When history is read and how late changes can be.

    history   a sentence
    runs_out  looking so often uses up the requests granted, and then waits for more
    """

    history: str
    worst_lag_s: float
    runs_out: bool

    @property
    def worst_lag(self) -> str:
        """In words: `60 s`, `2 hours`."""
        return rules.span_in_words(self.worst_lag_s)


def forecast_of(sync: Sync, rows: Iterable[SyncCollection]) -> Forecast | None:
    """What can be told of a running sync; None while it does not run. `rows` are its collections; no query."""
    if sync.state != SyncState.ACTIVE:
        return None
    now, picked = timezone.now(), [row for row in rows if row.phase != Phase.REMOVING]
    reading = [row for row in picked if row.phase in (Phase.WAITING, Phase.BACKFILLING)]
    histories = [History(row.backfill_read, row.backfill_total, _begun(row)) for row in reading]
    told = budget.main_of(budget.told_by(sync.credential).values())
    paces: dict[int, float] = {}  # of each feed: that of its slowest collection, for they are looked at together
    for row in picked:
        paces[row.feed_id] = max(paces.get(row.feed_id, 0.0), float(sync.poll_s), float(spec_of(row).every_s or 0))
    lag_s = rules.worst_lag_s(list(paces.values()), quota=told.quota if told else None, percent=sync.quota_percent)
    words = rules.history_in_words(histories, now=now, zone=timezone.get_current_timezone())
    return Forecast(words, lag_s, runs_out=lag_s > max(paces.values(), default=0.0))


def _begun(row: SyncCollection) -> datetime | None:
    return row.backfill_started_at if row.phase == Phase.BACKFILLING else None


@dataclass(frozen=True)
class Costs:
    """What the first reading of picked collections takes."""

    estimate: Estimate
    words: str


def costs_of(credential: Credential, collection_ids: list[str], percent: int = budget.ALL) -> Costs:
    """Ask the provider how many records there are, and tell what reading them takes. Raises Problem."""
    picked = connections.collections_of(credential, collection_ids)
    counts = connections.estimate(credential, collection_ids)
    sizes = [(counts[each.id], each.page_size) for each in picked]
    told = budget.main_of(budget.told_by(credential).values())
    quota = told.quota if told else None
    concurrency = PROVIDERS[credential.provider].concurrency
    found = rules.estimate(sizes, concurrency=concurrency, quota=quota, percent=percent)
    return Costs(found, rules.estimate_in_words(found, quota))


# --- What was spent --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """Requests of the last 24 hours for one purpose."""

    purpose: Purpose
    count: int


def spent_by(credential: Credential) -> list[Spent]:
    """What this console sent through a connection in the last 24 hours, every purpose named. One query."""
    counts = dict(_recent(credential).values_list("purpose").annotate(Sum("count")))
    return [Spent(purpose, counts.get(purpose.value, 0)) for purpose in Purpose]


def spent_by_sync(credential: Credential) -> dict[UUID, int]:
    """The same, by sync; NO_SYNC for what people asked. One query."""
    return dict(_recent(credential).values_list("sync_id").annotate(Sum("count")))


def _recent(credential: Credential) -> QuerySet[RequestCount]:
    since = timezone.now() - timedelta(hours=SPENT_H)
    return RequestCount.objects.filter(credential=credential, hour__gt=since).order_by()
