"""Linear's own schema, as far as lists go: what can be asked for, and what that costs.

Source: schema.json, out of github.com/linear/linear; https://linear.app/developers/rate-limiting for the points
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.linear.document import Field, filled
from sandbox.linear.errors import invalid
from sandbox.rawjson import load

_READ: dict[str, Any] = load((Path(__file__).parent / "schema.json").read_text())
LISTS: dict[str, dict[str, Any]] = _READ["lists"]
FILTERS: dict[str, list[str]] = _READ["filters"]
TYPES: dict[str, dict[str, str]] = _READ["types"]
COMPARATORS = {"eq", "neq", "in", "nin", "gt", "gte", "lt", "lte"}
SCALARS = {"ID", "String", "Int", "Float", "Boolean", "DateTime", "TimelessDate", "JSONObject", "JSON", "Duration"}
USUAL_PAGE, LARGEST_PAGE = 50, 250


def object_type(declared: str) -> str:
    """`WorkflowState!` as `WorkflowState`; empty for scalars, lists and enumerations we know no fields of."""
    return declared.strip("!") if declared.strip("!") in TYPES else ""


def check(type_name: str, selection: tuple[Field, ...]) -> None:
    """Whether all that is asked of a type exists. Raises a refusal as GraphQL words it."""
    for field in selection:
        declared = TYPES[type_name].get(field.name)
        if declared is None:
            raise invalid(f'Cannot query field "{field.name}" on type "{type_name}".')
        inner = object_type(declared)
        if inner and not field.selection:
            raise invalid(f'Field "{field.name}" of type "{declared}" must have a selection of subfields.')
        if field.selection and not inner:
            raise invalid(f'Field "{field.name}" must not have a selection since type "{declared}" has no subfields.')
        if inner:
            check(inner, field.selection)


def check_list(name: str, field: Field, variables: Mapping[str, str]) -> None:
    """A list's arguments, and the types of the variables that stand for them."""
    known = LISTS[name]["args"]
    for argument, value in field.arguments.items():
        if argument not in known:
            raise invalid(f'Unknown argument "{argument}" on field "Query.{name}".')
        declared = variables.get(getattr(value, "name", ""), known[argument])
        if declared.strip("!") != known[argument].strip("!"):
            raise invalid(f'Variable of type "{declared}" used in position expecting type "{known[argument]}".')
    for part in field.selection:
        if part.name not in ("nodes", "pageInfo"):
            raise invalid(f'Cannot query field "{part.name}" on type "{LISTS[name]["type"]}Connection".')
        if part.name == "nodes":
            check(LISTS[name]["type"], part.selection)


def check_filter(name: str, asked: Mapping[str, Any]) -> None:
    kind = LISTS[name]["args"]["filter"]
    for path, comparisons in asked.items():
        if path not in FILTERS[kind] or not set(comparisons) <= COMPARATORS:
            raise invalid(f'Field "{path}" is not defined by type "{kind}".')


def points(fields: tuple[Field, ...], variables: Mapping[str, Any]) -> int:
    """What a query costs: 0.1 a field, 1 an object, what is in a list times its page."""
    return math.ceil(sum(_points(field, variables) for field in fields))


def _points(field: Field, variables: Mapping[str, Any]) -> float:
    if not field.selection:
        return 0.1
    inside = sum(_points(each, variables) for each in field.selection)
    if field.name not in LISTS:
        return 1 + inside
    return inside * int(filled(field.arguments.get("first"), variables) or USUAL_PAGE)
