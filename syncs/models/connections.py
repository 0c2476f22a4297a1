"""Connections: access to an account upstream, how it was got, what it tells us, what it has been asked."""

import uuid

from django.db import models

from sequin_console.accounts.rights import RightsQuerySet
from sequin_console.common.fields import EncryptedJSONField
from sequin_console.common.leases import Leased
from sequin_console.common.troubled import Troubled
from syncs.states import CredentialState


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
