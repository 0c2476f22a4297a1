"""Webhooks of credentials, as the API takes and answers them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from sequin_console.common.rest import MASK, Body, TroubleOut
from syncs import webhooks
from syncs.engine.hooks import State, StreamState
from syncs.hook_rows import HookRow
from syncs.stream_rows import StreamRow

Json = dict[str, Any]
STATUS = (
    "`waiting` for its first event; `receiving`; `silent`: records changed of which no event told; `refused`: a wrong "
    "signature came last; `unsigned`: the signing secret is missing; `ended`: it could not be renewed in time."
)


class WebhookPatch(Body):
    """The signing secret that the provider shows."""

    model_config = {"json_schema_extra": {"example": {"secret": "whsec_…"}}}

    secret: str = Field(min_length=1, max_length=400, description="Kept encrypted, never given out again.")


class WebhookBrief(Schema):
    """How near real time is doing."""

    status: State = Field(description=STATUS)
    last_event_at: datetime | None

    @classmethod
    def of(cls, hook: HookRow) -> "WebhookBrief":
        return cls(status=hook.name, last_event_at=hook.row.last_event_at)


STREAM_STATUS = (
    "`connecting`; `listening`; `absent`: the provider offers none for what is synced; `interrupted`: `message` says "
    "why, and it is tried again; `idle`: the sync does not run."
)


class NotTold(Schema):
    """Collections of which the provider does not tell: they are looked at, at the sync's interval."""

    titles: list[str]
    next_step: str = Field(description="What a person can do about it.")


class ChangeEventsOut(Schema):
    """How listening to the provider's change events is doing."""

    status: StreamState = Field(description=STREAM_STATUS)
    last_event_at: datetime | None
    message: str = Field(description="What is the matter; empty when nothing is.")
    next_step: str
    not_told: list[NotTold]

    @classmethod
    def of(cls, stream: StreamRow) -> "ChangeEventsOut":
        not_told = [NotTold(titles=list(each.titles), next_step=each.step) for each in stream.lacking]
        return cls(
            status=stream.name,
            last_event_at=stream.row.last_event_at,
            message=stream.message,
            next_step=stream.next_step,
            not_told=not_told,
        )


class WebhookOut(WebhookBrief):
    """Where a provider tells a credential of changes."""

    credential_id: UUID
    url: str = Field(description="The address for deliveries; masked for viewers.")
    signing_secret: str = Field(description="To be pasted at the provider where it is ours to choose; else masked.")
    message: str = Field(description="What is the matter; empty when nothing is.")
    next_step: str
    registered: bool = Field(description="By us, through the provider's API; else a person follows `steps`.")
    steps: list[str] = Field(description="How to set it up at the provider by hand; empty when registered.")
    tells: str = Field(description="What it tells of.")
    lacking: str = Field(description="What it does not tell of, and why.")
    received: int = Field(description="Deliveries that were proven.")
    refused: int = Field(description="Deliveries with a wrong signature since the last good one.")
    expires_at: datetime | None = Field(description="It ends at the provider then; it is renewed before.")
    error: TroubleOut | None = Field(description="Why it could not be registered or renewed.")

    @classmethod
    def with_address(cls, hook: HookRow, *, is_shown: bool) -> "WebhookOut":
        row = hook.row
        names = ("received", "refused", "expires_at", "lacking", "last_event_at")
        ours = hook.way.secret is None and not row.is_registered
        return cls(
            **{name: getattr(row, name) for name in names},
            status=hook.name,
            credential_id=row.credential_id,
            url=webhooks.url_of(row) if is_shown else MASK,
            signing_secret=row.secrets.get("secret", "") if is_shown and ours else MASK,
            message=hook.message,
            next_step=hook.next_step,
            registered=row.is_registered,
            steps=[] if row.is_registered else list(hook.way.steps),
            tells=hook.way.tells,
            error=TroubleOut.of(row),
        )
