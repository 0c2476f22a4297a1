"""What is said of time: how long, how late, and what it costs; at its edges above all."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncs.engine import quota as rules
from syncs.engine.forecast import (
    LONGEST,
    History,
    ends_at,
    estimate,
    estimate_in_words,
    history_in_words,
    moment_in_words,
    span_in_words,
    worst_lag_s,
)
from syncs.providers.kit.quota import DAY_S, HOUR_S, MINUTE_S, Quota

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
HOUR_AGO = NOW - timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
DAY = Quota(0, 1000, "day", DAY_S)


def words(*histories: History, now: datetime = NOW) -> str:
    return history_in_words(histories, now=now, zone=UTC)


def test_half_read_in_an_hour_takes_an_hour_more() -> None:
    assert ends_at([History(500, 1000, HOUR_AGO)], now=NOW) == NOW + timedelta(hours=1)


def test_the_last_collection_to_end_is_the_end() -> None:
    assert ends_at([History(900, 1000, HOUR_AGO), History(250, 1000, HOUR_AGO)], now=NOW) == NOW + timedelta(hours=3)


def test_nothing_to_read_has_no_end_and_all_read_ends_now() -> None:
    assert ends_at([], now=NOW) is None
    assert ends_at([History(1001, 1000, HOUR_AGO)], now=NOW) == NOW
    assert ends_at([History(0, 0, HOUR_AGO)], now=NOW) == NOW


@pytest.mark.parametrize(
    "unknown",
    [History(10, None, HOUR_AGO), History(0, 1000, HOUR_AGO), History(0, 1000, None), History(10, 1000, NOW)],
)
def test_no_total_no_progress_and_no_time_tell_no_end(unknown: History) -> None:
    assert ends_at([History(900, 1000, HOUR_AGO), unknown], now=NOW) is None


def test_each_case_has_its_sentence() -> None:
    assert words() == "All history is read."
    assert words(History(10, 20, NOW - timedelta(days=1, hours=2))) == "Backfill ends tomorrow 14:00 UTC at this pace."
    assert "does not say how many" in words(History(10, None, HOUR_AGO))
    assert "once its first records are read" in words(History(0, 1000, HOUR_AGO))
    assert "once its first records are read" in words(History(0, None, None))
    assert words(History(999, 1000, HOUR_AGO)) == "Backfill ends within a minute."
    assert words(History(1, 10**9, HOUR_AGO)) == "At this pace the backfill takes more than a year."


def test_a_pace_that_would_take_for_ever_overflows_nothing() -> None:
    assert ends_at([History(1, 10**15, HOUR_AGO)], now=NOW) == NOW + LONGEST


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (timedelta(hours=2), "today 14:00 UTC"),
        (timedelta(hours=12), "tomorrow 00:00 UTC"),
        (timedelta(days=1, hours=2), "tomorrow 14:00 UTC"),
        (timedelta(days=2), "Wednesday 12:00 UTC"),
        (timedelta(days=6), "Sunday 12:00 UTC"),
        (timedelta(days=7), "30 Nov 12:00 UTC"),
    ],
)
def test_a_moment_is_told_as_people_do(later: timedelta, said: str) -> None:
    assert moment_in_words(NOW + later, now=NOW, zone=UTC) == said


def test_summer_time_begins_and_ends_on_the_way() -> None:
    """Six hours are six hours, whatever clocks do; what is said is what the clock will show."""
    spring = datetime(2026, 3, 28, 22, tzinfo=UTC)  # 23:00 in Berlin, which has no 02:30 that night
    assert moment_in_words(spring + timedelta(hours=6), now=spring, zone=BERLIN) == "tomorrow 06:00 CEST"
    assert moment_in_words(spring + timedelta(hours=3), now=spring, zone=BERLIN) == "tomorrow 03:00 CEST"
    autumn = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # 00:30 in Berlin, which has 02:30 twice that night
    said = [moment_in_words(autumn + timedelta(hours=hours), now=autumn, zone=BERLIN) for hours in (2, 3)]
    assert said == ["today 02:30 CEST", "today 02:30 CET"]


def test_days_are_counted_where_people_are() -> None:
    late = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # 23:30 in Berlin
    assert moment_in_words(late + timedelta(hours=1), now=late, zone=BERLIN) == "tomorrow 00:30 CET"


def test_the_slowest_look_is_the_worst_lag() -> None:
    assert worst_lag_s([]) == 0
    assert worst_lag_s([2, 60, 10]) == 60


def test_a_share_that_ends_before_its_window_adds_the_rest_of_it() -> None:
    """Ten requests an hour last ten minutes at one a minute; then nothing is looked at for fifty."""
    hour = Quota(0, 100, "core", HOUR_S)
    assert worst_lag_s([60], quota=hour, percent=10) == 60 + 50 * 60
    assert worst_lag_s([60], quota=hour, percent=60) == 60
    assert worst_lag_s([60], quota=Quota(0, 65_000, "points", HOUR_S, price=101), percent=1) > 60


def test_a_span_is_rounded() -> None:
    spans = [0.2, 40, 89, 90, 720, 5400, 90_000, 260_000]
    told = ["1 s", "40 s", "89 s", "2 minutes", "12 minutes", "2 hours", "25 hours", "3 days"]
    assert [span_in_words(span) for span in spans] == told


# --- Before it starts ------------------------------------------------------------------------------------------------


def test_pages_are_requests_and_an_empty_collection_takes_one_too() -> None:
    told = estimate([(123_950, 100), (0, 100), (None, 100)], concurrency=4, quota=Quota(7, 50_000, "day", DAY_S))
    assert (told.records, told.known, told.unknown, told.requests) == (123_950, 2, 1, 1241)
    assert round(told.percent or 0, 1) == 2.5
    assert told.seconds == pytest.approx(1240 * 0.4)


def test_many_small_collections_are_read_side_by_side() -> None:
    assert estimate([(1000, 100)] * 8, concurrency=4).seconds == pytest.approx(8 * 10 * 0.4 / 4)


def test_what_does_not_fit_a_share_waits_for_the_next_windows() -> None:
    told = estimate([(25_000, 100)], concurrency=4, quota=DAY, percent=10)
    assert told.requests == 250
    assert told.seconds == 2 * DAY_S


def test_the_estimate_in_words() -> None:
    quota = Quota(0, 41_000, "day", DAY_S)
    told = estimate([(124_000, 100)], concurrency=4, quota=quota)
    assert estimate_in_words(told, quota) == (
        "About 124,000 records to read first: about 1,240 requests, 3 % of what is allowed a day, some 8 minutes."
    )
    one = estimate([(1, 100), (None, 100)], concurrency=4)
    assert estimate_in_words(one, None) == (
        "About 1 record to read first: about 1 request, some 1 s. 1 collection is of unknown size."
    )
    assert "does not tell how many" in estimate_in_words(estimate([(None, 100)], concurrency=4), None)


# --- Shares ----------------------------------------------------------------------------------------------------------


def test_a_share_counts_each_request_for_the_dearest_and_is_never_nothing() -> None:
    assert rules.granted(DAY, 20) == 200
    assert rules.granted(Quota(0, 65_000, "points", HOUR_S, price=101), 50) == 321
    assert rules.granted(Quota(0, 10, "burst", 10), 1) == 1


def test_a_window_ends_when_told_or_by_the_clock() -> None:
    told = Quota(0, 10, "core", HOUR_S, 600.0)
    assert rules.window_end(told, told_at=NOW, now=NOW) == NOW + timedelta(minutes=10)
    late = NOW + timedelta(minutes=30)
    assert rules.window_end(told, told_at=NOW, now=late) == NOW + timedelta(hours=1)  # what was told is past
    assert rules.window_end(DAY, told_at=NOW, now=late) == datetime(2026, 11, 24, tzinfo=UTC)
    at_the_end = datetime(2026, 11, 24, tzinfo=UTC)
    assert rules.window_end(DAY, told_at=NOW, now=at_the_end) == datetime(2026, 11, 25, tzinfo=UTC)


def test_what_was_used_of_a_past_window_is_no_longer_used() -> None:
    told = Quota(90, 100, "minute", MINUTE_S, 20.0)
    assert rules.used_now(told, told_at=NOW, now=NOW + timedelta(seconds=19)) == 90
    assert rules.used_now(told, told_at=NOW, now=NOW + timedelta(seconds=20)) == 0
    assert rules.used_now(Quota(9, 10, "burst", 10), told_at=NOW, now=NOW + timedelta(seconds=10)) == 0
