"""What a provider says of its own API, and whether an exchange keeps to it.

    api = Described.load("stripe")
    api.faults(exchange)  # sentences; none where request and answer are as described

`tests/integration/described/*.json` hold what we use of each description: operations (query, body, answer) and schemas,
without words, in JSON Schema 2020-12. Where each was taken from stands in its `about`. Parts that the sandbox never
fills are only said to be objects. A request is held to all of it.
An answer is held to the types and values of what it has:
the sandbox's records have fewer fields than upstream's, and marks of its own.
"""

import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema_rs import Draft202012Validator

FOLDER = Path(__file__).parent / "integration" / "described"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer: the path below the provider's address, with its query."""

    method: str
    path: str
    sent: Any
    status: int
    answer: Any


class Described:
    """One description, ready to hold exchanges against."""

    def __init__(self, operations: dict[str, Any], schemas: dict[str, Any]) -> None:
        self.operations, self._schemas = operations, {name: types(schema) for name, schema in schemas.items()}
        by_least_open = sorted(operations, key=lambda name: name.count("{"))
        self._paths = [(re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(name))), name) for name in by_least_open]
        self._validators: dict[str, Draft202012Validator] = {}

    @classmethod
    def load(cls, key: str) -> "Described":
        found = json.loads((FOLDER / f"{key}.json").read_text())
        return cls(found["operations"], found["$defs"])

    def operation(self, exchange: Exchange) -> str | None:
        """Its name (`GET /v1/customers/{customer}`), None where no description has it."""
        asked = f"{exchange.method} {urlsplit(exchange.path).path}"
        return next((name for path, name in self._paths if path.fullmatch(asked)), None)

    def faults(self, exchange: Exchange) -> Iterator[str]:
        """What of the request and, if it is a good one, of the answer is not as described."""
        name = self.operation(exchange)
        if name is None:
            yield f"{exchange.method} {urlsplit(exchange.path).path}: not described"
            return
        described = self.operations[name]
        params = described.get("query", {})
        for param, value in read_query(urlsplit(exchange.path).query, params).items():
            if param not in params:
                yield f"{name}: ?{param} is not described"
            elif not any(self._validator(params[param]).is_valid(each) for each in meanings(value)):
                yield f"{name}: ?{param}={value} is of another type"
        if exchange.sent is not None:
            yield from self._against(f"{name}: sent", described.get("body", False), exchange.sent)
        if exchange.status == 200 and "answer" in described:
            yield from self._against(f"{name}: answered", types(described["answer"]), exchange.answer)

    def _against(self, where: str, schema: Any, value: Any) -> Iterator[str]:
        for error in self._validator(schema).iter_errors(value):
            place = ".".join("*" if isinstance(each, int) else str(each) for each in error.instance_path)
            yield f"{where} {place}: {error.message[:300]}"

    def _validator(self, schema: Any) -> Draft202012Validator:
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = Draft202012Validator({"allOf": [schema], "$defs": self._schemas})
        return self._validators[key]


def types(schema: Any) -> Any:
    """The schema without what it says of fields that must be there, or may not be."""
    if isinstance(schema, list):
        return [types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {name: each for name, each in schema.items() if name != "required" and each is not False}
    return {
        name: {field: types(each) for field, each in value.items()} if name == "properties" else types(value)
        for name, value in loose.items()
    }


def read_query(query: str, whole: Container[str] = ()) -> dict[str, Any]:
    """A query as the value it spells: `created[gte]=1&types[]=a` -> {"created": {"gte": "1"}, "types": ["a"]}.

    whole  names described as they stand, brackets and all (`page[size]`)
    """
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        first, _, rest = (name, "", "") if name in whole else name.partition("[")
        if rest == "]":
            found.setdefault(first, []).append(value)
        elif rest:
            found.setdefault(first, {})[rest.removesuffix("]")] = value
        else:
            found[first] = value if first not in found else [*aslist(found[first]), value]
    return found


def aslist(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def meanings(value: Any) -> list[Any]:
    """All that a value in a query may mean: itself, the number or truth it spells, a list by commas."""
    if isinstance(value, dict):
        return [value, {name: meanings(each)[-1] for name, each in value.items()}]
    if not isinstance(value, str):
        return [value]
    listed = [value, value.split(",")]
    return [*listed, json.loads(value)] if re.fullmatch(r"-?\d+|true|false", value) else listed
