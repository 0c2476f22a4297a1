"""Syncs, as the API takes and answers them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.utils import timezone
from ninja import Field, Schema

from sequin_console.common.rest import MESSAGES_HELP, METADATA_FILTER, Body, ListQuery, Messages, TroubleOut
from syncs import forecasting, queries, sweeping
from syncs.connections import spec_of
from syncs.coverage import Coverage
from syncs.forecasting import Costs
from syncs.models import SchemaChange, Sync, SyncCollection
from syncs.queries import SyncRow
from syncs.schemas.credentials import CredentialOut, Health, InlineCredential
from syncs.schemas.webhooks import ChangeEventsOut, WebhookBrief
from syncs.states import Phase

Json = dict[str, Any]


SYNC_EXAMPLE: Json = {
    "provider": "salesforce",
    "name": "Acme contacts",
    "collection_ids": ["salesforce:contact"],
    "credential": {
        "properties": {"kind": "salesforce_oauth2", "secret": "5Aep861…", "name": "Acme Salesforce"},
        "oauth_app_id": "5f0c4e6a-8a0f-4f6e-9d5b-0d6b2f1a7c11",
    },
}
ESTIMATE_EXAMPLE: Json = {
    "credential_id": "5f0c4e6a-8a0f-4f6e-9d5b-0d6b2f1a7c11",
    "collection_ids": ["salesforce:contact"],
}
COLLECTION_IDS = Field(description="`GET /v1/collections/{credential_id}` has them.", examples=[["salesforce:contact"]])
QUIET_POLL = Field(
    default=None,
    ge=0,
    le=604_800,
    description="Seconds between looks, at most, while nothing changes: looks that find nothing become rarer. 0: as "
    "often as `poll_s`. Default: the provider's where `poll_s` is left out, too; else 0.",
)
SHARE = Field(
    default=None, ge=1, le=100, description="Percent of the provider's allowance that it may use; default: 100, all."
)
POLL = Field(default=None, ge=2, le=604_800, description="Seconds between looks for changes; default: the provider's.")

OnDrift = Literal["carry_on", "tell", "stop"]
ON_DRIFT = (
    "When fields of a collection change: `carry_on` notes it, `tell` (default) also shows it until you have looked, "
    "`stop` stores nothing more of that collection until you accept."
)
BRAKE_PERCENT = "Beyond this share of a collection gone at once, deletions wait for your decision. Default 5."
BRAKE_AT_LEAST = "So many records gone at once are never asked about, whatever their share. Default 50."


class FieldsIn(Body):
    """Which fields of a collection's records are kept. Id and times always are."""

    only: list[str] | None = Field(default=None, description="Paths that are kept. Null: all, also those to come.")
    hash: list[str] = Field(
        default_factory=list,
        description="Paths whose values are kept as a keyed hash (`hmac-sha256:…`): equal values stay equal.",
    )


class SyncIn(Body):
    """A sync to make, with a credential there is (`credential_id`) or one to make along (`credential`)."""

    model_config = {"json_schema_extra": {"example": SYNC_EXAMPLE}}

    name: str = Field(max_length=100)
    provider: str = Field(default="", description="Told by the credential; when given, the two must agree.")
    collection_ids: list[str] = COLLECTION_IDS
    credential_id: UUID | None = None
    credential: InlineCredential | None = None
    poll_s: int | None = POLL
    quiet_poll_s: int | None = QUIET_POLL
    quota_percent: int | None = SHARE
    on_drift: OnDrift | None = Field(default=None, description=ON_DRIFT)
    brake_percent: int | None = Field(default=None, ge=0, le=100, description=BRAKE_PERCENT)
    brake_at_least: int | None = Field(default=None, ge=0, le=1_000_000_000, description=BRAKE_AT_LEAST)
    fields: dict[str, FieldsIn] = Field(default_factory=dict, description="Picked fields, by collection id.")
    paused: bool = Field(default=False, description="Do not read yet: resume it when it is set up.")
    external_id: str = Field(default="", max_length=200, description="Your own id for it.")
    metadata: dict[str, Any] = Field(default_factory=dict)


class SyncPatch(Body):
    """What to change of a sync; the rest stays."""

    model_config = {"json_schema_extra": {"example": {"name": "Contacts", "poll_s": 30}}}

    name: str | None = Field(default=None, max_length=100)
    collection_ids: list[str] | None = Field(default=None, description="All collections it shall have from now on.")
    poll_s: int | None = POLL
    quiet_poll_s: int | None = QUIET_POLL
    quota_percent: int | None = SHARE
    on_drift: OnDrift | None = Field(default=None, description=ON_DRIFT)
    brake_percent: int | None = Field(default=None, ge=0, le=100, description=BRAKE_PERCENT)
    brake_at_least: int | None = Field(default=None, ge=0, le=1_000_000_000, description=BRAKE_AT_LEAST)
    external_id: str | None = Field(default=None, max_length=200)
    metadata: dict[str, Any] | None = None
    messages: Messages | None = Field(default=None, description=f"For collections it loses. {MESSAGES_HELP}")


