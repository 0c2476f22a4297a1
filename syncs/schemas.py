"""What the API takes and answers for the upstream half. Descriptions and examples are what /v1/docs shows."""

import json
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from ninja import Field, Schema
from pydantic import field_validator

from sequin_console.common.rest import (
    MASK,
    MESSAGES_HELP,
    METADATA_FILTER,
    Body,
    ListQuery,
    Messages,
    Moment,
    TroubleOut,
)
from syncs import oauth, queries
from syncs.connections import CheckResult
from syncs.models import Credential, OAuthApp, Sync, SyncCollection
from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import DELETES_IN_WORDS, Collection, Provider, SetupField
from syncs.providers.kit.catalogue import Field as CollectionField
from syncs.queries import SyncRow, Trouble
from syncs.states import Phase

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


# --- Providers and collections ---------------------------------------------------------------------------------------


class SetupFieldOut(Schema):
    """A property of a credential kind."""

    key: str
    label: str
    help: str
    secret: bool
    required: bool
    example: str
    choices: list[str]
    aliases: list[str] = Field(description="Other names it is taken by.")

    @classmethod
    def of(cls, field: SetupField) -> "SetupFieldOut":
        return cls(
            key=field.key,
            label=field.label,
            help=field.help,
            secret=field.secret,
            required=field.required,
            example=field.example,
            choices=[value for value, _ in field.choices],
            aliases=list(field.aliases),
        )


class KindOut(Schema):
    """One way to be let in."""

    kind: str
    label: str
    help: str
    needs_oauth_app: bool
    fields: list[SetupFieldOut]


class HostOut(Schema):
    """A place the provider's logins live."""

    key: str
    label: str
    url: str = Field(description="Empty where `login_url` must name it.")
    help: str


class CollectionOut(Schema):
    """One upstream list."""

    id: str
    name: str
    upstream_id: str = Field(description="The provider's own name for it.")
    custom: bool = Field(description="Defined by the account itself.")
    shown: bool = Field(description="Offered by default in the console.")
    deletes: Literal["flag", "event", "sweep", "none"] = Field(description="How deletions are found.")
    deletes_in_words: str
    cost: str
    help: str

    @classmethod
    def of(cls, collection: Collection) -> "CollectionOut":
        return cls(**cls.values(collection))

    @staticmethod
    def values(collection: Collection) -> dict[str, Any]:
        deletes = str(collection.deletes)
        return {
            "id": collection.id,
            "name": collection.title,
            "upstream_id": collection.upstream,
            "custom": collection.custom,
            "shown": collection.shown,
            "deletes": deletes,
            "deletes_in_words": DELETES_IN_WORDS[collection.deletes],
            "cost": collection.cost,
            "help": collection.help,
        }


class FieldOut(Schema):
    """One field of a collection's records."""

    id: str = Field(description="Collection id and accessor.", examples=["stripe:customer:balance"])
    accessor: str = Field(description="Where it stands in `data`.", examples=["balance"])
    name: str
    type: str
    primary_key: bool
    note: str = Field(description="What to know of its values.")


class CollectionDetail(CollectionOut):
    """One upstream list with its fields."""

    fields: list[FieldOut]

    @classmethod
    def with_fields(cls, collection: Collection, fields: tuple[CollectionField, ...]) -> "CollectionDetail":
        rows = [
            FieldOut(
                id=f"{collection.id}:{field.accessor}",
                accessor=field.accessor,
                name=field.label or field.accessor,
                type=field.type,
                primary_key=field.primary_key,
                note=field.note,
            )
            for field in fields
        ]
        return cls(**cls.values(collection), fields=rows)


class CollectionList(Schema):
    data: list[CollectionOut]
    next: str | None = Field(default=None, description="Always null: they all come at once.")


