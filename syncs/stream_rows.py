"""What pages and the API show of a connection's change events: the state, in words, and the next step."""

from collections.abc import Collection as Ids
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from syncs.catalogue import PROVIDERS
from syncs.engine import hooks
from syncs.models import ChangeStream, Credential
from syncs.providers.kit.streaming import Stream
from syncs.states import StreamState, SyncState

AT_INTERVAL = "as often as the sync says"
MOST_NAMED = 3


@dataclass(frozen=True)
class Lacking:
    """Collections of which the provider does not tell, and what a person can do about it."""

    titles: tuple[str, ...]
    step: str


@dataclass(frozen=True)
class StreamRow:
    """Change events as they are shown. `message` and `next_step` are empty while all is well."""

    row: ChangeStream
    way: Stream
    name: hooks.StreamState
    message: str
    next_step: str
    lacking: tuple[Lacking, ...]
    lacks: str

    @property
    def state(self) -> StreamState:
        return StreamState(self.name)


def stream_row(
    credential: Credential,
    *,
    is_wanted: bool,
    changed_at: datetime | None,
    pace: str = AT_INTERVAL,
    only: Ids[str] | None = None,
) -> StreamRow | None:
    """A connection's change events; None where its provider has none, or nobody has listened yet.

    No query if `credential` was read with its change_stream.

    is_wanted   a sync reads through it
    changed_at  when a record read through it last changed
    pace        how often looks are made, in words: `every 30 s`
    only        tell of what is lacking of these collections alone
    """
    row, way = getattr(credential, "change_stream", None), PROVIDERS[credential.provider].stream
    if row is None or way is None:
        return None
    now = timezone.now()
    name = hooks.stream_state_of(
        is_wanted=is_wanted,
        is_held=row.lease_until is not None and row.lease_until > now,
        connected_at=row.connected_at,
        is_offered=row.is_offered,
        error=row.error,
    )
    lacking = _lacking(row, only)
    label = PROVIDERS[credential.provider].label
    titles = [title for each in lacking for title in each.titles]
    named = in_words(titles) if len(titles) <= MOST_NAMED else f"{len(titles)} collections"
    lacks = f"This {label} does not offer {way.name} for {named}: looked at {pace}." if titles else ""
    message, next_step = (row.error, row.next_step) if row.error and is_wanted else ("", "")
    if not message and name == StreamState.LISTENING and _is_silent(row, changed_at):
        message = f"Records changed of which {label} did not tell."
        next_step = f"Check at {label} that they are chosen: {' '.join(way.steps[:2])}"
    return StreamRow(row, way, name, message, next_step, lacking, lacks)


def of_credential(credential: Credential, changed_at: datetime | None) -> StreamRow | None:
    """The same for a connection's own page, with one query where its provider lets us listen."""
    if PROVIDERS[credential.provider].stream is None:
        return None
    is_wanted = credential.syncs.filter(state=SyncState.ACTIVE).exists()
    return stream_row(credential, is_wanted=is_wanted, changed_at=changed_at)


def in_words(titles: list[str]) -> str:
    """`Accounts, Contacts and Leads`."""
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def _lacking(row: ChangeStream, only: Ids[str] | None) -> tuple[Lacking, ...]:
    by_step: dict[str, list[str]] = {}
    for each in row.lacking:
        if only is None or each["id"] in only:
            by_step.setdefault(each["step"], []).append(each["title"])
    return tuple(Lacking(tuple(titles), step) for step, titles in by_step.items())


def _is_silent(row: ChangeStream, changed_at: datetime | None) -> bool:
    """Whether records changed long after we last heard of any, while we were listening."""
    since = max(filter(None, (row.last_event_at, row.connected_at)), default=None)
    has_gaps = bool(row.lacking)  # what is not told of may well have changed
    return not has_gaps and since is not None and changed_at is not None and changed_at - since > hooks.SILENT_AFTER
