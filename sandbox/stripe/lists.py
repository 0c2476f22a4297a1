"""Stripe lists: newest first, 10 to a page unless asked otherwise, paged by the id at its edge.

Source: https://docs.stripe.com/api/pagination, https://docs.stripe.com/api/events/list
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import DAY_MS, SECOND_MS
from sandbox.rawjson import dump
from sandbox.store import Row
from sandbox.stripe.account import Account, list_body
from sandbox.stripe.catalogue import Kind
from sandbox.stripe.errors import StripeError, no_such, unknown_parameter

DEFAULT_LIMIT, MAX_LIMIT, MAX_TYPES = 10, 100, 20
EVENT_LIFE_MS = 30 * DAY_MS
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
IGNORED = ("expand", "delivery_success")
ROW_COLUMNS = "id, created_ms, stamp_ms, version, deleted, facet, body"


@dataclass
class Asked:
    """A list request, understood."""

    limit: int = DEFAULT_LIMIT
    after: str = ""
    before: str = ""
    where: str = ""
    params: list[Any] = field(default_factory=list)
    expand: list[str] = field(default_factory=list)

    def narrow(self, sql: str, *params: Any) -> None:
        self.where += f" AND {sql}"
        self.params += params


class Lists:
    """The read side of an account."""

    def __init__(self, account: Account):
        self.account = account
        self.store = account.store

    def page(self, kind: Kind, mode: str, url: str, query: list[tuple[str, str]], parent: str) -> bytes:
        """One page of a list as compact JSON."""
        self.store.settle(self.account.clock.now_ms())
        asked = self._understand(kind, query, parent)
        shelf = self.account.shelf(mode, kind.name)
        direction, comparison, edge = ("ASC", ">", asked.before) if asked.before else ("DESC", "<", asked.after)
        if edge:
            created_ms, seq = self._edge(kind, mode, edge, "ending_before" if asked.before else "starting_after")
            asked.narrow(f"(created_ms, seq) {comparison} (?, ?)", created_ms, seq)
        rows = self.store.read(
            f"SELECT {ROW_COLUMNS} FROM records WHERE shelf = ? AND deleted = 0{asked.where}"
            f" ORDER BY created_ms {direction}, seq {direction} LIMIT ?",
            (shelf, *asked.params, asked.limit + 1),
        )
        shown = [Row(*row) for row in rows[: asked.limit]]
        if asked.before:
            shown.reverse()
        data = [self.account.with_nested(kind, mode, row, asked.expand) for row in shown]
        return list_body(data, url, len(rows) > asked.limit)

    def one(self, kind: Kind, mode: str, record: str, expand: Sequence[str] = ()) -> bytes:
        """One object. A deleted customer still answers; anything else that is gone is `resource_missing`."""
        self.store.settle(self.account.clock.now_ms())
        row = self.store.visible(self.account.shelf(mode, kind.name), record)
        if row is None or (row.deleted and not kind.tombstone) or self._is_aged_out(kind, row):
            raise no_such(kind.object, record)
        if row.deleted:
            return dump({"id": row.id, "object": kind.object, "deleted": True})
        return self.account.with_nested(kind, mode, row, expand)

    def _understand(self, kind: Kind, query: list[tuple[str, str]], parent: str) -> Asked:
        asked = Asked()
        types: list[str] = []
        wants_status = ""
        for name, value in query:
            if name == "limit":
                asked.limit = _limit(value)
            elif name == "starting_after":
                asked.after = value
            elif name == "ending_before":
                asked.before = value
            elif name.startswith("created") and kind.windowed:
                _window(asked, name, value)
            elif name == "expand[]":
                asked.expand.append(value.removeprefix("data."))
            elif name == kind.parent and not parent:
                parent = value
            elif kind.name == "events" and name in ("type", "types[]", "types"):
                types.append(value)
            elif kind.name == "subscriptions" and name == "status":
                wants_status = value
            elif name in kind.filters:
                asked.narrow(f"json_extract(body, '$.{name}') = ?", _sql_value(value))
            elif name not in IGNORED and not name.startswith("expand["):
                raise unknown_parameter(name)
        if asked.after and asked.before:
            raise StripeError(400, "You may only provide one of starting_after or ending_before.")
        self._narrow_by_kind(asked, kind, parent, types, wants_status)
        cap = self.account.settings().page_size_cap
        asked.limit = min(asked.limit, cap) if cap else asked.limit
        return asked

    def _narrow_by_kind(self, asked: Asked, kind: Kind, parent: str, types: list[str], status: str) -> None:
        if kind.parent:
            if not parent:
                raise StripeError(
                    400, f"Missing required param: {kind.parent}.", code="parameter_missing", param=kind.parent
                )
            asked.narrow("facet = ?", parent)
        if kind.name == "events":
            asked.narrow("created_ms >= ?", self.account.clock.now_ms() - EVENT_LIFE_MS)
            _narrow_types(asked, types)
        if kind.name == "subscriptions" and status != "all":
            if status:
                asked.narrow("json_extract(body, '$.status') = ?", status)
            else:
                asked.narrow("json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')")

    def _edge(self, kind: Kind, mode: str, record: str, param: str) -> tuple[int, int]:
        """Where the page starts. A deleted object is no place to start from, nor an event grown too old."""
        rows = self.store.read(
            "SELECT created_ms, seq, deleted FROM records WHERE shelf = ? AND id = ?",
            (self.account.shelf(mode, kind.name), record),
        )
        if not rows or rows[0][2]:
            raise no_such(kind.object, record, param, 400)
        if kind.name == "events" and rows[0][0] < self.account.clock.now_ms() - EVENT_LIFE_MS:
            raise StripeError(400, f"The event {record} aged out of the 30 days events are retained for", param=param)
        return rows[0][0], rows[0][1]

    def _is_aged_out(self, kind: Kind, row: Row) -> bool:
        return kind.name == "events" and row.created_ms < self.account.clock.now_ms() - EVENT_LIFE_MS


def _limit(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= MAX_LIMIT:
        raise StripeError(
            400, "Invalid limit: must be between 1 and 100.", code="parameter_invalid_integer", param="limit"
        )
    return int(value)


def _window(asked: Asked, name: str, value: str) -> None:
    """`created=…` or `created[gte]=…`, in seconds."""
    word = name.removeprefix("created").strip("[]")
    if not value.lstrip("-").isdigit() or (word and word not in COMPARISONS):
        raise StripeError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    asked.narrow(f"created_ms {COMPARISONS.get(word, '=')} ?", int(value) * SECOND_MS)


def _narrow_types(asked: Asked, types: list[str]) -> None:
    """Exact names, or one with a `*` at its end."""
    if len(types) > MAX_TYPES:
        raise StripeError(400, f"You may send up to {MAX_TYPES} types.", param="types")
    if len(types) == 1 and "*" in types[0]:
        asked.narrow("facet GLOB ?", types[0])
    elif types:
        asked.narrow(f"facet IN ({', '.join('?' for _ in types)})", *types)


def _sql_value(text: str) -> str | int:
    return {"true": 1, "false": 0}.get(text, text)
