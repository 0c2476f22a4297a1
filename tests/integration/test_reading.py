"""Feeds read through the engine, from an upstream in memory: the invariants of reading, each with its proof."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.db.models import F, Q
from django.utils import timezone

from sequin_console.common.leases import LeaseLost
from sequin_console.common.problems import Problem
from syncs import braking, log, services, sweeping, tasks
from syncs.models import Credential, Feed, Record, RecordChange, SweptId, Sync, SyncCollection
from syncs.providers.kit import errors
from syncs.reading import FeedRun
from tests.fake_provider import Upstream, collection
from tests.guards import proves

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream()
    with world.registered():
        yield world


def read(sync: Sync) -> None:
    """Look now, whatever the interval says, and carry on until nothing is due."""
    for _ in range(6):
        Feed.objects.filter(sync=sync, looked_at__isnull=False).update(looked_at=timezone.now() - timedelta(days=1))
        tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))
        if not sync.collections.filter(phase__in=["waiting", "backfilling"], retry_at=None).exists():
            return


def live(sync: Sync) -> set[str]:
    return set(Record.objects.filter(sync=sync, deleted=False).values_list("upstream_id", flat=True))


def row_of(sync: Sync, name: str = "thing") -> SyncCollection:
    return sync.collections.get(collection_id=f"fake:{name}")


def test_history_then_changes_then_deletes(upstream: Upstream) -> None:
    upstream.fill(10)
    sync = upstream.sync()
    read(sync)
    assert row_of(sync).phase == "live"
    assert len(live(sync)) == 10
    upstream.write("thing-0003", n="changed")
    upstream.write("new", n=1)
    upstream.delete("thing-0001")
    read(sync)
    assert Record.objects.get(upstream_id="thing-0003").data == '{"id":"thing-0003","n":"changed"}'
    assert "new" in live(sync)
    assert Record.objects.get(upstream_id="thing-0001").deleted


def test_next_look_is_set_by_the_interval(upstream: Upstream) -> None:
    sync = upstream.sync(poll_s=120)
    read(sync)
    feed = sync.feeds.get()
    assert feed.looked_at is not None
    assert feed.due_at is not None
    assert timedelta(seconds=115) < feed.due_at - feed.looked_at < timedelta(seconds=125)


def test_quiet_feeds_slow_down_and_busy_ones_speed_up_within_bounds(upstream: Upstream, vera, browser_of) -> None:
    def look() -> int:
        Feed.objects.update(looked_at=timezone.now() - timedelta(days=1))
        tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))
        feed = sync.feeds.get()
        assert feed.due_at is not None
        assert abs((feed.due_at - feed.looked_at).total_seconds() - max(feed.pace_s, 2)) < 2
        return feed.pace_s

    sync = upstream.sync(poll_s=2, quiet_poll_s=60)
    read(sync)
    quiet = [look() for _ in range(10)]
    assert quiet == sorted(quiet)
    assert quiet[-1] == 60
    page = re.sub(r"<[^>]+>", "", browser_of(vera).get(sync.get_absolute_url()).content.decode())
    assert re.search(r"every 2 s\w* to (60 s|1 min)\w*; now every (60 s|1 min)", page)
    upstream.write("new", n=1)
    assert look() == 2
    assert look() == 3


@contextmanager
def start_fixed_after_history() -> Iterator[None]:
    """The guard taken out: where changes start is asked only once the history has been read."""
    real = FeedRun._begin

    async def begin(self: FeedRun) -> None:
        with mock.patch.object(self.feed, "cursor", {"at": 0}):
            await real(self)

    async def look(self: FeedRun) -> None:
        rows = list(self.rows.values())
        if rows and all(row.phase == "live" for row in rows) and self.feed.cursor is None:
            cursor = await self.reader.start(self.feed.key, [])
            await self.orm(self.feed.fenced_update, cursor=cursor)
        await self._real_look()  # type: ignore[attr-defined]

    with (
        mock.patch.object(FeedRun, "_begin", begin),
        mock.patch.object(FeedRun, "_real_look", FeedRun._look, create=True),
        mock.patch.object(FeedRun, "_look", look),
    ):
        yield


def test_invariant_5_backfill_leaves_no_gap(upstream: Upstream) -> None:
    """A record changed behind the reader's back, while its history is being read, arrives all the same."""

    def scenario() -> None:
        upstream.things.clear()
        upstream.fill(9)
        pages: list[str] = []

        def meddle(walk: str, _collection: str) -> None:
            pages.append(walk)
            if walk == "backfill" and pages.count("backfill") == 3:
                upstream.write("thing-0000", n="changed meanwhile")

        sync = upstream.sync()
        upstream.before_page = meddle
        read(sync)
        read(sync)
        upstream.before_page = lambda *_: None
        data = Record.objects.get(sync=sync, upstream_id="thing-0000").data
        assert "changed meanwhile" in data

    proves(scenario, without=start_fixed_after_history)


