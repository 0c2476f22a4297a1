"""A side that serves plain JSON records: tables, keys, OAuth, page tokens, limits, webhooks, wired together."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import apps, seed
from sandbox.kit.access import ALL, Pass, Passes, Presented, presented
from sandbox.kit.budget import Budget, Left
from sandbox.kit.oauth import CodeFlow, Rules
from sandbox.kit.page_tokens import PageTokens
from sandbox.kit.table import Table
from sandbox.kit.tables import Change, Tables
from sandbox.kit.webhooks import Habits, Hook, Webhooks
from sandbox.rawjson import Fields, dump_fields
from sandbox.refusals import Refusal
from sandbox.side import Side

Endpoint = Callable[[Request], Awaitable[Response]]


class RestSide(Side):
    """What is left to write: `routes`, `refusals`, `unauthorized`, `missing_scope`, and the tables' makers.

    catalogue         its tables, parents before children
    rules             its OAuth; None where it has none
    ready_keys        secrets that work from the beginning
    key_prefix        how a key made by hand begins
    budget_calls      calls a caller may make in `budget_s`; set as `<key>_budget_calls`; 0: without end
    habits            how its webhooks are delivered
    """

    catalogue: ClassVar[Sequence[Table]]
    rules: ClassVar[Rules | None] = None
    flow_type: ClassVar[type[CodeFlow]] = CodeFlow
    ready_keys: ClassVar[Mapping[str, Pass]] = {}
    key_prefix: ClassVar[str] = "key_"
    budget_s: ClassVar[int] = 3_600
    page_token_life_s: ClassVar[float] = 0
    habits: ClassVar[Habits] = Habits()
    own_settings: ClassVar[Mapping[str, Any]] = {"budget_calls": 0}

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.tables = Tables(self.store, self.clock, lambda: sandbox.settings, sandbox.rng, self.key, self.catalogue)
        self.passes = Passes(self.store, self.clock, self.key, self.ready_keys)
        self.flow = self.flow_type(self, self.rules, self.passes) if self.rules else None
        self.page_tokens = PageTokens(self.store, self.clock, self.key, self.page_token_life_s)
        self.budget = Budget(self.clock, self.budget_s)
        if self.sends_webhooks:
            self.webhooks = Webhooks(self, self.sign, self.habits)
            self.tables.listeners.append(self.tell)
        self.churned = [table.name for table in self.catalogue for _ in range(table.weight)]
        self.edits = {table.name: _edit_of(table) for table in self.catalogue}

    # ---- over HTTP

    @abstractmethod
    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        """401, as this upstream words it, for a caller who shows this."""

    @abstractmethod
    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        """403, as this upstream words it, for a caller who has none of these scopes."""

    def over_budget(self, left: Left) -> Refusal:
        """The refusal of a caller who has used up the window's calls."""
        raise NotImplementedError(f"{self.label} has no budget")

    def headers(self, request: Request, left: Left) -> Mapping[str, str]:
        """What every answer carries, refusals too: the limit headers, a request id."""
        return {}

    def identify(self, shown: Presented) -> Pass | None:
        """What the caller may do; None for one who is unknown."""
        return self.passes.find(shown.secret or shown.user)

    def get(self, path: str, endpoint: Endpoint, *scopes: str, methods: Iterable[str] = ("GET",)) -> Route:
        """A route for callers who have one of the scopes."""
        return Route(path, self.guarded(endpoint, *scopes), methods=list(methods))

    def guarded(self, endpoint: Endpoint, *scopes: str) -> Endpoint:
        """The way in: caller, budget, scope; and the headers on every way out. `request.state.caller` is the Pass."""

        async def entered(request: Request) -> Response:
            shown = presented(request.headers)
            caller = shown.secret or shown.user
            limit = int(self.sandbox.settings.own.get(f"{self.key}_budget_calls", 0))
            left = self.budget.spend(caller, limit)
            try:
                found = self.identify(shown)
                if found is None:
                    raise self.unauthorized(shown, self.passes.is_expired(caller))
                if limit and left.is_over:
                    raise self.over_budget(left)
                if scopes and not found.may(*scopes):
                    raise self.missing_scope(scopes)
                request.state.caller = found
                response = await endpoint(request)
            except Refusal as refusal:
                response = refusal.response()
            response.headers.update(self.headers(request, left))
            return response

        return entered

    # ---- webhooks, for those that send some

    def sign(self, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
        """The headers that prove where a webhook comes from."""
        raise NotImplementedError(f"{self.label} signs no webhooks")

    def told(self, change: Change) -> tuple[str, bytes] | None:
        """A change as an event's name and body; None where this upstream is silent."""
        return f"{change.table}.{change.what}", change.row.body.encode()

    def tell(self, change: Change) -> None:
        """Send what upstream sends of a change."""
        event = self.told(change)
        if event is not None and self.webhooks is not None:
            self.webhooks.tell(*event)

    # ---- the control API

    def records(self, mode: str = "") -> Tables:
        return self.tables

    def grant(self, client_id: str, asked: Mapping[str, Any], base: str) -> dict[str, Any]:
        """`scopes` are left out for all."""
        if self.flow is None:
            raise ValueError(f"{self.label} has no OAuth")
        return self.flow.open_grant(client_id, tuple(asked.get("scopes", ())))

    def make_key(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """`scopes` are left out for all; `expires_in_s`, `user`."""
        scopes = asked.get("scopes", (ALL,))
        life_s, user = float(asked.get("expires_in_s", 0)), asked.get("user", "")
        return {"secret": self.passes.make(self.key_prefix, scopes, life_s=life_s, user=user)}

    def revoke(self, asked: Mapping[str, Any]) -> int:
        if "secret" in asked:
            return self.passes.drop(asked["secret"])
        if self.flow is None:
            return 0
        return self.flow.revoke(asked["token"]) if "token" in asked else self.flow.end_grants(asked.get("client_id"))

    def expire(self, asked: Mapping[str, Any]) -> int:
        return self.passes.expire(asked["token"]) if "token" in asked else self.passes.expire_granted()

    def forget_page_tokens(self) -> None:
        self.page_tokens.forget()

    def plant(self, demo: bool) -> None:
        self.tables.plant_all(demo, random.Random(f"{seed.SEED}/{self.key}"))

    def connect(self, base: str) -> dict[str, str]:
        lines = {"Base URL": base} | {f"Key {number}": key for number, key in enumerate(self.ready_keys, 1)}
        if self.flow:
            lines |= {"Client ID": apps.DEFAULT_CLIENT_ID, "Client secret": apps.DEFAULT_CLIENT_SECRET}
        return lines


def _edit_of(table: Table) -> Callable[[random.Random], Fields]:
    return lambda rng: dump_fields(table.edit(rng))
