"""Sweeps of many records."""

import pytest
from django.db import connection

from sequin_console.common import leases
from syncs import log, sweeping
from syncs.models import Feed, SweptId
from tests.fake_provider import make_log, raw

MANY = 20_000


@pytest.mark.django_db
def test_ids_just_noted_are_compared_in_a_moment() -> None:
    """A database that has no statistics yet compared each with each: minutes, and the queue's time-out ended it."""
    _, feed, rows = make_log()
    held = leases.take(Feed, feed.pk, seconds=600)
    assert held is not None
    ids = [f"thing-{number:05}" for number in range(MANY)]
    log.append(held, rows, [raw(each, {"id": each}) for each in ids], seen_by="backfill")
    row = rows["fake:thing"]
    row.sweep_no, row.sweep_read_no = 1, 1_000
    SweptId.objects.bulk_create([SweptId(collection=row, sweep_no=1, upstream_id=each) for each in ids[1:]])
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10s'")
    assert sweeping.count_missing(row) == 1
    assert [record.upstream_id for record in sweeping.missing(row).order_by("pk")[:200]] == ids[:1]
