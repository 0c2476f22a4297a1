"""What the API takes and answers for consumers. Descriptions and examples are what /v1/docs shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Field, Schema

from consumers.connection import split_host
from consumers.inputs import SECRETS
from consumers.models import DEFAULT_PORT, DEFAULT_PREFIX, NatsConsumer
from consumers.preflight import FAILED
from consumers.queries import ConsumerRow, CursorRow, Lag
from consumers.states import ConsumerState
from consumers.streams import DEFAULT_STREAM
from sequin_console.common.rest import MASK, METADATA_FILTER, Body, ListQuery, TroubleOut

Json = dict[str, Any]
SECRET = Field(default=None, max_length=20_000)
CONSUMER_EXAMPLE: Json = {
    "name": "Contacts to NATS",
    "subject_prefix": DEFAULT_PREFIX,
    "nats": {
        "host": "connect.ngs.global",
        "port": 4222,
        "tls": True,
        "jwt": "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ…",
        "nkey_seed": "SUAB…",
    },
}


class NatsIn(Body):
    """How to reach NATS, and as whom: JWT and seed, `creds`, user and password, or a token."""

    host: str | None = Field(default=None, max_length=2000, description="One host, or several parted by commas.")
    hosts: list[str] | None = Field(default=None, max_length=32, description="In place of `host`; tried in order.")
    port: int | None = Field(default=None, description=f"For hosts given without one. Default {DEFAULT_PORT}.")
    tls: bool | None = Field(default=None, description="Encrypt, and check the server's certificate.")
    creds: str | None = Field(
        default=None, max_length=20_000, description="A `.creds` file: JWT and seed are taken out."
    )
    jwt: str | None = SECRET
    nkey_seed: str | None = SECRET
    user: str | None = SECRET
    password: str | None = SECRET
    token: str | None = SECRET
    ca: str | None = Field(default=None, max_length=200_000, description="Your own certificate authority, PEM.")
    client_cert: str | None = Field(default=None, max_length=200_000, description="Client certificate, PEM.")
    client_key: str | None = Field(default=None, max_length=200_000, description="Its key, PEM.")
    inbox_prefix: str | None = Field(default=None, max_length=200, description="Left out: the first that works.")
    domain: str | None = Field(default=None, max_length=200, description="JetStream domain or API prefix.")


class ConsumerIn(Body):
    """A consumer to make."""

    model_config = {"json_schema_extra": {"example": CONSUMER_EXAMPLE}}

    name: str = Field(max_length=100)
    nats: NatsIn
    sync_id: UUID | None = Field(default=None, description="Left out: all syncs, later ones too.")
    collection_ids: list[str] | None = Field(default=None, description="Left out: all collections.")
    subject_prefix: str = Field(default=DEFAULT_PREFIX, max_length=200)
    deliver_policy: Literal["all", "new"] = Field(default="all", description="From the beginning, or from now on.")
    tombstone_ttl_h: int | None = Field(
        default=None, ge=24, le=100_000, description="Hours a tombstone stays on a stream that allows message TTL."
    )
    metadata: dict[str, Any] = Field(default_factory=dict)


class ConsumerPatch(Body):
    """What to change of a consumer; the rest stays, secrets that are sent back masked as well."""

    model_config = {"json_schema_extra": {"example": {"name": "Contacts", "nats": {"password": "new"}}}}

    name: str | None = Field(default=None, max_length=100)
    nats: NatsIn | None = None
    sync_id: UUID | None = Field(default=None, description="May be repeated, cannot be changed.")
    collection_ids: list[str] | None = Field(default=None, description="Null: all collections.")
    subject_prefix: str | None = Field(default=None, max_length=200)
    deliver_policy: Literal["all", "new"] | None = None
    tombstone_ttl_h: int | None = Field(default=None, ge=24, le=100_000)
    metadata: dict[str, Any] | None = None


class ConsumerQuery(ListQuery):
    name: str = Field(default="", description="Only with this name.")
    sync_id: UUID | None = Field(default=None, description="Only of this sync alone.")
    status: Literal["active", "paused", "error", "removing"] | None = Field(default=None, description="In this state.")
    metadata: str = METADATA_FILTER


class ReplayIn(Body):
    """What to send again."""

    model_config = {"json_schema_extra": {"example": {"sync_id": "b3f6c2c8-1d94-4c1a-8f0e-6f8f1b7f2a10"}}}

    sync_id: UUID | None = Field(default=None, description="Left out: all syncs.")


class StreamIn(Body):
    """The stream to create."""

    model_config = {"json_schema_extra": {"example": {"name": DEFAULT_STREAM, "replicas": 3}}}

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,250}$", description="Made from the prefix.")
    replicas: int = Field(default=1, ge=1, le=5)


class NatsOut(Schema):
    """How NATS is reached. Secrets that are set are masked, others null."""

    host: str
    port: int
    hosts: list[str]
    tls: bool
    jwt: str | None = Field(examples=[MASK])
    nkey_seed: str | None = Field(examples=[MASK])
    user: str | None
    password: str | None
    token: str | None
    ca: str | None
    client_cert: str | None
    client_key: str | None
    inbox_prefix: str | None
    domain: str | None

    @classmethod
    def of(cls, consumer: NatsConsumer) -> "NatsOut":
        host, port = split_host(consumer.hosts[0]) if consumer.hosts else ("", consumer.port)
        masked = {name: MASK if consumer.secrets.get(column) else None for name, column in SECRETS.items()}
        return cls(
            **masked,
            host=host,
            port=port,
            hosts=consumer.hosts,
            tls=consumer.tls,
            ca=consumer.ca_pem or None,
            inbox_prefix=consumer.inbox_prefix or None,
            domain=consumer.jetstream_domain or None,
        )


class LagOut(Schema):
    """What is yet to be confirmed by the stream."""

    records: int = Field(description="Exact up to 10,000.")
    is_over: bool = Field(description="There are more than 10,000.")
    oldest_s: float | None = Field(description="Age of the oldest waiting record, in seconds.")

    @classmethod
    def of(cls, lag: Lag) -> "LagOut":
        return cls(records=min(lag.records, 10_000), is_over=lag.is_over, oldest_s=lag.seconds)


class CursorOut(Schema):
    """How far the consumer is in one sync."""

    sync_id: UUID
    sync_name: str
    acked_seq: int = Field(description="The stream confirmed everything up to here.")
    head_seq: int = Field(description="End of the sync's log.")
    run: int = Field(description="Grows with every replay.")
    delivered: int = Field(description="Messages confirmed, over all runs.")
    held: int = Field(description="Records set aside, because the stream can never take them.")
    lag: LagOut
    last_acked_at: datetime | None

    @classmethod
    def of(cls, row: CursorRow) -> "CursorOut":
        cursor = row.cursor
        names = ("sync_id", "acked_seq", "run", "delivered", "last_acked_at")
        values = {name: getattr(cursor, name) for name in names}
        return cls(**values, sync_name=row.sync_name, head_seq=row.head_seq, held=row.held, lag=LagOut.of(row.lag))


class CommandOut(Schema):
    """A block to paste."""

    label: str
    text: str


class NatsCheckOut(Schema):
    """One check's result."""

    key: str
    label: str
    state: Literal["ok", "failed", "warning", "not_tried"]
    detail: str = Field(description="What was found, or the cause.")
    next_step: str
    commands: list[CommandOut]
    action: str = Field(description="What the console can do about it: `create_stream`, `allow_atomic` or nothing.")

    @classmethod
    def of(cls, check: Mapping[str, Any]) -> "NatsCheckOut":
        names = ("key", "label", "state", "detail", "commands", "action")
        return cls(**{name: check[name] for name in names}, next_step=check["remedy"])


