"""Times in JQL: to the minute, without an offset, read in the zone of the user who asks. Pure.

Source: https://support.atlassian.com/jira-software-cloud/docs/jql-fields (Updated), read 2026-11-23
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from syncs.providers.kit.errors import UnexpectedShape

EVERYTHING = "project is not EMPTY"  # Jira refuses a query that restricts nothing
MINUTE = timedelta(minutes=1)


def zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises UnexpectedShape: read in another zone, times would lose issues."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise UnexpectedShape(
            f"Jira says the connected user lives in the time zone “{name}”, which we do not know.",
            next_step="Choose another time zone in the user's Jira profile, then press Test connection.",
        ) from None


def literal(moment: datetime, where: ZoneInfo) -> str:
    """The latest minute, as its clock on the wall shows it, that Jira cannot read as later than this moment.

    When clocks go back an hour comes twice, and nothing says which one is meant: then the last minute before it.
    """
    while _comes_twice(local := moment.astimezone(where)):
        moment -= MINUTE
    return local.strftime("%Y-%m-%d %H:%M")


def _comes_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
