"""The record log's invariants, each with the proof that its guard guards."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from django.db import OperationalError, connection, transaction

from sequin_console.common import leases
from sequin_console.common.leases import LeaseLost
from sequin_console.common.models import Duty
from syncs import log, log_sql, removal
from syncs.engine import changes as rules
from syncs.models import Feed, Record, RecordChange, Sync, SyncHead
from tests.fake_provider import make_log, raw
from tests.guards import proves

pytestmark = pytest.mark.django_db(transaction=True)


def held(feed: Feed) -> Feed:
    taken = leases.take(Feed, feed.pk, seconds=60)
    assert taken is not None
    return taken


def stored() -> dict[str, str]:
    return dict(Record.objects.values_list("upstream_id", "data"))


def test_page_is_stored_in_order_and_compacted() -> None:
    sync, feed, rows = make_log()
    feed = held(feed)
    changed = log.append(feed, rows, [raw("a", {"n": 1}), raw("b", {"n": 1})], seen_by="backfill")
    assert changed == 2
    log.append(feed, rows, [raw("a", {"n": 2}, read_no=2)], seen_by="feed")
    entries = log.entries_after(sync.pk, 0, limit=10)
    assert [(e.seq, e.upstream_id, e.data, e.operation) for e in entries] == [
        (2, "b", '{"n":1}', "create"),
        (3, "a", '{"n":2}', "update"),
    ]
    assert log.head(sync.pk) == 3


def test_history_keeps_what_was_before_but_not_for_backfill_inserts() -> None:
    _, feed, rows = make_log()
    feed = held(feed)
    log.append(feed, rows, [raw("a", {"n": 1})], seen_by="backfill")
    log.append(feed, rows, [raw("a", {"n": 2}, read_no=2), raw("b", {"n": 9}, read_no=2)], seen_by="feed")
    found = RecordChange.objects.order_by("seq").values_list("record__upstream_id", "kind", "previous", "seen_by")
    assert list(found) == [("a", "update", '{"n":1}', "feed"), ("b", "create", None, "feed")]


def test_counts_follow_creation_deletion_and_return() -> None:
    _, feed, rows = make_log()
    feed, row = held(feed), rows["fake:thing"]
    log.append(feed, rows, [raw("a", {"n": 1}), raw("b", {"n": 1})], seen_by="backfill")
    log.append(feed, rows, [raw("a", None, read_no=2, deleted=True)], seen_by="feed")
    row.refresh_from_db()
    assert (row.live_count, row.deleted_count) == (1, 1)
    log.append(feed, rows, [raw("a", {"n": 1}, read_no=3)], seen_by="feed")
    row.refresh_from_db()
    assert (row.live_count, row.deleted_count) == (2, 0)


def test_deleted_record_keeps_its_last_known_data() -> None:
    sync, feed, rows = make_log()
    feed = held(feed)
    log.append(feed, rows, [raw("a", {"n": 1})], seen_by="backfill")
    log.append(feed, rows, [raw("a", None, read_no=2, deleted=True)], seen_by="feed")
    (entry,) = log.entries_after(sync.pk, 0, limit=10)
    assert (entry.deleted, entry.operation, entry.data) == (True, "delete", '{"n":1}')


def test_readers_may_want_some_collections_only() -> None:
    sync, feed, rows = make_log("thing", "other")
    feed = held(feed)
    log.append(feed, rows, [raw("a", {}), raw("b", {}, name="other"), raw("c", {})], seen_by="backfill")
    assert [e.upstream_id for e in log.entries_after(sync.pk, 0, limit=9, collection_ids=["fake:other"])] == ["b"]


def test_values_arrive_as_sent() -> None:
    sync, feed, rows = make_log()
    body = '{"big":123456789012345678901234567890,"dec":1.10,"e":"","n":null,"u":"\\u0000é😀‏","l":[[],[{}]]}'
    record = raw("a", {})
    record = type(record)("fake:thing", "a", body.encode(), 1)
    log.append(held(feed), rows, [record], seen_by="backfill")
    assert log.entries_after(sync.pk, 0, limit=1)[0].data == body


# --- Invariant 1: records and cursor commit together --------------------------------------------------------------


@contextmanager
def cursor_after_the_records() -> Iterator[None]:
    """The guard taken out: the cursor moves in a transaction of its own, before the records."""
    real = log.append

    def apart(*args, with_last=None, **kwargs):  # type: ignore[no-untyped-def]
        with_last()
        return real(*args, with_last=None, **kwargs)

    with mock.patch.object(log, "append", apart):
        yield


def test_invariant_1_records_and_cursor_commit_together() -> None:
    def scenario() -> None:
        _, feed, rows = make_log()
        feed = held(feed)
        with mock.patch.object(log_sql, "insert_records", side_effect=ConnectionError), pytest.raises(ConnectionError):
            log.append(
                feed, rows, [raw("a", {})], seen_by="feed", with_last=lambda: feed.fenced_update(cursor={"at": 1})
            )
        stands_at = Feed.objects.get(pk=feed.pk).cursor
        assert stands_at is None or Record.objects.filter(sync=feed.sync).exists()

    proves(scenario, without=cursor_after_the_records)


# --- Invariant 2: sequence order is commit order ------------------------------------------------------------------


@contextmanager
def numbers_from_a_counter() -> Iterator[None]:
    """The guard taken out: numbers come from a counter that is not locked until commit, as a database sequence's."""
    counter = itertools.count(1)

    def next_numbers(_sync_id: object, by: int) -> int:
        return [next(counter) for _ in range(by)][-1]

    with mock.patch.object(log, "advance_head", next_numbers):
        yield