class ResyncIn(Body):
    """Which collections to read again."""

    model_config = {"json_schema_extra": {"example": {"collection_ids": ["salesforce:contact"]}}}

    collection_ids: list[str] | None = Field(default=None, description="Left out: all of them.")


class CollectionPatch(Body):
    """What to set for one collection of a sync; what is left out stays."""

    model_config = {"json_schema_extra": {"example": {"sweep_every_h": 24, "fields": {"hash": ["Email"]}}}}

    sweep_every_h: int | None = Field(
        default=None,
        ge=0,
        le=2_160,
        description="Hours between comparisons of all ids. Null: the provider's own interval. 0: never.",
    )
    fields: FieldsIn | None = Field(
        default=None, description="Null: all as they are. A change has the collection read from its beginning."
    )


class DecisionIn(Body):
    """The answer to "deleted, or lost access?"."""

    model_config = {"json_schema_extra": {"example": {"decision": "release"}}}

    decision: Literal["release", "drop"] = Field(
        description="`release`: they were deleted, tell the stream. `drop`: we lost access, keep the records."
    )


class BackfillOut(Schema):
    """How far reading from the beginning has come."""

    read: int
    total: int | None = Field(description="Null where the provider does not say.")
    started_at: datetime | None
    completed_at: datetime | None


class ForecastOut(Schema):
    """What can be told of time."""

    history: str = Field(description="When the backfill ends, in a sentence.")
    worst_lag_s: float = Field(description="How late a change can be noticed, in seconds.")


class EstimateIn(Body):
    """A sync somebody thinks of."""

    model_config = {"json_schema_extra": {"example": ESTIMATE_EXAMPLE}}

    credential_id: UUID
    collection_ids: list[str] = Field(min_length=1, max_length=1000)
    quota_percent: int | None = SHARE


class EstimateOut(Schema):
    """What its first reading takes. Counts hold for the collections whose size the provider tells."""

    records: int
    requests: int
    seconds: float
    percent_of_allowance: float | None = Field(description="Of one window; null where the provider tells none.")
    unknown: int = Field(description="How many collections are of unknown size.")
    words: str

    @classmethod
    def of(cls, costs: Costs) -> "EstimateOut":
        told = costs.estimate
        numbers = {name: getattr(told, name) for name in ("records", "requests", "seconds", "unknown")}
        return cls(**numbers, percent_of_allowance=told.percent, words=costs.words)


class DeletionsOut(Schema):
    """How a collection's deletions are found, in words, and how often all ids are compared."""

    how: str
    at_worst: str = Field(description="How late the stream hears of one at worst.")
    cost: str = Field(description="What comparing all ids costs each time, in requests.")
    sweep_every_h: int | None = Field(description="Hours between comparisons of all ids; null: never.")
    is_chosen: bool = Field(description="Set for this sync; else it is the provider's own.")
    swept_at: datetime | None = Field(description="When ids were last compared.")
    held_why: str = Field(description="Why deletions are held back; empty where none are.")

    @classmethod
    def of(cls, row: SyncCollection, told: Coverage) -> "DeletionsOut":
        return cls(
            how=told.how,
            at_worst=told.at_worst,
            cost=told.cost,
            sweep_every_h=sweeping.every_h(row, spec_of(row)),
            is_chosen=row.sweep_every_h is not None,
            swept_at=row.swept_at,
            held_why=row.held_why,
        )


class FieldsOut(Schema):
    """Which fields of a collection's records are kept, beside id and times."""

    only: list[str] | None = Field(description="Null: all.")
    hash: list[str]


class FieldChangeOut(Schema):
    """One field that was added, removed or retyped."""

    path: str
    kind: Literal["added", "removed", "retyped"]
    before: str = Field(description="Its type before; empty for one that was added.")
    after: str


class SchemaChangeOut(Schema):
    """What changed of a collection's fields, as noticed at one time."""

    collection_id: str
    found_at: datetime
    changes: list[FieldChangeOut]
    is_holding: bool = Field(description="Reading has stopped for it until you accept.")
    decided_at: datetime | None = Field(description="Null: nobody has looked at it.")
    decided_by: str

    @classmethod
    def of(cls, row: SchemaChange) -> "SchemaChangeOut":
        names = ("found_at", "is_holding", "decided_at", "decided_by")
        changes = [FieldChangeOut(**each) for each in row.changes]
        collection_id = row.collection.collection_id
        return cls(collection_id=collection_id, changes=changes, **{name: getattr(row, name) for name in names})


class SchemaChangeList(Schema):
    data: list[SchemaChangeOut]
    next: str | None = Field(default=None, description="Always null: the newest 100.")


