"""Stripe's adapter: customers, by a restricted key. Its pages start after an id, not at a token."""

from tests.integration.provider_adapters.adapter import Adapter

ADAPTER = Adapter(
    key="stripe",
    collection="stripe:customer",
    table="customers",
    version="metadata.sandbox_version",
    edit=lambda number: {"name": f"Number {number}"},
    kind="stripe_key",
    secrets={"secret": "rk_test_sandbox_demo"},
    four=("stripe:product", "stripe:price", "stripe:coupon", "stripe:tax_rate"),
    closed=("stripe:charge", "/v1/charges"),
    seeds={"products": 2, "prices": 2, "coupons": 2, "tax_rates": 2, "charges": 2},
    page_tokens=False,
    tells_bulk=False,
)
