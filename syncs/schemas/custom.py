"""APIs that admins describe, as the API takes and answers them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from sequin_console.common.rest import Body
from syncs.models import CustomProvider
from syncs.providers.custom import Definition
from syncs.providers.custom.trial import Trial

EXAMPLE: dict[str, Any] = {
    "schema": "sequin-custom-provider/1",
    "key": "acme-crm",
    "label": "Acme CRM",
    "base_url": "https://api.acme.example/v2",
    "auth": {"type": "header", "name": "X-Api-Key"},
    "per_s": 5,
    "collections": [
        {
            "id": "contacts",
            "title": "Contacts",
            "path": "/contacts",
            "params": {"sort": "updated_at"},
            "list_at": "data.items",
            "updated_at": "updated_at",
            "size_param": "limit",
            "paging": {"type": "page_token", "path": "data.next", "param": "cursor"},
            "incremental": {"param": "updated_since", "format": "rfc3339", "overlap_s": 900},
            "record_path": "/contacts/{id}",
        }
    ],
}


class CustomProviderIn(Definition):
    """An API as you describe it. It is exported as it is: no secret belongs in it."""

    model_config = {"json_schema_extra": {"example": EXAMPLE}}


class ChangeQuery(Schema):
    read_again: bool = Field(
        default=False, description="Consents to collections being read from their beginning again, where need be."
    )


class ImportQuery(ChangeQuery):
    replace: bool = Field(default=False, description="Change the one of the same key, if there is one.")


class CustomProviderOut(Schema):
    """A described API. `provider` is what credentials and syncs call it by."""

    id: UUID
    provider: str = Field(examples=["custom-acme-crm"])
    name: str
    version: int = Field(description="Grows with each change.")
    definition: dict[str, Any] = Field(examples=[EXAMPLE])
    created_by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: CustomProvider) -> "CustomProviderOut":
        names = ("id", "version", "definition", "created_by", "created_at", "updated_at")
        return cls(provider=row.key, name=row.label, **{name: getattr(row, name) for name in names})


class CustomProviderList(Schema):
    data: list[CustomProviderOut]
    next: str | None = Field(default=None, description="Always null: they all come at once.")


class TrialIn(Body):
    """A definition to try; it need not be stored."""

    model_config = {
        "json_schema_extra": {
            "example": {"definition": EXAMPLE, "collection": "contacts", "secrets": {"secret": "key-1234"}}
        }
    }

    definition: Definition
    collection: str = Field(description="Its id in the definition.", examples=["contacts"])
    secrets: dict[str, str] = Field(
        default_factory=dict,
        description="Used once and never kept: `secret`; `user` and `password`; `client_id` and `client_secret`; or "
        "`access_token` for a sign-in.",
    )
    credential_id: UUID | None = Field(default=None, description="A credential of this API to use instead.")


class TrialRow(Schema):
    """One record as it would be stored; empty where the definition finds nothing."""

    id: str
    updated_at: str
    created_at: str
    data: str = Field(description="Its JSON, as the API wrote it.")


class FindingOut(Schema):
    """Something odd."""

    message: str
    next_step: str
    is_error: bool
    field: str = Field(description="What of the collection to look at, if that is known.")


class TrialOut(Schema):
    """What was asked and what came of it."""

    ok: bool
    request: str = Field(description="As it was sent, secrets masked.")
    status: int | None
    total: int = Field(description="Records on the first page.")
    records: list[TrialRow] = Field(description="The first of them.")
    further: str = Field(description="How the list goes on, in words.")
    findings: list[FindingOut]

    @classmethod
    def of(cls, tried: Trial) -> "TrialOut":
        return cls(
            ok=tried.is_good,
            request=tried.request,
            status=tried.status,
            total=tried.total,
            records=[
                TrialRow(id=row.id, updated_at=row.updated_at, created_at=row.created_at, data=row.data)
                for row in tried.rows
            ],
            further=tried.further,
            findings=[
                FindingOut(message=each.what, next_step=each.next_step, is_error=each.is_error, field=each.field)
                for each in tried.findings
            ],
        )
