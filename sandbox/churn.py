"""A company at work: now and then somebody creates, edits or deletes something at either provider."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from sandbox import seed, words
from sandbox.rawjson import Fields, dump, dump_fields
from sandbox.records import Collections
from sandbox.salesforce import objects
from sandbox.stripe.errors import StripeError

LOOKED_AT_EVERY_S = 0.2
MOST_AT_ONCE = 4

SALESFORCE = ("Contact", "Contact", "Opportunity", "Opportunity", "Account", "Lead", "Case", "Invoice__c")
STRIPE = ("customers", "customers", "subscriptions", "invoices", "products", "charges", "payment_intents")


class Churn:
    """Makes changes at its pace while `run` runs, or on demand."""

    def __init__(self, sandbox: Any):
        self.sandbox = sandbox
        self.rng = random.Random(seed.SEED + 1)

    async def run(self) -> None:
        """Change a little every `churn_s` seconds, for as long as the sandbox lives."""
        waited_s = 0.0
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY_S)
            waited_s += LOOKED_AT_EVERY_S
            every_s = self.sandbox.settings.churn_s
            if every_s and waited_s >= every_s:
                waited_s = 0.0
                self.change(self.rng.randint(1, MOST_AT_ONCE))

    def change(self, count: int) -> list[dict[str, str]]:
        """Make `count` changes at each provider; what was done to which record."""
        done = []
        for provider, names in (("salesforce", SALESFORCE), ("stripe", STRIPE)):
            for _ in range(count):
                made = self._one(provider, self.rng.choice(names))
                if made:
                    done.append(made)
        return done

    def _one(self, provider: str, name: str) -> dict[str, str] | None:
        collections = Collections(self.sandbox)
        ids = self.sandbox.store.sample_ids(collections.shelf(provider, name), 1)
        luck = self.rng.random()
        if luck < 0.2 or not ids:
            made = seed.believable(self.sandbox, provider, name, 1)
            return _done("create", provider, name, collections.create(provider, name, made)[0])
        if luck > 0.93:
            try:
                collections.delete(provider, name, ids[0])
                return _done("delete", provider, name, ids[0])
            except StripeError:
                return None  # charges and payments are never deleted upstream
        collections.update(provider, name, ids[0], EDITS[name](self.rng))
        return _done("update", provider, name, ids[0])


def _done(what: str, provider: str, name: str, record: str) -> dict[str, str]:
    return {"what": what, "provider": provider, "collection": name, "id": record}


def _phone(rng: random.Random) -> Fields:
    return {"Phone": dump(words.phone(rng))}


def _contact(rng: random.Random) -> Fields:
    return {"Title": dump(rng.choice(words.TITLES))} if rng.random() < 0.5 else _phone(rng)


def _opportunity(rng: random.Random) -> Fields:
    if rng.random() < 0.4:
        return {"Amount": dump(round(rng.uniform(1_500, 240_000), 2))}
    stage = rng.choice(objects.STAGES)
    return dump_fields({"StageName": stage, "NextStep": rng.choice(words.NEXT_STEPS)})


def _customer(rng: random.Random) -> Fields:
    return {"phone": dump(words.phone(rng))} if rng.random() < 0.5 else {"balance": dump(rng.randint(-50, 50) * 100)}


EDITS: dict[str, Callable[[random.Random], Fields]] = {
    "Account": _phone,
    "Contact": _contact,
    "Opportunity": _opportunity,
    "Lead": lambda rng: {"Status": dump(rng.choice(objects.LEAD_STATUSES[:2]))},
    "Case": lambda rng: {"Status": dump(rng.choice(objects.CASE_STATUSES))},
    "Invoice__c": lambda rng: {"Status__c": dump(rng.choice(objects.INVOICE_STATUSES))},
    "customers": _customer,
    "subscriptions": lambda rng: {"cancel_at_period_end": dump(rng.random() < 0.5)},
    "invoices": lambda rng: {"status": dump(rng.choice(("open", "paid")))},
    "products": lambda rng: {"description": dump(f"Roasted {rng.choice(('light', 'medium', 'dark'))}, fresh weekly")},
    "charges": lambda rng: {"description": dump(f"Order {rng.randint(10_000, 99_999)}")},
    "payment_intents": lambda rng: {"status": dump(rng.choice(("succeeded", "processing")))},
}
