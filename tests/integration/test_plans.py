"""No question about records grows with the log: each is answered by an index, in its order, or in a bounded part.

Judged by the database's own plan, for a plan does not depend on the machine. On PostgreSQL, where a short table is read
whole whatever indexes there are, reading whole and sorting are made dear: what is left of them could not be avoided.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from consumers import queries as consumer_queries
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console import housekeeping
from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Role
from syncs import browsing, listing, log, log_sql, public_ids, queries, removal, sweeping
from syncs.browsing import Choice
from syncs.engine.changes import Known
from syncs.models import Record, Sync, SyncHead
from syncs.schemas import RecordQuery
from tests import factories
from tests.consumer_factories import Log
from tests.guards import proves

pytestmark = pytest.mark.django_db(transaction=True)


class Asked:
    """A log to ask, and who asks."""

    def __init__(self) -> None:
        self.ada: User = factories.make_user("ada", Role.ADMIN)
        self.log = Log("thing", "other")
        self.log.fill(30)
        self.log.fill(30, name="other")
        self.sync: Sync = self.log.sync
        self.consumer = NatsConsumer.objects.create(name="some", hosts=["h"], collection_ids=["fake:thing"])
        ConsumerCursor.objects.create(consumer=self.consumer, sync=self.sync)
        public_ids.follow(budget_s=60)
        Record.objects.filter(seq__lt=5).update(deleted=True)
        self.record = Record.objects.get(upstream_id="thing-00010")

    def page(self, before: int | None = None, **choice: Any) -> Any:
        return browsing.page(self.ada, Choice(**choice), before=before)

    def api(self, **query: Any) -> Any:
        return listing.records(self.ada, RecordQuery(**query))


@pytest.fixture
def asked() -> Asked:
    return Asked()


@contextmanager
def plans() -> Iterator[list[tuple[str, str]]]:
    """The plan of every query on records that is asked within, with the query."""
    found: list[tuple[str, str]] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "syncs_record" in sql:
            with connection.cursor() as cursor:
                words = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
                cursor.cursor.execute(f"{words} {sql}", params)
                found.append(("\n".join(str(row[-1]) for row in cursor.cursor.fetchall()), sql))
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE; SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
    try:
        with connection.execute_wrapper(explain):
            yield found
    finally:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("RESET enable_seqscan; RESET enable_sort; RESET enable_bitmapscan")


FULL_SCANS = ("SCAN syncs_record", "Seq Scan on syncs_record")
SORTS = ("TEMP B-TREE FOR ORDER BY", "Sort  (")
Ask = Callable[[Asked], Any]
NOW = timezone.now()
QUESTIONS: dict[str, Ask] = {
    "browser, one sync": lambda a: a.page(sync_id=a.sync.pk),
    "browser, deep": lambda a: a.page(sync_id=a.sync.pk, before=20),
    "browser, one collection": lambda a: a.page(sync_id=a.sync.pk, collection_id="fake:thing"),
    "browser, deleted": lambda a: a.page(sync_id=a.sync.pk, deleted=True),
    "browser, text": lambda a: a.page(sync_id=a.sync.pk, text="thing-0001"),
    "browser, text in a collection": lambda a: a.page(sync_id=a.sync.pk, collection_id="fake:other", text="x"),
    "one record's page": lambda a: queries.record(a.ada, a.sync.pk, "fake:thing", "thing-00001"),
    "API, all": lambda a: a.api(),
    "API, further": lambda a: a.api(limit=5, cursor=a.api(limit=5)[1]),
    "API, one sync": lambda a: a.api(sync_id=a.sync.pk),
    "API, one collection": lambda a: a.api(sync_id=a.sync.pk, collection_id="fake:thing"),
    "API, a collection of all syncs": lambda a: a.api(collection_id="fake:thing"),
    "API, by upstream id": lambda a: a.api(upstream_id="thing-00001"),
    "API, deleted": lambda a: a.api(deleted=True),
    "API, changed since": lambda a: a.api(changed_since=NOW - timedelta(hours=1)),
    "API, one record": lambda a: listing.record(a.ada, a.sync.pk, "fake:thing", "thing-00001"),
    "API, by public id": lambda a: listing.record_by_id(a.ada, log.public_id(a.sync.pk, "fake:thing", "thing-00001")),
    "API, by unknown public id": lambda a: listing.record_by_id(a.ada, UUID(int=1)),
    "delivery": lambda a: log.entries_after(a.sync.pk, 5, limit=10),
    "delivery of a collection": lambda a: log.entries_after(a.sync.pk, 5, limit=10, collection_ids=["fake:thing"]),
    "lag": lambda a: consumer_queries.detail(a.consumer),
    "sweep": lambda a: sweeping._missing_after(a.log.rows["fake:thing"], 3),
    "tombstones for all of a sync": lambda a: removal.bury(a.sync, Record.objects.filter(sync=a.sync)),
    "removal": lambda a: removal._forget(a.sync, a.log.rows["fake:thing"], late_at=0),
    "keys of public ids": lambda a: SyncHead.objects.update(keyed_seq=3) and public_ids.follow(budget_s=60),
    "old history": lambda a: housekeeping.prune_history(budget_s=60),
    "a record's history": lambda a: queries.versions(a.record),
}
# Sorted, for there is no index of it: by purpose, and what is sorted is little.
MAY_SORT = {"lag", "API, by upstream id"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_records_are_read_by_an_index_and_in_its_order(question: str, asked: Asked) -> None:
    with plans() as found:
        QUESTIONS[question](asked)
    assert found
    for plan, sql in found:
        unwanted = FULL_SCANS if question in MAY_SORT else (*FULL_SCANS, *SORTS)
        assert not [words for words in unwanted if words in plan], f"{plan}\n\n{sql}"


@pytest.mark.parametrize("choice", [{}, {"text": "thing-0001"}, {"collection_id": "fake:thing"}, {"deleted": True}])
def test_over_all_syncs_the_browser_reads_records_from_the_last_one_back(
    choice: dict[str, Any], asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the table itself, and no further than one page or what is searched at a time."""
    monkeypatch.setattr(browsing, "SEARCHED", 10)
    with plans() as found:
        asked.page(**choice)
    for plan, sql in found:
        assert not [words for words in (*SORTS, "Seq Scan") if words in plan], f"{plan}\n\n{sql}"
        assert "LIMIT" in sql


