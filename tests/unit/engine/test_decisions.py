"""Due times, the deletion brake, wait or give up, and pulling pages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from sequin_console.common.backoff import LONGEST_S, backoff_s
from syncs.engine.brake import is_mass_delete
from syncs.engine.due import Work, next_due, next_look
from syncs.engine.pull import pull
from syncs.engine.retry import judge
from syncs.providers.kit import errors
from syncs.providers.kit.records import IdPage

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=30), NOW + timedelta(hours=1)


def test_feed_under_way_is_due_at_once() -> None:
    assert next_due([Work(True), Work(False)], now=NOW, look_at=LATER) == NOW


def test_feed_in_trouble_waits_though_it_has_more() -> None:
    assert next_due([Work(True, retry_at=SOON)], now=NOW, look_at=LATER) == SOON


def test_one_sick_collection_does_not_hold_back_the_look() -> None:
    assert next_due([Work(True, retry_at=LATER)], now=NOW, look_at=SOON) == SOON


def test_rate_limit_holds_back_everything() -> None:
    assert next_due([Work(True)], now=NOW, look_at=NOW, not_before=LATER) == LATER


def test_feed_with_nothing_to_do_is_never_due() -> None:
    assert next_due([Work(False)], now=NOW, look_at=None) is None


def test_first_look_is_now_and_the_next_after_the_interval() -> None:
    assert next_look(now=NOW, looked_at=None, pace_s=60) == NOW
    assert next_look(now=NOW, looked_at=NOW, pace_s=60) == NOW + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("missing", "live", "asks"),
    [
        (0, 0, False),
        (1, 10_000, False),
        (50, 100, False),
        (51, 100, True),
        (400, 10_000, False),
        (501, 10_000, True),
        (3, 3, True),
        (1, 1, False),
    ],
)
def test_brake_asks_about_mass_deletes(missing: int, live: int, asks: bool) -> None:
    assert is_mass_delete(missing, live) is asks


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (errors.CredentialsRefused("x"), "credential"),
        (errors.RateLimited("x"), "credential"),
        (errors.PermissionMissing("x"), "collection"),
        (errors.CollectionGone("x"), "collection"),
        (errors.UnexpectedShape("x"), "collection"),
        (errors.CursorLost("x"), "walk"),
        (errors.UpstreamFailed("x"), "feed"),
        (ValueError("x"), "feed"),
    ],
)
def test_each_error_holds_back_the_smallest_thing(error: Exception, scope: str) -> None:
    assert judge(error, 0, lambda: 0.5).scope == scope


def test_refused_credentials_wait_for_a_person() -> None:
    assert judge(errors.CredentialsRefused("x"), 0, lambda: 0.5).wait_s is None


def test_provider_says_when_to_come_back() -> None:
    assert judge(errors.RateLimited("x", retry_after_s=17), 3, lambda: 0.5).wait_s == 17


def test_backoff_grows_to_its_cap_and_is_jittered() -> None:
    waits = [backoff_s(failures, lambda: 0.5) for failures in range(1, 30)]
    assert waits == sorted(waits)
    assert max(waits) <= LONGEST_S
    assert backoff_s(3, lambda: 0.0) < backoff_s(3, lambda: 0.99)


def pages(count: int, read: list[int]) -> AsyncIterator[IdPage]:
    async def walk() -> AsyncIterator[IdPage]:
        for number in range(count):
            read.append(number)
            yield IdPage([str(number)], {"at": number}, number == count - 1)

    return walk()


def test_next_page_is_read_while_the_last_is_stored() -> None:
    read: list[int] = []
    seen_while_storing: list[int] = []

    async def store(_page: IdPage) -> None:
        await asyncio.sleep(0)
        seen_while_storing.append(len(read))

    assert asyncio.run(pull(pages(3, read), store, is_late=lambda: False)) is True
    assert seen_while_storing == [2, 3, 3]


def test_pull_stops_between_pages_when_it_is_late() -> None:
    stored: list[str] = []

    async def store(page: IdPage) -> None:
        stored.extend(page.ids)

    assert asyncio.run(pull(pages(5, []), store, is_late=lambda: len(stored) == 2)) is False
    assert stored == ["0", "1"]


def test_failing_store_ends_the_walk_and_closes_it() -> None:
    closed: list[bool] = []

    async def walk() -> AsyncIterator[IdPage]:
        try:
            for number in range(9):
                yield IdPage([str(number)], None, False)
        finally:
            closed.append(True)

    async def store(_page: IdPage) -> None:
        raise ValueError("disk full")

    with pytest.raises(ValueError, match="disk full"):
        asyncio.run(pull(walk(), store, is_late=lambda: False))
    assert closed == [True]
