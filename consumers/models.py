"""What is stored of the downstream half: consumers, how far each has come in each sync's log, and what it set aside."""

import uuid

from django.db import models
from django.urls import reverse

from consumers.connection import NatsSettings
from consumers.states import ConsumerState, DeliverPolicy, Messages, Promise
from sequin_console.accounts.rights import RightsQuerySet
from sequin_console.common.fields import EncryptedJSONField
from sequin_console.common.leases import Leased
from sequin_console.common.troubled import Troubled

DEFAULT_PREFIX = "sequin-records"
DEFAULT_PORT = 4222


class NatsConsumer(Troubled):
    """What carries the record log to one NATS subject prefix."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    sync = models.ForeignKey(
        "syncs.Sync",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="consumers",
        help_text="Empty: all syncs, later ones too. A consumer of one sync goes with it.",
    )
    collection_ids = models.JSONField(null=True, blank=True, help_text="`salesforce:contact` …; empty: all of them.")
    subject_prefix = models.CharField(max_length=200, default=DEFAULT_PREFIX)
    deliver_policy = models.CharField(max_length=3, choices=DeliverPolicy.choices, default=DeliverPolicy.ALL)
    hosts = models.JSONField(default=list, help_text='["host:port", …], tried in this order')
    port = models.PositiveIntegerField(default=DEFAULT_PORT, help_text="For hosts given without one.")
    tls = models.BooleanField(default=False)
    ca_pem = models.TextField(blank=True, default="", help_text="Own certificate authority, PEM; empty: the system's.")
    secrets = EncryptedJSONField(
        default=dict, help_text="jwt, nkey_seed, user, password, token, client_cert_pem, client_key_pem"
    )
    inbox_prefix = models.CharField(max_length=200, blank=True, default="", help_text="Empty: the first that works.")
    jetstream_domain = models.CharField(max_length=200, blank=True, default="", help_text="Domain, or API prefix.")
    tombstone_ttl_h = models.PositiveIntegerField(
        null=True, blank=True, help_text="Hours a tombstone stays on a stream that allows message TTL; empty: for ever."
    )
    state = models.CharField(max_length=20, choices=ConsumerState.choices, default=ConsumerState.ACTIVE)
    removal = models.CharField(max_length=20, choices=Messages.choices, blank=True, default="")
    promise = models.CharField(max_length=10, choices=Promise.choices, blank=True, default="")
    stream_name = models.CharField(max_length=255, blank=True, default="", help_text="As last found.")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="In trouble: not tried again before.")
    warning = models.CharField(max_length=500, blank=True, default="", help_text="Worth knowing; delivery goes on.")
    warned_at = models.DateTimeField(null=True, blank=True)
    working_inbox = models.CharField(max_length=200, blank=True, default="", help_text="Inbox prefix that worked.")
    checks = models.JSONField(
        default=list, blank=True, help_text="The last preflight: key, label, ok, detail, remedy …"
    )
    checked_at = models.DateTimeField(null=True, blank=True)
    check_due_at = models.DateTimeField(null=True, blank=True)
    jwt_facts = models.JSONField(default=dict, blank=True, help_text="account, user, permissions, expiry: not secret")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RightsQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("consumers:detail", args=[self.pk])

    @property
    def topic(self) -> str:
        """What pages listen to for changes of this consumer."""
        return f"consumer-{self.pk}"

    @property
    def state_colour(self) -> str:
        return ConsumerState(self.state).colour

    @property
    def state_icon(self) -> str:
        return ConsumerState(self.state).icon

    @property
    def secret_names(self) -> list[str]:
        """Which secrets are set, for pages that show them masked."""
        return sorted(name for name, value in self.secrets.items() if value)

    def nats_settings(self) -> NatsSettings:
        """All that decides how to connect. Decrypted secrets: for jetstream.py alone."""
        names = ("jwt", "nkey_seed", "user", "password", "token", "client_cert_pem", "client_key_pem")
        return NatsSettings(
            hosts=tuple(self.hosts),
            name=f"sequin-console consumer {self.pk}",
            tls=self.tls,
            ca_pem=self.ca_pem,
            inbox=self.inbox_prefix,
            domain=self.jetstream_domain,
            **{name: self.secrets.get(name, "") for name in names},
        )

    def wants(self, collection_id: str) -> bool:
        return self.collection_ids is None or collection_id in self.collection_ids


class ConsumerCursor(Leased):
    """How far a consumer has come in one sync's log. The unit of delivery work, under a lease."""

    id = models.BigAutoField(primary_key=True)
    consumer = models.ForeignKey(NatsConsumer, on_delete=models.CASCADE, related_name="cursors")
    sync = models.ForeignKey("syncs.Sync", on_delete=models.CASCADE, related_name="consumer_cursors")
    acked_seq = models.BigIntegerField(default=0, help_text="The stream confirmed everything up to here.")
    start_seq = models.BigIntegerField(default=0, help_text="Where a new run begins: `from now on` starts later.")
    run = models.PositiveIntegerField(default=1, help_text="Grows with every replay.")
    stream_name = models.CharField(max_length=255, blank=True, default="")
    stream_created = models.CharField(max_length=40, blank=True, default="", help_text="As the server writes it.")
    stream_seq = models.BigIntegerField(default=0, help_text="Stream sequence of the last message we committed.")
    delivered = models.BigIntegerField(default=0, help_text="Messages confirmed, over all runs.")
    last_acked_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True, help_text="Not drained before; null: any time.")
    queued_until = models.DateTimeField(null=True, blank=True, help_text="Queued; not again before.")

    class Meta:
        ordering = ["consumer", "sync"]
        constraints = [models.UniqueConstraint(fields=["consumer", "sync"], name="cursor_once_per_consumer_and_sync")]

    def __str__(self) -> str:
        return f"{self.consumer_id} in {self.sync_id} at {self.acked_seq}"


class HeldMessage(models.Model):
    """A record the stream can never take, set aside so that the others go on."""

    consumer = models.ForeignKey(NatsConsumer, on_delete=models.CASCADE, related_name="held")
    record = models.ForeignKey(
        "syncs.Record", on_delete=models.DO_NOTHING, db_constraint=False, related_name="+", help_text="May be gone."
    )
    sync = models.ForeignKey("syncs.Sync", on_delete=models.CASCADE, related_name="+")
    seq = models.BigIntegerField()
    subject = models.TextField(blank=True, default="")
    size_bytes = models.BigIntegerField(default=0, help_text="Headers and payload.")
    limit_bytes = models.BigIntegerField(default=0, help_text="What the stream or server allowed then; 0: not a size.")
    reason = models.CharField(max_length=500)
    next_step = models.CharField(max_length=500)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["consumer", "record"], name="held_once_per_consumer")]

    def __str__(self) -> str:
        return f"record {self.record_id} at {self.seq}"


class DeliverySample(models.Model):
    """How many messages a consumer got confirmed in ten seconds; kept for a day."""

    consumer = models.ForeignKey(NatsConsumer, on_delete=models.CASCADE, related_name="samples", db_index=False)
    at = models.DateTimeField(help_text="Beginning of the ten seconds.")
    messages = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["consumer", "at"]
        constraints = [models.UniqueConstraint(fields=["consumer", "at"], name="sample_once_per_time")]

    def __str__(self) -> str:
        return f"{self.messages} at {self.at}"