class ProviderOut(Schema):
    """An upstream API we can read."""

    id: str
    name: str
    docs: str
    poll_s: int = Field(description="Default seconds between looks for changes.")
    credential_kinds: list[KindOut]
    hosts: list[HostOut]
    redirect_url: str = Field(description="To be registered with an OAuth app at the provider.")
    collections: list[CollectionOut] = Field(description="What most accounts have; an account may have more.")
    dropped: list[str] = Field(description="What does not arrive as the provider sends it.")

    @classmethod
    def of(cls, provider: Provider) -> "ProviderOut":
        kinds = [
            KindOut(
                kind=kind.key,
                label=kind.label,
                help=kind.help,
                needs_oauth_app=kind.oauth is not None,
                fields=[SetupFieldOut.of(field) for field in kind.fields],
            )
            for kind in provider.kinds
        ]
        return cls(
            id=provider.key,
            name=provider.label,
            docs=provider.docs,
            poll_s=provider.poll_s,
            credential_kinds=kinds,
            hosts=[HostOut(key=host.key, label=host.label, url=host.url, help=host.help) for host in provider.hosts],
            redirect_url=oauth.redirect_uri(provider.key),
            collections=[CollectionOut.of(collection) for collection in provider.collections],
            dropped=list(provider.dropped),
        )


class ProviderList(Schema):
    data: list[ProviderOut]
    next: str | None = Field(default=None, description="Always null: they all come at once.")


# --- OAuth apps ------------------------------------------------------------------------------------------------------

APP_EXAMPLE: Json = {
    "provider": "salesforce",
    "name": "Acme's Salesforce app",
    "client_id": "3MVG9…",
    "client_secret": "9D0F…",
    "host": "production",
}
CLIENT_SECRET = Field(min_length=1, max_length=4000, description="Kept encrypted, never given out again.")


class OAuthAppIn(Body):
    """Your own OAuth app at a provider."""

    model_config = {"json_schema_extra": {"example": APP_EXAMPLE}}

    provider: str = Field(description="`id` of a provider.", examples=["salesforce"])
    client_id: str = Field(max_length=400)
    client_secret: str = CLIENT_SECRET
    name: str = Field(default="", max_length=100)
    host: str = Field(default="", max_length=40, description="Which of the provider's login hosts; empty: the first.")
    login_url: str = Field(default="", max_length=300, description="Its address, where `host` asks for one.")
    metadata: dict[str, Any] = Field(default_factory=dict)


class OAuthAppPatch(Body):
    """What to change of an OAuth app; the rest stays."""

    model_config = {"json_schema_extra": {"example": {"client_secret": "9D0F…"}}}

    client_id: str | None = Field(default=None, max_length=400)
    client_secret: str | None = Field(default=None, max_length=4000, description="Empty or masked: it stays as it is.")
    name: str | None = Field(default=None, max_length=100)
    host: str | None = Field(default=None, max_length=40)
    login_url: str | None = Field(default=None, max_length=300)
    metadata: dict[str, Any] | None = None


class OAuthAppOut(Schema):
    """An OAuth app, its secret masked."""

    id: UUID
    provider: str
    name: str
    client_id: str
    client_secret: str = Field(examples=[MASK])
    host: str
    login_url: str
    redirect_url: str = Field(description="To be registered with the app at the provider.")
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, app: OAuthApp) -> "OAuthAppOut":
        names = ("id", "provider", "name", "client_id", "host", "login_url", "metadata", "created_at", "updated_at")
        values = {name: getattr(app, name) for name in names}
        return cls(**values, client_secret=MASK, redirect_url=oauth.redirect_uri(app.provider))


class OAuthAppList(Schema):
    data: list[OAuthAppOut]
    next: str | None


class OAuthAppQuery(ListQuery):
    provider: str = Field(default="", description="Only this provider's.")
    name: str = Field(default="", description="Only with this name.")
    metadata: str = METADATA_FILTER


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


class QuotaOut(Schema):
    """Requests used and allowed, as the provider last said."""

    used: int
    allowed: int
    at: datetime | None


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
    quota: QuotaOut | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Credential) -> "CredentialOut":
        trouble = queries.credential_trouble(row)
        quota = None
        if row.quota_used is not None and row.quota_allowed is not None:
            quota = QuotaOut(used=row.quota_used, allowed=row.quota_allowed, at=row.quota_at)
        names = ("id", "provider", "kind", "name", "oauth_app_id", "metadata", "created_at", "updated_at")
        values = {name: getattr(row, name) for name in names} | {"status": row.state}
        return cls(
            **values,
            properties=masked_properties(row),
            health=Health.of([trouble] if trouble else []),
            account=AccountOut(id=row.account_id, name=row.account_name),
            quota=quota,
        )


