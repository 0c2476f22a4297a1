"""A subset of JQL: comparisons joined by AND, and an order.

    project = "ACME" AND updated >= "2026-11-20 09:05" ORDER BY updated ASC, key ASC

Source: https://support.atlassian.com/jira-software-cloud/docs/what-is-advanced-search-in-jira-cloud
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.jira.errors import UNBOUNDED, told
from sandbox.jira.times import jql_moment
from sandbox.kit.query import STAMPS, Select

_ORDER = re.compile(r"\s*\border\s+by\b", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_CLAUSE = re.compile(r"(\w+)\s*(>=|<=|!=|=|>|<|\bnot in\b|\bin\b|\bis not\b|\bis\b)\s*(.+)", re.IGNORECASE | re.DOTALL)
_BY = re.compile(r"(\w+)(?:\s+(asc|desc))?", re.IGNORECASE)
MOST_ORDERS = 7
ORDERS = {"created": "created", "updated": "updated", "key": "id", "id": "id", "issuekey": "id"}
NUMBERS = ("id", "issue", "issuekey", "key")


@dataclass(frozen=True)
class Order:
    by: str
    descending: bool


def parse(text: str) -> tuple[list[tuple[str, str, str]], Order]:
    """The clauses of a query as (field, sign, value), and its order. Raises 400: nothing restricts it, or no JQL."""
    where, *orders = _ORDER.split(text.strip(), maxsplit=1)
    if not where.strip():
        raise UNBOUNDED
    clauses = []
    for part in _AND.split(where.strip()):
        found = _CLAUSE.fullmatch(part.strip())
        if found is None:
            raise told(400, f"Error in the JQL Query: Expecting operator but got '{part}'.")
        clauses.append((found[1].lower(), found[2].lower(), found[3].strip()))
    return clauses, _order(orders[0] if orders else "created desc")


def _order(text: str) -> Order:
    """Issues have a total order anyway; what counts is the first field."""
    found = [_BY.fullmatch(part.strip()) for part in text.split(",")]
    if len(found) > MOST_ORDERS or None in found:
        raise told(400, "Error in the JQL Query: The ORDER BY clause is not valid.")
    named = [(each[1].lower(), (each[2] or "asc").lower()) for each in found if each]
    for field, _ in named:
        if field not in ORDERS:
            raise told(400, f"Not able to sort using field '{field}'.")
    return Order(ORDERS[named[0][0]], named[0][1] == "desc")


def narrow(select: Select, clauses: list[tuple[str, str, str]], zone: str) -> None:
    """Lay the clauses on a SELECT of issues. Times are read in the caller's zone, to the minute."""
    for field, sign, value in clauses:
        if field in STAMPS:
            select.narrow(f"{STAMPS[field]} {_sign(sign)} ?", _moment(value, zone))
        elif field == "project":
            _narrow_project(select, sign, value)
        elif field in NUMBERS and sign not in ("in", "not in", "is", "is not"):
            select.narrow(f"{select.number} {_sign(sign)} ?", int(_text(value)))
        else:
            raise told(400, f"Field '{field}' does not exist or you do not have permission to view it.")


def _narrow_project(select: Select, sign: str, value: str) -> None:
    path = "json_extract(body, '$.fields.project.key')"
    if (sign, value.upper()) == ("is not", "EMPTY"):
        select.narrow(f"{path} IS NOT NULL")
        return
    keys = [_text(part) for part in value.strip("()").split(",")]
    negated = "NOT " if sign in ("!=", "not in") else ""
    select.narrow(f"{path} {negated}IN ({', '.join('?' for _ in keys)})", *keys)


def _sign(sign: str) -> str:
    if sign in ("in", "not in", "is", "is not"):
        raise told(400, f"The operator '{sign}' is not supported by this field.")
    return sign


def _text(value: str) -> str:
    return value.strip().strip("\"'")


def _moment(value: str, zone: str) -> int:
    try:
        return jql_moment(_text(value), zone)
    except ValueError:
        raise told(
            400,
            f"Date value '{_text(value)}' for field is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', "
            "'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd'.",
        ) from None
