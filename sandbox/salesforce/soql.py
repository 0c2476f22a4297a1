"""A subset of SOQL: from text to a tree. What the tree means in SQL is `soql_sql.py`'s business.

    query      = SELECT ( COUNT() | path , … ) FROM name [ WHERE condition ] [ ORDER BY path [ASC|DESC] [NULLS
                 FIRST|LAST] , … ] [ LIMIT n ] [ OFFSET n ]
    condition  = comparison | NOT condition | condition AND condition | condition OR condition | ( condition )
    comparison = path op value | path LIKE 'text' | path [NOT] IN ( value , … )

AND and OR at one level need parentheses, as upstream demands.
Source: SOQL and SOSL Reference, v67.0, https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.salesforce.errors import malformed_query
from sandbox.salesforce.soql_tokens import Token, place, text_value, tokenize


@dataclass(frozen=True, slots=True)
class Path:
    """A field, or a field of a parent: `Name`, `Owner.Name`. `at` is its place in the query's text."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: kind is `text`, `number`, `moment`, `date`, `boolean` or `null`; a number keeps its text."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`op` is one of = != < <= > >= like; `in` and `not in` have several values."""

    path: Path
    op: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """`op` is `and`, `or` or `not` (then there is one part)."""

    op: str
    parts: tuple[Condition, ...]


Condition = Comparison | Junction


@dataclass(frozen=True, slots=True)
class Order:
    path: Path
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """`fields` is empty for SELECT COUNT()."""

    text: str
    fields: tuple[Path, ...]
    object: Path
    where: Condition | None = None
    orders: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0

    @property
    def is_count(self) -> bool:
        return not self.fields


def parse(text: str) -> Query:
    """The tree of a query. Raises ApiError MALFORMED_QUERY naming the token it stumbled over."""
    return _Parser(text).query()


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = tokenize(text)
        self.next = 0

    def query(self) -> Query:
        self.take("keyword", "select")
        fields = self.select_list()
        self.take("keyword", "from")
        name = self.take("name")
        where = self.condition() if self.skip("keyword", "where") else None
        orders = self.orders() if self.skip("keyword", "order") else ()
        limit = int(self.whole_number()) if self.skip("keyword", "limit") else None
        offset = int(self.whole_number()) if self.skip("keyword", "offset") else 0
        if self.peek.kind != "end":
            raise self.unexpected()
        return Query(self.text, fields, Path(name.text, name.at), where, orders, limit, offset)

    def select_list(self) -> tuple[Path, ...]:
        first = self.take("name")
        if first.text.lower() == "count" and self.skip("symbol", "("):
            self.take("symbol", ")")
            return ()
        fields = [Path(first.text, first.at)]
        while self.skip("symbol", ","):
            token = self.take("name")
            fields.append(Path(token.text, token.at))
        return tuple(fields)

    def condition(self) -> Condition:
        """One level of conditions; mixing AND with OR on it is an error upstream too."""
        parts, op = [self.term()], ""
        while self.peek.kind == "keyword" and self.peek.text.lower() in ("and", "or"):
            word = self.peek.text.lower()
            if op and word != op:
                raise self.unexpected()
            op = word
            self.next += 1
            parts.append(self.term())
        return parts[0] if len(parts) == 1 else Junction(op, tuple(parts))

    def term(self) -> Condition:
        if self.skip("keyword", "not"):
            return Junction("not", (self.term(),))
        if self.skip("symbol", "("):
            inner = self.condition()
            self.take("symbol", ")")
            return inner
        token = self.take("name")
        path = Path(token.text, token.at)
        if self.skip("keyword", "like"):
            return Comparison(path, "like", (self.value(),))
        if self.skip("keyword", "in"):
            return Comparison(path, "in", self.values())
        if self.skip("keyword", "not"):
            self.take("keyword", "in")
            return Comparison(path, "not in", self.values())
        op = self.take("symbol").text
        if op not in ("=", "!=", "<>", "<", "<=", ">", ">="):
            self.next -= 1
            raise self.unexpected()
        return Comparison(path, "!=" if op == "<>" else op, (self.value(),))

    def values(self) -> tuple[Value, ...]:
        self.take("symbol", "(")
        values = [self.value()]
        while self.skip("symbol", ","):
            values.append(self.value())
        self.take("symbol", ")")
        return tuple(values)

    def value(self) -> Value:
        token = self.peek
        self.next += 1
        if token.kind in ("number", "moment", "date"):
            return Value(token.kind, token.text)
        if token.kind == "text":
            return Value("text", text_value(token.text))
        if token.kind == "name" and token.text.lower() in ("true", "false"):
            return Value("boolean", token.text.lower())
        if token.kind == "name" and token.text.lower() == "null":
            return Value("null", "null")
        self.next -= 1
        raise self.unexpected()

    def orders(self) -> tuple[Order, ...]:
        self.take("keyword", "by")
        orders = [self.order()]
        while self.skip("symbol", ","):
            orders.append(self.order())
        return tuple(orders)

    def order(self) -> Order:
        token = self.take("name")
        descending = self.skip("keyword", "desc")
        if not descending:
            self.skip("keyword", "asc")
        nulls_last = False
        if self.skip("keyword", "nulls"):
            word = self.take("name").text.lower()
            if word not in ("first", "last"):
                self.next -= 1
                raise self.unexpected()
            nulls_last = word == "last"
        return Order(Path(token.text, token.at), descending, nulls_last)

    def whole_number(self) -> str:
        token = self.take("number")
        if not token.text.isdigit():
            self.next -= 1
            raise self.unexpected()
        return token.text

    @property
    def peek(self) -> Token:
        return self.tokens[self.next]

    def skip(self, kind: str, text: str) -> bool:
        found = self.peek.kind == kind and self.peek.text.lower() == text
        self.next += found
        return found

    def take(self, kind: str, text: str = "") -> Token:
        token = self.peek
        if token.kind != kind or (text and token.text.lower() != text):
            raise self.unexpected()
        self.next += 1
        return token

    def unexpected(self) -> Exception:
        token = self.peek
        return malformed_query(f"{place(self.text, token.at)}unexpected token: '{token.text}'")
