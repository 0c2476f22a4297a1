"""Stripe as a side of the sandbox.

Source of its refusals: https://docs.stripe.com/rate-limits, https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from starlette.routing import BaseRoute

from sandbox import seed
from sandbox.faults import Fault
from sandbox.kit.webhooks import Webhooks
from sandbox.side import Side
from sandbox.stripe import oauth, records, rest, webhooks
from sandbox.stripe.account import ACCOUNT_ID, MODES, Account
from sandbox.stripe.catalogue import KINDS
from sandbox.stripe.errors import StripeError, invalid_key, missing_permission, no_such
from sandbox.stripe.keys import DEMO_KEYS, Keys
from sandbox.stripe.lists import Lists

REASON = {"Stripe-Rate-Limited-Reason": "global-rate"}


class Stripe(Side):
    """Everything that makes up the Stripe side."""

    key = "stripe"
    label = "Stripe"
    modes = MODES
    page_token_mark = "starting_after="
    lacks = frozenset()
    sends_webhooks = True
    own_faults: ClassVar = {"lock_timeout": "429 lock_timeout without a reason header"}
    churned = records.CHURNED
    edits = records.EDITS
    ready_faults = (
        ("Slow down (429), 5 requests", {"kind": "rate_limit", "times": "5"}),
        ("Object locked, 2 requests", {"kind": "lock_timeout", "times": "2"}),
        ("Server error, 3 requests", {"kind": "server_error", "times": "3"}),
        ("No right to read charges", {"kind": "forbidden", "path": "/v1/charges"}),
        ("Expired key", {"kind": "expired_token", "times": "1"}),
        ("5 seconds slower", {"kind": "slow", "seconds": "5"}),
        ("Half a body, once", {"kind": "truncated", "times": "1"}),
        ("Dropped connection, once", {"kind": "drop", "times": "1"}),
        ("One in five requests fails", {"kind": "server_error", "share": "0.2"}),
    )
    main_fields: ClassVar = {
        "customers": ("name", "email", "phone", "description", "balance", "delinquent"),
        "products": ("name", "description", "active"),
        "prices": ("nickname", "unit_amount", "currency", "active"),
        "subscriptions": ("status", "customer", "cancel_at_period_end", "description"),
        "invoices": ("number", "status", "customer", "amount_due", "currency"),
        "charges": ("description", "amount", "currency", "status", "customer"),
        "payment_intents": ("status", "amount", "currency", "customer", "description"),
    }
    system_fields = frozenset({"id", "object", "created", "livemode"})

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.webhooks = self.endpoints = Webhooks(self, webhooks.sign)
        self.account = Account(self.store, self.clock, lambda: sandbox.settings, partial(webhooks.tell, self.endpoints))
        self.keys = Keys(self.account)
        self.grants = oauth.AppGrants(self.keys)
        self.lists = Lists(self.account)

    def routes(self) -> Sequence[BaseRoute]:
        return [*oauth.ROUTES, *rest.ROUTES]

    def refusals(self, fault: Fault, token: str) -> Mapping[str, StripeError]:
        forbidden = missing_permission(token, ACCOUNT_ID, _right(fault.path))
        return {
            "rate_limit": StripeError(429, "Request rate limit exceeded. Learn more about rate limits here"
                                      " https://docs.stripe.com/rate-limits.", code="rate_limit", headers=REASON),
            "quota": StripeError(429, "Request rate limit exceeded.", code="rate_limit", headers=REASON),
            "lock_timeout": StripeError(429, "This object cannot be accessed right now because another API request or"
                                        " Stripe process is currently accessing it.", code="lock_timeout", retry=True),
            "server_error": StripeError(500, "An unknown error occurred", kind="api_error", retry=True),
            "lost_page_token": no_such("object", "gone", "starting_after", 400),
            "forbidden": forbidden, "no_read_right": forbidden, "revoked_grant": invalid_key(token),
        }  # fmt: skip

    def records(self, mode: str = "test") -> records.AccountRecords:
        return records.AccountRecords(self.account, mode, self.sandbox.rng)

    def grant(self, client_id: str, asked: Mapping[str, Any], base: str) -> dict[str, Any]:
        mode = self.mode_of(asked.get("mode"))
        return self.grants.redeem(self.grants.issue_code(client_id, mode), mode) or {}

    def make_key(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A restricted key; `permissions` are collections or rights, left out for all."""
        mode = self.mode_of(asked.get("mode"))
        return {"secret": self.keys.make(mode, asked.get("permissions"), asked.get("expires_in_s", 0)), "mode": mode}

    def revoke(self, asked: Mapping[str, Any]) -> int:
        if "secret" in asked:
            return int(self.keys.drop(asked["secret"]))
        return self.grants.end()

    def expire(self, asked: Mapping[str, Any]) -> int:
        """A token or key must be named."""
        return int(self.keys.expire(asked["token"]))

    def plant(self, demo: bool) -> None:
        for mode in MODES if demo else ():
            records.plant_mode(self.account, random.Random(seed.SEED + len(mode)), mode)

    def connect(self, base: str) -> dict[str, str]:
        return {"Base URL": base, "Test key": DEMO_KEYS["test"], "Live key": DEMO_KEYS["live"]}


def _right(path: str) -> str:
    """The permission a path needs, as far as the path tells."""
    below = path.removeprefix("/v1/").strip("/")
    return next((kind.right for kind in KINDS.values() if kind.path == below), "rak_customer_read")