def test_crash_between_pages_reads_at_most_one_page_again(upstream: Upstream) -> None:
    upstream.fill(9)
    sync = upstream.sync()
    reads: list[str] = []

    def cut(walk: str, _collection: str) -> None:
        if walk == "backfill":
            reads.append(walk)
            if len(reads) == 3:
                raise LeaseLost  # ends the run where it stands, with no bookkeeping

    upstream.before_page = cut
    tasks.read_feeds([sync.feeds.get().pk])
    before = set(Record.objects.values_list("upstream_id", flat=True))
    cursor = row_of(sync).backfill_cursor
    assert cursor is None or all(key <= cursor["after"] for key in before)
    read(sync)
    assert len(live(sync)) == 9
    assert len(reads) <= 3 + 2


# --- Invariant 8: the deletion brake ----------------------------------------------------------------------------------


def sweep_now(sync: Sync) -> None:
    sync.collections.update(sweep_due_at=timezone.now() - timedelta(seconds=1))
    read(sync)


def test_sweep_finds_what_was_deleted_without_a_word(upstream: Upstream) -> None:
    upstream.fill(100)
    sync = upstream.sync()
    read(sync)
    upstream.delete("thing-0007", quietly=True)
    sweep_now(sync)
    assert "thing-0007" not in live(sync)
    assert RecordChange.objects.get(kind="delete").seen_by == "sweep"


@contextmanager
def no_brake() -> Iterator[None]:
    with mock.patch.object(braking, "is_mass_delete", return_value=False):
        yield


def test_invariant_8_mass_delete_is_held_back_and_asked_about(upstream: Upstream) -> None:
    def scenario() -> None:
        upstream.things.clear()
        upstream.fill(100)
        sync = upstream.sync()
        read(sync)
        upstream.things["fake:thing"].clear()
        sweep_now(sync)
        assert len(live(sync)) == 100
        assert row_of(sync).held_deletes == 100

    proves(scenario, without=no_brake)


@pytest.mark.parametrize(("decision", "left"), [("release", 0), ("drop", 100)])
def test_a_person_decides_about_held_deletes(upstream: Upstream, decision: str, left: int) -> None:
    upstream.fill(100)
    sync = upstream.sync()
    read(sync)
    upstream.things["fake:thing"].clear()
    sweep_now(sync)
    services.decide_deletes(row_of(sync), decision, by=None)
    read(sync)
    assert len(live(sync)) == left
    assert row_of(sync).held_deletes == 0


def test_incomplete_sweep_deletes_nothing(upstream: Upstream) -> None:
    upstream.fill(20)
    sync = upstream.sync()
    read(sync)
    upstream.delete("thing-0019", quietly=True)
    seen: list[str] = []

    def fail(walk: str, _collection: str) -> None:
        if walk == "sweep":
            seen.append(walk)
            if len(seen) > 2:
                raise errors.UpstreamFailed("No answer.")

    upstream.before_page = fail
    sweep_now(sync)
    assert "thing-0019" in live(sync)
    upstream.before_page = lambda *_: None
    sync.collections.update(retry_at=None)
    read(sync)
    assert "thing-0019" not in live(sync)


def test_a_worker_that_was_overtaken_does_not_end_anothers_sweep(upstream: Upstream) -> None:
    """Else the other finds nothing of what it noted, takes all records for missing, and asks whether to delete them."""
    upstream.fill(20)
    sync = upstream.sync()
    read(sync)
    count = sweeping.count_missing

    def overtaken(row: SyncCollection) -> int:
        until = timezone.now() + timedelta(minutes=1)
        Feed.objects.filter(sync=sync, lease_until__lt=until).update(lease_no=F("lease_no") + 1, lease_until=until)
        return count(row)

    with mock.patch.object(sweeping, "count_missing", overtaken):
        sweep_now(sync)
    assert row_of(sync).sweep_read_no
    assert SweptId.objects.filter(collection=row_of(sync)).count() == 20


