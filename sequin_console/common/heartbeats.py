"""Processes say that they live; /readyz and the supervisor read it."""

import os
import time

from django.utils import timezone

from sequin_console.common.models import Heartbeat

EVERY_S = 3
_last: dict[tuple[int, str], float] = {}  # by process too, for a fork inherits its parent's memory


def beat(name: str) -> None:
    """Say that `name` (`syncs`, `consumers`, `scheduler`) lives. Call it as often as you like: written every 3 s."""
    key, now_s = (os.getpid(), name), time.monotonic()
    if now_s - _last.get(key, -EVERY_S) < EVERY_S:
        return
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, at=timezone.now())], update_conflicts=True, update_fields=["at"], unique_fields=["name"]
    )
    _last[key] = now_s


def ages() -> dict[str, float]:
    """Seconds since each name last gave a sign of life."""
    now = timezone.now()
    return {name: max(0.0, (now - at).total_seconds()) for name, at in Heartbeat.objects.values_list("name", "at")}
