"""Custom objects: what an account's schemas say, as collections, and back.

Docs    https://developers.hubspot.com/docs/api-reference/crm-custom-objects-v3 (read 2026-11-23)
"""

from dataclasses import replace

import msgspec

from syncs.providers.hubspot.catalogue import BY_ID, CUSTOM_SCOPES, SCHEMAS, Found, Resource, to_collection
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape


class _Labels(msgspec.Struct):
    singular: str | None = None
    plural: str | None = None


class _Schema(msgspec.Struct):
    name: str
    objectTypeId: str
    labels: _Labels | None = None
    archived: bool = False


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
    return tuple(_to_collection(each) for each in schemas if not each.archived)


def _to_collection(schema: _Schema) -> Collection:
    plural = schema.labels.plural if schema.labels else None
    resource = _resource(schema.name, plural or schema.name, schema.objectTypeId)
    settings = {"type": schema.objectTypeId, "name": schema.name}
    return replace(to_collection(resource), custom=True, settings=settings)


def _resource(name: str, title: str, kind: str) -> Resource:
    return Resource(f"custom:{name}", title, Found.OBJECTS, kind, scopes=CUSTOM_SCOPES)


def resource_of(collection: Collection) -> Resource:
    """What is read for a collection. Raises UnexpectedShape for one that is not HubSpot's."""
    if collection.id in BY_ID:
        return BY_ID[collection.id]
    if collection.custom and collection.settings.get("type"):
        return _resource(collection.settings["name"], collection.title, collection.settings["type"])
    raise UnexpectedShape(f"{collection.id} is no collection of HubSpot.")
