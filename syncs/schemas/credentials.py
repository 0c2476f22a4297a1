"""Credentials and the sign-in of others, as the API takes and answers them."""

import json
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from ninja import Field, Schema
from pydantic import field_validator

from sequin_console.common.rest import (
    MASK,
    METADATA_FILTER,
    Body,
    ListQuery,
)
from syncs import budget, forecasting, queries
from syncs.catalogue import PROVIDERS
from syncs.connections import CheckResult
from syncs.models import NO_SYNC, Credential
from syncs.queries import Trouble

Json = dict[str, Any]


class Health(Schema):
    """How a thing is, and why, in sentences."""

    status: Literal["healthy", "warn", "error"]
    notes: list[str] = Field(description="What is wrong and what to do; empty when nothing is.")

    @classmethod
    def of(cls, troubles: list[Trouble]) -> "Health":
        """`warn` is for what goes by itself or waits for an answer, `error` for what has failed."""
        notes = [f"{trouble.about}: {trouble.message} {trouble.next_step}".strip() for trouble in troubles]
        if not troubles:
            return cls(status="healthy", notes=[])
        return cls(status="error" if any(trouble.since for trouble in troubles) else "warn", notes=notes)


# --- Credentials -----------------------------------------------------------------------------------------------------

PROPERTIES = Field(
    description="`kind` and what that kind asks for; `GET /v1/providers` lists both. `name` may stand here, too.",
    examples=[{"kind": "salesforce_oauth2", "secret": "5Aep861…", "name": "Acme Salesforce"}],
)
KEY_EXAMPLE: Json = {"name": "Acme Stripe", "properties": {"kind": "stripe_key", "secret": "rk_live_…"}}


class InlineCredential(Body):
    """A credential made along with its sync."""

    properties: dict[str, Any] = PROPERTIES
    oauth_app_id: UUID | None = Field(default=None, description="The OAuth app an imported refresh token was given to.")
    provider: str = Field(default="", description="Told by the kind; may be left out.")
    name: str = Field(default="", max_length=100)
    metadata: dict[str, Any] = Field(default_factory=dict)


class CredentialIn(InlineCredential):
    """A key or refresh token to import. It is tried at the provider first."""

    model_config = {"json_schema_extra": {"example": KEY_EXAMPLE}}


class CredentialPatch(Body):
    """What to change of a credential; the rest stays."""

    model_config = {"json_schema_extra": {"example": {"properties": {"secret": "rk_live_…"}}}}

    name: str | None = Field(default=None, max_length=100)
    properties: dict[str, Any] = Field(default_factory=dict, description="New secrets are tried; masked ones stay.")
    metadata: dict[str, Any] | None = None


class AccountOut(Schema):
    """Whose account it is, as the provider says."""

    id: str
    name: str


class BudgetOut(Schema):
    """One of the provider's budgets, as its answers last said."""

    name: str = Field(description="Tells a provider's budgets apart: `day`, `core`, `exports`.")
    used: int = Field(description="Of the window that runs now, whoever used it.")
    allowed: int
    left: int
    period_s: int = Field(description="How long its windows are, in seconds.")
    resets_at: datetime = Field(description="When this window ends; by the clock where the provider does not say.")
    at: datetime = Field(description="When the provider said so.")

    @classmethod
    def of(cls, told: budget.Told) -> "BudgetOut":
        quota = told.quota
        moments = {"resets_at": told.resets_at, "at": told.at}
        return cls(
            name=quota.name, used=told.used, allowed=quota.allowed, left=told.left, period_s=quota.period_s, **moments
        )


class QuotaOut(Schema):
    """The provider's budgets. The one with the longest window comes first: syncs' shares are measured by it."""

    budgets: list[BudgetOut]

    @classmethod
    def of(cls, row: Credential) -> "QuotaOut | None":
        told = budget.budgets(row)
        return cls(budgets=[BudgetOut.of(each) for each in told]) if told else None


class CredentialOut(Schema):
    """The right to read one account, its secrets masked."""

    id: UUID
    provider: str
    kind: str
    name: str
    properties: dict[str, Any] = Field(examples=[{"kind": "stripe_key", "secret": MASK, "name": "Acme Stripe"}])
    status: Literal["ok", "refreshing", "reconnect"]
    health: Health
    account: AccountOut
    oauth_app_id: UUID | None
    quota: QuotaOut | None = Field(description="Null where the provider has not told of any.")
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Credential) -> "CredentialOut":
        trouble = queries.credential_trouble(row)
        names = ("id", "provider", "kind", "name", "oauth_app_id", "metadata", "created_at", "updated_at")
        values = {name: getattr(row, name) for name in names} | {"status": row.state}
        return cls(
            **values,
            properties=masked_properties(row),
            health=Health.of([trouble] if trouble else []),
            account=AccountOut(id=row.account_id, name=row.account_name),
            quota=QuotaOut.of(row),
        )


