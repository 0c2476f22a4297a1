"""Objects as API versions before 2025 wrote them: the shape in which an old account's events still arrive.

Source: https://docs.stripe.com/changelog, `2025-03-31.basil` (invoice and subscription fields moved) and
`2025-09-30.clover` (`coupon` left the promotion code)
"""

from __future__ import annotations

from sandbox.rawjson import Fields, dump, join_object, load, split_object
from sandbox.stripe.catalogue import Kind

BASIL, CLOVER = "2025-03-31", "2025-09-30"


def in_old_version(kind: Kind, body: bytes, version: str) -> bytes:
    """The object as `version` writes it; unchanged for the versions the sandbox stores in."""
    fields = split_object(body)
    if version < BASIL and kind.name == "subscriptions":
        _period_on_subscription(fields)
    elif version < BASIL and kind.name == "invoices":
        _links_on_invoice(fields)
    elif version < CLOVER and kind.name == "promotion_codes":
        fields["coupon"] = dump({"id": (load(fields.pop("promotion", b"{}")) or {}).get("coupon"), "object": "coupon"})
    return join_object(fields)


def _period_on_subscription(fields: Fields) -> None:
    """Before basil the period stood on the subscription, not on its items."""
    items = load(fields.get("items", b'{"data":[]}'))["data"]
    if items:
        fields["current_period_start"] = dump(items[0].get("current_period_start"))
        fields["current_period_end"] = dump(items[0].get("current_period_end"))


def _links_on_invoice(fields: Fields) -> None:
    """Before basil an invoice named its subscription and whether it was paid; `parent` did not exist."""
    parent = load(fields.pop("parent", b"null")) or {}
    fields["subscription"] = dump((parent.get("subscription_details") or {}).get("subscription"))
    fields["paid"] = dump(load(fields.get("status", b"null")) == "paid")
