"""GraphQL documents, taken apart: one operation, its fields, their arguments. No fragments, aliases or directives.

Source: https://spec.graphql.org/October2021/#sec-Language
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.rawjson import load

_TOKEN = re.compile(
    r'\s*(?:,|#[^\n]*)*\s*([A-Za-z_]\w*|\$[A-Za-z_]\w*|"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?|[{}()\[\]:!=])'
)
_WORDS = {"true": True, "false": False, "null": None}


class Unreadable(Exception):
    """A document that is no GraphQL we know, in a sentence."""


@dataclass(frozen=True)
class Variable:
    """`$after`, until it is known what stands for it."""

    name: str


@dataclass(frozen=True)
class Field:
    """One field asked for: its arguments, and what is asked of it; nothing for a scalar."""

    name: str
    arguments: Mapping[str, Any]
    selection: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Operation:
    """kind: query or mutation. variables: name -> type, as declared."""

    kind: str
    variables: Mapping[str, str]
    fields: tuple[Field, ...]


def parse(text: str) -> Operation:
    """The one operation of a document. Raises Unreadable."""
    return _Parser(text).operation()


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """An argument with what stands for its variables; None for those nobody named."""
    if isinstance(value, Variable):
        return variables.get(value.name)
    if isinstance(value, list):
        return [filled(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, variables) for key, item in value.items()}
    return value


class _Parser:
    def __init__(self, text: str):
        self.tokens: list[str] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                raise Unreadable(f"Syntax Error: Unexpected character at {place}.")
            self.tokens.append(found[1])
            place = found.end()
        self.place = 0

    def operation(self) -> Operation:
        kind = "query" if self.next_is("{") else self.take()
        if kind not in ("query", "mutation"):
            raise Unreadable(f'Syntax Error: Unexpected Name "{kind}".')
        if not self.next_is("{") and not self.next_is("("):
            self.take()  # its name
        variables = self.declared() if self.next_is("(") else {}
        return Operation(kind, variables, self.selection())

    def declared(self) -> dict[str, str]:
        self.take("(")
        found = {}
        while not self.next_is(")"):
            name = self.take().removeprefix("$")
            self.take(":")
            words = []
            while not (self.next_is(")") or self.tokens[self.place].startswith("$")):
                words.append(self.take())
            found[name] = "".join(words).partition("=")[0]
        self.take(")")
        return found

    def selection(self) -> tuple[Field, ...]:
        self.take("{")
        fields = []
        while not self.next_is("}"):
            name = self.take()
            arguments = self.pairs("(", ")") if self.next_is("(") else {}
            fields.append(Field(name, arguments, self.selection() if self.next_is("{") else ()))
        self.take("}")
        return tuple(fields)

    def pairs(self, opening: str, closing: str) -> dict[str, Any]:
        self.take(opening)
        found = {}
        while not self.next_is(closing):
            name = self.take()
            self.take(":")
            found[name] = self.value()
        self.take(closing)
        return found

    def value(self) -> Any:
        if self.next_is("{"):
            return self.pairs("{", "}")
        if self.next_is("["):
            self.take("[")
            items = []
            while not self.next_is("]"):
                items.append(self.value())
            self.take("]")
            return items
        token = self.take()
        if token.startswith("$"):
            return Variable(token[1:])
        if token[0] in '"-0123456789':
            return load(token)
        return _WORDS.get(token, token)

    def next_is(self, token: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place] == token

    def take(self, wanted: str = "") -> str:
        if self.place == len(self.tokens):
            raise Unreadable("Syntax Error: Unexpected <EOF>.")
        token = self.tokens[self.place]
        if wanted and token != wanted:
            raise Unreadable(f"Syntax Error: Expected {wanted}, found {token}.")
        self.place += 1
        return token
