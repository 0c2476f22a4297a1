"""What is stored of the upstream half: connections, syncs, and the record log they end in."""

import uuid

from django.db import models
from django.urls import reverse
from django.utils import timezone

from sequin_console.accounts.rights import RightsQuerySet
from sequin_console.common.fields import EncryptedJSONField
from sequin_console.common.leases import Leased
from sequin_console.common.troubled import Troubled
from syncs.states import CredentialState, OnDrift, Phase, Removal, SyncState


class CustomProvider(models.Model):
    """An API that an admin described, without code. Its definition holds no secret."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=40, unique=True, help_text="Among all providers: `custom-acme`.")
    label = models.CharField(max_length=60)
    definition = models.JSONField(help_text="syncs.providers.custom.Definition")
    version = models.PositiveIntegerField(default=1, help_text="Grows with each change: workers build it anew.")
    created_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RightsQuerySet.as_manager()

    class Meta:
        ordering = ["label", "id"]

    def __str__(self) -> str:
        return self.label


class OAuthApp(models.Model):
    """The customer's own OAuth application at a provider."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    client_id = models.CharField(max_length=400)
    secrets = EncryptedJSONField(help_text="client_secret, and what else of its provider's fields is secret")
    settings = models.JSONField(default=dict, blank=True, help_text="Nothing secret: its provider's other fields.")
    host = models.CharField(max_length=40, help_text="Which of the provider's login hosts, see its catalogue.")
    login_url = models.URLField(max_length=300, blank=True, help_text="The login host's address where it is one's own.")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RightsQuerySet.as_manager()

    class Meta:
        ordering = ["provider", "name", "id"]

    def __str__(self) -> str:
        return self.name


