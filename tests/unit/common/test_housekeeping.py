"""What grows by itself is cut back; what is young, and every record, stays."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_q.models import Failure, Task

from sequin_console import housekeeping
from syncs.models import Record, RecordChange
from tests.consumer_factories import Log

pytestmark = pytest.mark.django_db(databases="__all__")


def test_old_history_sessions_and_failed_tasks_go_and_records_stay(settings) -> None:
    now, log = timezone.now(), Log()
    for n in range(3):
        log.write("a", {"n": n})
    kept = RecordChange.objects.latest("seq")
    old = now - timedelta(days=settings.CHANGES_KEPT_DAYS, hours=1)
    RecordChange.objects.exclude(pk=kept.pk).update(at=old)
    for key, days in (("gone", -1), ("valid", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=now + timedelta(days=days))
    for name, days in (("old", 8), ("young", 1)):
        at = now - timedelta(days=days)
        Task.objects.create(id=name, name=name, func="f", started=at, stopped=at, success=False)
    housekeeping.prune()
    assert housekeeping.prune_history(budget_s=60) == 2
    assert list(RecordChange.objects.values_list("pk", flat=True)) == [kept.pk]
    assert Record.objects.count() == 1
    assert list(Session.objects.values_list("session_key", flat=True)) == ["valid"]
    assert list(Failure.objects.values_list("name", flat=True)) == ["young"]


def test_history_goes_in_bites_oldest_first(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler has other things to do than delete a million rows at once."""
    log = Log()
    for n in range(5):
        log.write("a", {"n": n})
    old = timezone.now() - timedelta(days=settings.CHANGES_KEPT_DAYS + 1)
    for change in RecordChange.objects.all():
        RecordChange.objects.filter(pk=change.pk).update(at=old + timedelta(minutes=change.seq))
    monkeypatch.setattr(housekeeping, "_CHUNK", 2)
    assert housekeeping.prune_history(budget_s=0) == 2
    assert sorted(RecordChange.objects.values_list("seq", flat=True)) == [3, 4, 5]
    assert housekeeping.prune_history(budget_s=60) == 3
