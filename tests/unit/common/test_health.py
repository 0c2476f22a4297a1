"""/healthz and /readyz."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from sequin_console import health
from sequin_console.common import heartbeats
from sequin_console.common.models import Heartbeat

PARTS = ("database", "workers", "scheduler", "nats")


def test_healthz_needs_nothing(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db(transaction=True)
def test_readyz_names_each_part_and_is_503_until_all_work(client: Client, settings) -> None:
    settings.EMBEDDED_NATS_URL = ""
    answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert [body[part]["ok"] for part in PARTS] == [True, False, False, True]
    for name in ("syncs", "consumers", "scheduler"):
        heartbeats.beat(name)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert all(answer.json()[part]["detail"].endswith(".") for part in PARTS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("silent", ["syncs", "consumers", "scheduler"])
def test_one_that_fell_silent_is_named(client: Client, settings, silent: str) -> None:
    settings.EMBEDDED_NATS_URL = ""
    for name in ("syncs", "consumers", "scheduler"):
        heartbeats.beat(name)
    Heartbeat.objects.filter(name=silent).update(at=timezone.now() - timedelta(seconds=31))
    body = client.get("/readyz").json()
    failing = body["scheduler"] if silent == "scheduler" else body["workers"][silent]
    assert not failing["ok"]
    assert silent in failing["detail"]


def test_a_database_that_does_not_answer_is_an_answer(client: Client, settings, monkeypatch) -> None:
    def fail() -> dict[str, float]:
        raise DatabaseError("secret detail")

    settings.EMBEDDED_NATS_URL = ""
    monkeypatch.setattr(heartbeats, "ages", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert not answer.json()["database"]["ok"]
    assert "secret detail" not in answer.content.decode()


def test_an_embedded_nats_that_is_not_there_is_named(settings, monkeypatch) -> None:
    settings.EMBEDDED_NATS_URL = "nats://127.0.0.1:1"
    monkeypatch.setattr(health, "NATS_TIMEOUT_S", 1)
    assert not health._nats()["ok"]
