"""The account's objects under the verbs the control API, the pages and the churn use; and the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from sandbox import words
from sandbox.clock import DAY_MS
from sandbox.rawjson import Fields, dump
from sandbox.records import Records
from sandbox.store import Row
from sandbox.stripe import demo
from sandbox.stripe.account import Account
from sandbox.stripe.catalogue import KINDS

EVENT_DAYS = 29
MOST_WITH_EVENTS = 1_000


class AccountRecords(Records):
    """All kinds of objects of one mode."""

    def __init__(self, account: Account, mode: str, rng: random.Random):
        super().__init__(account.store, "stripe", mode)
        self.account, self.rng = account, rng

    def names(self) -> list[str]:
        return list(KINDS)

    def shown(self) -> list[str]:
        return [name for name in KINDS if name != "events"]

    def shelf(self, name: str) -> str:
        return self.account.shelf(self.mode, name)

    def create(self, name: str, values: Sequence[Fields], stamps: Sequence[int] | None = None) -> list[str]:
        """Objects bear no change stamp upstream, so `stamps` says nothing here. Many at once make no events."""
        rows = self.account.create(self.mode, name, values, tell=len(values) <= MOST_WITH_EVENTS)
        return [row.id for row in rows]

    def update(self, name: str, record: str, changes: Fields, *, keep_stamp: bool = False) -> Row:
        return self.account.update(self.mode, name, record, changes)

    def delete(self, name: str, record: str, *, hard: bool = False) -> Row:
        return self.account.delete(self.mode, name, record, hard=hard)

    def believable(self, name: str, count: int) -> list[Fields]:
        """Made now, not in the past."""
        made = demo.Maker(self.account, self.mode, self.rng).make(name, count)
        return [{key: value for key, value in fields.items() if key != "created"} for fields in made]


def plant_mode(account: Account, rng: random.Random, mode: str) -> None:
    """All kinds of one mode, and the events of the last weeks."""
    maker = demo.Maker(account, mode, rng)
    recent_ms = account.clock.now_ms() - EVENT_DAYS * DAY_MS
    recent = []
    for name, count in demo.DEMO_COUNTS.items():
        wanted = count if mode == "test" else max(count // 10, 1)
        made = sorted(maker.make(name, wanted), key=lambda fields: int(fields["created"]))
        rows = account.create(mode, name, made, tell=False)
        recent += [(row.created_ms, name, row) for row in rows if row.created_ms > recent_ms]
    for created_ms, name, row in sorted(recent, key=lambda item: item[:2]):
        account.tell(name, mode, "created", row, at_ms=created_ms)


def _customer(rng: random.Random) -> Fields:
    return {"phone": dump(words.phone(rng))} if rng.random() < 0.5 else {"balance": dump(rng.randint(-50, 50) * 100)}


CHURNED = ("customers", "customers", "subscriptions", "invoices", "products", "charges", "payment_intents")
EDITS: dict[str, Callable[[random.Random], Fields]] = {
    "customers": _customer,
    "subscriptions": lambda rng: {"cancel_at_period_end": dump(rng.random() < 0.5)},
    "invoices": lambda rng: {"status": dump(rng.choice(("open", "paid")))},
    "products": lambda rng: {"description": dump(f"Roasted {rng.choice(('light', 'medium', 'dark'))}, fresh weekly")},
    "charges": lambda rng: {"description": dump(f"Order {rng.randint(10_000, 99_999)}")},
    "payment_intents": lambda rng: {"status": dump(rng.choice(("succeeded", "processing")))},
}