# --- Invariant 9: one sick neighbour stops nobody ---------------------------------------------------------------------


@contextmanager
def trouble_is_everybodys() -> Iterator[None]:
    """The guard taken out: a walk's failure ends the whole run."""

    async def bare(self: FeedRun, walk: object, *_: object) -> None:
        await walk  # type: ignore[misc]

    with mock.patch.object(FeedRun, "_guarded", bare):
        yield


def test_invariant_9_a_collection_in_trouble_is_held_back_alone() -> None:
    def scenario() -> None:
        world = Upstream(collections=(collection("sick", "shared"), collection("well", "shared")))
        with world.registered():
            world.fill(5, "sick")
            world.fill(5, "well")

            def fail(walk: str, collection_id: str) -> None:
                if walk == "backfill" and collection_id == "fake:sick":
                    raise errors.PermissionMissing("The user may not read sick things.")

            world.before_page = fail
            sync = world.sync()
            read(sync)
            well, sick = row_of(sync, "well"), row_of(sync, "sick")
            assert (well.phase, well.live_count) == ("live", 5)
            assert (sick.phase, sick.error_kind) == ("error", "permission")
            assert sick.next_step

    proves(scenario, without=trouble_is_everybodys)


def test_collection_recovers_when_its_time_has_come(upstream: Upstream) -> None:
    upstream.fill(4)

    def fail(walk: str, _collection: str) -> None:
        raise errors.PermissionMissing("May not read.")

    upstream.before_page = fail
    sync = upstream.sync()
    read(sync)
    assert row_of(sync).phase == "error"
    upstream.before_page = lambda *_: None
    services.look_now(sync, by=None)
    read(sync)
    row = row_of(sync)
    assert (row.phase, row.live_count, row.error) == ("live", 4, "")


def test_rate_limit_pauses_the_whole_credential(upstream: Upstream, queued: list[tuple[object, ...]]) -> None:
    upstream.fill(4)
    sync = upstream.sync()

    def fail(walk: str, _collection: str) -> None:
        raise errors.RateLimited("Slow down.", retry_after_s=600)

    upstream.before_page = fail
    read(sync)
    credential = Credential.objects.get()
    assert credential.not_before is not None
    assert credential.not_before > timezone.now() + timedelta(seconds=500)
    Feed.objects.update(due_at=timezone.now(), queued_until=None)
    assert tasks.enqueue_due() == 0


def test_refused_credential_waits_for_a_person(upstream: Upstream) -> None:
    sync = upstream.sync()

    def fail(walk: str, _collection: str) -> None:
        raise errors.CredentialsRefused("Revoked.")

    upstream.before_page = fail
    read(sync)
    assert Credential.objects.get().state == "reconnect"
    assert tasks.enqueue_due() == 0
    with pytest.raises(Problem):
        services.create_sync(
            {"name": "x", "credential": Credential.objects.get(), "collection_ids": ["fake:thing"]}, by=None
        )


def test_lost_cursor_means_reading_history_again(upstream: Upstream) -> None:
    upstream.fill(4)
    sync = upstream.sync()
    read(sync)
    lost = [True]

    def fail(walk: str, _collection: str) -> None:
        if walk == "changes" and lost:
            lost.pop()
            raise errors.CursorLost("Too long ago.")

    upstream.before_page = fail
    upstream.things["fake:thing"]["missed"] = {"id": "missed"}  # no event tells of it any more
    read(sync)
    read(sync)
    assert "missed" in live(sync)


