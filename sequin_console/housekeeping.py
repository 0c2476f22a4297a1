"""What grows by itself is cut back here, hourly: history of changes, used links, old notes."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from django_q.models import Failure

from sequin_console.common import heartbeats
from syncs.models import PendingConnection, RecordChange

FAILURES_KEPT = timedelta(days=7)  # django-q2 keeps a row of every task that failed
_CHUNK = 1000


def prune() -> None:
    """Drop history older than SEQUIN_CHANGES_KEPT_DAYS and what has expired. Records themselves are never pruned."""
    now = timezone.now()
    old = RecordChange.objects.filter(at__lt=now - timedelta(days=settings.CHANGES_KEPT_DAYS))
    while pks := list(old.values_list("pk", flat=True)[:_CHUNK]):
        RecordChange.objects.filter(pk__in=pks)._raw_delete(connection.alias)
    PendingConnection.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()
    Session.objects.filter(expire_date__lt=now).delete()
    Failure.objects.filter(stopped__lt=now - FAILURES_KEPT).delete()
    heartbeats.prune()
