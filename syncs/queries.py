"""Every list and count a page or the API shows of the upstream half; each in a fixed number of queries."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, QuerySet, Sum
from django.utils import timezone

from syncs import budget, census, forecasting, sweeping
from syncs.catalogue import PROVIDERS
from syncs.connections import spec_of
from syncs.coverage import Coverage, coverage
from syncs.engine.forecast import span_in_words
from syncs.hook_rows import HookRow, hook_row
from syncs.models import Credential, Feed, OAuthApp, Record, RecordChange, SchemaChange, Sync, SyncCollection
from syncs.states import CredentialState, Phase, SyncState
from syncs.stream_rows import StreamRow, stream_row


@dataclass(frozen=True)
class Trouble:
    """Something wrong, in words: what it is about, what happened, what to do, since when, and until when.

    Without `since` it goes by itself, or waits for an answer.
    """

    about: str
    message: str
    next_step: str
    since: datetime | None
    until: datetime | None = None


@dataclass
class SyncRow:
    """A sync as lists show it."""

    sync: Sync
    collections_total: int = 0
    backfilling: int = 0
    live_records: int = 0
    read: int = 0
    to_read: int | None = 0
    looked_at: datetime | None = None
    troubles: list[Trouble] = field(default_factory=list)
    held_deletes: int = 0
    changed_at: datetime | None = None
    hook: HookRow | None = None
    stream: StreamRow | None = None
    collection_ids: set[str] = field(default_factory=set)
    slowest_pace_s: int = 0

    @property
    def pace_s(self) -> int:
        """Seconds between looks now, of the feed that is looked at most rarely."""
        return min(max(self.slowest_pace_s, self.sync.poll_s), self.sync.slowest_s)

    @property
    def problem(self) -> Trouble | None:
        return self.troubles[0] if self.troubles else None

    @property
    def progress(self) -> float | None:
        """How much of the history is read, 0 to 1; None when all of it is read, or upstream tells no total."""
        if not self.backfilling or not self.to_read:
            return None
        return min(self.read / self.to_read, 1.0)

    @property
    def phase_summary(self) -> str:
        """What the sync is doing, in a few words."""
        if self.sync.state != SyncState.ACTIVE:
            return self.sync.get_state_display()
        if self.problem:
            return "Needs attention"
        if self.backfilling:
            return f"Reading history ({self.collections_total - self.backfilling} of {self.collections_total} done)"
        return "Live"


@dataclass
class CollectionRow:
    """A picked collection as a sync's page shows it."""

    row: SyncCollection
    deletes: Coverage
    looked_at: datetime | None
    trouble: Trouble | None
    schema_changes: list[SchemaChange]

    @property
    def progress(self) -> float | None:
        if self.row.phase != Phase.BACKFILLING or not self.row.backfill_total:
            return None
        return min(self.row.backfill_read / self.row.backfill_total, 1.0)


def trouble_of(unit: Any, about: str) -> Trouble | None:
    """The trouble a Feed, SyncCollection or Credential is in, or None."""
    return Trouble(about, unit.error, unit.next_step, unit.failed_at) if unit.error else None


WITH_CREDENTIAL = ("credential__webhook", "credential__change_stream", "credential__oauth_app")


def sync_rows(actor: Any, *, syncs: QuerySet[Sync] | None = None) -> list[SyncRow]:
    """All syncs an actor may see, with what lists tell of each; three queries however many there are."""
    chosen = Sync.objects.visible_to(actor) if syncs is None else syncs
    rows = {sync.pk: SyncRow(sync) for sync in chosen.select_related(*WITH_CREDENTIAL)}
    for row in SyncCollection.objects.filter(sync__in=list(rows)).exclude(phase=Phase.REMOVING):
        _add_collection(rows[row.sync_id], row)
    for feed in Feed.objects.filter(sync__in=list(rows)):
        summary = rows[feed.sync_id]
        summary.slowest_pace_s = max(summary.slowest_pace_s, feed.pace_s)
        if feed.looked_at and (summary.looked_at is None or feed.looked_at < summary.looked_at):
            summary.looked_at = feed.looked_at
        if found := trouble_of(feed, "Looking for changes"):
            summary.troubles.append(found)
    for summary in rows.values():
        summary.hook = hook_row(summary.sync.credential, summary.changed_at)
        summary.stream = _stream(summary)
        if found := share_trouble(summary.sync):
            summary.troubles.insert(0, found)
        if found := credential_trouble(summary.sync.credential):
            summary.troubles.insert(0, found)
    return list(rows.values())


