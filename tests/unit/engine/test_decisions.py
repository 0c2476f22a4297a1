"""Due times, the deletion brake, wait or give up, and pulling pages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from sequin_console.common.backoff import LONGEST_S, backoff_s
from syncs.engine import pull as pull_rules
from syncs.engine.brake import is_mass_delete
from syncs.engine.due import collection_due, next_due, next_look
from syncs.engine.pull import gathered, pull
from syncs.engine.retry import judge
from syncs.providers.kit import errors
from syncs.providers.kit.records import IdPage, Page, Skipped
from tests.fake_provider import raw

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=30), NOW + timedelta(hours=1)


def wants(*, is_reading: bool, retry_at: datetime | None = None) -> datetime | None:
    return collection_due(now=NOW, is_reading=is_reading, retry_at=retry_at, later=())


def test_feed_under_way_is_due_at_once() -> None:
    assert next_due([LATER, wants(is_reading=True), wants(is_reading=False)], now=NOW) == NOW


def test_feed_in_trouble_waits_though_it_has_more() -> None:
    assert next_due([LATER, wants(is_reading=True, retry_at=SOON)], now=NOW) == SOON


def test_one_sick_collection_does_not_hold_back_the_look() -> None:
    assert next_due([SOON, wants(is_reading=True, retry_at=LATER)], now=NOW) == SOON


def test_rate_limit_holds_back_everything() -> None:
    assert next_due([NOW, wants(is_reading=True)], now=NOW, not_before=LATER) == LATER


def test_feed_with_nothing_to_do_is_never_due() -> None:
    assert next_due([None, wants(is_reading=False)], now=NOW) is None


def test_collection_wants_the_first_of_what_comes_later() -> None:
    assert collection_due(now=NOW, is_reading=False, retry_at=None, later=[LATER, None, SOON]) == SOON


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


# --- Pages stored together --------------------------------------------------------------------------------------------


def test_a_group_holds_no_more_pages_than_went_before_it_and_no_record_is_lost_or_moved() -> None:
    async def groups() -> list[list[str]]:
        return [page.ids async for page in gathered(pages(11, []))]

    found = asyncio.run(groups())
    assert [len(ids) for ids in found] == [1, 1, 2, 4, 3]
    assert [each for ids in found for each in ids] == [str(number) for number in range(11)]


def test_joined_pages_keep_the_last_cursor_and_the_end() -> None:
    one, two, three = Page([raw("a", {})], {"at": 1}, False), Page([raw("b", {})], None, False), Page([], None, True, 7)
    joined = Page.joined([one, two, three])
    assert ([each.upstream_id for each in joined.records], joined.cursor, joined.done) == (["a", "b"], {"at": 1}, True)
    assert joined.total == 7


def test_a_page_with_something_set_aside_closes_its_group() -> None:
    """What is set aside on one page and read on a later one must not be noted in the wrong order."""

    async def walk() -> AsyncIterator[Page]:
        for number in range(9):
            skipped = (Skipped("fake:thing", "x", "Sick."),) if number == 4 else ()
            yield Page([raw(str(number), {})], None, number == 8, skipped=skipped)

    async def groups() -> list[tuple[int, int]]:
        return [(len(page.records), len(page.skipped)) async for page in gathered(walk())]

    assert asyncio.run(groups()) == [(1, 0), (1, 0), (2, 0), (1, 1), (4, 0)]


def test_groups_are_bounded_in_records_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def walk(size: int) -> AsyncIterator[Page]:
        for number in range(64):
            yield Page([raw(f"{number}-{each}", "x" * size) for each in range(100)], None, number == 63)

    async def heaviest(size: int) -> tuple[int, int]:
        weights = [page.weight async for page in gathered(walk(size))]
        return max(records for records, _ in weights), max(total for _, total in weights)

    assert asyncio.run(heaviest(1))[0] == pull_rules.MOST_RECORDS
    monkeypatch.setattr(pull_rules, "MOST_BYTES", 50_000)
    assert asyncio.run(heaviest(200))[1] < 50_000 + 100 * 210


def test_a_page_waits_no_longer_than_a_moment_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_rules, "LINGER_S", 0.01)
    asked = asyncio.Event()

    async def walk() -> AsyncIterator[IdPage]:
        for number in range(3):
            yield IdPage([str(number)], None, False)
        await asked.wait()  # for ever, if nothing is handed out before
        yield IdPage(["late"], None, True)

    async def groups() -> list[list[str]]:
        found = []
        async for page in gathered(walk()):
            found.append(page.ids)
            if "2" in page.ids:
                asked.set()
        return found

    assert asyncio.run(groups()) == [["0"], ["1"], ["2"], ["late"]]


def test_what_a_failing_walk_brought_before_is_handed_out_first() -> None:
    async def walk() -> AsyncIterator[IdPage]:
        for number in range(6):
            yield IdPage([str(number)], None, False)
        raise ValueError("upstream is gone")

    async def groups(found: list[str]) -> None:
        async for page in gathered(walk()):
            found.extend(page.ids)

    found: list[str] = []
    with pytest.raises(ValueError, match="gone"):
        asyncio.run(groups(found))
    assert found == [str(number) for number in range(6)]


def test_ending_a_group_early_closes_the_walk() -> None:
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
        asyncio.run(pull(gathered(walk()), store, is_late=lambda: False))
    assert closed == [True]