class Credential(Leased, Troubled):
    """The right to read one account at a provider; pages call it a connection."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=40)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    secrets = EncryptedJSONField(help_text="access_token, refresh_token, or the pasted key as `secret`")
    settings = models.JSONField(default=dict, blank=True, help_text="Nothing secret: host, login_url, base_url …")
    oauth_app = models.ForeignKey(OAuthApp, null=True, blank=True, on_delete=models.PROTECT, related_name="credentials")
    state = models.CharField(max_length=20, choices=CredentialState.choices, default=CredentialState.OK)
    account_id = models.CharField(max_length=100, blank=True, default="")
    account_name = models.CharField(max_length=200, blank=True, default="")
    access_expires_at = models.DateTimeField(null=True, blank=True)
    quotas = models.JSONField(default=list, blank=True, help_text="Budgets as the provider last told; see budget.py.")
    not_before = models.DateTimeField(null=True, blank=True, help_text="No request before: the one shared pause.")
    pause_why = models.CharField(max_length=300, blank=True, default="", help_text="Why, in words for people.")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RightsQuerySet.as_manager()

    class Meta:
        ordering = ["provider", "name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def state_colour(self) -> str:
        return CredentialState(self.state).colour

    @property
    def state_icon(self) -> str:
        return CredentialState(self.state).icon


class Webhook(Troubled):
    """Where the provider tells a connection of changes. Hints only: what is told is read again."""

    credential = models.OneToOneField(Credential, on_delete=models.CASCADE, related_name="webhook")
    path_hash = models.CharField(max_length=64, unique=True, help_text="sha256 of the address's unguessable end")
    secrets = EncryptedJSONField(help_text="`path`: that end; `secret`: what deliveries are signed with")
    upstream = models.JSONField(default=dict, blank=True, help_text="What names the registration at the provider.")
    is_registered = models.BooleanField(default=False, help_text="Through the API; else a person does it by hand.")
    lacking = models.CharField(max_length=500, blank=True, default="", help_text="What it does not tell of, and why.")
    received = models.PositiveBigIntegerField(default=0, help_text="Deliveries that were proven.")
    last_event_at = models.DateTimeField(null=True, blank=True)
    refused = models.PositiveIntegerField(default=0, help_text="Deliveries with a wrong signature since a good one.")
    refused_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="It ends upstream by itself then.")
    tend_at = models.DateTimeField(null=True, blank=True, help_text="Renewed, or tried again, then; null: by hand.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["credential"]

    def __str__(self) -> str:
        return f"Webhook of {self.credential_id}"


class ChangeStream(Leased, Troubled):
    """A connection to the provider that is held open while syncs run, and tells of changes. Hints only (listening.py).

    Whoever holds the lease listens; the others stand by.
    """

    credential = models.OneToOneField(Credential, on_delete=models.CASCADE, related_name="change_stream")
    place = models.JSONField(default=dict, blank=True, help_text="Where to go on; the provider's meaning.")
    lacking = models.JSONField(default=list, blank=True, help_text="What it does not tell of: `id`, `title`, `step`.")
    is_offered = models.BooleanField(default=True, help_text="It tells of something of what is synced.")
    connected_at = models.DateTimeField(null=True, blank=True, help_text="By who holds the lease; null: not now.")
    heard_at = models.DateTimeField(null=True, blank=True, help_text="Last sign of life.")
    last_event_at = models.DateTimeField(null=True, blank=True)
    received = models.PositiveBigIntegerField(default=0, help_text="Records it named.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="Not tried before then.")

    class Meta:
        ordering = ["credential"]

    def __str__(self) -> str:
        return f"Change events of {self.credential_id}"


class PendingConnection(models.Model):
    """An OAuth redirect under way: what must still be known when the person comes back."""

    state_hash = models.CharField(max_length=64, unique=True, help_text="sha256 of the `state` parameter")
    oauth_app = models.ForeignKey(OAuthApp, on_delete=models.CASCADE)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100, blank=True, default="")
    secrets = EncryptedJSONField(help_text="PKCE code_verifier; or what was granted, while a site is being chosen")
    credential = models.ForeignKey(Credential, null=True, on_delete=models.CASCADE, help_text="Set when reconnecting.")
    session_hash = models.CharField(max_length=64, blank=True, default="", help_text="Browser session that began it.")
    started_by = models.CharField(max_length=150, blank=True, default="")
    return_url = models.CharField(max_length=500, blank=True, default="", help_text="Where the person goes afterwards.")
    return_state = models.TextField(blank=True, default="", help_text="The API caller's own state, given back as is.")
    code_hash = models.CharField(max_length=64, blank=True, default="", help_text="API flow: the code to exchange.")
    used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-expires_at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} for {self.oauth_app}"


class Sync(models.Model):
    """The standing order: a credential, its collections, an interval."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    provider = models.CharField(max_length=40)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="syncs")
    state = models.CharField(max_length=20, choices=SyncState.choices, default=SyncState.ACTIVE)
    removal = models.CharField(max_length=20, choices=Removal.choices, blank=True, default="")
    poll_s = models.PositiveIntegerField(default=60, help_text="Seconds between looks for changes.")
    quiet_poll_s = models.PositiveIntegerField(
        default=0, help_text="Seconds between looks, at most, while nothing changes; 0: poll_s always."
    )
    on_drift = models.CharField(max_length=10, choices=OnDrift.choices, default=OnDrift.TELL)
    brake_percent = models.PositiveSmallIntegerField(default=5, help_text="Of a collection gone at once: we ask first.")
    brake_at_least = models.PositiveIntegerField(default=50, help_text="So many records gone are never asked about.")
    quota_percent = models.PositiveSmallIntegerField(default=100, help_text="Of the provider's allowance; 100: all.")
    quota_used = models.PositiveIntegerField(default=0, help_text="Requests taken of that share in this window.")
    quota_resets_at = models.DateTimeField(null=True, blank=True, help_text="End of that window.")
    not_before = models.DateTimeField(null=True, blank=True, help_text="Its share is used: no request before.")
    external_id = models.CharField(max_length=200, blank=True, default="", db_index=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RightsQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("syncs:detail", args=[self.pk])

    @property
    def slowest_s(self) -> int:
        """Seconds between looks, at most."""
        return max(self.poll_s, self.quiet_poll_s)

    @property
    def topic(self) -> str:
        """What pages listen to for changes of this sync."""
        return f"sync-{self.pk}"

    @property
    def state_colour(self) -> str:
        return SyncState(self.state).colour

    @property
    def state_icon(self) -> str:
        return SyncState(self.state).icon


NO_SYNC = uuid.UUID(int=0)


class Purpose(models.TextChoices):
    """What a request is sent for."""

    BACKFILL = "backfill", "Reading history"
    POLLING = "polling", "Looking for changes"
    WEBHOOKS = "webhooks", "Following webhooks and change events"
    SWEEP = "sweep", "Comparing and reading again"
    ASKING = "asking", "Tests and estimates"


class RequestCount(models.Model):
    """How many requests left in one hour, by purpose. No foreign key to the sync: what it used stays used."""

    credential = models.ForeignKey(
        Credential, models.CASCADE, related_name="requests", db_index=False, db_constraint=False
    )
    sync_id = models.UUIDField(help_text="All zeros: none, but a person or the API.")
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    hour = models.DateTimeField(help_text="When the hour began, UTC.")
    count = models.PositiveIntegerField()

    class Meta:
        ordering = ["-hour", "id"]
        constraints = [
            models.UniqueConstraint(fields=["credential", "sync_id", "purpose", "hour"], name="requests_once_an_hour")
        ]
        indexes = [models.Index(fields=["hour"], name="requests_by_time")]

    def __str__(self) -> str:
        return f"{self.count} for {self.purpose}"


class SyncHead(models.Model):
    """The end of a sync's log. A row of its own, so that edits of a sync never wait for its log."""

    sync = models.OneToOneField(Sync, primary_key=True, on_delete=models.CASCADE, related_name="head")
    head_seq = models.BigIntegerField(default=0)
    keyed_seq = models.BigIntegerField(default=0, help_text="Records up to here are found by their public id's key.")

    def __str__(self) -> str:
        return f"{self.sync_id} at {self.head_seq}"


class Feed(Leased, Troubled):
    """The unit of upstream work: the collections of a sync that are read together, under one lease."""

    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="feeds")
    key = models.CharField(max_length=120)
    cursor = models.JSONField(null=True, blank=True, help_text="Where looking for changes stands; provider's meaning.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="Next look; null: nothing to do.")
    queued_until = models.DateTimeField(null=True, blank=True, help_text="Queued; not again before.")
    looked_at = models.DateTimeField(null=True, blank=True, help_text="Last complete look for changes.")
    pace_s = models.PositiveIntegerField(default=0, help_text="Seconds between looks now; 0: as often as it may be.")
    census_at = models.DateTimeField(
        null=True, blank=True, help_text="Since then all is read again: we missed changes."
    )
    census_why = models.CharField(max_length=300, blank=True, default="", help_text="Why, in words for people.")

    class Meta:
        ordering = ["sync", "key"]
        constraints = [models.UniqueConstraint(fields=["sync", "key"], name="feed_once_per_sync")]
        indexes = [models.Index(fields=["due_at"], name="feed_due")]

    def __str__(self) -> str:
        return self.key

    def wake(self) -> None:
        """Have it looked after at once, by whoever comes first."""
        type(self).objects.filter(pk=self.pk).update(due_at=timezone.now(), queued_until=None)


class SyncCollection(Troubled):
    """One picked collection of a sync: how far it is, how many records it has, what is wrong with it."""

    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="collections")
    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="collections")
    collection_id = models.CharField(max_length=120, help_text="`salesforce:contact`")
    title = models.CharField(max_length=200)
    spec = models.JSONField(help_text="The catalogue entry as discovered (kit Collection).")
    phase = models.CharField(max_length=20, choices=Phase.choices, default=Phase.WAITING)
    removal = models.CharField(max_length=20, choices=Removal.choices, blank=True, default="")
    backfill_cursor = models.JSONField(null=True, blank=True)
    backfill_read = models.PositiveBigIntegerField(default=0, help_text="Records read by the current backfill.")
    backfill_total = models.PositiveBigIntegerField(null=True, blank=True)
    backfill_started_at = models.DateTimeField(null=True, blank=True)
    backfilled_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="In trouble: not tried again before then.")
    live_count = models.BigIntegerField(default=0, help_text="Records that exist upstream, as far as we know.")
    deleted_count = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(null=True, blank=True, help_text="Last time a record changed.")
    skipped_count = models.PositiveIntegerField(default=0, help_text="Records that could not be read.")
    skipped_sample = models.JSONField(default=list, blank=True, help_text="Some of them, with the reason.")
    set_aside = models.JSONField(default=list, blank=True, help_text="Their ids, to be tried again at aside_due_at.")
    aside_due_at = models.DateTimeField(null=True, blank=True)
    reread_cursor = models.JSONField(null=True, blank=True, help_text="Where reading all records again stands.")
    reread_due_at = models.DateTimeField(null=True, blank=True, help_text="Past while it is under way.")
    sweep_no = models.PositiveIntegerField(default=0)
    sweep_cursor = models.JSONField(null=True, blank=True)
    sweep_read_no = models.BigIntegerField(default=0, help_text="Later reads are not this sweep's; 0: none runs.")
    sweep_due_at = models.DateTimeField(null=True, blank=True)
    sweep_every_h = models.PositiveIntegerField(null=True, blank=True, help_text="Null: the provider's own; 0: never.")
    swept_at = models.DateTimeField(null=True, blank=True)
    fields = models.JSONField(default=dict, blank=True, help_text="Picked: `only` and `hash`, by path; empty: all.")
    schema = models.JSONField(default=dict, blank=True, help_text="Field to type as known: `described` and `seen`.")
    schema_at = models.DateTimeField(null=True, blank=True, help_text="When upstream was last asked for its fields.")
    reach = models.JSONField(default=dict, blank=True, help_text="What the last sweep could see, by id: repositories …")
    gone_count = models.PositiveIntegerField(default=0, help_text="Deletions that upstream told of since gone_since.")
    gone_since = models.DateTimeField(null=True, blank=True)
    is_braked = models.BooleanField(default=False, help_text="They were too many: ids are compared before any counts.")
    held_deletes = models.PositiveBigIntegerField(default=0, help_text="Deletions held back until a person decides.")
    held_why = models.CharField(max_length=300, blank=True, default="", help_text="What made us ask, for people.")
    held_decision = models.CharField(max_length=10, blank=True, default="", help_text="release, drop, or none yet")

    class Meta:
        ordering = ["sync", "title", "id"]
        constraints = [models.UniqueConstraint(fields=["sync", "collection_id"], name="collection_once_per_sync")]

    def __str__(self) -> str:
        return self.title

    @property
    def phase_colour(self) -> str:
        return Phase(self.phase).colour

    @property
    def phase_icon(self) -> str:
        return Phase(self.phase).icon