class NatsCheckList(Schema):
    """All checks in order; after one that failed, the rest are not tried."""

    ok: bool = Field(description="No check failed.")
    promise: Literal["fenced", "basic", ""] = Field(
        description="`fenced`: exactly once into the stream. `basic`: at least once. Empty: not known yet."
    )
    data: list[NatsCheckOut]

    @classmethod
    def of(cls, consumer: NatsConsumer, checks: Sequence[Mapping[str, Any]]) -> "NatsCheckList":
        ok = all(check["state"] != FAILED for check in checks)
        promise: Any = consumer.promise
        return cls(ok=ok, promise=promise, data=[NatsCheckOut.of(check) for check in checks])


class ConsumerOut(Schema):
    """A consumer and how it is."""

    id: UUID
    name: str
    status: Literal["active", "paused", "error", "removing"]
    sync_id: UUID | None = Field(description="Null: all syncs.")
    collection_ids: list[str] | None = Field(description="Null: all collections.")
    subject_prefix: str
    deliver_policy: Literal["all", "new"]
    tombstone_ttl_h: int | None
    nats: NatsOut
    jwt_facts: dict[str, Any] = Field(description="What the JWT says: account, user, permissions, expiry.")
    stream: str = Field(description="As last found.")
    promise: Literal["fenced", "basic", ""] = Field(description="`fenced`: exactly once. `basic`: at least once.")
    lag: LagOut
    rate: float = Field(description="Messages a second over the last minute.")
    delivered: int
    held: int = Field(description="Records set aside, because the stream can never take them.")
    last_acked_at: datetime | None
    cursors: list[CursorOut]
    error: TroubleOut | None
    warning: str
    checked_at: datetime | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ConsumerRow) -> "ConsumerOut":
        consumer = row.consumer
        is_troubled = consumer.state == ConsumerState.ERROR
        names = ("id", "name", "sync_id", "collection_ids", "subject_prefix", "deliver_policy", "tombstone_ttl_h",
                 "jwt_facts", "promise", "warning", "checked_at", "metadata", "created_at", "updated_at")  # fmt: skip
        values = {name: getattr(consumer, name) for name in names} | {"status": consumer.state}
        return cls(
            **values,
            nats=NatsOut.of(consumer),
            stream=consumer.stream_name,
            lag=LagOut.of(row.lag),
            rate=row.rate,
            delivered=row.delivered,
            held=row.held,
            last_acked_at=row.last_acked_at,
            cursors=[CursorOut.of(cursor) for cursor in row.cursors],
            error=TroubleOut.of(consumer) if is_troubled else None,
        )


class ConsumerList(Schema):
    data: list[ConsumerOut]
    next: str | None
