"""The record log that syncs end in."""

from django.db import models

from sequin_console.common.fields import EncryptedJSONField
from syncs.models.syncs import Sync, SyncCollection


class SyncHead(models.Model):
    """The end of a sync's log. A row of its own, so that edits of a sync never wait for its log."""

    sync = models.OneToOneField(Sync, primary_key=True, on_delete=models.CASCADE, related_name="head")
    head_seq = models.BigIntegerField(default=0)
    keyed_seq = models.BigIntegerField(default=0, help_text="Records up to here are found by their public id's key.")

    def __str__(self) -> str:
        return f"{self.sync_id} at {self.head_seq}"


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
