"""Reading, the finer points: second readings, records set aside, collections that come back, and the shared pause."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from syncs import log, reading, tasks
from syncs.engine import aside
from syncs.models import Credential, Feed, Record, RecordChange, Sync, SyncCollection
from syncs.providers.kit import errors
from syncs.providers.kit.records import Page
from tests.fake_provider import Upstream, collection
from tests.integration.test_reading import live, read, row_of, sweep_now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]


@pytest.fixture
def quiet() -> Iterator[Upstream]:
    """An upstream whose things change without a word; they are read again once a day."""
    world = Upstream(collections=(collection("thing", reread_every_h=24),), silent=True)
    with world.registered():
        yield world


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream()
    with world.registered():
        yield world


def shared() -> Upstream:
    return Upstream(collections=(collection("sick", "shared"), collection("well", "shared")))


def walks_of(world: Upstream) -> list[str]:
    """From now on, the walk of each page that is read."""
    walks: list[str] = []
    world.before_page = lambda walk, _collection: walks.append(walk)
    return walks


def reread_now(sync: Sync) -> None:
    sync.collections.update(reread_due_at=timezone.now() - timedelta(seconds=1))
    read(sync)


# --- Values that change without a word --------------------------------------------------------------------------------


def test_a_value_that_changed_without_a_word_arrives_and_the_phase_stays_live(quiet: Upstream) -> None:
    quiet.fill(7)
    sync = quiet.sync()
    read(sync)
    quiet.things["fake:thing"]["thing-0005"]["n"] = "recalculated"
    seen: list[str] = []

    def note(**_: object) -> None:
        seen.append(row_of(sync).phase)

    log.appended.connect(note)
    try:
        reread_now(sync)
    finally:
        log.appended.disconnect(note)
    assert "recalculated" in Record.objects.get(upstream_id="thing-0005").data
    assert log.head(sync.pk) == 8
    assert RecordChange.objects.get().seen_by == "reread"
    assert seen == ["live"]
    row = row_of(sync)
    assert row.reread_cursor is None
    assert row.reread_due_at is not None
    assert row.reread_due_at > timezone.now() + timedelta(hours=23)


def test_reading_again_is_due_a_day_after_history_and_wakes_the_feed(quiet: Upstream) -> None:
    quiet.fill(2)
    sync = quiet.sync(poll_s=7 * 24 * 3600)
    read(sync)
    due_at, feed = row_of(sync).reread_due_at, sync.feeds.get()
    assert due_at is not None
    assert feed.due_at == due_at
    walks = walks_of(quiet)
    read(sync)
    assert "backfill" not in walks


def test_reading_again_goes_on_from_run_to_run_behind_the_look(quiet: Upstream) -> None:
    quiet.fill(12)
    sync = quiet.sync()
    read(sync)
    walks = walks_of(quiet)
    real = reading.FeedRun.store

    def store(run: reading.FeedRun, page: Page, seen_by: str, move: Any) -> None:
        real(run, page, seen_by, move)
        if seen_by == "reread":
            run.late_at = 0  # the budget is spent after each page

    looked = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading.FeedRun, "store", store)
        sync.collections.update(reread_due_at=timezone.now())
        for _ in range(10):
            Feed.objects.update(looked_at=timezone.now() - timedelta(days=1))
            before = len(walks)
            tasks.read_feeds([sync.feeds.get().pk])
            assert walks[before] == "changes", "the look comes first in every run"
            looked += 1
            if row_of(sync).reread_cursor is None:
                break
            assert sync.feeds.get().due_at <= timezone.now(), "goes on at once"  # type: ignore[operator]
    assert looked > 1
    assert walks.count("backfill") < 4 + looked  # four pages, and what was read ahead in vain


def test_a_collection_that_keeps_its_word_is_not_read_again(quiet: Upstream) -> None:
    quiet.fill(3)
    quiet.silent = False
    sync = quiet.sync()
    read(sync)
    walks = walks_of(quiet)
    reread_now(sync)
    assert "backfill" not in walks
    assert row_of(sync).reread_due_at > timezone.now()  # type: ignore[operator]


def test_a_place_lost_while_reading_again_does_not_end_being_live(quiet: Upstream) -> None:
    quiet.fill(7)
    sync = quiet.sync()
    read(sync)

    def lose(walk: str, _collection: str) -> None:
        if walk == "backfill":
            raise errors.CursorLost("Forgot.")

    quiet.before_page = lose
    reread_now(sync)
    assert row_of(sync).phase == "live"
    assert row_of(sync).reread_due_at > timezone.now()  # type: ignore[operator]


# --- Records that cannot be read --------------------------------------------------------------------------------------


def test_invariant_9_a_sick_record_is_set_aside_and_tried_again(upstream: Upstream) -> None:
    upstream.fill(7)
    upstream.sick = {"thing-0002"}
    sync = upstream.sync()
    read(sync)
    row = row_of(sync)
    assert (row.phase, row.live_count, row.skipped_count) == ("live", 6, 1)
    assert row.skipped_sample == ["thing-0002: Sick."]
    assert row.aside_due_at is not None
    assert row.aside_due_at > timezone.now()
    upstream.sick = set()
    SyncCollection.objects.update(aside_due_at=timezone.now())
    read(sync)
    row = row_of(sync)
    assert "thing-0002" in live(sync)
    assert (row.skipped_count, row.skipped_sample, row.set_aside, row.aside_due_at) == (0, [], [], None)


def test_a_record_still_sick_waits_for_its_next_turn(upstream: Upstream) -> None:
    upstream.fill(4)
    upstream.sick = {"thing-0001", "thing-0003"}
    sync = upstream.sync()
    read(sync)
    upstream.sick = {"thing-0001"}
    SyncCollection.objects.update(aside_due_at=timezone.now())
    read(sync)
    row = row_of(sync)
    assert (row.set_aside, row.skipped_count) == (["thing-0001"], 1)
    assert row.aside_due_at is not None
    assert row.aside_due_at > timezone.now()


def test_a_record_that_comes_by_itself_is_set_aside_no_longer(upstream: Upstream) -> None:
    upstream.fill(4)
    upstream.sick = {"thing-0001"}
    sync = upstream.sync()
    read(sync)
    upstream.sick = set()
    upstream.write("thing-0001", n="well again")
    read(sync)
    assert (row_of(sync).set_aside, row_of(sync).skipped_count) == ([], 0)


def test_skips_are_counted_for_their_own_collection_once() -> None:
    world = shared()
    with world.registered():
        world.fill(2, "sick")
        world.fill(2, "well")
        sync = world.sync()
        read(sync)
        world.sick = {"sick-0000", "sick-0001"}
        world.write("sick-0000", "sick", n="a")  # a page of sick ones alone
        world.write("sick-0001", "sick", n="b")
        read(sync)
        world.write("sick-0000", "sick", n="c")
        read(sync)
        assert row_of(sync, "sick").skipped_count == 2
        assert row_of(sync, "sick").skipped_sample == ["sick-0000: Sick.", "sick-0001: Sick."]
        assert row_of(sync, "well").skipped_count == 0


def test_too_many_sick_records_are_a_sick_collection(upstream: Upstream) -> None:
    upstream.fill(aside.MOST + 10)
    upstream.sick = {f"thing-{number:04}" for number in range(aside.MOST + 5)}
    upstream.page_size = 100
    sync = upstream.sync()
    read(sync)
    row = row_of(sync)
    assert (row.phase, row.error_kind) == ("error", "shape")
    assert len(row.set_aside) <= aside.MOST
    upstream.sick = set()
    SyncCollection.objects.update(retry_at=timezone.now())
    read(sync)
    assert (row_of(sync).phase, row_of(sync).live_count, row_of(sync).set_aside) == ("live", aside.MOST + 10, [])


# --- Coming back from trouble -----------------------------------------------------------------------------------------


def forbid(world: Upstream, name: str) -> None:
    def fail(walk: str, collection_id: str) -> None:
        if walk == "sweep" and collection_id == f"fake:{name}":
            raise errors.PermissionMissing("May not read.")

    world.before_page = fail


def test_on_a_shared_feed_a_collection_comes_back_by_reading_its_history() -> None:
    world = shared()
    with world.registered():
        world.fill(3, "sick")
        world.fill(3, "well")
        sync = world.sync()
        read(sync)
        forbid(world, "sick")
        sweep_now(sync)
        assert row_of(sync, "sick").phase == "error"
        world.write("sick-0000", "sick", n="went by unread")
        world.delete("sick-0001", "sick")
        world.write("well-0000", "well", n="moves the cursor on")
        read(sync)
        world.before_page = lambda *_: None
        sync.collections.filter(phase="error").update(retry_at=timezone.now())
        read(sync)
        read(sync)
        assert row_of(sync, "sick").phase == "live"
        assert "went by unread" in Record.objects.get(upstream_id="sick-0000").data
        assert "sick-0001" not in live(sync)
        assert row_of(sync, "well").backfill_read == 3


def test_on_a_feed_of_its_own_a_collection_goes_on_where_it_stood(upstream: Upstream) -> None:
    upstream.fill(3)
    sync = upstream.sync()
    read(sync)
    forbid(upstream, "thing")
    sweep_now(sync)
    assert row_of(sync).phase == "error"
    upstream.write("thing-0000", n="meanwhile")
    read(sync)
    walks = walks_of(upstream)
    sync.collections.update(retry_at=timezone.now())
    read(sync)
    assert row_of(sync).phase == "live"
    assert "backfill" not in walks
    assert "meanwhile" in Record.objects.get(upstream_id="thing-0000").data


def test_held_deletes_wait_without_work(upstream: Upstream) -> None:
    upstream.fill(100)
    sync = upstream.sync(poll_s=3600)
    read(sync)
    upstream.things["fake:thing"].clear()
    sweep_now(sync)
    feed = sync.feeds.get()
    assert row_of(sync).held_deletes == 100
    assert feed.due_at is not None
    assert feed.due_at > timezone.now() + timedelta(minutes=50)


def test_missing_ids_say_nothing_where_records_only_age_out() -> None:
    world = Upstream(collections=(collection("thing", sweep_every_h=None),))
    with world.registered():
        world.fill(60)
        sync = world.sync()
        read(sync)
        world.delete("thing-0001", quietly=True)
        sweep_now(sync)
        assert "thing-0001" in live(sync)
        assert row_of(sync).sweep_due_at is None


# --- The shared pause -------------------------------------------------------------------------------------------------


def test_a_feed_queued_before_the_pause_is_not_read(upstream: Upstream) -> None:
    upstream.fill(4)
    sync = upstream.sync()
    Credential.objects.update(not_before=timezone.now() + timedelta(minutes=10))
    walks = walks_of(upstream)
    tasks.read_feeds([sync.feeds.get().pk])
    assert walks == []
    Credential.objects.update(not_before=timezone.now())
    read(sync)
    assert len(live(sync)) == 4


def test_a_pause_from_another_process_ends_a_run_at_its_next_page(upstream: Upstream) -> None:
    upstream.fill(12)
    sync = upstream.sync()
    walks = walks_of(upstream)

    def pause(**_: object) -> None:
        Credential.objects.update(not_before=timezone.now() + timedelta(minutes=10))

    log.appended.connect(pause)
    try:
        tasks.read_feeds([sync.feeds.get().pk])
    finally:
        log.appended.disconnect(pause)
    assert walks.count("backfill") == 2  # one was read ahead
    assert len(live(sync)) == upstream.page_size
    assert row_of(sync).error == ""
