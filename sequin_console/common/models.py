"""What the ground floor keeps: who did what, which processes live, what pages should look at again."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from sequin_console.common.leases import Leased


class AuditEvent(models.Model):
    """Somebody changed something. Written by audit.record, never changed after."""

    class ActorKind(models.TextChoices):
        USER = "user", "Person"
        TOKEN = "token", "API token"
        SYSTEM = "system", "Console"

    at = models.DateTimeField(default=timezone.now)
    actor_kind = models.CharField(max_length=6, choices=ActorKind.choices)
    actor_name = models.CharField(max_length=150, help_text="As it was then.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    action = models.CharField(max_length=60, help_text="Object and past participle: `sync.created`.")
    object_kind = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=200, blank=True, help_text="As it was then.")
    changes = models.JSONField(default=dict, blank=True, help_text="Field to new value, or to [old, new]. No secrets.")
    ip = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (
            models.Index(fields=("-at", "-id"), name="audit_by_time"),
            models.Index(fields=("object_kind", "object_id"), name="audit_by_object"),
        )

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.object_name}"

    @property
    def what(self) -> str:
        """The action in words: `sync.role_changed` is "role changed"."""
        return self.action.rpartition(".")[2].replace("_", " ")

    @property
    def on(self) -> str:
        """What it was done to, in words: `api_token.created` is "API token"."""
        kind = self.action.partition(".")[0].replace("_", " ")
        return _KINDS_IN_WORDS.get(kind, kind)

    @property
    def change_rows(self) -> list[tuple[str, Any, Any]]:
        """(field, old, new) for pages; old is None where only the new value is known."""
        rows = []
        for field, value in self.changes.items():
            old, new = value if isinstance(value, list) and len(value) == 2 else (None, value)
            rows.append((field.replace("_", " "), old, new))
        return rows


_KINDS_IN_WORDS = {
    "user": "person",
    "api token": "API token",
    "oauth app": "OAuth app",
    "credential": "connection",
    "nats consumer": "consumer",
}


class Heartbeat(models.Model):
    """A process says that it lives, every few seconds."""

    name = models.CharField(primary_key=True, max_length=100)
    at = models.DateTimeField()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Change(models.Model):
    """On SQLite only: a topic that pages should look at again. One row a topic; `no` grows over all of them."""

    topic = models.CharField(primary_key=True, max_length=100)
    no = models.PositiveBigIntegerField(db_index=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("no",)

    def __str__(self) -> str:
        return self.topic


class Duty(Leased):
    """Something only one process should do at a time, such as scheduling; held by a lease."""

    name = models.CharField(primary_key=True, max_length=50)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
