"""What a SOQL tree means in SQL over the records table.

`Id`, `IsDeleted`, `CreatedDate` and `SystemModstamp` are indexed columns; every other field is looked up in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.clock import parse_time, salesforce_time
from sandbox.salesforce.errors import ApiError, no_such_column, unsupported_object
from sandbox.salesforce.fields import NUMBER_TYPES, Field
from sandbox.salesforce.ids import full_id
from sandbox.salesforce.objects import SObject
from sandbox.salesforce.soql import Comparison, Condition, Junction, Order, Path, Query, Value
from sandbox.salesforce.soql_tokens import place

COLUMNS = {"Id": "id", "IsDeleted": "deleted", "CreatedDate": "created_ms", "SystemModstamp": "stamp_ms"}
BIGGEST_INTEGER = 2**63 - 1
MAX_OFFSET = 2_000


@dataclass(frozen=True, slots=True)
class Reached:
    """A field that a path leads to. `through` is the reference field on the way, None for the object's own."""

    field: Field
    through: Field | None
    sql: str

    @property
    def is_id(self) -> bool:
        return self.field.type in ("id", "reference")


@dataclass(frozen=True, slots=True)
class Statement:
    """The WHERE, ORDER BY and LIMIT of a SELECT over `records`, with its parameters."""

    tail: str
    params: tuple[Any, ...]


class Compiler:
    """Resolves names against the org's objects and writes SQL."""

    def __init__(self, query: Query, objects: Mapping[str, SObject]):
        self.query = query
        self.objects = objects
        self.object = self._find_object(query.object)
        self.params: list[Any] = []

    def selected(self) -> list[Reached]:
        """The fields of the select list. Raises INVALID_FIELD for the first that does not exist or comes twice."""
        seen, reached = set(), []
        for path in self.query.fields:
            if path.name.lower() in seen:
                raise ApiError(400, "INVALID_FIELD", f"duplicate field selected: {path.name}")
            seen.add(path.name.lower())
            reached.append(self.resolve(path))
        return reached

    def statement(self, *, with_deleted: bool, limited: bool = True) -> Statement:
        """Everything after FROM."""
        if self.query.offset > MAX_OFFSET:
            raise ApiError(400, "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MAX_OFFSET}")
        self.params = [f"salesforce/{self.object.name}"]
        tail = "WHERE shelf = ?"
        if not with_deleted:
            tail += " AND deleted = 0"
        if self.query.where:
            tail += f" AND {self.condition(self.query.where)}"
        if self.query.orders:
            tail += " ORDER BY " + ", ".join(self.order(order) for order in self.query.orders)
        elif not self.query.is_count:
            tail += " ORDER BY id"
        if limited and (self.query.limit is not None or self.query.offset):
            tail += " LIMIT ? OFFSET ?"
            self.params += [-1 if self.query.limit is None else self.query.limit, self.query.offset]
        return Statement(tail, tuple(self.params))

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, Comparison):
            return self.comparison(condition)
        if condition.op == "not":
            return f"NOT ({self.condition(condition.parts[0])})"
        joined = f" {condition.op.upper()} ".join(self.condition(part) for part in condition.parts)
        if condition.op == "or" and (bound := _lowest_stamp(condition)) is not None:
            self.params.append(bound)
            return f"(({joined}) AND stamp_ms >= ?)"  # implied; lets SQLite start in the middle of the index
        return f"({joined})"

    def comparison(self, comparison: Comparison) -> str:
        reached = self.resolve(comparison.path)
        if not reached.field.filterable:
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"{place(self.query.text, comparison.path.at)}field '{comparison.path.name}' can not be filtered in a"
                " query call",
            )
        op = comparison.op
        if op in ("in", "not in"):
            marks = ", ".join("?" for _ in comparison.values)
            sql = f"({reached.sql} {op.upper()} ({marks}))"
            self.params += [self.literal(reached, value, comparison) for value in comparison.values]
            return sql
        value = comparison.values[0]
        if value.kind == "null":
            if op not in ("=", "!="):
                raise ApiError(400, "INVALID_FIELD", f"unsupported operator for null: '{op}'")
            return f"({reached.sql} IS {'NOT ' if op == '!=' else ''}NULL)"
        self.params.append(self.literal(reached, value, comparison))
        if op == "like":
            return f"({reached.sql} LIKE ? ESCAPE '\\')"
        return f"({reached.sql} {'IS NOT' if op == '!=' else op} ?)"

    def literal(self, reached: Reached, value: Value, comparison: Comparison) -> Any:
        """The value as SQL compares it. Raises INVALID_FIELD when it is not of the field's type."""
        field_type = reached.field.type
        if field_type == "datetime" and value.kind == "moment":
            at_ms = parse_time(value.text)
            return at_ms if reached.sql in COLUMNS.values() else salesforce_time(at_ms)
        if field_type == "date" and value.kind == "date":
            return value.text
        if field_type in NUMBER_TYPES and value.kind == "number":
            return _number(value.text)
        if field_type == "boolean" and value.kind == "boolean":
            return int(value.text == "true")
        if reached.is_id and value.kind == "text":
            return full_id(value.text)
        texts = field_type not in ("datetime", "date", "boolean", *NUMBER_TYPES)
        if texts and value.kind == "text":
            return value.text
        wanted = {"datetime": "dateTime", "id": "ID"}.get(field_type, field_type if not texts else "string")
        quotes = "should not be enclosed in quotes" if value.kind == "text" else "should be enclosed in quotes"
        where = place(self.query.text, comparison.path.at)
        raise ApiError(
            400,
            "INVALID_FIELD",
            f"{where}value of filter criterion for field '{comparison.path.name}' must be of type {wanted} and"
            f" {quotes}",
        )

    def order(self, order: Order) -> str:
        reached = self.resolve(order.path)
        direction = "DESC" if order.descending else "ASC"
        if reached.field.nillable:  # nulls come first unless asked otherwise, whatever the direction
            return f"{reached.sql} {direction} NULLS {'LAST' if order.nulls_last else 'FIRST'}"
        return f"{reached.sql} {direction}"

    def resolve(self, path: Path) -> Reached:
        """The field a path names, with SQL that reads it. One step to a parent is followed: `Owner.Name`."""
        where = place(self.query.text, path.at)
        name = path.name.removeprefix(f"{self.object.name}.")
        if "." not in name:
            field = _field(self.object, name)
            if field is None:
                raise no_such_column(name, self.object.name, where)
            return Reached(field, None, _read(field, "body"))
        step, _, rest = name.partition(".")
        through = next((f for f in self.object.fields if (f.relationship or "").lower() == step.lower()), None)
        parent = self.objects.get(through.refers_to[0]) if through else None
        if through is None or parent is None:
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"{where}Didn't understand relationship '{step}' in field path. If you are attempting to use a custom"
                " relationship, be sure to append the '__r' after the custom relationship name.",
            )
        field = _field(parent, rest)
        if field is None:
            raise no_such_column(rest, parent.name, where)
        source = "parent.id" if field.name == "Id" else _read(field, "parent.body")
        return Reached(
            field,
            through,
            f"(SELECT {source} FROM records AS parent WHERE parent.shelf = 'salesforce/{parent.name}'"
            f" AND parent.id = json_extract(records.body, '$.{through.name}'))",
        )

    def _find_object(self, path: Path) -> SObject:
        for name, sobject in self.objects.items():
            if name.lower() == path.name.lower() and sobject.queryable:
                return sobject
        raise unsupported_object(path.name, place(self.query.text, path.at))