@contextmanager
def plans_without_statistics() -> Iterator[list[str]]:
    """PostgreSQL's plans of all statements on the log within, while nobody has counted it: as in a first backfill."""
    found: list[str] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if "syncs_record" in sql:
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN {sql}", params)
                found.append("\n".join(row[0] for row in cursor.cursor.fetchall()) + f"\n\n{sql}")
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'syncs_record'::regclass")
    with connection.execute_wrapper(explain):
        yield found


@contextmanager
def all_ids_asked_for_at_once() -> Iterator[None]:
    def asking(collection_pk: int, upstream_ids: Sequence[str], *, with_times: bool) -> dict[str, Known]:
        columns = "upstream_id, id, digest, deleted, read_no, NULL"
        sql = f"SELECT {columns} FROM syncs_record WHERE collection_id = %s AND upstream_id = ANY(%s)"
        return {key: Known(*rest) for key, *rest in log_sql._fetch(sql, [collection_pk, list(upstream_ids)])}

    with mock.patch.object(log_sql, "known", asking):
        yield


@pytest.mark.only_on("postgres", "postgres-redis")
def test_before_anybody_has_counted_the_log_each_record_is_found_by_its_key() -> None:
    """Else PostgreSQL read the whole collection for each group of a first backfill."""

    def scenario() -> None:
        grown = Log()
        grown.fill(12_000, note="x" * 400)
        with plans_without_statistics() as found:
            grown.fill(1_000, start=12_000)
            grown.fill(1_000, start=2_000, note="changed")  # looked up, copied, changed
            grown.fill(1_000, start=2_000, note="changed")  # looked up, touched
        assert len(found) == 7  # each time what is known, then 1, 2 and 1 (COPY has no plan)
        for plan in found:
            assert "Index Scan using" in plan, plan
            assert not [word for word in ("Seq Scan", "Bitmap", "Hash", "Merge") if word in plan], plan
            assert "Filter" not in plan, plan

    proves(scenario, without=all_ids_asked_for_at_once)
