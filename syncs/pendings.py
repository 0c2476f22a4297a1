"""What is under way while a person is away: good for minutes, found by the hash of what they carry, used once."""

from typing import Any

from django.utils import timezone

from syncs.models import PendingConnection


def find(**which: Any) -> PendingConnection | None:
    """The one that is so, while it is good."""
    good = PendingConnection.objects.filter(used_at=None, expires_at__gt=timezone.now(), **which)
    return good.select_related("oauth_app", "credential").first()


def use_up(**which: Any) -> PendingConnection | None:
    """The same, used up: of several that ask at once, one gets it."""
    pending = find(**which)
    won = pending and PendingConnection.objects.filter(pk=pending.pk, used_at=None).update(used_at=timezone.now())
    return pending if won else None