class Hint(models.Model):
    """A record that a webhook named, to be read again under its feed's lease. Merged as they are taken (hints.py).

    Only ever added and taken away, so that receiving never waits for a row that a worker holds.
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="hints")
    collection = models.ForeignKey(SyncCollection, on_delete=models.CASCADE, related_name="+", db_index=False)
    upstream_id = models.CharField(max_length=400, blank=True, help_text="Empty: something in the collection.")
    due_at = models.DateTimeField(help_text="Not read before then.")
    noted_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["due_at"], name="hint_due")]

    def __str__(self) -> str:
        return self.upstream_id


class SchemaChange(models.Model):
    """What changed of a collection's fields, as noticed at one time, and what a person said to it."""

    collection = models.ForeignKey(SyncCollection, on_delete=models.CASCADE, related_name="schema_changes")
    found_at = models.DateTimeField(auto_now_add=True)
    changes = models.JSONField(default=list, help_text="engine.drift.FieldChange, each.")
    is_holding = models.BooleanField(default=False, help_text="Reading stopped for it.")
    decided_at = models.DateTimeField(null=True, blank=True, help_text="Null: nobody has looked at it.")
    decided_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering = ["-found_at", "-id"]

    def __str__(self) -> str:
        return f"{len(self.changes)} fields of {self.collection_id} at {self.found_at}"


