"""When access is renewed, by what the provider said of its life."""

from datetime import UTC, datetime, timedelta

import pytest

from syncs.access import renewal_time
from syncs.providers.kit.auth import TokenGrant

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "usual_s", "after_s"),
    [
        ({"lifetime_s": 1000}, 3600, 750),
        ({}, 3600, 2700),
        ({}, None, None),
        ({"lifetime_s": 1000}, None, 750),
        ({"expires_at": NOW + timedelta(hours=1)}, None, 2700),
        ({"expires_at": NOW - timedelta(hours=1)}, 3600, 0),
    ],
)
def test_access_is_renewed_before_its_end_if_it_has_one(told, usual_s, after_s):
    moment = renewal_time(TokenGrant("a", **told), usual_s, NOW)
    assert moment == (None if after_s is None else NOW + timedelta(seconds=after_s))
