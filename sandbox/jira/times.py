"""How Jira writes and reads times.

Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3, https://support.atlassian.com/jira-software-cloud
(JQL fields: Created, Updated)
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

SITE_ZONE = ZoneInfo("Europe/Berlin")  # the site's default: records are written in it, whoever reads them
_FORMS = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")


@lru_cache(maxsize=8192)
def jira_time(at_ms: int) -> str:
    """`2026-11-20T09:05:00.123+0100`: the site's own offset, which changes with daylight saving, without a colon."""
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(SITE_ZONE)
    return f"{local:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}{local:%z}"


def jira_date(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d}"


def unix_seconds(at_ms: int) -> int:
    """As bulk changelogs write `created` in the official example."""
    return at_ms // 1000


def jql_moment(text: str, zone: str) -> int:
    """`"2026-11-20 09:05"` in the user's zone, in ms. An hour that comes twice is the first one.

    Raises ValueError for anything finer than a minute, and for what is no time.
    """
    for form in _FORMS:
        try:
            return round(datetime.strptime(text, form).replace(tzinfo=ZoneInfo(zone or "UTC")).timestamp() * 1000)
        except ValueError:
            continue
    raise ValueError(text)
