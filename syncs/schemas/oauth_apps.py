"""OAuth apps, as the API takes and answers them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from sequin_console.common.rest import MASK, METADATA_FILTER, Body, ListQuery
from syncs import oauth_apps
from syncs.catalogue import PROVIDERS
from syncs.models import OAuthApp

Json = dict[str, Any]

APP_EXAMPLE: Json = {
    "provider": "salesforce",
    "name": "Acme's Salesforce app",
    "client_id": "3MVG9…",
    "client_secret": "9D0F…",
    "host": "production",
}
CLIENT_SECRET = Field(min_length=1, max_length=4000, description="Kept encrypted, never given out again.")
APP_PROPERTIES: Json = Field(
    default_factory=dict, description="What this provider's apps have besides: `app_fields` of `GET /v1/providers`."
)


class OAuthAppIn(Body):
    """Your own OAuth app at a provider."""

    model_config = {"json_schema_extra": {"example": APP_EXAMPLE}}

    provider: str = Field(description="`id` of a provider.", examples=["salesforce"])
    client_id: str = Field(max_length=400)
    client_secret: str = CLIENT_SECRET
    name: str = Field(default="", max_length=100)
    host: str = Field(default="", max_length=40, description="Which of the provider's login hosts; empty: the first.")
    login_url: str = Field(default="", max_length=300, description="Its address, where `host` asks for one.")
    properties: dict[str, Any] = APP_PROPERTIES
    metadata: dict[str, Any] = Field(default_factory=dict)


class OAuthAppPatch(Body):
    """What to change of an OAuth app; the rest stays."""

    model_config = {"json_schema_extra": {"example": {"client_secret": "9D0F…"}}}

    client_id: str | None = Field(default=None, max_length=400)
    client_secret: str | None = Field(default=None, max_length=4000, description="Empty or masked: it stays as it is.")
    name: str | None = Field(default=None, max_length=100)
    host: str | None = Field(default=None, max_length=40)
    login_url: str | None = Field(default=None, max_length=300)
    properties: dict[str, Any] | None = Field(default=None, description="What is not named or masked stays.")
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
    properties: dict[str, str] = Field(description="What this provider's apps have besides; secrets masked.")
    redirect_url: str = Field(description="To be registered with the app at the provider.")
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, app: OAuthApp) -> "OAuthAppOut":
        names = ("id", "provider", "name", "client_id", "host", "login_url", "metadata", "created_at", "updated_at")
        values = {name: getattr(app, name) for name in names}
        secret = [
            field.key for field in PROVIDERS[app.provider].app_fields() if field.secret and field.key in app.secrets
        ]
        return cls(
            **values,
            client_secret=MASK,
            properties={**app.settings, **dict.fromkeys(secret, MASK)},
            redirect_url=oauth_apps.redirect_uri(app.provider),
        )


class OAuthAppList(Schema):
    data: list[OAuthAppOut]
    next: str | None


class OAuthAppQuery(ListQuery):
    provider: str = Field(default="", description="Only this provider's.")
    name: str = Field(default="", description="Only with this name.")
    metadata: str = METADATA_FILTER