class SyncCollectionOut(Schema):
    """One collection of a sync."""

    id: str
    name: str
    phase: Literal["waiting", "backfilling", "live", "error", "removing"]
    live_count: int = Field(description="Records that exist upstream, as far as we know.")
    deleted_count: int
    skipped_count: int = Field(description="Records that could not be read.")
    held_deletes: int = Field(description="Deletions held back until you decide.")
    backfill: BackfillOut
    looked_at: datetime | None = Field(description="Last complete look for changes.")
    changed_at: datetime | None = Field(description="Last time a record changed.")
    deletes: str = Field(description="How deletions are found, how late at worst, at what cost.")
    deletions: DeletionsOut
    fields: FieldsOut
    error: TroubleOut | None

    @classmethod
    def of(cls, row: SyncCollection, sync: Sync) -> "SyncCollectionOut":
        deletes = queries.deletes_of(row, sync)
        backfill = BackfillOut(
            read=row.backfill_read,
            total=row.backfill_total,
            started_at=row.backfill_started_at,
            completed_at=row.backfilled_at,
        )
        names = ("phase", "live_count", "deleted_count", "skipped_count", "held_deletes", "changed_at")
        return cls(
            **{name: getattr(row, name) for name in names},
            id=row.collection_id,
            name=row.title,
            backfill=backfill,
            looked_at=row.feed.looked_at,
            deletes=deletes.in_words,
            deletions=DeletionsOut.of(row, deletes),
            fields=FieldsOut(only=row.fields.get("only"), hash=row.fields.get("hash") or []),
            error=TroubleOut.of(row) or TroubleOut.of(row.feed),
        )


class SyncOut(Schema):
    """A sync and how it is."""

    id: UUID
    provider: str
    name: str
    status: Literal["active", "paused", "removing"]
    health: Health
    collection_ids: list[str]
    collections: list[SyncCollectionOut]
    credential_id: UUID
    credential: CredentialOut
    initial_backfill_completed_at: datetime | None = Field(description="Null while a collection is still being read.")
    poll_s: int = Field(description="Seconds between looks for changes.")
    quiet_poll_s: int = Field(description="Seconds between looks, at most, while nothing changes; 0: `poll_s`.")
    pace_s: int = Field(description="Seconds between looks now.")
    on_drift: OnDrift = Field(description=ON_DRIFT)
    webhook: WebhookBrief | None = Field(description="Near real time; null where no webhook is set up.")
    change_events: ChangeEventsOut | None = Field(
        description="The same over a connection held open; null where the provider has none, or nobody listened yet."
    )
    quota_percent: int = Field(description="Percent of the provider's allowance that it may use.")
    waits_until: datetime | None = Field(description="Its share is used, or the provider asked us to wait: till then.")
    forecast: ForecastOut | None = Field(description="Null while it does not run.")
    brake_percent: int = Field(description=BRAKE_PERCENT)
    brake_at_least: int = Field(description=BRAKE_AT_LEAST)
    notices: list[str] = Field(description="What is out of the ordinary and needs nobody, such as a census under way.")
    external_id: str
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: SyncRow) -> "SyncOut":
        sync: Sync = row.sync
        collections = list(sync.collections.all())  # prefetched by listing.syncs_in_full
        picked = [each for each in collections if each.phase != Phase.REMOVING]
        ends = [each.backfilled_at for each in picked]
        read = max((at for at in ends if at), default=None) if all(ends) else None
        names = ("id", "provider", "name", "credential_id", "poll_s", "quiet_poll_s", "on_drift", "brake_percent")
        more = ("quota_percent", "brake_at_least", "external_id", "metadata", "created_at", "updated_at")
        values = {name: getattr(sync, name) for name in (*names, *more)} | {"status": sync.state}
        return cls(
            **values,
            health=Health.of(row.troubles),
            pace_s=row.pace_s,
            notices=queries.censuses(picked),
            collection_ids=[each.collection_id for each in picked],
            collections=[SyncCollectionOut.of(each, sync) for each in collections],
            credential=CredentialOut.of(sync.credential),
            initial_backfill_completed_at=read,
            webhook=WebhookBrief.of(row.hook) if row.hook else None,
            change_events=ChangeEventsOut.of(row.stream) if row.stream else None,
            waits_until=_waits_until(sync),
            forecast=_forecast(sync, collections),
        )


def _waits_until(sync: Sync) -> datetime | None:
    pauses = [moment for moment in (sync.not_before, sync.credential.not_before) if moment]
    return max((moment for moment in pauses if moment > timezone.now()), default=None)


def _forecast(sync: Sync, collections: list[SyncCollection]) -> ForecastOut | None:
    told = forecasting.forecast_of(sync, collections)
    return ForecastOut(history=told.history, worst_lag_s=told.worst_lag_s) if told else None


class SyncList(Schema):
    data: list[SyncOut]
    next: str | None


class SyncQuery(ListQuery):
    provider: str = Field(default="", description="Only this provider's.")
    name: str = Field(default="", description="Only with this name.")
    status: Literal["active", "paused", "removing"] | None = Field(default=None, description="Only in this state.")
    external_id: str = Field(default="", description="Only with your own id.")
    metadata: str = METADATA_FILTER