def _field(sobject: SObject, name: str) -> Field | None:
    return next((field for field in sobject.fields if field.name.lower() == name.lower()), None)


def _read(field: Field, body: str) -> str:
    """SQL for a field's value: a column where there is one, else the body; text compares without regard to case."""
    if body == "body" and field.name in COLUMNS:
        return COLUMNS[field.name]
    sql = f"json_extract({body}, '$.{field.name}')"
    compares_as_is = field.type in ("id", "reference", "boolean", "date", "datetime", *NUMBER_TYPES)
    return sql if compares_as_is else f"{sql} COLLATE NOCASE"


def _number(text: str) -> int | float:
    try:
        whole = int(text)
    except ValueError:
        return float(text)
    return whole if abs(whole) <= BIGGEST_INTEGER else float(whole)


def _lowest_stamp(junction: Junction) -> int | None:
    """The stamp no row of any branch lies below, if each branch has one."""
    bounds = [_stamp_bound(part) for part in junction.parts]
    known = [bound for bound in bounds if bound is not None]
    return min(known) if len(known) == len(bounds) else None


def _stamp_bound(condition: Condition) -> int | None:
    if isinstance(condition, Junction):
        bounds = [bound for part in condition.parts if (bound := _stamp_bound(part)) is not None]
        return max(bounds) if condition.op == "and" and bounds else None
    is_stamp = condition.path.name.lower() == "systemmodstamp" and condition.op in ("=", ">", ">=")
    return parse_time(condition.values[0].text) if is_stamp and condition.values[0].kind == "moment" else None
