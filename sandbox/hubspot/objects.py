"""Objects over HTTP: lists in order of id, batches by id, properties; and how a record is shown.

Docs    https://developers.hubspot.com/docs/api-reference/crm-objects-v3, …/crm-properties-v3
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from sandbox.hubspot import errors
from sandbox.hubspot.kinds import BY_NAME, PORTAL, Kind
from sandbox.kit.query import Select, Wanted
from sandbox.rawjson import Fields, dump, join_object, load, split_object
from sandbox.store import LIVE, Row

if TYPE_CHECKING:
    from sandbox.hubspot.side import HubSpot

MOST_LISTED, MOST_READ, LONGEST_URL = 100, 100, 16_000


def kind_of(side: HubSpot, request: Request, name: str) -> Kind:
    """The object type a path names, if the caller may read it."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise errors.unknown_type(name)
    lacking = [scope for scope in kind.scopes if not request.state.caller.may(scope)]
    if lacking:
        raise errors.missing_scopes(lacking)
    return kind


def number_of(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise errors.invalid(f"{name} is not a whole number") from None


async def listed(side: HubSpot, request: Request) -> Response:
    """GET /crm/objects/{version}/{type}: `after` is the id of the next page's first record."""
    kind, query = kind_of(side, request, request.path_params["type"]), request.query_params
    limit = number_of(query.get("limit", "10"), "limit")
    if not 0 < limit <= MOST_LISTED:
        raise errors.invalid(f"limit must be between 1 and {MOST_LISTED}")
    after, names = query.get("after", ""), asked_names(side, kind, query.get("properties", ""))
    is_bin = query.get("archived") == "true"
    select = Select(side.tables.shelf(kind.name), True, Wanted(deleted=is_bin))
    if is_bin:
        select.narrow("deleted <> ?", LIVE)
    if after:
        select.narrow(f"{select.number} >= ?", number_of(after, "after"))
    side.store.settle(side.clock.now_ms())
    size = min(limit, side.sandbox.settings.page_size_cap or limit)
    rows = select.rows(side.store, "id", False, size + 1, 0)
    found = {"results": shown_all(side, kind, rows[:size], names, with_url=True)}
    if len(rows) > size:
        found["paging"] = paging(rows[size].id, f"https://api.hubapi.com/crm/v3/objects/{kind.name}")
    return json_of(found)


async def batch_read(side: HubSpot, request: Request) -> Response:
    """POST …/batch/read: what is there, in the store's order, and an error that names the rest."""
    kind, asked = kind_of(side, request, request.path_params["type"]), load(await request.body())
    ids = [str(each["id"]) for each in asked["inputs"]]
    if len(ids) > MOST_READ:
        raise errors.invalid(f"The maximum number of inputs supported in a batch request is {MOST_READ}.")
    is_bin = request.query_params.get("archived") == "true"
    rows = [side.tables.get(kind.name, each, deleted=is_bin) for each in sorted(set(ids))]
    there = [row for row in rows if row is not None and bool(row.deleted) == is_bin]
    lost = sorted(set(ids) - {row.id for row in there})
    names = asked_names(side, kind, ",".join(asked.get("properties", [])))
    found = {"status": b'"COMPLETE"', "results": shown_all(side, kind, there, names)}
    if lost:
        error = {"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": lost},
                 "message": f"Could not get some {kind.singular} objects, they may be deleted or not exist. Check that "
                            "ids are valid."}  # fmt: skip
        found |= {"numErrors": dump(1), "errors": dump([error])}
    return json_of(found)


async def one(side: HubSpot, request: Request) -> Response:
    """GET …/{id}: an archived record is there when it is asked for as such."""
    kind = kind_of(side, request, request.path_params["type"])
    is_bin = request.query_params.get("archived") == "true"
    row = side.tables.get(kind.name, request.path_params["id"], deleted=is_bin)
    if row is None or bool(row.deleted) != is_bin:
        raise errors.not_found()
    names = asked_names(side, kind, request.query_params.get("properties", ""))
    return Response(shown(side, kind, row, names, with_url=True), media_type="application/json")


async def properties(side: HubSpot, request: Request) -> Response:
    """GET /crm/properties/{version}/{type}."""
    kind = kind_of(side, request, request.path_params["type"])
    described = [
        {"name": name, "label": name.replace("_", " ").capitalize(), "type": type_of(name), "fieldType": "text",
         "groupName": f"{kind.singular.lower()}information", "options": [], "calculated": name == "hs_object_id",
         "hubspotDefined": not name.startswith("custom_"), "hidden": False, "archived": False}
        for name in defined(side, kind)
    ]  # fmt: skip
    return json_of({"results": dump(described)})


def type_of(name: str) -> str:
    if name.endswith("date") or name == "hs_timestamp":
        return "datetime"
    return "number" if name in ("amount", "price", "quantity", "hs_object_id", "numberofemployees") else "string"


def defined(side: HubSpot, kind: Kind) -> list[str]:
    """The type's properties: HubSpot's, then as many of the account's own as the setting says."""
    return [
        *kind.properties,
        *(f"custom_property_with_a_long_name_{n:04d}" for n in range(side.setting("extra_properties"))),
    ]


def asked_names(side: HubSpot, kind: Kind, listed_names: str) -> list[str]:
    """The properties to show: those asked for that exist, and three that always come."""
    known = dict.fromkeys(defined(side, kind))
    wanted = [name for name in listed_names.split(",") if name in known] or list(kind.shown)
    return list(dict.fromkeys([*sorted(wanted), kind.created, kind.modified, "hs_object_id"]))


def shown_all(side: HubSpot, kind: Kind, rows: Iterable[Row], names: Sequence[str], *, with_url: bool = False) -> bytes:
    return b"[" + b",".join(shown(side, kind, row, names, with_url=with_url) for row in rows) + b"]"


def shown(side: HubSpot, kind: Kind, row: Row, names: Sequence[str], *, with_url: bool = False) -> bytes:
    """A record with these properties; one without a value is null. Lists name the record's page, batches do not."""
    fields: Fields = split_object(row.body)
    values = split_object(fields["properties"])
    fields["properties"] = join_object({name: values.get(name, b"null") for name in names})
    if with_url:
        fields["url"] = dump(f"https://app.hubspot.com/contacts/{PORTAL}/record/{kind.type_id}/{row.id}")
    return join_object(fields)


def paging(after: str, link: str = "") -> bytes:
    return dump({"next": {"after": after} | ({"link": f"{link}?after={after}"} if link else {})})


def json_of(fields: Fields) -> Response:
    return Response(join_object(fields), media_type="application/json")