class HashKey(models.Model):
    """The installation's one key for hashed fields (field_picks.workspace_key)."""

    secrets = EncryptedJSONField(help_text="`key`, 64 hex digits")

    def __str__(self) -> str:
        return "Key of hashed fields"


class Operation(models.TextChoices):
    CREATE = "create", "Created"
    UPDATE = "update", "Changed"
    DELETE = "delete", "Deleted"


class SeenBy(models.TextChoices):
    BACKFILL = "backfill", "Reading history"
    FEED = "feed", "Looking for changes"
    SWEEP = "sweep", "Comparing ids"
    REREAD = "reread", "Reading again"
    WEBHOOK = "webhook", "Told by the provider"
    REMOVAL = "removal", "Collection removed"


class Record(models.Model):
    """One upstream object as last seen. `seq` moves to the end of the log with every change: compacted, never cut.

    No foreign keys: PostgreSQL checks them row by row, for nearly half of what an insert costs. Who writes holds the
    rows of the feed and the collection until commit, and who deletes takes the feed's first (log.append, removal.py).
    """

    id = models.BigAutoField(primary_key=True)
    sync = models.ForeignKey(Sync, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    collection = models.ForeignKey(
        SyncCollection, models.CASCADE, related_name="records", db_index=False, db_constraint=False
    )
    upstream_id = models.CharField(max_length=400)
    seq = models.BigIntegerField()
    data = models.TextField(help_text="The provider's record: compact JSON, its own bytes.")
    digest = models.BinaryField(max_length=32, help_text="sha256 of data less volatile paths")
    operation = models.CharField(max_length=8, choices=Operation.choices)
    deleted = models.BooleanField(default=False)
    upstream_created_at = models.DateTimeField(null=True)
    upstream_updated_at = models.DateTimeField(null=True)
    read_no = models.BigIntegerField(help_text="Order of reading within the feed.")
    first_seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["sync", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["collection", "upstream_id"], name="record_once_per_collection"),
            models.UniqueConstraint(fields=["sync", "seq"], name="record_seq_once_per_sync"),
        ]
        indexes = [
            models.Index(fields=["collection", "seq"], name="record_by_collection"),
            models.Index(fields=["sync", "seq"], condition=models.Q(deleted=True), name="record_deleted"),
        ]

    def __str__(self) -> str:
        return self.upstream_id


