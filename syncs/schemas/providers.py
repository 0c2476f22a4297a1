"""Providers, their credential kinds and collections, as the API answers them."""

from typing import Any, Literal

from ninja import Field, Schema

from syncs import oauth_apps
from syncs.coverage import coverage
from syncs.providers.kit.catalogue import Collection, Provider, SetupField
from syncs.providers.kit.catalogue import Field as CollectionField


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
    lines: bool = Field(description="Several lines of text, such as a PEM key.")

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
            lines=field.lines,
        )


class KindOut(Schema):
    """One way to be let in."""

    kind: str
    label: str
    help: str
    needs_oauth_app: bool
    hosts: list[str] = Field(description="Keys of the login hosts it works at; empty: all.")
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
    deletes_in_words: str = Field(description="The same in words: how late at worst, at what cost.")
    history_limit_days: int | None = Field(
        description="So long the provider can tell of all changes; away longer, everything is read again. Null: always."
    )
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
            "deletes_in_words": coverage(collection, every_h=collection.sweep_every_h, poll_s=None).in_words,
            "history_limit_days": collection.remembers_s // 86_400 if collection.remembers_s else None,
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
    app_fields: list[SetupFieldOut] = Field(description="`properties` of its OAuth apps, beside id and secret.")
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
                hosts=list(kind.hosts),
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
            app_fields=[SetupFieldOut.of(field) for field in provider.app_fields()],
            redirect_url=oauth_apps.redirect_uri(provider.key),
            collections=[CollectionOut.of(collection) for collection in provider.collections],
            dropped=list(provider.dropped),
        )


class ProviderList(Schema):
    data: list[ProviderOut]
    next: str | None = Field(default=None, description="Always null: they all come at once.")
