"""What grows by itself is cut back here: history of changes in small bites, used links and old notes hourly."""

import time
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from django_q.models import Failure

from sequin_console.common import heartbeats
from syncs import hints
from syncs.models import PendingConnection, RecordChange, RequestCount

REQUESTS_KEPT = timedelta(days=8)
FAILURES_KEPT = timedelta(days=7)  # django-q2 keeps a row of every task that failed
_CHUNK = 1000


def prune() -> None:
    """Drop what has expired."""
    now = timezone.now()
    PendingConnection.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()
    Session.objects.filter(expire_date__lt=now).delete()
    Failure.objects.filter(stopped__lt=now - FAILURES_KEPT).delete()
    RequestCount.objects.filter(hour__lt=now - REQUESTS_KEPT).delete()
    hints.prune()
    heartbeats.prune()


def prune_history(budget_s: float) -> int:
    """Drop history older than SEQUIN_CHANGES_KEPT_DAYS, oldest first, until the budget ends; returns how many rows.

    Records themselves are never pruned.
    """
    late_at, done = time.monotonic() + budget_s, 0
    old = RecordChange.objects.filter(at__lt=timezone.now() - timedelta(days=settings.CHANGES_KEPT_DAYS))
    while pks := list(old.order_by("at").values_list("pk", flat=True)[:_CHUNK]):
        RecordChange.objects.filter(pk__in=pks)._raw_delete(connection.alias)
        done += len(pks)
        if time.monotonic() >= late_at:
            break
    return done