def test_database_in_trouble_is_named(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is nothing to report to us: who runs the console can do something about it."""
    upstream.fill(2)
    sync = upstream.sync()
    full = OperationalError('could not extend file "base/1/2": No space left on device')
    monkeypatch.setattr(log, "append", mock.Mock(side_effect=full))
    read(sync)
    row, feed = row_of(sync), sync.feeds.get()
    (unit,) = [unit for unit in (row, feed) if unit.error]
    assert (unit.error_kind, unit.error) == ("database", "The disk of the database is full.")
    assert unit.next_step.startswith("Make room on it.")


def test_unforeseen_error_is_logged_and_tried_again(upstream: Upstream) -> None:
    sync = upstream.sync()
    upstream.before_page = lambda *_: 1 / 0  # type: ignore[assignment]
    read(sync)
    row, feed = row_of(sync), sync.feeds.get()
    assert "internal" in (row.error_kind, feed.error_kind)
    assert feed.due_at is not None
    assert feed.due_at > timezone.now()


# --- Invariant 11: everything queued can be lost ----------------------------------------------------------------------


def test_invariant_11_lost_work_is_found_again(upstream: Upstream, queued: list[tuple[object, ...]]) -> None:
    def scenario() -> None:
        queued.clear()
        sync = upstream.sync()
        assert tasks.enqueue_due() == 1
        assert tasks.enqueue_due() == 0  # queued a moment ago: not twice
        queued.clear()  # the queue is lost
        Feed.objects.filter(sync=sync).update(queued_until=timezone.now() - timedelta(seconds=1))
        tasks.enqueue_due()
        assert queued

    proves(scenario, without=queued_for_ever)


@contextmanager
def queued_for_ever() -> Iterator[None]:
    """The guard taken out: what was queued once is never looked for again."""
    with mock.patch("sequin_console.common.task_queue.may_be_queued", return_value=Q(queued_until=None)):
        yield


def test_unit_in_somebodys_hands_is_not_queued(upstream: Upstream) -> None:
    sync = upstream.sync()
    Feed.objects.filter(sync=sync).update(lease_until=timezone.now() + timedelta(seconds=30))
    assert tasks.enqueue_due() == 0


# --- What people do to syncs ------------------------------------------------------------------------------------------


def test_paused_sync_is_not_read(upstream: Upstream) -> None:
    upstream.fill(4)
    sync = upstream.sync()
    services.pause_sync(sync, by=None)
    assert tasks.enqueue_due() == 0
    tasks.read_feeds([sync.feeds.get().pk])
    assert live(sync) == set()
    services.resume_sync(sync, by=None)
    read(sync)
    assert len(live(sync)) == 4


def test_reading_again_finds_what_differs_and_stays_silent_about_the_rest(upstream: Upstream) -> None:
    upstream.fill(60)
    sync = upstream.sync()
    read(sync)
    upstream.things["fake:thing"]["thing-0001"]["n"] = "edited in silence"
    del upstream.things["fake:thing"]["thing-0002"]
    services.resync(sync, None, by=None)
    read(sync)
    read(sync)
    assert log.head(sync.pk) == 60 + 2
    assert "thing-0002" not in live(sync)


def test_collection_added_later_is_backfilled_and_the_others_are_left_alone() -> None:
    world = Upstream(collections=(collection("one", "shared"), collection("two", "shared")))
    with world.registered():
        world.fill(3, "one")
        world.fill(3, "two")
        sync = world.sync("one")
        read(sync)
        services.update_sync(sync, {"collection_ids": ["fake:one", "fake:two"]}, by=None)
        read(sync)
        assert len(live(sync)) == 6
        assert row_of(sync, "one").backfill_read == 3


def test_unknown_collection_is_refused_by_name(upstream: Upstream) -> None:
    with pytest.raises(Problem) as caught:
        upstream.sync("nonsense")
    assert "fake:nonsense" in caught.value.message
    assert "collection_ids" in caught.value.fields
    assert not Sync.objects.exists()


def test_a_wait_that_is_over_keeps_no_feed_awake(upstream: Upstream) -> None:
    """What failed of a live collection (a record that a webhook named) may be put off beyond the collection's wait."""
    sync = upstream.sync(poll_s=600)
    read(sync)
    past = timezone.now() - timedelta(seconds=1)
    sync.collections.update(retry_at=past, failures=1, error="It did not answer.")
    tasks.read_feeds([sync.feeds.get().pk])
    assert sync.feeds.get().due_at > timezone.now() + timedelta(seconds=500)
    assert row_of(sync).retry_at is None
    read(sync)
    assert row_of(sync).error == ""