def masked_properties(row: Credential) -> dict[str, Any]:
    """What a credential was made of, as far as it may be seen: the fields its kind does not call secret."""
    fields = PROVIDERS[row.provider].kind(row.kind).fields
    shown = {"host", "login_url", "instance_url", "site_id", *(field.key for field in fields)}
    values = {key: value for key, value in row.settings.items() if key in shown}
    return {"kind": row.kind, "name": row.name, **values, **{field.key: MASK for field in fields if field.secret}}


class SpentOut(Schema):
    """Requests this console sent through the credential in the last 24 hours, by what for."""

    backfill: int
    polling: int
    webhooks: int
    sweep: int = Field(description="Comparing ids, and reading again.")
    asking: int = Field(description="Tests, estimates and lists that people and the API asked for.")
    by_sync: dict[str, int] = Field(description="By the id of the sync.")


class CredentialDetail(CredentialOut):
    """A credential with what was spent through it."""

    requests: SpentOut

    @classmethod
    def with_spent(cls, row: Credential) -> "CredentialDetail":
        by_sync = {str(key): count for key, count in forecasting.spent_by_sync(row).items() if key != NO_SYNC}
        spent = {each.purpose.value: each.count for each in forecasting.spent_by(row)}
        return cls(**dict(CredentialOut.of(row)), requests=SpentOut(**spent, by_sync=by_sync))


class CredentialList(Schema):
    data: list[CredentialOut]
    next: str | None


class CredentialQuery(ListQuery):
    provider: str = Field(default="", description="Only this provider's.")
    name: str = Field(default="", description="Only with this name.")
    status: Literal["ok", "refreshing", "reconnect"] | None = Field(default=None, description="Only in this state.")
    metadata: str = METADATA_FILTER


class CheckOut(Schema):
    """One line of a connection's test."""

    label: str
    ok: bool
    detail: str
    next_step: str

    @classmethod
    def of(cls, check: CheckResult) -> "CheckOut":
        return cls(label=check.label, ok=check.ok, detail=check.detail, next_step=check.next_step)


class CheckList(Schema):
    ok: bool = Field(description="All checks passed.")
    data: list[CheckOut]


class StartAuth(Body):
    """Where somebody is to be sent to connect an account of theirs."""

    model_config = {
        "json_schema_extra": {
            "example": {
                "oauth_app_id": "5f0c4e6a-8a0f-4f6e-9d5b-0d6b2f1a7c11",
                "credential_kind": "salesforce_oauth2",
                "redirect_url": "https://app.example.com/connected",
                "state": {"customer": 42},
            }
        }
    }

    oauth_app_id: UUID
    credential_kind: str = Field(max_length=40)
    redirect_url: str = Field(max_length=500, description="Where the person comes back to: https, or http on loopback.")
    state: Any = Field(default=None, description="Anything of yours, at most 5 kB of JSON; given back as it is.")

    @field_validator("redirect_url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        is_loopback = host in ("localhost", "127.0.0.1", "::1")
        if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback)):
            raise ValueError("This is not an https address (http is taken for loopback only).")
        return url

    @field_validator("state")
    @classmethod
    def _is_short(cls, state: Any) -> Any:
        if len(json.dumps(state)) > 5_000:
            raise ValueError("The state is longer than 5 kB.")
        return state


class StartUrl(Schema):
    start_url: str = Field(description="Good for five minutes and one use.")


class TokenIn(Body):
    """The code that came back with the person."""

    model_config = {
        "json_schema_extra": {
            "example": {
                "code": "Xk3…",
                "client_id": "5f0c4e6a-8a0f-4f6e-9d5b-0d6b2f1a7c11",
                "client_secret": "9D0F…",
            }
        }
    }

    code: str = Field(max_length=400, description="`code` of the redirect.")
    client_id: UUID = Field(description="Id of the OAuth app here, as given to start-auth.")
    client_secret: str = Field(max_length=4000, description="That app's client secret.")


class TokenOut(Schema):
    credential: CredentialOut
    state: Any = Field(description="Your `state` of start-auth.")
