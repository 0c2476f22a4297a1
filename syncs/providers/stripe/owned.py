"""Stripe's lists that hang on each member of another: what is inside invoices, subscriptions, transfers.

Docs    https://docs.stripe.com/api, https://docs.stripe.com/api/expanding_objects (facts read 2026-11-23)
"""

from dataclasses import replace
from typing import Any

from syncs.providers.stripe.flat import RESOURCES
from syncs.providers.stripe.resource import Found, Resource

OWNERS_AT_ONCE = 20  # where each owner takes a request of its own
_TOLD = "Read again with every change of the {0}. The id is the {0}’s, a slash and the item’s own."
_FLAT = {resource.name: resource for resource in RESOURCES}


def _part(name: str, title: str, owner: str, path: str, told_by: str, *, object: str, **more: Any) -> Resource:
    """A list that hangs on each member of another; it takes `created[…]` where that one does."""
    by_created = _FLAT[owner].by_created
    return Resource(name, title, path, object, Found.OWNER, owner=owner, told_by=told_by, by_created=by_created, **more)


PARTS = (
    _part(
        "subscription_item",
        "Subscription items",
        "subscription",
        "/v1/subscription_items?subscription={owner}",
        "subscription",
        object="subscription_item",
        inside="items",
        help=_TOLD.format("subscription"),
    ),
    _part(
        "invoice_line",
        "Invoice lines",
        "invoice",
        "/v1/invoices/{owner}/lines",
        "invoice",
        object="line_item",
        inside="lines",
        help=_TOLD.format("invoice"),
    ),
    _part(
        "credit_note_line",
        "Credit note lines",
        "credit_note",
        "/v1/credit_notes/{owner}/lines",
        "credit_note",
        object="credit_note_line_item",
        inside="lines",
        help=_TOLD.format("credit note"),
    ),
    _part(
        "transfer_reversal",
        "Transfer reversals",
        "transfer",
        "/v1/transfers/{owner}/reversals",
        "transfer",
        object="transfer_reversal",
        inside="reversals",
        help=_TOLD.format("transfer"),
    ),
    _part(
        "fee_refund",
        "Application fee refunds",
        "application_fee",
        "/v1/application_fees/{owner}/refunds",
        "fee",
        object="fee_refund",
        inside="refunds",
        help=_TOLD.format("application fee"),
    ),
    _part(
        "checkout_line_item",
        "Checkout line items",
        "checkout_session",
        "/v1/checkout/sessions/{owner}/line_items",
        "checkout_session",
        object="item",
        inside="line_items",
        expanded=True,
        listed_too=True,
        help=_TOLD.format("checkout session"),
    ),
    _part(
        "quote_line_item",
        "Quote line items",
        "quote",
        "/v1/quotes/{owner}/line_items",
        "quote",
        object="item",
        inside="line_items",
        expanded=True,
        partly=True,
    ),
    _part(
        "payment_link_line_item",
        "Payment link line items",
        "payment_link",
        "/v1/payment_links/{owner}/line_items",
        "payment_link",
        object="item",
        inside="line_items",
        expanded=True,
        help=_TOLD.format("payment link"),
    ),
    _part(
        "customer_tax_id",
        "Customer tax ids",
        "customer",
        "/v1/customers/{owner}/tax_ids",
        "customer",
        object="tax_id",
        inside="tax_ids",
        expanded=True,
        help=_TOLD.format("customer"),
    ),
    _part(
        "customer_balance_transaction",
        "Customer balance transactions",
        "customer",
        "/v1/customers/{owner}/balance_transactions",
        "customer",
        object="customer_balance_transaction",
        help="Read again when Stripe tells of a change to the customer. They are never deleted.",
    ),
    _part(
        "setup_attempt",
        "Setup attempts",
        "setup_intent",
        "/v1/setup_attempts?setup_intent={owner}",
        "setup_intent",
        object="setup_attempt",
        help="Read again when Stripe tells of a change to the setup intent. They are never deleted.",
    ),
    _part(
        "person",
        "Persons of connected accounts",
        "connected_account",
        "/v1/accounts/{owner}/persons",
        "account",
        object="person",
        shown=False,
        help="Only for Connect platforms.",
    ),
    _part(
        "external_account",
        "Bank accounts and cards of connected accounts",
        "connected_account",
        "/v1/accounts/{owner}/external_accounts",
        "account",
        object="bank_account",
        shown=False,
        help="Only for Connect platforms.",
    ),
)


def owner_of(part: Resource) -> Resource:
    """The list whose members each have such a list, asked for as the part needs it."""
    owner = _FLAT[part.owner]
    if not part.inside:
        return replace(owner, params=(*owner.params, ("limit", str(OWNERS_AT_ONCE))))
    return replace(owner, params=(*owner.params, *expansion(part, "data."))) if part.expanded else owner


def expansion(part: Resource, at: str = "") -> tuple[tuple[str, str], ...]:
    """The parameter that makes Stripe put the list inside its owner. https://docs.stripe.com/api/expanding_objects"""
    return (("expand[]", at + part.inside),) if part.expanded else ()
