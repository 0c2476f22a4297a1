"""How consumers read the log: quick ways that give the same as the plain ones."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from syncs import log_reading
from syncs.log_reading import ENTRY_BYTES, LogReader
from syncs.models import Record
from tests.consumer_factories import Log

SYNC = UUID(int=7)
MOMENTS = [
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]


@given(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_public_ids_are_those_of_uuid5(collection_id: str, upstream_id: str) -> None:
    collection_id = collection_id.encode("utf-8", "replace").decode()
    quick = log_reading.public_ids(SYNC, collection_id)
    assert quick(upstream_id) == quick(upstream_id) == str(log_reading.public_id(SYNC, collection_id, upstream_id))


def as_json(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.django_db(transaction=True)
def test_moments_are_text_as_messages_carry_it() -> None:
    log = Log()
    for at in MOMENTS:
        log.write(at.isoformat(), {}, created_at=at, updated_at=None)
    entries = log_reading.entries_after(log.sync.pk, 0, limit=100)
    rows = {row.upstream_id: row for row in Record.objects.all()}
    for entry in entries:
        row = rows[entry.upstream_id]
        assert entry.upstream_created_at == as_json(row.upstream_created_at)
        assert entry.upstream_updated_at is None
        assert entry.inserted_at == as_json(row.first_seen_at)
        assert abs(datetime.fromisoformat(entry.inserted_at) - datetime.now(UTC)) < timedelta(hours=1)
    assert [entry.upstream_id for entry in entries] == [at.isoformat() for at in MOMENTS]


@pytest.mark.django_db(transaction=True)
def test_reading_ends_where_the_bytes_do_and_says_so() -> None:
    """Were it to call a cut answer whole, the cursor would pass records never sent."""
    log = Log()
    for n in range(5):
        log.write(f"r{n}", {"text": "x" * 3_000})
    reader = LogReader(log.sync.pk)

    def read(**bounds: Any) -> tuple[list[str], bool]:
        entries, is_all = reader.after(0, **bounds)
        return [entry.upstream_id for entry in entries], is_all

    size = len(json.dumps({"text": "x" * 3_000}, separators=(",", ":"))) + ENTRY_BYTES
    assert read(limit=9, most_bytes=1) == (["r0"], False)
    assert read(limit=9, most_bytes=2 * size) == (["r0", "r1"], False)
    assert read(limit=9, most_bytes=2 * size + 1) == (["r0", "r1", "r2"], False)
    assert read(limit=9, most_bytes=9 * size) == ([f"r{n}" for n in range(5)], True)
    assert read(limit=5, most_bytes=9 * size) == ([f"r{n}" for n in range(5)], False)
    assert read(limit=3) == (["r0", "r1", "r2"], False)


@pytest.mark.django_db(transaction=True)
def test_collection_made_after_the_reader_is_known_to_it() -> None:
    log = Log()
    reader = LogReader(log.sync.pk)
    log.write("a", {})
    assert [entry.collection_id for entry in reader.after(0, limit=9)[0]] == ["fake:thing"]
    other = type(log.rows["fake:thing"]).objects.create(
        sync=log.sync, feed=log.feed, collection_id="fake:late", title="late", spec={"id": "fake:late"}
    )
    log.rows["fake:late"] = other
    log.write("b", {}, name="late")
    entries = reader.after(0, limit=9)[0]
    assert [entry.collection_id for entry in entries] == ["fake:thing", "fake:late"]
    assert reader.one(entries[1].record_id) == entries[1]
    assert reader.one(0) is None


@pytest.mark.django_db(transaction=True)
def test_sparse_part_of_the_log_is_read_to_its_end() -> None:
    """Records that move leave gaps, far wider than what one look spans."""
    log = Log()
    log.write("old", {"n": 0})
    for n in range(30):
        log.write("moving", {"n": n})
    log.write("new", {"n": 1})
    reader = LogReader(log.sync.pk)

    def read(**bounds: Any) -> tuple[list[str], bool]:
        entries, is_all = reader.after(0, **bounds)
        return [entry.upstream_id for entry in entries], is_all

    assert read(limit=5) == read(limit=5, head=log.head) == (["old", "moving", "new"], True)
    assert read(limit=2) == (["old", "moving"], False)
    assert read(limit=5, most_bytes=1) == (["old"], False)
    assert read(limit=5, most_bytes=ENTRY_BYTES + 20) == (["old", "moving"], False)


@pytest.mark.django_db(transaction=True)
def test_batch_is_read_from_a_near_part_of_the_log_alone() -> None:
    """Without statistics PostgreSQL sorts all rows that a query leaves open: a replay's cost grew squared."""
    log = Log()
    log.fill(30)
    asked: list[Any] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, list(params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        entries, is_all = LogReader(log.sync.pk).after(5, limit=10, most_bytes=4_000_000, head=log.head)
    assert ([entry.seq for entry in entries], is_all) == (list(range(6, 16)), False)
    reads = [(sql, params) for sql, params in asked if "upstream_id" in sql]
    assert len(reads) == 1
    assert "seq <= %s" in reads[0][0]
    assert 5 + 10 <= reads[0][1][2] <= 5 + 4 * 10
