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


def beat_on(node: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUIN_NODE", node)
    monkeypatch.setattr(heartbeats, "EVERY_S", 0)
    heartbeats.beat(name)


def test_nodes_beat_each_for_itself_and_the_youngest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_on("here-1", "syncs", monkeypatch)
    Heartbeat.objects.update(at=timezone.now() - timedelta(seconds=50))
    beat_on("there-2", "syncs", monkeypatch)
    assert sorted(Heartbeat.objects.values_list("name", flat=True)) == ["syncs@here-1", "syncs@there-2"]
    assert heartbeats.ages()["syncs"] < 5
    assert heartbeats.nodes_of("syncs") == 2
    assert heartbeats.nodes_of("consumers") == 0


def test_who_starts_anew_forgets_its_own_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for node in ("here-1", "here-2", "there-1", ""):
        beat_on(node, "syncs", monkeypatch)
    heartbeats.forget("here")
    assert list(Heartbeat.objects.values_list("name", flat=True)) == ["syncs@there-1"]


def test_nodes_long_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_on("here-1", "syncs", monkeypatch)
    Heartbeat.objects.update(at=timezone.now() - timedelta(days=2))
    beat_on("here-2", "syncs", monkeypatch)
    heartbeats.prune()
    assert list(Heartbeat.objects.values_list("name", flat=True)) == ["syncs@here-2"]
