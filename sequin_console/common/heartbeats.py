"""Processes say that they live; /readyz and the supervisor read it.

A row is named by what beats and by its node, `syncs@host-4711`, for several nodes may work on one queue, and a healthy
one must not speak for one that hangs. Who was not started by `up` has no node and beats as plain `syncs`.
"""

import os
import time
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from sequin_console.common.models import Heartbeat

EVERY_S = 3
LIVES_S = 60.0  # who was silent for longer is no longer counted among the nodes
KEPT = timedelta(days=1)
_last: dict[tuple[int, str], float] = {}  # by process too, for a fork inherits its parent's memory


def beat(name: str) -> None:
    """Say that `name` (`syncs`, `consumers`, `scheduler`) lives. Call it as often as you like: written every 3 s."""
    key, now_s = (os.getpid(), name), time.monotonic()
    row = on_node(name, os.environ.get("SEQUIN_NODE", ""))
    if now_s - _last.get(key, -EVERY_S) < EVERY_S:
        return
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=row, at=timezone.now())], update_conflicts=True, update_fields=["at"], unique_fields=["name"]
    )
    _last[key] = now_s


def ages() -> dict[str, float]:
    """Seconds since each name last gave a sign of life, on whatever node."""
    now = timezone.now()
    rows = Heartbeat.objects.order_by("at").values_list("name", "at")
    return {name.partition("@")[0]: max(0.0, (now - at).total_seconds()) for name, at in rows}


def nodes_of(name: str) -> int:
    """How many nodes have beaten by this name lately."""
    since = timezone.now() - timedelta(seconds=LIVES_S)
    return Heartbeat.objects.filter(name__startswith=f"{name}@", at__gt=since).count()


def forget(host: str) -> None:
    """Drop what processes of this host, or of none, left behind; for who starts them all anew."""
    Heartbeat.objects.filter(Q(name__contains=f"@{host}-") | ~Q(name__contains="@")).delete()


def prune() -> None:
    """Drop rows of nodes that are long gone."""
    Heartbeat.objects.filter(at__lt=timezone.now() - KEPT).delete()


def on_node(name: str, node: str) -> str:
    """The name of a row."""
    return f"{name}@{node}" if node else name