def masked_properties(row: Credential) -> dict[str, Any]:
    """What a credential was made of, as far as it may be seen: the fields its kind does not call secret."""
    fields = PROVIDERS[row.provider].kind(row.kind).fields
    shown = {"host", "instance_url", *(field.key for field in fields)}
    values = {key: value for key, value in row.settings.items() if key in shown}
    return {"kind": row.kind, "name": row.name, **values, **{field.key: MASK for field in fields if field.secret}}


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


# --- Syncs -----------------------------------------------------------------------------------------------------------

SYNC_EXAMPLE: Json = {
    "provider": "salesforce",
    "name": "Acme contacts",
    "collection_ids": ["salesforce:contact"],
    "credential": {
        "properties": {"kind": "salesforce_oauth2", "secret": "5Aep861…", "name": "Acme Salesforce"},
        "oauth_app_id": "5f0c4e6a-8a0f-4f6e-9d5b-0d6b2f1a7c11",
    },
}
COLLECTION_IDS = Field(description="`GET /v1/collections/{credential_id}` has them.", examples=[["salesforce:contact"]])
POLL = Field(default=None, ge=2, le=604_800, description="Seconds between looks for changes; default: the provider's.")


class SyncIn(Body):
    """A sync to make, with a credential there is (`credential_id`) or one to make along (`credential`)."""

    model_config = {"json_schema_extra": {"example": SYNC_EXAMPLE}}

    name: str = Field(max_length=100)
    provider: str = Field(default="", description="Told by the credential; when given, the two must agree.")
    collection_ids: list[str] = COLLECTION_IDS
    credential_id: UUID | None = None
    credential: InlineCredential | None = None
    poll_s: int | None = POLL
    external_id: str = Field(default="", max_length=200, description="Your own id for it.")
    metadata: dict[str, Any] = Field(default_factory=dict)


class SyncPatch(Body):
    """What to change of a sync; the rest stays."""

    model_config = {"json_schema_extra": {"example": {"name": "Contacts", "poll_s": 30}}}

    name: str | None = Field(default=None, max_length=100)
    collection_ids: list[str] | None = Field(default=None, description="All collections it shall have from now on.")
    poll_s: int | None = POLL
    external_id: str | None = Field(default=None, max_length=200)
    metadata: dict[str, Any] | None = None
    messages: Messages | None = Field(default=None, description=f"For collections it loses. {MESSAGES_HELP}")


class ResyncIn(Body):
    """Which collections to read again."""

    model_config = {"json_schema_extra": {"example": {"collection_ids": ["salesforce:contact"]}}}

    collection_ids: list[str] | None = Field(default=None, description="Left out: all of them.")


class DecisionIn(Body):
    """The answer to "deleted, or lost access?"."""

    model_config = {"json_schema_extra": {"example": {"decision": "release"}}}

    decision: Literal["release", "drop"] = Field(
        description="`release`: they were deleted, tell the stream. `drop`: we lost access, keep the records."
    )


class BackfillOut(Schema):
    """How far reading from the beginning has come."""

    read: int
    total: int | None = Field(description="Null where the provider does not say.")
    started_at: datetime | None
    completed_at: datetime | None


class SyncCollectionOut(Schema):
    """One collection of a sync."""

    id: str
    name: str
    phase: Literal["waiting", "backfilling", "live", "error", "removing"]
    live_count: int = Field(description="Records that exist upstream, as far as we know.")
    deleted_count: int
    skipped_count: int = Field(description="Records that could not be read.")
    held_deletes: int = Field(description="Deletions held back until you decide.")
    backfill: BackfillOut
    looked_at: datetime | None = Field(description="Last complete look for changes.")
    changed_at: datetime | None = Field(description="Last time a record changed.")
    deletes: str = Field(description="How deletions are found.")
    error: TroubleOut | None

    @classmethod
    def of(cls, row: SyncCollection) -> "SyncCollectionOut":
        backfill = BackfillOut(
            read=row.backfill_read,
            total=row.backfill_total,
            started_at=row.backfill_started_at,
            completed_at=row.backfilled_at,
        )
        names = ("phase", "live_count", "deleted_count", "skipped_count", "held_deletes", "changed_at")
        return cls(
            **{name: getattr(row, name) for name in names},
            id=row.collection_id,
            name=row.title,
            backfill=backfill,
            looked_at=row.feed.looked_at,
            deletes=queries.deletes_in_words(row),
            error=TroubleOut.of(row) or TroubleOut.of(row.feed),
        )


