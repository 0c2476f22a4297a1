"""What API routes are made of: bodies, keyset pages, the mask over secrets. Errors are in `sequin_console/api`."""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from django.core.cache import cache
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from ninja import Field, Schema
from pydantic import AfterValidator, AwareDatetime, ConfigDict

from sequin_console.common.problems import Problem, field_problem

M = TypeVar("M", bound=Model)
MASK = "********"
FAILURES_A_MINUTE = 60  # an address; sheds load only, for a token of 256 random bits is not guessed
_MASKED = re.compile(r"[*•]{3,}")
_WRONG_CURSOR = "This is no cursor of this list."


class Body(Schema):
    """What callers send. A name we do not know is refused: a typing error must not pass in silence."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(Schema):
    """What every list takes."""

    limit: int = Field(default=50, ge=1, le=200, description="How many at most, 1 to 200.")
    cursor: str = Field(default="", description="`next` of the answer before, for the page that follows it.")


METADATA_FILTER = Field(default="", description='A JSON object that the metadata contains: `{"team":"sales"}`.')
Messages = Literal["leave", "tombstones", "purge"]
MESSAGES_HELP = "What becomes of the messages sent: `leave` them (the default), send `tombstones`, or `purge` them."


class MessagesIn(Body):
    """What becomes of the messages on the stream."""

    model_config = {"json_schema_extra": {"example": {"messages": "tombstones"}}}

    messages: Messages | None = Field(default=None, description=MESSAGES_HELP)


class MessagesQuery(Schema):
    messages: Messages | None = Field(default=None, description=MESSAGES_HELP)


def chosen_messages(body: Any, query: MessagesQuery) -> str:
    """Leave, tombstones or purge: as the body says, else the query, else leave."""
    return (body and body.messages) or query.messages or "leave"


class Removing(Schema):
    """It goes as soon as with its messages is done what was asked."""

    id: UUID
    status: Literal["removing"] = "removing"


class TroubleOut(Schema):
    """Something wrong: what happened, what to do, since when."""

    kind: str
    message: str
    next_step: str
    since: datetime | None

    @classmethod
    def of(cls, unit: Any) -> "TroubleOut | None":
        """The trouble a unit of work (common/troubled.py) is in, or None."""
        if not unit.error:
            return None
        return cls(kind=unit.error_kind, message=unit.error, next_step=unit.next_step, since=unit.failed_at)


def _as_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("This moment is out of range.") from None


Moment = Annotated[AwareDatetime, AfterValidator(_as_utc)]
"""A moment with its zone, as RFC 3339, turned to UTC."""


def actor(request: HttpRequest) -> Any:
    """Who calls: the API token that the request was let in by."""
    return request.auth  # type: ignore[attr-defined]


def get_or_404(rows: QuerySet[M], **lookup: Any) -> M:
    """The one row. Raises Problem (404) naming what there is none of."""
    row = rows.filter(**lookup).first()
    if row is None:
        name = str(rows.model._meta.verbose_name)
        raise Problem(f"There is no such {name}.", kind="not_found", next_step="Check the id.", status=404)
    return row


# --- Refused sign-ins -------------------------------------------------------------------------------------------------


def note_failure(request: HttpRequest) -> None:
    """Count a refused sign-in of this address. Raises Problem (429) when there were too many in this minute."""
    minute = int(time.time() // 60)
    key = f"api-refused-{request.META.get('REMOTE_ADDR')}-{minute}"
    cache.add(key, 0, timeout=120)
    try:
        failures = cache.incr(key)
    except ValueError:  # dropped in between
        return
    if failures > FAILURES_A_MINUTE:
        raise Problem(
            "Too many requests without a valid token came from this address.",
            kind="rate_limit",
            next_step="Wait a minute, then send a valid token.",
            status=429,
        )


# --- Secrets ---------------------------------------------------------------------------------------------------------


def is_masked(value: object) -> bool:
    """Whether this is a secret as we answer it, sent back: it then stays as it is stored."""
    return isinstance(value, str) and bool(_MASKED.search(value))


def without_masked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not is_masked(value)}


# --- Pages of lists --------------------------------------------------------------------------------------------------


def newest_first(rows: QuerySet[M], query: ListQuery) -> tuple[list[M], str | None]:
    """One page by (created_at, id), newest first, and the cursor of the next."""
    rows = rows.order_by("-created_at", "-id")
    if query.cursor:
        at, key = open_cursor(query.cursor, datetime.fromisoformat, UUID)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=key))
    found = list(rows[: query.limit + 1])
    return cut(found, query.limit, lambda row: (row.created_at.isoformat(), str(row.pk)))  # type: ignore[attr-defined]


R = TypeVar("R")


def cut(found: list[R], limit: int, place: Callable[[R], Sequence[Any]]) -> tuple[list[R], str | None]:
    """The page out of one row more than it holds, and the next page's cursor: the place of the page's last row."""
    if len(found) <= limit:
        return found, None
    raw = json.dumps(list(place(found[limit - 1])), separators=(",", ":")).encode()
    return found[:limit], base64.urlsafe_b64encode(raw).decode().rstrip("=")


def open_cursor(cursor: str, *kinds: Callable[[Any], Any]) -> list[Any]:
    """The place a cursor stands for, each part read by its kind. Raises Problem (`cursor`)."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(raw)
        return [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
        raise field_problem("cursor", _WRONG_CURSOR, next_step="Take `next` of a list's answer, as it is.") from None


def sequence_no(part: Any) -> int:
    """A sequence number inside a cursor. Raises ValueError."""
    if not isinstance(part, int) or not 0 <= part < 2**63:
        raise ValueError
    return part


# --- Metadata --------------------------------------------------------------------------------------------------------


def with_metadata(rows: QuerySet[M], text: str) -> QuerySet[M]:
    """The rows whose metadata contains the JSON object `text`. Compared here, for SQLite cannot; lists are short."""
    if not text:
        return rows
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError):
        wanted = None
    if not isinstance(wanted, dict):
        raise field_problem("metadata", "This is no JSON object.", next_step='Write it as {"team":"sales"}.')
    keys = [key for key, metadata in rows.values_list("pk", "metadata") if contains(metadata, wanted)]
    return rows.filter(pk__in=keys)


def contains(whole: Any, part: Any) -> bool:
    """JSON containment as PostgreSQL means it (`@>`): objects by key, lists by element, everything else by equality."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(item, wanted) for item in whole) for wanted in part)
    return type(whole) is type(part) and whole == part