def _stream(summary: SyncRow) -> StreamRow | None:
    return stream_row(
        summary.sync.credential,
        is_wanted=summary.sync.state == SyncState.ACTIVE,
        changed_at=summary.changed_at,
        pace=f"every {span_in_words(summary.pace_s)}",
        only=summary.collection_ids,
    )


def _add_collection(summary: SyncRow, row: SyncCollection) -> None:
    summary.collections_total += 1
    summary.collection_ids.add(row.collection_id)
    summary.live_records += row.live_count
    summary.held_deletes += row.held_deletes
    if row.changed_at and (summary.changed_at is None or row.changed_at > summary.changed_at):
        summary.changed_at = row.changed_at
    if row.phase in (Phase.WAITING, Phase.BACKFILLING):
        summary.backfilling += 1
    summary.read += row.backfill_read
    known = summary.to_read is not None and row.backfill_total is not None
    summary.to_read = (summary.to_read or 0) + (row.backfill_total or 0) if known else None
    if found := trouble_of(row, row.title):
        summary.troubles.append(found)
    if row.held_deletes:
        message = f"{row.held_deletes:,} records are missing upstream. Were they deleted, or did we lose access?"
        summary.troubles.append(Trouble(row.title, message, "Open the sync and decide.", None))


def credential_trouble(credential: Credential) -> Trouble | None:
    """What is wrong with a connection; a pause the provider asked for counts only while it lasts."""
    if credential.state == CredentialState.RECONNECT:
        message = credential.error or "The provider no longer accepts this connection."
        return Trouble(credential.name, message, credential.next_step or "Reconnect the account.", credential.failed_at)
    if credential.not_before and credential.not_before > timezone.now():
        label = PROVIDERS[credential.provider].label
        why = credential.pause_why or f"{label} asked us to slow down."
        return Trouble(credential.name, why, _goes_on(credential.not_before), None, credential.not_before)
    return None


def share_trouble(sync: Sync) -> Trouble | None:
    """That a sync has used its share of the quota and waits for the next window; None while it may send."""
    told = budget.main_of(budget.told_by(sync.credential).values())
    if sync.state != SyncState.ACTIVE or told is None or not sync.not_before or sync.not_before <= timezone.now():
        return None
    label = PROVIDERS[sync.provider].label
    message = (
        f"This sync has used its share of the quota: {sync.quota_percent} % of the {told.quota.allowed:,} "
        f"{told.quota.unit} that {label} allows {told.quota.period_in_words}."
    )
    step = f"{_goes_on(sync.not_before)} To go on sooner, grant it more."
    return Trouble(sync.name, message, step, None, sync.not_before)


def _goes_on(until: datetime) -> str:
    return f"Nothing to do: it goes on by itself at {until:%H:%M} UTC."


def sync_page(sync: Sync) -> dict[str, Any]:
    """Everything a sync's page shows: the summary, its collections, its connection."""
    summary = sync_rows(None, syncs=Sync.objects.filter(pk=sync.pk))[0]
    rows = list(sync.collections.select_related("feed").order_by("title", "pk"))
    drifted: dict[int, list[SchemaChange]] = {}
    for change in SchemaChange.objects.filter(collection__sync=sync, decided_at=None):
        drifted.setdefault(change.collection_id, []).append(change)
    collections = [
        CollectionRow(
            row, deletes_of(row, sync), row.feed.looked_at, trouble_of(row, row.title), drifted.get(row.pk, [])
        )
        for row in rows
    ]
    credential = summary.sync.credential
    return {
        "sync": summary.sync,
        "summary": summary,
        "collections": collections,
        "credential": credential,
        "censuses": censuses(rows),
        "budgets": budget.budgets(credential),
        "forecast": forecasting.forecast_of(summary.sync, rows),
    }


def deletes_of(row: SyncCollection, sync: Sync) -> Coverage:
    """How this collection's deletions are found, how late at worst, and at what cost."""
    spec = spec_of(row)
    live = row.live_count if row.backfilled_at else None
    return coverage(spec, every_h=sweeping.every_h(row, spec), poll_s=sync.poll_s, live=live)


def schema_changes(sync: Sync, limit: int = 100) -> list[SchemaChange]:
    """The newest changes of its collections' fields, decided or not; one query."""
    rows = SchemaChange.objects.filter(collection__sync=sync).select_related("collection")
    return list(rows.order_by("-found_at", "-pk")[:limit])


def fields_in_words(row: SyncCollection) -> str:
    """Which fields of a collection are kept."""
    only, hashed = row.fields.get("only"), set(row.fields.get("hash") or ())
    words = "All fields" if only is None else f"Id, times and {len({*only} - hashed)} more fields"
    return f"{words}; {len(hashed)} as hashes." if hashed else f"{words}."


