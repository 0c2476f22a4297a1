"""Records, as the API answers them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from sequin_console.common.rest import ListQuery, Moment

Json = dict[str, Any]


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
