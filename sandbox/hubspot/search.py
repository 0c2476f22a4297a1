"""CRM search: filters, one sort rule, an offset that ends at 10,000, and an index that runs late.

Docs    https://developers.hubspot.com/docs/api-reference/search/guide
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.clock import SECOND_MS, parse_time
from sandbox.hubspot import errors, objects
from sandbox.hubspot.kinds import Kind
from sandbox.kit.query import Select
from sandbox.rawjson import dump, load

if TYPE_CHECKING:
    from sandbox.hubspot.side import HubSpot

MOST, WALL, LONGEST_BODY, MOST_GROUPS, MOST_FILTERS, MOST_IN_ALL = 200, 10_000, 3_000, 5, 6, 18
SIGNS = {"EQ": "=", "NEQ": "<>", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}


async def search(side: HubSpot, request: Request) -> Response:
    """POST /crm/objects/{version}/{type}/search. Archived records are not in the index."""
    kind, body = objects.kind_of(side, request, request.path_params["type"]), await request.body()
    if side.searches.spend("portal", limit := int(side.setting("searches_per_s"))).is_over and limit:
        raise errors.over_second()
    if len(body) > LONGEST_BODY:
        raise errors.invalid(f"The request body may have at most {LONGEST_BODY} characters.")
    asked = load(body or b"{}")
    limit, after = int(asked.get("limit", 10)), objects.number_of(asked.get("after") or "0", "after")
    if not 0 < limit <= MOST:
        raise errors.invalid(f"limit must be between 1 and {MOST}")
    if after + limit > WALL:
        raise errors.invalid(f"The search endpoint returns at most {WALL} results: paging beyond is not supported.")
    select = Select(side.tables.shelf(kind.name), True, objects.Wanted())
    if delay_s := side.setting("index_delay_s"):
        select.narrow("stamp_ms <= ?", side.clock.now_ms() - round(delay_s * SECOND_MS))
    _narrow(select, kind, asked.get("filterGroups", []))
    order, descending = _order(kind, asked.get("sorts", []))
    side.store.settle(side.clock.now_ms())
    total = select.count(side.store)
    size = min(limit, side.sandbox.settings.page_size_cap or limit)
    rows = select.rows(side.store, order, descending, size, after)
    names = objects.asked_names(side, kind, ",".join(asked.get("properties", [])))
    found = {"total": dump(total), "results": objects.shown_all(side, kind, rows, names, with_url=True)}
    if after + len(rows) < total and rows:
        found["paging"] = objects.paging(str(after + len(rows)))
    return objects.json_of(found)


def _narrow(select: Select, kind: Kind, groups: list[dict[str, Any]]) -> None:
    """Groups are joined by OR, the filters of each by AND."""
    filters = [group["filters"] for group in groups]
    if (
        len(groups) > MOST_GROUPS
        or any(len(each) > MOST_FILTERS for each in filters)
        or sum(map(len, filters)) > MOST_IN_ALL
    ):
        raise errors.invalid("Too many filters.")
    conditions, params = [], []
    for group in filters:
        made = [_condition(kind, each) for each in group]
        conditions.append("(" + " AND ".join(condition for condition, _ in made) + ")")
        params += [value for _, values in made for value in values]
    if conditions:
        select.narrow(f"({' OR '.join(conditions)})", *params)


def _condition(kind: Kind, each: dict[str, Any]) -> tuple[str, list[Any]]:
    name, operator = each["propertyName"], each["operator"]
    if operator == "HAS_PROPERTY":
        return "json_extract(body, ?) IS NOT NULL", [f"$.properties.{name}"]
    if operator not in SIGNS:
        raise errors.invalid(f"unknown operator {operator}")
    if name == "hs_object_id":
        return f"CAST(id AS INTEGER) {SIGNS[operator]} ?", [objects.number_of(each["value"], name)]
    if name in (kind.modified, kind.created):
        column = "stamp_ms" if name == kind.modified else "created_ms"
        return f"{column} {SIGNS[operator]} ?", [_moment(str(each["value"]))]
    if name not in kind.properties:
        raise errors.invalid(f"There was a problem with the request: property {name} does not exist.")
    return f"json_extract(body, ?) {SIGNS[operator]} ?", [f"$.properties.{name}", str(each["value"])]


def _moment(text: str) -> int:
    """Milliseconds since 1970, as such or as an ISO 8601 moment."""
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        return parse_time(text)
    except ValueError:
        raise errors.invalid(f"{text} is no time") from None


def _order(kind: Kind, sorts: list[dict[str, Any]]) -> tuple[str, bool]:
    if len(sorts) > 1:
        raise errors.invalid("Only one sort rule is supported.")
    if not sorts:
        return "created", False
    orders = {"hs_object_id": "id", kind.modified: "updated", kind.created: "created"}
    name = sorts[0]["propertyName"]
    if name not in orders:
        raise errors.invalid(f"sorting by {name} is not supported by the sandbox")
    return orders[name], sorts[0].get("direction") == "DESCENDING"