def censuses(rows: Iterable[SyncCollection]) -> list[str]:
    """What is being read again whole because changes went by, feed by feed, in words. `rows` with their feeds."""
    by_feed: dict[Feed, list[SyncCollection]] = {}
    for row in rows:
        by_feed.setdefault(row.feed, []).append(row)
    return list(dict.fromkeys(filter(None, (census.told(feed, own) for feed, own in by_feed.items()))))


# --- Connections ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConnectionRow:
    """A credential as lists show it."""

    credential: Credential
    syncs: int
    trouble: Trouble | None
    quota_share: float | None


def connection_rows(actor: Any) -> list[ConnectionRow]:
    """All connections an actor may see; one query."""
    rows = Credential.objects.visible_to(actor).select_related("oauth_app").annotate(sync_count=Count("syncs"))
    return [ConnectionRow(row, row.sync_count, credential_trouble(row), quota_share(row)) for row in rows]


def quota_share(credential: Credential) -> float | None:
    """The share of the request quota that is used, 0 to 1, as the provider last said; None if it never did."""
    told = budget.main_of(budget.told_by(credential).values())
    return min(told.used / told.quota.allowed, 1.0) if told and told.quota.allowed else None


def oauth_app_rows(actor: Any) -> QuerySet[OAuthApp]:
    """All OAuth apps an actor may see, with `credential_count`; one query."""
    return OAuthApp.objects.visible_to(actor).annotate(credential_count=Count("credentials"))


# --- Records -------------------------------------------------------------------------------------------------------


def record(actor: Any, sync_id: UUID, collection_id: str, upstream_id: str) -> Record | None:
    """One record, with its sync and collection; None when there is no such record."""
    own = SyncCollection.objects.filter(sync__in=Sync.objects.visible_to(actor), sync=sync_id)
    pks = list(own.filter(collection_id=collection_id).values_list("pk", flat=True))
    rows = Record.objects.filter(collection__in=pks, upstream_id=upstream_id).order_by()  # one at most
    return next(iter(rows.select_related("sync", "collection")), None)


@dataclass(frozen=True)
class Version:
    """One change of a record: what it was before and what it became. `after` is None where nothing told us."""

    change: RecordChange
    before: str | None
    after: str


def versions(row: Record, limit: int = 50) -> list[Version]:
    """A record's changes, newest first, each with its content before and after. One query."""
    found: list[Version] = []
    after = row.data
    for change in row.changes.order_by("-seq")[:limit]:
        found.append(Version(change, change.previous, after))
        after = change.previous if change.previous is not None else after
    return found


# --- For consumers and the home page -------------------------------------------------------------------------------


def sync_names(sync_ids: Iterable[UUID] | None = None) -> dict[UUID, str]:
    """Names by sync id, of these or of all syncs."""
    rows = Sync.objects.all() if sync_ids is None else Sync.objects.filter(pk__in=list(sync_ids))
    return dict(rows.values_list("pk", "name"))


def active_sync_ids() -> list[UUID]:
    """All syncs that exist and are not being removed."""
    return list(Sync.objects.exclude(state=SyncState.REMOVING).values_list("pk", flat=True))


def providers_by_sync() -> dict[UUID, str]:
    """The provider key of each sync."""
    return dict(Sync.objects.values_list("pk", "provider"))


def picked_collections(sync_id: UUID | None = None) -> dict[str, str]:
    """Titles by id of the collections that one sync, or any of them, has picked."""
    rows = SyncCollection.objects.exclude(phase=Phase.REMOVING).order_by("title", "collection_id")
    rows = rows.filter(sync_id=sync_id) if sync_id is not None else rows
    return dict(rows.values_list("collection_id", "title"))


def documents_before(
    sync_id: UUID, collection_id: str, upstream_ids: Iterable[str], seqs: Iterable[int]
) -> dict[tuple[str, int], str]:
    """What records looked like before these changes, by (upstream id, seq); only what history still has. One query."""
    rows = RecordChange.objects.filter(
        record__sync_id=sync_id,
        record__collection__collection_id=collection_id,
        record__upstream_id__in=list(upstream_ids),
        seq__in=list(seqs),
        previous__isnull=False,
    ).order_by()
    found = rows.values_list("record__upstream_id", "seq", "previous")
    return {(upstream_id, seq): text for upstream_id, seq, text in found if text is not None}


def totals() -> dict[str, Any]:
    """How many connections, syncs and live records there are, and when a record last changed; three queries."""
    collections = SyncCollection.objects.aggregate(live=Sum("live_count"), changed_at=Max("changed_at"))
    return {
        "connections": Credential.objects.count(),
        "syncs": Sync.objects.count(),
        "live_records": collections["live"] or 0,
        "changed_at": collections["changed_at"],
    }
