"""A provider's budget shared out: how many requests a sync may send in a window, and when the window ends. Pure."""

from datetime import UTC, datetime, timedelta

from syncs.providers.kit.quota import Quota


def granted(quota: Quota, percent: int) -> int:
    """How many requests a sync with this share may send in one window; at least one, or it would never go on.

    Where requests cost more than one, each is taken for the dearest there is: a share is never exceeded.
    """
    return max(1, quota.allowed * percent // (100 * quota.price))


def window_end(quota: Quota, *, told_at: datetime, now: datetime) -> datetime:
    """When the window that runs now ends, by our own clock.

    Where the provider does not say, or its windows roll, ours follow the clock: full hours, days of UTC.
    """
    if quota.resets_in_s is not None and (told := told_at + timedelta(seconds=quota.resets_in_s)) > now:
        return told
    number = int(now.timestamp()) // quota.period_s
    return datetime.fromtimestamp((number + 1) * quota.period_s, tz=UTC)


def used_now(quota: Quota, *, told_at: datetime, now: datetime) -> int:
    """What is used of the window that runs now, as far as was told: nothing, if a new one began since."""
    length_s = quota.period_s if quota.resets_in_s is None else quota.resets_in_s
    return 0 if now >= told_at + timedelta(seconds=length_s) else quota.used
