"""How long reading will take and how late changes can be: told before a sync starts, and while it reads. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from syncs.engine.quota import granted
from syncs.providers.kit.quota import Quota

LONGEST = timedelta(days=365)
ANSWER_S = 0.4  # what one answer takes, as a rule


# --- While it reads --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """How far one collection's history is read. `total` is None where upstream does not tell."""

    read: int
    total: int | None
    started_at: datetime | None


def ends_at(histories: Iterable[History], *, now: datetime) -> datetime | None:
    """When all history is read at the pace it had so far, its pauses counted in; None where that cannot be told.

    Collections are read side by side, so the last one to end is the end. `now` for what has as many as it should.
    """
    ends: list[datetime] = []
    for each in histories:
        if each.total is None or each.started_at is None:
            return None
        left, took_s = max(0, each.total - each.read), (now - each.started_at).total_seconds()
        if left and (not each.read or took_s <= 0):
            return None
        ends.append(now + timedelta(seconds=min(LONGEST.total_seconds(), left * took_s / each.read)) if left else now)
    return max(ends, default=None)


def history_in_words(histories: Sequence[History], *, now: datetime, zone: tzinfo) -> str:
    """What is to be said of the history's end: `Backfill ends Tuesday 14:00 UTC at this pace.`"""
    if not histories:
        return "All history is read."
    end = ends_at(histories, now=now)
    if end is None and any(each.total is None and each.started_at for each in histories):
        return "When the backfill ends cannot be told: the provider does not say how many records there are."
    if end is None:
        return "When the backfill ends can be told once its first records are read."
    if end - now >= LONGEST:
        return "At this pace the backfill takes more than a year."
    if end - now < timedelta(minutes=1):
        return "Backfill ends within a minute."
    return f"Backfill ends {moment_in_words(end, now=now, zone=zone)} at this pace."


def moment_in_words(moment: datetime, *, now: datetime, zone: tzinfo) -> str:
    """A time to come, as people of a zone say it: `today 14:00 CET`, `Tuesday 14:00 CET`, `3 Dec 14:00 CET`."""
    there, today = moment.astimezone(zone), now.astimezone(zone).date()
    days = (there.date() - today).days
    day = "today" if days == 0 else "tomorrow" if days == 1 else f"{there:%A}" if days < 7 else f"{there:%-d %b}"
    return f"{day} {there:%H:%M %Z}"


def worst_lag_s(paces_s: Sequence[float], *, quota: Quota | None = None, percent: int = 100) -> float:
    """How late a change can be noticed: the slowest of these looks, and the rest of a window whose share is used up.

    paces_s  seconds from look to look, of every feed; each look is at least one request
    """
    if not paces_s:
        return 0.0
    slowest_s = max(paces_s)
    if quota is None:
        return slowest_s
    per_s = sum(1 / pace_s for pace_s in paces_s)
    lasts_s = granted(quota, percent) / per_s
    return slowest_s + max(0.0, quota.period_s - lasts_s)


def span_in_words(seconds: float) -> str:
    """`40 s`, `12 minutes`, `3 hours`, `2 days`: rounded, for nobody can promise more."""
    for size_s, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size_s or (name == "minute" and seconds >= 90):
            return f"{round(seconds / size_s):,} {name}s"
    return f"{math.ceil(seconds)} s"


# --- Before it starts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """What a first reading takes. Counts hold for the collections whose size is known.

    percent  of the provider's allowance in one window; None where it tells none
    """

    records: int
    known: int
    unknown: int
    requests: int
    seconds: float
    percent: float | None


def estimate(
    sizes: Sequence[tuple[int | None, int]], *, concurrency: int, quota: Quota | None = None, percent: int = 100
) -> Estimate:
    """What reading these collections takes: pages of each one after the other, collections side by side.

    sizes  (records, records a page) of each collection; None where upstream does not tell
    """
    pages = [max(1, math.ceil(count / page)) for count, page in sizes if count is not None]
    requests = sum(pages)
    seconds = ANSWER_S * max(max(pages, default=0), requests / concurrency)
    of_all = None
    if quota is not None and quota.allowed:
        of_all = 100 * requests * quota.price / quota.allowed
        windows = math.ceil(requests / granted(quota, percent))
        seconds = max(seconds, (windows - 1) * quota.period_s)
    records = sum(count for count, _ in sizes if count is not None)
    return Estimate(records, len(pages), len(sizes) - len(pages), requests, seconds, of_all)


def estimate_in_words(told: Estimate, quota: Quota | None) -> str:
    """`About 124,000 records to read first: about 1,240 requests, 3 % of what is allowed a day, some 8 minutes.`"""
    if not told.known:
        return "The provider does not tell how many records there are; you will see them being counted."
    parts = [f"about {told.requests:,} request{'' if told.requests == 1 else 's'}"]
    if told.percent is not None and quota is not None:
        share = f"{told.percent:,.0f} %" if told.percent >= 1 else "less than 1 %"
        parts.append(f"{share} of what is allowed {quota.period_in_words}")
    parts.append(f"some {span_in_words(told.seconds)}")
    records = f"About {told.records:,} record{'' if told.records == 1 else 's'} to read first: {', '.join(parts)}."
    if told.unknown:
        records += f" {told.unknown} collection{' is' if told.unknown == 1 else 's are'} of unknown size."
    return records