class RecordKey(models.Model):
    """Where the record with a public id is. Written by syncs/public_ids.py, which tells why it is a table by itself."""

    # An "auto" field that is never left to itself: with it, SQLite sorts the table itself by key and needs no index.
    key = models.BigAutoField(primary_key=True, help_text="The first 8 bytes of the public id, as a signed number.")
    record_pk = models.BigIntegerField(help_text="No foreign key: it may be gone, so whoever looks compares the id.")

    def __str__(self) -> str:
        return f"{self.key:x}"


class RecordChange(models.Model):
    """What changed, when and how it was noticed, with the content before. Kept for some days only."""

    record = models.ForeignKey(Record, models.CASCADE, related_name="changes", db_index=False, db_constraint=False)
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=8, choices=Operation.choices)
    seen_by = models.CharField(max_length=10, choices=SeenBy.choices)
    at = models.DateTimeField()
    previous = models.TextField(null=True, help_text="data before this change; null when there was none")  # noqa: DJ001

    class Meta:
        ordering = ["-seq", "-id"]
        indexes = [
            models.Index(fields=["record", "seq"], name="change_by_record"),
            models.Index(fields=["at"], name="change_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.seq}"


class SweptId(models.Model):
    """An id that a sweep under way has seen upstream."""

    collection = models.ForeignKey(SyncCollection, on_delete=models.CASCADE, related_name="+", db_index=False)
    sweep_no = models.PositiveIntegerField()
    upstream_id = models.CharField(max_length=400)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["collection", "sweep_no", "upstream_id"], name="swept_id_once"),
        ]

    def __str__(self) -> str:
        return self.upstream_id
