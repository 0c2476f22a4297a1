"""One object's fields as `describe` tells them, and how its records are shaped: every route gives the same bytes.

Docs    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_describe.htm
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Field
from syncs.providers.kit.errors import UnexpectedShape

COMPOUND = frozenset({"address", "location"})  # bulk refuses them; their components are read instead
FILES = frozenset({"base64"})  # the API gives their URL, bulk their content: never selected
NUMBERS = frozenset({"int", "long", "double", "currency", "percent"})
CHANGE_FIELDS = ("SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime")


class SField(msgspec.Struct, frozen=True):
    """One element of `fields` in a describe answer."""

    name: str
    type: str = "string"
    soapType: str = ""
    label: str = ""
    calculated: bool = False
    filterable: bool = True
    sortable: bool = True


class _Described(msgspec.Struct):
    name: str
    fields: list[SField]


@dataclass(frozen=True)
class Schema:
    """What can be selected of one object. `fields` keeps describe's order: it is the order of keys in every record."""

    name: str
    fields: tuple[SField, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @cached_property
    def change_field(self) -> str | None:
        """The best of the change times this object has, filterable and sortable; None: it can only be read whole."""
        usable = {field.name for field in self.fields if field.filterable and field.sortable}
        return next((name for name in CHANGE_FIELDS if name in usable), None)

    @cached_property
    def head(self) -> tuple[str, ...]:
        """The fields that place a row in a walk: Id, and the change field."""
        return tuple(dict.fromkeys(["Id", *filter(None, [self.change_field])]))

    @property
    def is_calculated(self) -> bool:
        """Whether a value may change without the record's change time: a formula or a roll-up."""
        return any(field.calculated for field in self.fields)

    @property
    def has_delete_mark(self) -> bool:
        return "IsDeleted" in self.names

    def chunks(self, budget: int) -> tuple[tuple[str, ...], ...]:
        """The selected fields, cut so that each chunk's list is at most `budget` characters long in a URL.

        Each chunk begins with Id and the change field: rows are merged by them.
        """
        head = self.head
        start = sum(len(name) + 1 for name in head)
        chunks, chunk, length = [], list(head), start
        for name in self.names:
            if name in head:
                continue
            if length + len(name) + 1 > budget and len(chunk) > len(head):
                chunks.append(tuple(chunk))
                chunk, length = list(head), start
            chunk.append(name)
            length += len(name) + 1
        return (*chunks, tuple(chunk))

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields if field.type in NUMBERS)

    @cached_property
    def _keys(self) -> tuple[tuple[str, bytes], ...]:
        return tuple((name, (b"," if place else b"{") + raw.join([(name, b"")])[1:-1]) for place, name in
                     enumerate(self.names))  # fmt: skip

    def shape(self, values: Mapping[str, msgspec.Raw | bytes]) -> bytes:
        """The record's data: the described fields in order, values as sent.

        Two spellings differ between REST and bulk and are made one: text with needless escapes (`\\/`), and whole
        numbers with `.0`. What the answer left out is null. `attributes` and what describe does not know are dropped.
        """
        numbers = self._numbers
        parts: list[msgspec.Raw | bytes] = []
        for name, key in self._keys:
            value = values.get(name, b"null")
            parts += (key, bytes(value).removesuffix(b".0") if name in numbers else value)
        data = b"".join(parts) + b"}"
        return self._shape_slowly(values) if b"\\" in data or b"attributes" in data else data

    def _shape_slowly(self, values: Mapping[str, msgspec.Raw | bytes]) -> bytes:
        """The same, value by value: some are spelled with escapes, or have `attributes` inside."""
        numbers = self._numbers
        parts: list[bytes] = []
        for name, key in self._keys:
            value = bytes(values.get(name, b"null"))
            if name in numbers:
                value = value.removesuffix(b".0")
            elif b"\\" in value:
                value = raw.plain_string(value)
            elif value[:1] == b"{":
                value = raw.without(value, ("attributes",))
            parts += (key, value)
        return b"".join(parts) + b"}"


def parse_describe(body: bytes) -> Schema:
    """The schema in a describe answer, less compound and file fields. Raises UnexpectedShape."""
    try:
        described = msgspec.json.decode(body, type=_Described)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Salesforce described an object in a form we do not know.", detail=str(error)) from None
    kept = tuple(field for field in described.fields if field.type not in COMPOUND | FILES)
    if not any(field.name == "Id" for field in kept):
        raise UnexpectedShape("Salesforce described an object without an Id.")
    return Schema(described.name, kept)


_TYPES = {
    "id": "id",
    "reference": "reference",
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "double": "number",
    "currency": "number",
    "percent": "number",
    "date": "date",
    "datetime": "date-time",
    "time": "time",
    "anyType": "anything",
    "complexvalue": "object",
    "json": "object",
}
_FORMULA = "Calculated by Salesforce, which announces no new value: all records are read again once a day for it."


def to_field(field: SField) -> Field:
    """A described field as pages and the API show it."""
    return Field(
        accessor=field.name,
        type=_TYPES.get(field.type, "string"),
        label=field.label,
        primary_key=field.name == "Id",
        note=_FORMULA if field.calculated else "",
    )
