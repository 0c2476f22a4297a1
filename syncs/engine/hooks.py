"""How a webhook is doing, by what came and what did not. Pure."""

from datetime import datetime, timedelta
from typing import Literal

State = Literal["unsigned", "waiting", "receiving", "silent", "refused", "ended"]

SILENT_AFTER = timedelta(minutes=15)  # records that changed so long after the last event were found by looking


def state_of(
    *,
    now: datetime,
    has_secret: bool,
    last_event_at: datetime | None,
    refused: int,
    expires_at: datetime | None,
    changed_at: datetime | None,
) -> State:
    """The state of a webhook that is set up.

    refused     deliveries since the last good one whose signature was wrong
    expires_at  when it ends upstream by itself
    changed_at  when a record last changed, however that was noticed
    """
    if expires_at is not None and expires_at <= now:
        return "ended"
    if not has_secret:
        return "unsigned"
    if refused:
        return "refused"
    if last_event_at is None:
        return "waiting"
    if changed_at is not None and changed_at - last_event_at > SILENT_AFTER:
        return "silent"
    return "receiving"


StreamState = Literal["connecting", "listening", "absent", "interrupted", "idle"]


def stream_state_of(
    *, is_wanted: bool, is_held: bool, connected_at: datetime | None, is_offered: bool, error: str
) -> StreamState:
    """The state of a connection that is held open for change events.

    is_wanted     a sync runs that it is for
    is_held       a process has its lease
    connected_at  since when that process is connected
    is_offered    the provider tells of some of what is synced
    """
    if not is_wanted:
        return "idle"
    if error:
        return "interrupted"
    if not is_offered:
        return "absent"
    return "listening" if is_held and connected_at is not None else "connecting"
