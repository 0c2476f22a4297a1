"""Signs of life."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sequin_console.common import heartbeats
from sequin_console.common.models import Heartbeat

pytestmark = pytest.mark.django_db


def test_beating_often_writes_once(django_assert_num_queries) -> None:
    heartbeats.beat("syncs")
    with django_assert_num_queries(0):
        for _ in range(100):
            heartbeats.beat("syncs")
    assert 0 <= heartbeats.ages()["syncs"] < 5


def test_each_name_beats_for_itself_and_again_after_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeats.beat("syncs")
    heartbeats.beat("scheduler")
    Heartbeat.objects.update(at=timezone.now() - timedelta(seconds=50))
    assert heartbeats.ages().keys() == {"syncs", "scheduler"}
    assert heartbeats.ages()["syncs"] >= 50
    monkeypatch.setattr(heartbeats, "EVERY_S", 0)
    heartbeats.beat("syncs")
    assert heartbeats.ages()["syncs"] < 5
    assert heartbeats.ages()["scheduler"] >= 50
