"""Believable Stripe objects: a coffee roaster that sells subscriptions.

Shapes follow the resources' own pages below https://docs.stripe.com/api (version 2026-10-28), shortened.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sandbox import words
from sandbox.clock import DAY_MS, SECOND_MS
from sandbox.rawjson import Fields, dump_fields
from sandbox.stripe import demo_payments
from sandbox.stripe.account import Account

DEMO_COUNTS = {
    "tax_rates": 4, "shipping_rates": 4, "products": 12, "prices": 36, "plans": 12, "coupons": 8,
    "promotion_codes": 8, "customers": 260, "tax_ids": 30, "payment_methods": 240, "subscriptions": 170,
    "subscription_items": 210, "subscription_schedules": 8, "invoices": 420, "invoice_lines": 620, "invoiceitems": 40,
    "payment_intents": 400, "charges": 400, "invoice_payments": 150, "credit_notes": 20, "credit_note_lines": 26,
    "refunds": 40, "disputes": 10, "setup_intents": 40, "setup_attempts": 40, "checkout_sessions": 60,
    "payment_links": 6, "quotes": 15, "checkout_line_items": 80,
    "quote_line_items": 24, "payment_link_line_items": 8, "balance_transactions": 420, "payouts": 40, "transfers": 12,
    "transfer_reversals": 14, "application_fees": 8, "fee_refunds": 9, "topups": 6, "customer_balance_transactions": 24,
    "reviews": 6, "early_fraud_warnings": 5, "files": 6, "file_links": 6,
}  # fmt: skip
YEARS_DAYS = 700
PARENTS_AT_HAND = 5_000
LONG_LIST = 25


class Maker:
    """Makes field values for new objects; links go to what the account already has."""

    def __init__(self, account: Account, mode: str, rng: random.Random):
        self.account, self.mode, self.rng = account, mode, rng
        self.now_s = account.clock.now_ms() // SECOND_MS
        self._known: dict[str, list[str]] = {}

    def make(self, name: str, count: int) -> list[Fields]:
        """Raw fields of `count` believable objects."""
        maker = MAKERS.get(name) or demo_payments.MAKERS[name]
        made = []
        for _ in range(count):
            made.append(dump_fields({"created": self.moment(), "metadata": {}, **maker(self)}))
        return made

    def moment(self) -> int:
        """A second of the last two years; lately more often, as in a company that grows."""
        return self.now_s - round(self.rng.random() ** 2 * YEARS_DAYS * DAY_MS / SECOND_MS)

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def cents(self, low: int = 4, high: int = 240) -> int:
        return self.rng.randint(low, high) * 100 - self.pick(0, 1, 10)

    def link(self, name: str) -> str | None:
        """The id of some object of another kind; None while there is none."""
        known = self._ids(name)
        return self.rng.choice(known) if known else None

    def crowded_link(self, name: str) -> str | None:
        """Like `link`, yet the first one is chosen again and again, so that its nested list is longer than 10."""
        known = self._ids(name)
        return known[0] if known and self.rng.random() < LONG_LIST / 200 else self.link(name)

    def _ids(self, name: str) -> list[str]:
        if name not in self._known:
            self._known[name] = self.account.store.sample_ids(self.account.shelf(self.mode, name), PARENTS_AT_HAND)
        return self._known[name]


def address(make: Maker) -> dict[str, Any]:
    city, state, code, _, country, _, _ = make.rng.choice(words.CITIES)
    street = f"{make.rng.randint(1, 240)} {make.rng.choice(words.STREETS)}"
    return {
        "city": city,
        "country": country,
        "line1": street,
        "line2": None,
        "postal_code": code,
        "state": state or None,
    }


def _customer(make: Maker) -> dict[str, Any]:
    first, last = words.person(make.rng)
    name = make.pick(f"{first} {last}", f"{first} {last}", words.company(make.rng), "دار القهوة ☕️", "Cafe\u0301 d'Ici")
    return {
        "address": address(make), "balance": 0, "currency": "eur", "default_source": None, "delinquent": False,
        "description": make.pick(None, "", "Prefers e-mail.\nNever call."), "discount": None,
        "email": f"{words.slug(f'{first} {last}')}{make.rng.randint(1, 999)}@example.com",
        "invoice_prefix": f"{make.rng.getrandbits(32):08X}",
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "name": name, "phone": words.phone(make.rng), "preferred_locales": [make.pick("de", "en")], "shipping": None,
        "tax_exempt": "none", "test_clock": None, "metadata": {"crm_id": f"003-{make.rng.randint(1, 9_999):05d}"},
    }  # fmt: skip


def _product(make: Maker) -> dict[str, Any]:
    return {
        "active": make.rng.random() < 0.9, "default_price": None, "description": "Roasted medium, fresh weekly",
        "images": [], "marketing_features": [{"name": "Free shipping"}, {"name": "Pause any time"}],
        "name": make.rng.choice(words.COFFEES), "package_dimensions": None, "shippable": True,
        "statement_descriptor": None, "tax_code": None, "type": "good", "unit_label": None, "url": None,
    }  # fmt: skip


def _price(make: Maker) -> dict[str, Any]:
    cents = make.cents(5, 90)
    recurring = {"interval": make.pick("month", "month", "year"), "interval_count": 1, "meter": None,
                 "trial_period_days": None, "usage_type": "licensed"}  # fmt: skip
    return {
        "active": make.rng.random() < 0.9, "billing_scheme": "per_unit", "currency": make.pick("eur", "eur", "usd"),
        "custom_unit_amount": None, "lookup_key": None, "nickname": make.pick(None, "Standard", "Großabnehmer"),
        "product": make.link("products"), "recurring": recurring, "tax_behavior": "inclusive", "tiers_mode": None,
        "transform_quantity": None, "type": "recurring", "unit_amount": cents,
        "unit_amount_decimal": f"{cents}.{make.rng.randint(0, 999_999_999_999):012d}",
    }  # fmt: skip


def _plan(make: Maker) -> dict[str, Any]:
    cents = make.cents(5, 90)
    return {
        "active": True, "amount": cents, "amount_decimal": str(cents), "billing_scheme": "per_unit", "currency": "eur",
        "interval": "month", "interval_count": 1, "meter": None, "nickname": None, "product": make.link("products"),
        "tiers_mode": None, "transform_usage": None, "trial_period_days": None, "usage_type": "licensed",
    }  # fmt: skip


def _coupon(make: Maker) -> dict[str, Any]:
    return {"amount_off": None, "currency": None, "duration": make.pick("once", "forever"), "duration_in_months": None,
            "max_redemptions": None, "name": make.pick("Welcome", "Spring", "Partner"), "percent_off": 12.5,
            "redeem_by": None, "times_redeemed": make.rng.randint(0, 40), "valid": True}  # fmt: skip


def _promotion_code(make: Maker) -> dict[str, Any]:
    return {"active": True, "code": f"BREW{make.rng.randint(100, 9_999)}", "customer": None, "expires_at": None,
            "max_redemptions": None, "promotion": {"type": "coupon", "coupon": make.link("coupons")},
            "restrictions": {"first_time_transaction": False, "minimum_amount": None}, "times_redeemed": 0}  # fmt: skip


def _subscription(make: Maker) -> dict[str, Any]:
    start = make.moment()
    status = make.pick("active", "active", "active", "active", "trialing", "past_due", "canceled")
    return {
        "created": start, "application": None, "automatic_tax": {"enabled": False, "liability": None},
        "billing_cycle_anchor": start, "cancel_at": None, "cancel_at_period_end": False,
        "canceled_at": start + 86_400 if status == "canceled" else None, "collection_method": "charge_automatically",
        "currency": "eur", "customer": make.link("customers"), "default_payment_method": make.link("payment_methods"),
        "default_tax_rates": [], "description": None, "discounts": [], "ended_at": None, "latest_invoice": None,
        "start_date": start, "status": status, "trial_end": None, "trial_start": None,
    }  # fmt: skip


def _subscription_item(make: Maker) -> dict[str, Any]:
    start = make.now_s - make.rng.randint(0, 29) * 86_400
    return {
        "billing_thresholds": None, "current_period_end": start + 30 * 86_400, "current_period_start": start,
        "discounts": [], "price": {"id": make.link("prices"), "object": "price", "currency": "eur"},
        "quantity": make.rng.randint(1, 6), "subscription": make.crowded_link("subscriptions"), "tax_rates": [],
    }  # fmt: skip


def _schedule(make: Maker) -> dict[str, Any]:
    return {"canceled_at": None, "completed_at": None, "current_phase": None, "customer": make.link("customers"),
            "end_behavior": "release", "phases": [{"items": [{"price": make.link("prices"), "quantity": 1}]}],
            "released_at": None, "status": "not_started", "subscription": None}  # fmt: skip


def _quote(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    return {"amount_subtotal": cents, "amount_total": cents, "currency": "eur", "customer": make.link("customers"),
            "description": None, "expires_at": make.now_s + 2_592_000, "header": None, "number": None,
            "status": make.pick("draft", "open", "accepted")}  # fmt: skip


def _tax_id(make: Maker) -> dict[str, Any]:
    return {"country": "DE", "customer": make.link("customers"), "type": "eu_vat",
            "value": f"DE{make.rng.randint(100_000_000, 999_999_999)}",
            "verification": {"status": "verified", "verified_address": None, "verified_name": None}}  # fmt: skip


def _tax_rate(make: Maker) -> dict[str, Any]:
    return {"active": True, "country": "DE", "description": None, "display_name": "MwSt.", "inclusive": True,
            "jurisdiction": "DE", "percentage": make.pick(19.0, 7.0, 8.1), "state": None,
            "tax_type": "vat"}  # fmt: skip


def _shipping_rate(make: Maker) -> dict[str, Any]:
    return {"active": True, "delivery_estimate": None, "display_name": make.pick("Standard", "Express"),
            "fixed_amount": {"amount": make.pick(0, 490, 990), "currency": "eur"}, "tax_behavior": "inclusive",
            "tax_code": None, "type": "fixed_amount"}  # fmt: skip


def _file(make: Maker) -> dict[str, Any]:
    return {"expires_at": None, "filename": "delivery-note.pdf", "purpose": "dispute_evidence",
            "size": make.rng.randint(4_000, 900_000), "title": None, "type": "pdf", "url": None}  # fmt: skip


def _file_link(make: Maker) -> dict[str, Any]:
    return {"expired": False, "expires_at": None, "file": make.link("files"), "url": None}


MAKERS: dict[str, Callable[[Maker], dict[str, Any]]] = {
    "customers": _customer, "products": _product, "prices": _price, "plans": _plan, "coupons": _coupon,
    "promotion_codes": _promotion_code, "subscriptions": _subscription, "subscription_items": _subscription_item,
    "subscription_schedules": _schedule, "quotes": _quote, "tax_ids": _tax_id, "tax_rates": _tax_rate,
    "shipping_rates": _shipping_rate, "files": _file, "file_links": _file_link,
}  # fmt: skip