class SyncOut(Schema):
    """A sync and how it is."""

    id: UUID
    provider: str
    name: str
    status: Literal["active", "paused", "removing"]
    health: Health
    collection_ids: list[str]
    collections: list[SyncCollectionOut]
    credential_id: UUID
    credential: CredentialOut
    initial_backfill_completed_at: datetime | None = Field(description="Null while a collection is still being read.")
    poll_s: int = Field(description="Seconds between looks for changes.")
    external_id: str
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: SyncRow) -> "SyncOut":
        sync: Sync = row.sync
        collections = list(sync.collections.all())  # prefetched by listing.syncs_in_full
        picked = [each for each in collections if each.phase != Phase.REMOVING]
        ends = [each.backfilled_at for each in picked]
        read = max((at for at in ends if at), default=None) if all(ends) else None
        names = ("id", "provider", "name", "credential_id", "poll_s", "external_id", "metadata", "created_at")
        values = {name: getattr(sync, name) for name in (*names, "updated_at")} | {"status": sync.state}
        return cls(
            **values,
            health=Health.of(row.troubles),
            collection_ids=[each.collection_id for each in picked],
            collections=[SyncCollectionOut.of(each) for each in collections],
            credential=CredentialOut.of(sync.credential),
            initial_backfill_completed_at=read,
        )


class SyncList(Schema):
    data: list[SyncOut]
    next: str | None


class SyncQuery(ListQuery):
    provider: str = Field(default="", description="Only this provider's.")
    name: str = Field(default="", description="Only with this name.")
    status: Literal["active", "paused", "removing"] | None = Field(default=None, description="Only in this state.")
    external_id: str = Field(default="", description="Only with your own id.")
    metadata: str = METADATA_FILTER


# --- Records ---------------------------------------------------------------------------------------------------------

RECORD_EXAMPLE: Json = {
    "id": "3a1f0a52-8e0b-5c1e-9a57-0d7d2b1f4c11",
    "sync_id": "b3f6c2c8-1d94-4c1a-8f0e-6f8f1b7f2a10",
    "collection_id": "salesforce:contact",
    "provider": "salesforce",
    "upstream_id": "0035e00000AbCdEAAV",
    "data": {"Id": "0035e00000AbCdEAAV", "LastName": "Lovelace", "Email": "ada@example.com"},
    "deleted": False,
    "seq": 4711,
    "updated_idx": 4711,
    "upstream_created_at": "2026-11-02T09:14:00Z",
    "upstream_updated_at": "2026-11-23T16:20:31Z",
    "inserted_at": "2026-11-23T16:20:35.104211Z",
}


class RecordOut(Schema):
    """One object of a collection. `data` is what the provider sent, byte for byte, on one line."""

    model_config = {"json_schema_extra": {"example": RECORD_EXAMPLE}}

    id: UUID = Field(description="The same for ever, on the stream as well.")
    sync_id: UUID
    collection_id: str
    provider: str
    upstream_id: str
    data: Any = Field(description="The provider's record. Its numbers may be larger than 2^53: read them as they are.")
    deleted: bool
    seq: int = Field(description="Place in the sync's log; grows with every change.")
    updated_idx: int = Field(description="The same as `seq`, by its old name.")
    upstream_created_at: datetime | None
    upstream_updated_at: datetime | None
    inserted_at: datetime


class RecordList(Schema):
    data: list[RecordOut]
    next: str | None


class RecordQuery(ListQuery):
    sync_id: UUID | None = Field(default=None, description="Only this sync's.")
    collection_id: str = Field(default="", description="Only of this collection: `salesforce:contact`.")
    upstream_id: str = Field(default="", description="Only with this id at the provider.")
    deleted: bool | None = Field(default=None, description="Only deleted ones, or only those that exist.")
    changed_since: Moment | None = Field(default=None, description="Only changed at this moment or later, RFC 3339.")
