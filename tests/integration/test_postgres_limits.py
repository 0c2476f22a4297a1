"""Who falls silent in the middle of a transaction stops nobody else, and PostgreSQL ends it after a while."""

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from sequin_console.common.models import Duty
from syncs import tasks
from syncs.models import Feed
from tests.fake_provider import make_log

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgres", "postgres-redis")]


def test_sessions_are_told_the_length_of_a_lease() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("1min",)
    assert settings.LEASE_S == 60


def connected() -> psycopg.Connection:
    place = connection.settings_dict
    return psycopg.connect(host=place["HOST"], port=place["PORT"], user=place["USER"], dbname=place["NAME"])


def test_scheduler_does_not_wait_for_who_froze_in_mid_transaction() -> None:
    """It queues the others; what is locked is found again later."""
    frozen, free = (make_log()[1] for _ in range(2))
    Feed.objects.update(due_at=timezone.now(), lease_until=None, queued_until=None)
    with connected() as other, other.transaction():
        other.execute("SELECT 1 FROM syncs_feed WHERE id = %s FOR UPDATE", [frozen.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")  # instead of waiting for ever
        tasks.enqueue_due()
        assert [feed.pk for feed in Feed.objects.exclude(queued_until=None)] == [free.pk]
    tasks.enqueue_due()
    assert Feed.objects.exclude(queued_until=None).count() == 2
    connection.close()


def test_rows_locked_by_who_fell_silent_are_free_again() -> None:
    duty = Duty.objects.create(name="x")
    connection.close()
    with override_settings(LEASE_S=1):
        connection.connect()
    try:
        with pytest.raises(DatabaseError, match="idle-in-transaction"):
            lock_and_fall_silent(duty)
    finally:
        connection.close()


@transaction.atomic
def lock_and_fall_silent(duty: Duty) -> None:
    duty.prove_lease()
    with connected() as other:
        other.execute("SET lock_timeout = '20s'")
        other.execute("SELECT 1 FROM common_duty FOR UPDATE")  # waits until the server has ended our transaction
    duty.prove_lease()