def test_invariant_2_a_reader_that_has_seen_n_has_seen_all_below() -> None:
    """Two feeds of one sync append; the one that was first to ask for a number is last to commit.

    The other must wait for it (or be first): a reader that has seen the other's entry finds nothing new below it.
    """

    def scenario() -> None:
        sync, first, rows = make_log("thing", "other")
        second = held(Feed.objects.create(sync=sync, key="second"))
        first = held(first)
        numbered, read = threading.Event(), threading.Event()
        real = log_sql.insert_records

        def linger(records: list[tuple[object, ...]], **rest: object) -> None:
            real(records, **rest)
            if records[0][2] == "slow":
                numbered.set()
                read.wait(1.5)

        def slow() -> None:
            with contextlib.suppress(OperationalError):
                log.append(first, rows, [raw("slow", {})], seen_by="backfill")
            connection.close()

        with mock.patch.object(log_sql, "insert_records", linger):
            writer = threading.Thread(target=slow)
            writer.start()
            numbered.wait(5)
            log.append(second, rows, [raw("quick", {}, name="other")], seen_by="backfill")
            seen = {entry.seq for entry in log.entries_after(sync.pk, 0, limit=9)}
            read.set()
            writer.join()
        late = {entry.seq for entry in log.entries_after(sync.pk, 0, limit=9)} - seen
        assert not any(number < max(seen) for number in late)

    if connection.vendor == "sqlite":
        scenario()  # here the write transaction itself is the lock: there is no way to take it out
    else:
        proves(scenario, without=numbers_from_a_counter)


def test_invariant_2_numbers_are_given_back_when_the_transaction_fails() -> None:
    sync, feed, rows = make_log()
    with mock.patch.object(log_sql, "insert_records", side_effect=ConnectionError), pytest.raises(ConnectionError):
        log.append(held(feed), rows, [raw("a", {})], seen_by="feed")
    assert log.head(sync.pk) == 0


# --- Invariants 3 and 4 ---------------------------------------------------------------------------------------------


@contextmanager
def every_read_is_news() -> Iterator[None]:
    unlike = itertools.count()
    with mock.patch.object(rules, "digest", side_effect=lambda data, volatile=(): b"%d" % next(unlike)):
        yield


def test_invariant_3_unchanged_is_silent() -> None:
    def scenario() -> None:
        sync, feed, rows = make_log()
        feed = held(feed)
        for read_no in (1, 2, 3):
            log.append(feed, rows, [raw("a", {"n": 1}, read_no=read_no)], seen_by="feed")
        assert log.head(sync.pk) == 1

    proves(scenario, without=every_read_is_news)


@contextmanager
def last_write_wins() -> Iterator[None]:
    with mock.patch.object(rules, "is_older", return_value=False):
        yield


def test_invariant_4_a_newer_record_is_never_overwritten_by_an_older_read() -> None:
    def scenario() -> None:
        _, feed, rows = make_log()
        feed = held(feed)
        for read_no, n in ((2, 1), (5, 2), (4, 3), (6, 2), (5, 9)):
            log.append(feed, rows, [raw("a", {"n": n}, read_no=read_no)], seen_by="feed")
        assert Record.objects.get(sync=feed.sync).data == '{"n":2}'

    proves(scenario, without=last_write_wins)


@contextmanager
def lease_not_proven() -> Iterator[None]:
    with mock.patch.object(leases.Leased, "prove_lease"):
        yield


def test_overtaken_worker_writes_nothing() -> None:
    def scenario() -> None:
        sync, feed, rows = make_log()
        stale = held(feed)
        Feed.objects.filter(pk=feed.pk).update(lease_until=None)
        held(feed)
        with contextlib.suppress(LeaseLost):
            log.append(stale, rows, [raw("a", {"n": "stale"})], seen_by="feed")
        assert not Record.objects.filter(sync=sync).exists()

    proves(scenario, without=lease_not_proven)


# --- Announcing and removing ------------------------------------------------------------------------------------------


def test_consumers_hear_of_growth_after_commit_only() -> None:
    heard: list[object] = []
    sync, feed, rows = make_log()
    feed = held(feed)

    def listen(sender: object, sync_id: object, **_: object) -> None:
        heard.append((sync_id, connection.in_atomic_block))

    log.appended.connect(listen)
    try:
        with transaction.atomic():
            log.append(feed, rows, [raw("a", {})], seen_by="feed")
            assert heard == []
        log.append(feed, rows, [raw("a", {})], seen_by="feed")  # unchanged: silent
    finally:
        log.appended.disconnect(listen)
    assert heard == [(sync.pk, False)]


