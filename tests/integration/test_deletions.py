"""Deletions: how they are told of, held back when they look like lost access, and caught up after an outage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sequin_console.common.models import AuditEvent
from sequin_console.common.problems import Problem
from syncs import braking, census, queries, services, sweeping, tasks, tuning
from syncs.models import Feed, Record, RecordChange, Sync
from syncs.providers.kit import errors
from syncs.states import Phase
from tests.api_client import ApiClient
from tests.fake_provider import Upstream, collection
from tests.guards import proves
from tests.integration.test_reading import live, read, row_of, sweep_now

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
DAY_S = 24 * 3600


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream(collections=(collection("thing", remembers_s=30 * DAY_S),))
    with world.registered():
        yield world


def synced(upstream: Upstream, count: int = 200) -> Sync:
    upstream.things.clear()
    upstream.journal.clear()
    upstream.fill(count)
    sync = upstream.sync()
    read(sync)
    return sync


def lose(upstream: Upstream, begin: int, end: int) -> None:
    """The provider says of each of these that it is deleted."""
    for number in range(begin, end):
        upstream.delete(f"thing-{number:04}")


# --- The brake on what upstream tells of ------------------------------------------------------------------------------


@contextmanager
def feed_unbraked() -> Iterator[None]:
    with mock.patch.object(braking, "let_through", lambda run, records: (records, lambda: None)):
        yield


def test_invariant_8_deletions_told_in_mass_are_held_back_and_asked_about(upstream: Upstream) -> None:
    def scenario() -> None:
        sync = synced(upstream)
        lose(upstream, 0, 120)
        read(sync)
        read(sync)
        row = row_of(sync)
        assert row.held_deletes == 120 - (200 - len(live(sync)))
        assert len(live(sync)) >= 200 - 50
        assert "within an hour" in row.held_why

    proves(scenario, without=feed_unbraked)


@pytest.mark.parametrize(("decision", "left"), [("release", 80), ("drop", 150)])
def test_a_person_decides_about_deletions_told_in_mass(upstream: Upstream, decision: str, left: int) -> None:
    """3 a page: 50 go, the 51st is too many. Whoever decides decides about the rest."""
    sync = synced(upstream)
    lose(upstream, 0, 120)
    read(sync)
    read(sync)
    services.decide_deletes(row_of(sync), decision, by=None)
    read(sync)
    row = row_of(sync)
    assert (row.held_deletes, row.is_braked, row.held_why) == (0, False, "")
    assert abs(len(live(sync)) - left) <= 3 * (decision == "drop")
    assert row.live_count == len(live(sync))
    assert row.sweep_due_at is not None
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"deletes.braked", "deletes.held", f"deletes.{decision}"} <= actions


def test_usual_deletions_go_through(upstream: Upstream) -> None:
    sync = synced(upstream)
    lose(upstream, 0, 50)
    read(sync)
    assert len(live(sync)) == 150
    assert not row_of(sync).is_braked


def test_deletions_far_apart_are_not_counted_together(upstream: Upstream) -> None:
    sync = synced(upstream)
    lose(upstream, 0, 40)
    read(sync)
    sync.collections.update(gone_since=timezone.now() - timedelta(hours=2))
    lose(upstream, 40, 80)
    read(sync)
    assert len(live(sync)) == 120
    lose(upstream, 80, 120)
    read(sync)
    read(sync)
    assert row_of(sync).held_deletes > 0


def test_share_and_least_number_are_the_syncs_own(upstream: Upstream) -> None:
    sync = synced(upstream)
    services.update_sync(sync, {"brake_percent": 1, "brake_at_least": 2}, by=None)
    lose(upstream, 0, 3)
    read(sync)
    read(sync)
    assert row_of(sync).held_deletes == 3
    services.update_sync(sync, {"brake_percent": 100, "brake_at_least": 0}, by=None)
    services.decide_deletes(row_of(sync), "release", by=None)
    read(sync)
    lose(upstream, 3, 190)
    read(sync)
    assert len(live(sync)) == 10
    with pytest.raises(Problem):
        services.update_sync(sync, {"brake_percent": 101}, by=None)


def test_a_comparison_under_way_begins_again_when_the_brake_sets_in(upstream: Upstream) -> None:
    """It has met some of the ids before they went: it would not find them missing."""
    sync = synced(upstream)
    pages: list[str] = []

    def stop(walk: str, _collection: str) -> None:
        pages.append(walk)
        if walk == "sweep" and pages.count("sweep") == 40:
            raise errors.UpstreamFailed("No answer.")

    upstream.before_page = stop
    sweep_now(sync)
    assert row_of(sync).sweep_read_no
    upstream.before_page = lambda *_: None
    lose(upstream, 0, 120)
    sync.collections.update(retry_at=None)
    read(sync)
    read(sync)
    held = row_of(sync).held_deletes
    assert held
    assert held == len(live(sync)) - 80


def test_deletions_told_while_a_question_is_open_are_found_after_its_answer(upstream: Upstream) -> None:
    sync = synced(upstream)
    for number in range(60):
        upstream.delete(f"thing-{number:04}", quietly=True)
    sweep_now(sync)
    assert row_of(sync).held_deletes == 60
    lose(upstream, 60, 180)
    read(sync)
    assert row_of(sync).is_braked
    services.decide_deletes(row_of(sync), "release", by=None)
    read(sync)
    read(sync)
    assert row_of(sync).held_deletes == len(live(sync)) - 20
    services.decide_deletes(row_of(sync), "release", by=None)
    read(sync)
    assert len(live(sync)) == 20


def test_where_ids_are_never_compared_what_upstream_tells_counts() -> None:
    world = Upstream(collections=(collection("thing", sweep_every_h=None),))
    with world.registered():
        sync = synced(world)
        lose(world, 0, 150)
        read(sync)
        assert len(live(sync)) == 50


# --- A permission that shrank ----------------------------------------------------------------------------------------


@contextmanager
def reach_unseen() -> Iterator[None]:
    with mock.patch.object(sweeping, "out_of_reach", return_value=[]):
        yield


def test_one_record_missing_is_asked_about_when_the_connection_sees_less(upstream: Upstream) -> None:
    def scenario() -> None:
        upstream.places = {"1": "acme/site", "2": "acme/api"}
        sync = synced(upstream)
        sweep_now(sync)
        assert row_of(sync).reach == upstream.places
        upstream.places = {"1": "acme/site-renamed"}
        upstream.delete("thing-0003", quietly=True)
        sweep_now(sync)
        row = row_of(sync)
        assert (row.held_deletes, "thing-0003" in live(sync)) == (1, True)
        assert "acme/api" in row.held_why
        assert "acme/site" not in row.held_why

    proves(scenario, without=reach_unseen)


@pytest.mark.parametrize(("decision", "is_asked_again"), [("release", False), ("drop", True)])
def test_lost_access_is_asked_about_again_until_it_is_called_deleted(
    upstream: Upstream, decision: str, is_asked_again: bool
) -> None:
    upstream.places = {"1": "acme/site", "2": "acme/api"}
    sync = synced(upstream)
    sweep_now(sync)
    upstream.places = {"1": "acme/site"}
    upstream.delete("thing-0003", quietly=True)
    sweep_now(sync)
    services.decide_deletes(row_of(sync), decision, by=None)
    read(sync)
    assert ("thing-0003" in live(sync)) == is_asked_again
    upstream.delete("thing-0004", quietly=True)
    sweep_now(sync)
    assert bool(row_of(sync).held_deletes) == is_asked_again
    assert ("thing-0004" in live(sync)) == is_asked_again


# --- The interval ----------------------------------------------------------------------------------------------------


def test_interval_chosen_for_a_sync_counts_from_the_last_comparison(upstream: Upstream) -> None:
    sync = synced(upstream)
    sweep_now(sync)
    tuning.change(row_of(sync), {"sweep_every_h": 6}, by=None)
    row = row_of(sync)
    assert row.sweep_due_at is not None
    assert row.swept_at is not None
    assert row.sweep_due_at - row.swept_at == timedelta(hours=6)
    sweep_now(sync)
    row = row_of(sync)
    assert row.sweep_due_at is not None
    assert timedelta(hours=5.9) < row.sweep_due_at - timezone.now() < timedelta(hours=6.1)
    tuning.change(row, {"sweep_every_h": None}, by=None)
    due_at = row_of(sync).sweep_due_at
    assert due_at is not None
    assert due_at - timezone.now() > timedelta(days=6)
    assert "6 hours" not in queries.deletes_of(row_of(sync), sync).in_words


def test_never_means_never_but_after_lost_access_and_reading_again(upstream: Upstream) -> None:
    sync = synced(upstream)
    tuning.change(row_of(sync), {"sweep_every_h": 0}, by=None)
    assert row_of(sync).sweep_due_at is None
    assert "never found" in queries.deletes_of(row_of(sync), sync).at_worst
    upstream.things["fake:thing"].clear()
    services.resync(sync, None, by=None)
    read(sync)
    read(sync)
    assert row_of(sync).held_deletes == 200
    services.decide_deletes(row_of(sync), "drop", by=None)
    read(sync)
    assert len(live(sync)) == 200
    due_at = row_of(sync).sweep_due_at
    assert due_at is not None
    assert due_at > timezone.now() + timedelta(days=6)


@pytest.mark.parametrize("hours", [-1, 2_161])
def test_interval_beyond_reason_is_refused(upstream: Upstream, hours: int) -> None:
    sync = synced(upstream, 3)
    with pytest.raises(Problem) as refused:
        tuning.change(row_of(sync), {"sweep_every_h": hours}, by=None)
    assert "sweep_every_h" in refused.value.fields


def test_no_interval_is_chosen_where_missing_ids_say_nothing() -> None:
    world = Upstream(collections=(collection("thing", sweep_every_h=None),))
    with world.registered():
        sync = synced(world, 3)
        with pytest.raises(Problem):
            tuning.change(row_of(sync), {"sweep_every_h": 24}, by=None)


# --- A census after an outage ----------------------------------------------------------------------------------------


def be_away(sync: Sync, days: float) -> None:
    Feed.objects.filter(sync=sync).update(looked_at=timezone.now() - timedelta(days=days), due_at=timezone.now())


def look(sync: Sync) -> None:
    Feed.objects.filter(sync=sync).update(due_at=timezone.now(), queued_until=None)
    tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))


@contextmanager
def no_census() -> Iterator[None]:
    with mock.patch.object(census, "missed", return_value=""):
        yield


def test_after_a_longer_absence_than_upstream_remembers_everything_is_read_again(upstream: Upstream) -> None:
    def scenario() -> None:
        sync = synced(upstream, 20)
        upstream.write("thing-0001", n="nobody will tell")
        upstream.delete("thing-0002")
        forgotten = len(upstream.journal)
        Feed.objects.filter(sync=sync).update(cursor={"at": forgotten})  # the journal begins after what happened
        be_away(sync, 34)
        look(sync)
        told = queries.sync_page(sync)["censuses"]
        for _ in range(3):
            look(sync)
        assert "nobody will tell" in Record.objects.get(sync=sync, upstream_id="thing-0001").data
        assert "thing-0002" not in live(sync)
        assert told == [
            "We were away 34 days; Fake remembers 30 days. Everything is being read again, and all ids are compared."
        ]
        assert queries.sync_page(sync)["censuses"] == []
        assert row_of(sync).phase == Phase.LIVE
        assert RecordChange.objects.filter(record__sync_id=sync.pk, kind="update").count() == 1

    proves(scenario, without=no_census)


def test_a_shorter_absence_is_caught_up_by_the_changes_alone(upstream: Upstream) -> None:
    sync = synced(upstream, 20)
    upstream.delete("thing-0002")
    be_away(sync, 20)
    walks: list[str] = []
    upstream.before_page = lambda walk, _: walks.append(walk)
    look(sync)
    assert "thing-0002" not in live(sync)
    assert set(walks) == {"changes"}


def test_a_lost_cursor_is_a_census_too(upstream: Upstream) -> None:
    sync = synced(upstream, 20)
    is_lost = [True]

    def lose_place(walk: str, _collection: str) -> None:
        if walk == "changes" and is_lost:
            is_lost.clear()
            raise errors.CursorLost("Fake forgot where we were.")

    upstream.before_page = lose_place
    be_away(sync, 1)
    look(sync)
    assert queries.sync_page(sync)["censuses"][0].startswith("Fake forgot where we were. Everything is being read")
    for _ in range(3):
        look(sync)
    assert queries.sync_page(sync)["censuses"] == []
    assert Feed.objects.get(sync=sync).census_at is None


# --- API and pages ---------------------------------------------------------------------------------------------------


def test_api_tells_how_deletions_are_found_and_takes_an_interval(upstream: Upstream) -> None:
    api = ApiClient()
    sync = synced(upstream, 20)
    body = {"brake_percent": 10, "brake_at_least": 5}
    assert api.patch(f"syncs/{sync.pk}", body).json()["brake_percent"] == 10
    answer = api.patch(f"syncs/{sync.pk}/collections/fake:thing", {"sweep_every_h": 12})
    assert answer.status_code == 200, answer.json()
    told = answer.json()["collections"][0]["deletions"]
    assert (told["sweep_every_h"], told["is_chosen"]) == (12, True)
    assert "12 hours" in told["at_worst"]
    assert "one request each time" in told["cost"]
    assert api.patch(f"syncs/{sync.pk}/collections/fake:thing", {}).json()["collections"][0]["deletions"] == told
    assert api.patch(f"syncs/{sync.pk}/collections/fake:none", {}).status_code == 404
    assert AuditEvent.objects.filter(action="collection.changed").exists()


@pytest.mark.parametrize(("posted", "every_h"), [("own", None), ("6", 6), ("0", 0), ("hours", 36)])
def test_page_takes_an_interval(
    upstream: Upstream, ada, browser_of: Callable[..., Client], posted: str, every_h: int | None
) -> None:
    sync = synced(upstream, 3)
    row = row_of(sync)
    path = reverse("syncs:collection", args=[sync.pk, row.pk])
    page = browser_of(ada).get(path).content.decode()
    assert "How late at worst" in page
    assert "stays live on the stream for ever" in page
    saved = browser_of(ada).post(path, {"sweep": posted, "hours": "36"})
    assert saved.status_code == 303
    assert row_of(sync).sweep_every_h == every_h


def test_page_asks_for_hours(upstream: Upstream, ada, browser_of: Callable[..., Client]) -> None:
    sync = synced(upstream, 3)
    path = reverse("syncs:collection", args=[sync.pk, row_of(sync).pk])
    assert browser_of(ada).post(path, {"sweep": "hours", "hours": ""}).status_code == 422


def test_sync_page_says_what_is_held_back_and_why(upstream: Upstream, ada, browser_of: Callable[..., Client]) -> None:
    sync = synced(upstream)
    lose(upstream, 0, 120)
    Feed.objects.filter(sync=sync).update(looked_at=None)
    with mock.patch.object(sweeping, "sweep", mock.AsyncMock()):
        look(sync)
    page = browser_of(ada).get(sync.get_absolute_url()).content.decode()
    assert "Many deletions arrived at once" in page
    look(sync)
    page = browser_of(ada).get(sync.get_absolute_url()).content.decode()
    assert "many records were deleted within an hour" in page
    assert "We lost access: keep them" in page
