"""The activity log: who, what, when; never a secret."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import transaction

from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Role
from sequin_console.common import audit
from sequin_console.common.models import AuditEvent
from tests import factories


class Undone(Exception):
    pass


pytestmark = pytest.mark.django_db


def test_a_person_a_token_and_the_console_are_told_apart(ada: User) -> None:
    token, _ = factories.make_token(Role.OPERATOR, "export")
    events = [audit.record(by, "sync.created", ada) for by in (ada, token, None)]
    assert [(e.actor_kind, e.actor_name, e.user_id) for e in events] == [
        ("user", "ada", ada.pk),
        ("token", "export", None),
        ("system", "Console", None),
    ]
    assert (events[0].object_kind, events[0].object_id, events[0].object_name) == ("user", str(ada.pk), "ada")


def test_secret_looking_names_are_dropped_at_any_depth() -> None:
    changes = {
        "name": "Sales",
        "access_token": "abc",
        "secrets": {"a": "b"},
        "nats": {"host": "nats.example.com", "nkey_seed": "SU", "JWT": "ey", "tls": True},
        "list": [{"password": "x", "port": 4222}],
    }
    event = audit.record(None, "consumer.changed", None, changes)
    event.refresh_from_db()
    assert event.changes == {
        "name": "Sales",
        "nats": {"host": "nats.example.com", "tls": True},
        "list": [{"port": 4222}],
    }


def test_values_become_plain_and_long_ones_are_cut() -> None:
    some_id, at = uuid.uuid4(), datetime(2026, 1, 2, tzinfo=UTC)
    event = audit.record(
        None, "x.changed", None, {"id": some_id, "at": at, "role": [Role.VIEWER, "admin"], "t": "x" * 900}
    )
    event.refresh_from_db()
    assert event.changes["id"] == str(some_id)
    assert event.changes["at"].startswith("2026-01-02")
    assert event.changes["role"] == ["viewer", "admin"]
    assert len(event.changes["t"]) == audit.LONGEST_VALUE


def test_an_entry_outlives_its_person(ada: User) -> None:
    audit.record(ada, "sync.created", ada)
    ada.delete()
    event = AuditEvent.objects.get()
    assert (event.actor_name, event.user) == ("ada", None)


def test_a_change_that_is_undone_leaves_no_entry(ada: User) -> None:
    @transaction.atomic
    def change() -> None:
        audit.record(ada, "sync.created", ada)
        raise Undone

    with pytest.raises(Undone):
        change()
    assert not AuditEvent.objects.exists()


def test_an_entry_reads_in_words() -> None:
    event = AuditEvent(action="api_token.role_changed", changes={"role": ["viewer", "admin"], "poll_s": 60})
    assert (event.what, event.on) == ("role changed", "API token")
    assert event.change_rows == [("role", "viewer", "admin"), ("poll s", None, 60)]
