"""Syncs: what is read, how far it is, what is wrong with it."""

import uuid

from django.db import models
from django.urls import reverse
from django.utils import timezone

from sequin_console.accounts.rights import RightsQuerySet
from sequin_console.common.leases import Leased
from sequin_console.common.troubled import Troubled
from syncs.models.connections import Credential
from syncs.states import OnDrift, Phase, Removal, SyncState


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
