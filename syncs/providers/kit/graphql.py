"""GraphQL over HTTP: queries as POST bodies, lists that go on by cursor, refusals that come with status 200.

Source: https://spec.graphql.org/October2021/#sec-Errors, https://relay.dev/graphql/connections.htm (read 2026-11-26)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import UnexpectedShape


class _PageInfo(msgspec.Struct):
    hasNextPage: bool
    endCursor: str | None = None


class _Connection(msgspec.Struct):
    nodes: list[msgspec.Raw]
    pageInfo: _PageInfo


class Refused(msgspec.Struct):
    """One of an answer's `errors`. What `extensions` hold differs from API to API."""

    message: str = ""
    extensions: dict[str, Any] = {}


class _Refusals(msgspec.Struct):
    errors: list[Refused] = []


_connection, _refusals = msgspec.json.Decoder(_Connection), msgspec.json.Decoder(_Refusals)


@dataclass(frozen=True)
class Listed:
    """One page of a list: its nodes, uncut, and the cursor the next one is asked for by; empty on the last."""

    nodes: list[msgspec.Raw]
    after: str


def asked(document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of the POST. Variables that are None are left out, as if nobody had named them."""
    given = {name: value for name, value in (variables or {}).items() if value is not None}
    return {"query": document, "variables": given}


def listed(answer: Answer, name: str) -> Listed:
    """The page of a list. Raises UnexpectedShape.

    {"data":{"issues":{"nodes":[{"id":"…"}],"pageInfo":{"hasNextPage":true,"endCursor":"b2…"}}}}
    """
    found = raw.find(raw.compact(answer.body), f"data.{name}")
    try:
        page = _connection.decode(found if found is not None else b"null")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape(f"An answer has no list “{name}”.", detail=str(error)[:200]) from None
    if page.pageInfo.hasNextPage and not page.pageInfo.endCursor:
        raise UnexpectedShape(f"A page of “{name}” says that more follows, and not where.")
    return Listed(page.nodes, (page.pageInfo.endCursor or "") if page.pageInfo.hasNextPage else "")


def refused(body: bytes) -> Refused | None:
    """The first of an answer's errors; None where there are none. Data may stand beside it: then some of it lacks."""
    if b'"errors"' not in body:  # most answers have none: that is seen at once
        return None
    try:
        errors = _refusals.decode(body).errors
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return errors[0] if errors else None
