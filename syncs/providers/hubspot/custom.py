"""Custom objects and what they are associated with: what an account's schemas say, as collections, and back.

Docs    https://developers.hubspot.com/docs/api-reference/crm-custom-objects-v3 (read 2026-11-23)
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from syncs.providers.hubspot.catalogue import BY_ID, CUSTOM_SCOPES, SCHEMAS, Found, Resource, to_collection
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape

_USUAL = {"0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets"}


class _Labels(msgspec.Struct):
    singular: str | None = None
    plural: str | None = None


class _Association(msgspec.Struct):
    fromObjectTypeId: str
    toObjectTypeId: str


class _Schema(msgspec.Struct):
    name: str
    objectTypeId: str
    labels: _Labels | None = None
    archived: bool = False
    associations: list[_Association] = []


class _Schemas(msgspec.Struct):
    results: list[_Schema]


async def discover(client: Client) -> tuple[Collection, ...]:
    """The account's custom objects; none where it may not have any, or does not let us see them."""
    try:
        answer = await client.get(SCHEMAS)
    except (PermissionMissing, CollectionGone):
        return ()
    try:
        schemas = msgspec.json.decode(answer.body, type=_Schemas).results
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("HubSpot described its objects in a form we do not know.", detail=str(error)) from None
    return tuple(made for each in schemas if not each.archived for made in _to_collections(each))


def _to_collections(schema: _Schema) -> list[Collection]:
    """The objects, and their associations with each usual type that the schema names."""
    title = (schema.labels.plural if schema.labels else None) or schema.name
    own = {"type": schema.objectTypeId, "name": schema.name}
    ends = {each.toObjectTypeId for each in schema.associations if each.fromObjectTypeId == schema.objectTypeId}
    linked = [own | {"to": name} for type_id, name in _USUAL.items() if type_id in ends]
    titles = [title, *(f"Associations: {title.lower()} to {each['to']}" for each in linked)]
    return [
        replace(to_collection(_resource(each, name)), custom=True, settings=each)
        for each, name in zip([own, *linked], titles, strict=True)
    ]


def _resource(settings: Mapping[str, str], title: str) -> Resource:
    name, kind, to = settings["name"], settings["type"], settings.get("to", "")
    if not to:
        return Resource(f"custom:{name}", title, Found.OBJECTS, kind, scopes=CUSTOM_SCOPES)
    return Resource(f"custom:{name}_to_{to}", title, Found.LINKS, kind, to, scopes=CUSTOM_SCOPES, shown=False)


def resource_of(collection: Collection) -> Resource:
    """What is read for a collection. Raises UnexpectedShape for one that is not HubSpot's."""
    if collection.id in BY_ID:
        return BY_ID[collection.id]
    if collection.custom and {"type", "name"} <= set(collection.settings):
        return _resource(collection.settings, collection.title)
    raise UnexpectedShape(f"{collection.id} is no collection of HubSpot.")
