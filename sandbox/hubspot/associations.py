"""Associations: read for many records at once, from either side.

Docs    https://developers.hubspot.com/docs/api-reference/crm-associations-v4
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.hubspot import errors, objects
from sandbox.hubspot.kinds import Kind
from sandbox.kit.query import Wanted
from sandbox.rawjson import load

if TYPE_CHECKING:
    from sandbox.hubspot.side import HubSpot

MOST, ALL = 1_000, 1_000_000
ENDS = (("from", "to"), ("to", "from"))


async def batch_read(side: HubSpot, request: Request) -> Response:
    """POST …/{from}/{to}/batch/read: `after` beside an id goes on within that record's list."""
    one, other = (objects.kind_of(side, request, request.path_params[end]) for end in ("from", "to"))
    inputs = load(await request.body())["inputs"]
    if len(inputs) > MOST:
        raise errors.invalid(f"The maximum number of inputs supported in a batch request is {MOST}.")
    known = _known(side, one, other, [str(each["id"]) for each in inputs])
    size, results, lacking = int(side.setting("associations_page")), [], []
    for each in inputs:
        listed = known.get(str(each["id"]), [])
        start = objects.number_of(str(each.get("after") or 0), "after")
        part = [member for member in listed if member["toObjectId"] >= start]
        if not listed:
            lacking.append(_none(one, other, str(each["id"])))
            continue
        result: dict[str, Any] = {"from": {"id": str(each["id"])}, "to": part[:size]}
        if len(part) > size:
            after = str(part[size]["toObjectId"])
            result["paging"] = {"next": {"after": after, "link": f"?after={after}"}}
        results.append(result)
    found: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if lacking:
        found |= {"numErrors": len(lacking), "errors": lacking}
    return JSONResponse(found)


def _none(one: Kind, other: Kind, record: str) -> dict[str, Any]:
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"fromObjectId": [record]},
            "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            "message": f"No {other.name} is associated with {one.name} {record}."}  # fmt: skip


def _known(side: HubSpot, one: Kind, other: Kind, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Record -> what it is associated with, by id: living records alone, with every type of each association."""
    keys = [f"{one.name}:{each}" for each in ids]
    types: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for near, far in ENDS:
        for row in side.tables.page("associations", Wanted(among={near: keys}), order="id", limit=ALL):
            found = load(row.body)
            kind_name, _, there = found[far].partition(":")
            if kind_name == other.name and side.tables.get(other.name, there):
                kind = {name: found[name] for name in ("category", "typeId", "label")}
                types[found[near].partition(":")[2], int(there)].append(kind)
    listed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (record, there_id), kinds in sorted(types.items()):
        if side.tables.get(one.name, record):
            listed[record].append({"toObjectId": there_id, "associationTypes": kinds})
    return listed
