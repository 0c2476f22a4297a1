"""Stripe's reader against a Stripe that others wrote: what our sandbox got wrong, both would not get wrong alike."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access
from syncs.providers.kit.errors import CredentialsRefused
from syncs.providers.kit.http import make_http
from tests import second_stripe
from tests.integration.provider_bench import Bench, Pasted
from tests.second_stripe import KEY, SecondStripe

CUSTOMERS = 230  # more than two pages
CUSTOMER, SUBSCRIPTION, INVOICE = "stripe:customer", "stripe:subscription", "stripe:invoice"
# Where each kind is listed, its collection, and how many there are after `fill`.
FILLED = {
    "customers": ("stripe:customer", CUSTOMERS + 1),
    "products": ("stripe:product", 1),
    "plans": ("stripe:plan", 1),
    "coupons": ("stripe:coupon", 1),
    "tax_rates": ("stripe:tax_rate", 1),
    "subscriptions": ("stripe:subscription", 1),
    "invoices": ("stripe:invoice", 1),
    "invoiceitems": ("stripe:invoiceitem", 1),
    "payment_intents": ("stripe:payment_intent", 1),
    "charges": ("stripe:charge", 1),
    "refunds": ("stripe:refund", 1),
    "setup_intents": ("stripe:setup_intent", 1),
    "balance_transactions": ("stripe:balance_transaction", 2),
}


def fill(stripe: SecondStripe) -> dict[str, Any]:
    """A shop with a paying customer; returns that customer."""
    for number in range(CUSTOMERS):
        stripe.post("customers", email=f"{number}@example.com")
    ada = stripe.post("customers", email="ada@example.com", name="Ada")
    product = stripe.post("products", name="Beans", type="service")
    plan = stripe.post("plans", amount="1900", currency="eur", interval="month", product=product["id"])
    card = {"number": "4242424242424242", "exp_month": "12", "exp_year": "2099", "cvc": "123"}
    method = stripe.post("payment_methods", type="card", **{f"card[{name}]": value for name, value in card.items()})
    stripe.post(f"payment_methods/{method['id']}/attach", customer=ada["id"])
    stripe.post(f"customers/{ada['id']}", **{"invoice_settings[default_payment_method]": method["id"]})
    stripe.post("subscriptions", customer=ada["id"], **{"items[0][plan]": plan["id"]})
    stripe.post("coupons", id="TEN", percent_off="10", duration="once")
    stripe.post("tax_rates", display_name="VAT", percentage="20", inclusive="false")
    stripe.post("invoiceitems", customer=ada["id"], amount="100", currency="eur")
    stripe.post("setup_intents", customer=ada["id"])
    (charge,) = msgspec.json.decode(stripe.call("GET", "charges"))["data"]
    stripe.post("refunds", charge=charge["id"])
    return ada


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[SecondStripe, dict[str, Any]]]:
    with second_stripe.running() as stripe:
        yield stripe, fill(stripe)


@asynccontextmanager
async def bench(stripe: SecondStripe, key: str = KEY) -> AsyncIterator[Bench]:
    headers = PROVIDERS["stripe"].request_headers({"secret": key}, {})
    async with make_http() as http:
        yield await Bench("stripe", http, Pasted(Access(stripe.url, headers)), {}).open()


@pytest.mark.parametrize("path", FILLED)
async def test_history_is_every_object_as_it_is_served_alone(shop, path):
    stripe, _ = shop
    collection, count = FILLED[path]
    async with bench(stripe) as reading:
        records = await reading.backfill(collection)
        assert len(records) == count
        for upstream_id, record in list(records.items())[-2:]:
            alone = msgspec.json.decode(stripe.call("GET", f"{path}/{upstream_id}"))
            assert msgspec.json.decode(record.data) == alone
            (again,) = await reading.reader.read(reading.collections[collection], [upstream_id])
            assert msgspec.json.decode(again.data) == alone
        swept = {e async for page in reading.reader.sweep(reading.collections[collection], None) for e in page.ids}
        assert swept == set(records)


async def test_changes_come_by_its_events(shop):
    stripe, ada = shop
    async with bench(stripe) as reading:
        cursor = await reading.start(CUSTOMER, SUBSCRIPTION, INVOICE)
        stripe.post(f"customers/{ada['id']}", name="Ada L.")
        new = stripe.post("customers", name="Eve")
        gone = stripe.post("customers", name="Mallory")
        stripe.call("DELETE", f"customers/{gone['id']}")
        (subscription,) = msgspec.json.decode(stripe.call("GET", "subscriptions"))["data"]
        stripe.post(f"subscriptions/{subscription['id']}", cancel_at_period_end="true")
        records, _ = await reading.look(cursor, CUSTOMER, SUBSCRIPTION, INVOICE)
        assert msgspec.json.decode(records[ada["id"]].data)["name"] == "Ada L."
        assert msgspec.json.decode(records[new["id"]].data)["name"] == "Eve"
        assert records[gone["id"]].deleted
        assert msgspec.json.decode(records[subscription["id"]].data)["cancel_at_period_end"] is True


async def test_key_that_is_none_is_refused(shop):
    stripe, _ = shop
    async with bench(stripe, "pk_test_for_browsers") as reading:
        with pytest.raises(CredentialsRefused):
            await reading.reader.check()
