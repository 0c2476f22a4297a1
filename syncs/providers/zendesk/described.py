"""The fields of a list: what a sample record has, and the names people gave to their own."""

from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Field
from syncs.providers.kit.errors import CollectionGone, PermissionMissing
from syncs.providers.zendesk import tickets
from syncs.providers.zendesk.catalogue import BY_ID
from syncs.providers.zendesk.exports import Exports, items_of
from syncs.providers.zendesk.lists import Lists
from syncs.providers.zendesk.resource import API, OBJECT, Found, Resource

# Where a list's own fields are described, and how a record holds them.
_OWN = {
    "ticket": ("ticket_field", "custom_fields", "id"),
    "user": ("user_field", "user_fields", "key"),
    "organization": ("organization_field", "organization_fields", "key"),
}


async def fields(exports: Exports, lists: Lists, resource: Resource) -> tuple[Field, ...]:
    """Zendesk describes its own fields in its docs only; while there is no record, there are none."""
    if resource.found is Found.OF_TICKETS:
        item = await tickets.sample(lists, resource)
    elif resource.found is Found.TIMED and not resource.listed:
        item = await exports.sample(resource)
    else:
        item = await lists.sample(resource, resource.list_path)
    parts = raw.split(item) if item is not None else {}
    plain = (
        Field(name, raw.value_type(value), name, name == resource.id_field)
        for name, value in parts.items()
        if name not in resource.drop
    )
    return (*plain, *await _own(lists, resource))


async def _own(lists: Lists, resource: Resource) -> list[Field]:
    """The fields that the account itself has made for this list."""
    if resource.name.startswith(OBJECT):
        path = resource.list_path.removesuffix("records") + "fields"
        items = items_of(raw.split((await lists.client.get(path)).body), "custom_object_fields")
        return [_field("custom_object_fields", raw.split(item), "key") for item in items]
    if resource.name not in _OWN:
        return []
    described, holder, key = _OWN[resource.name]
    found: list[Field] = []
    try:
        async for page in lists.pages(BY_ID[f"zendesk:{described}"], f"{API}/{described}s"):
            found += [_field(holder, raw.split(record.data or b"{}"), key) for record in page.records]
    except (PermissionMissing, CollectionGone):
        return []
    return [field for field in found if field.accessor]


def _field(holder: str, parts: raw.Split, key: str) -> Field:
    name = raw.scalar(parts.get(key))
    if key == "id" and raw.scalar(parts.get("removable")) is False:
        name = None  # a ticket's system fields are among its plain ones
    accessor = f"{holder}.{name}" if name is not None else ""
    return Field(accessor, raw.text_of(parts.get("type")) or "", raw.text_of(parts.get("title")) or str(name))