def test_removed_sync_buries_its_records_then_waits_for_consumers_then_goes() -> None:
    sync, feed, rows = make_log()
    log.append(held(feed), rows, [raw(str(n), {"n": n}) for n in range(250)], seen_by="backfill")
    Sync.objects.filter(pk=sync.pk).update(state="removing", removal="tombstones")
    answer = [False]

    def not_yet(sender: object, **_: object) -> bool:
        return answer[0]

    log.may_forget.connect(not_yet)
    try:
        while removal.carry_on():
            pass
        assert not Record.objects.filter(sync=sync, deleted=False).exists()
        assert Record.objects.filter(sync=sync).count() == 250
        assert SyncHead.objects.get(sync=sync).head_seq == 500
        answer[0] = True
        removal.carry_on()
    finally:
        log.may_forget.disconnect(not_yet)
    assert not Sync.objects.filter(pk=sync.pk).exists()
    assert not Record.objects.exists()
    assert not RecordChange.objects.exists()


def test_a_large_removal_ends_with_its_budget_and_the_next_task_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that took as long as the removal of a million records would be killed by the queue's own time-out."""
    sync, feed, rows = make_log()
    log.append(held(feed), rows, [raw(str(n), {"n": n}) for n in range(25)], seen_by="feed")
    Sync.objects.filter(pk=sync.pk).update(state="removing", removal="leave")
    monkeypatch.setattr(removal, "_FORGOTTEN", 10)
    assert removal.carry_on(budget_s=0) == 1
    assert sorted(Record.objects.values_list("seq", flat=True)) == list(range(11, 26))
    assert removal.is_under_way()
    while removal.carry_on():
        pass
    assert not Record.objects.exists()
    assert not removal.is_under_way()


def test_what_is_read_of_a_collection_removed_meanwhile_is_not_stored() -> None:
    """Nothing in the tables refuses it: PostgreSQL checked that row by row, for half of what an insert cost."""
    sync, feed, rows = make_log("thing", "other")
    feed = held(feed)
    assert removal._forget(sync, rows["fake:thing"], late_at=0)
    with pytest.raises(LeaseLost):
        log.append(feed, rows, [raw("a", {}), raw("b", {}, name="other")], seen_by="feed")
    assert not Record.objects.exists()
    log.append(feed, rows, [raw("b", {}, name="other")], seen_by="feed")
    assert stored() == {"b": "{}"}


@contextmanager
def writers_not_stopped() -> Iterator[None]:
    with mock.patch.object(removal, "_stop_writers", return_value=None):
        yield


@pytest.mark.only_on("postgres", "postgres-redis")  # SQLite has one writer at a time
def test_removal_waits_for_who_is_writing_and_leaves_nothing_of_it() -> None:
    def scenario() -> None:
        sync, feed, rows = make_log()
        feed = held(feed)
        log.append(feed, rows, [raw("a", {"n": 1})], seen_by="feed")
        Sync.objects.filter(pk=sync.pk).update(state="removing", removal="leave")
        has_written, may_commit = threading.Event(), threading.Event()

        def pause() -> None:
            has_written.set()
            assert may_commit.wait(60)

        def write() -> None:
            news = [raw("a", {"n": 2}, read_no=2), raw("b", {}, read_no=2)]
            log.append(feed, rows, news, seen_by="feed", with_last=pause)
            connection.close()

        def remove() -> None:
            while removal.carry_on():
                pass
            connection.close()

        writer, remover = threading.Thread(target=write), threading.Thread(target=remove)
        writer.start()
        assert has_written.wait(60)
        remover.start()
        wait_until_somebody_waits()
        may_commit.set()
        for thread in (writer, remover):
            thread.join(60)
        assert not Sync.objects.filter(pk=sync.pk).exists()
        assert not Record.objects.filter(sync=sync).exists()
        assert not RecordChange.objects.exists()

    proves(scenario, without=writers_not_stopped)


def wait_until_somebody_waits(within_s: float = 60) -> None:
    """Until a session of this database waits for a lock of another."""
    deadline = time.monotonic() + within_s
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone():
                return
            time.sleep(0.02)
    raise AssertionError(f"nobody has waited within {within_s} s")


def test_one_process_carries_on_removals_at_a_time() -> None:
    sync, feed, rows = make_log()
    log.append(held(feed), rows, [raw("a", {})], seen_by="feed")
    Sync.objects.filter(pk=sync.pk).update(state="removing", removal="tombstones")
    Duty.objects.create(name=removal.DUTY)
    other = leases.take(Duty, removal.DUTY, seconds=60)
    assert other is not None
    assert removal.carry_on() == 0
    other.release()
    assert removal.carry_on() > 0
