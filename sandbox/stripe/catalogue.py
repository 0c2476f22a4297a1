"""The kinds of objects the sandbox's Stripe account has: where they are listed and which events tell of them.

Source: https://docs.stripe.com/api, list parameters of each resource, and https://docs.stripe.com/api/events/types
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Nested:
    """A list inside its parent, cut at 10, with a URL of its own: `items` of a subscription.

    url       with {id} for the parent's
    expanded  there only when a request asks for it by `expand[]`
    by        the member's field that names the parent, where its own list needs no parent
    """

    key: str
    collection: str
    url: str
    expanded: bool = False
    by: str = ""


@dataclass(frozen=True)
class Kind:
    """One list endpoint.

    name            our name of the collection in URLs of the control API
    path            below /v1/
    events          prefix of its event types; empty where no event tells of changes
    created, updated, deleted   last word of the type for each, empty where there is none
    parent          parameter or path segment its lists need: `subscription` for subscription items
    windowed        the list takes created[gt|gte|lt|lte]
    tombstone       deleted ones answer 200 `{"deleted": true}` instead of 404
    filters         further parameters, each equal to the field of the same name
    """

    name: str
    path: str
    object: str
    prefix: str
    events: str = ""
    created: str = "created"
    updated: str = "updated"
    deleted: str = ""
    permission: str = ""
    parent: str = ""
    windowed: bool = True
    tombstone: bool = False
    listed: bool = True
    nested: tuple[Nested, ...] = ()
    filters: tuple[str, ...] = ()

    @property
    def right(self) -> str:
        """The permission's name as error texts spell it."""
        return f"rak_{self.permission or self.object.replace('.', '_')}_read"


_ITEMS = Nested("items", "subscription_items", "/v1/subscription_items?subscription={id}")
_LINES = Nested("lines", "invoice_lines", "/v1/invoices/{id}/lines")
_NOTE_LINES = Nested("lines", "credit_note_lines", "/v1/credit_notes/{id}/lines")
_REVERSALS = Nested("reversals", "transfer_reversals", "/v1/transfers/{id}/reversals")
_FEE_REFUNDS = Nested("refunds", "fee_refunds", "/v1/application_fees/{id}/refunds")
_TAX_IDS = Nested("tax_ids", "tax_ids", "/v1/customers/{id}/tax_ids", expanded=True, by="customer")
_SOLD = Nested("line_items", "checkout_line_items", "/v1/checkout/sessions/{id}/line_items", expanded=True)
_QUOTED = Nested("line_items", "quote_line_items", "/v1/quotes/{id}/line_items", expanded=True)
_LINKED = Nested("line_items", "payment_link_line_items", "/v1/payment_links/{id}/line_items", expanded=True)

_KINDS = (
    Kind("customers", "customers", "customer", "cus", "customer", deleted="deleted", tombstone=True,
         nested=(_TAX_IDS,), filters=("email",)),
    Kind("products", "products", "product", "prod", "product", deleted="deleted", filters=("active",)),
    Kind("prices", "prices", "price", "price", "price", deleted="deleted", permission="plan",
         filters=("active", "product", "currency", "type")),
    Kind("plans", "plans", "plan", "plan", "plan", deleted="deleted", filters=("active", "product")),
    Kind("coupons", "coupons", "coupon", "cpn", "coupon", deleted="deleted"),
    Kind("promotion_codes", "promotion_codes", "promotion_code", "promo", "promotion_code",
         filters=("active", "code", "customer")),
    Kind("subscriptions", "subscriptions", "subscription", "sub", "customer.subscription", deleted="deleted",
         nested=(_ITEMS,), filters=("customer", "collection_method")),
    Kind("subscription_items", "subscription_items", "subscription_item", "si", parent="subscription",
         permission="subscription", windowed=False, deleted="deleted"),
    Kind("subscription_schedules", "subscription_schedules", "subscription_schedule", "sub_sched",
         "subscription_schedule", filters=("customer",)),
    Kind("invoices", "invoices", "invoice", "in", "invoice", deleted="deleted", nested=(_LINES,),
         filters=("customer", "status", "collection_method")),
    Kind("invoice_lines", "invoices/{parent}/lines", "line_item", "il", parent="invoice", permission="invoice",
         windowed=False, deleted="deleted"),
    Kind("invoiceitems", "invoiceitems", "invoiceitem", "ii", "invoiceitem", updated="", deleted="deleted",
         permission="invoice", filters=("customer", "invoice", "pending")),
    Kind("invoice_payments", "invoice_payments", "invoice_payment", "inpay", "invoice_payment", created="paid",
         updated="paid", permission="invoice", filters=("invoice", "status")),
    Kind("credit_notes", "credit_notes", "credit_note", "cn", "credit_note", nested=(_NOTE_LINES,),
         filters=("customer", "invoice")),
    Kind("credit_note_lines", "credit_notes/{parent}/lines", "credit_note_line_item", "cnli", parent="credit_note",
         permission="credit_note", windowed=False),
    Kind("charges", "charges", "charge", "ch", "charge", created="succeeded", filters=("customer", "payment_intent")),
    Kind("refunds", "refunds", "refund", "re", "refund", permission="charge", filters=("charge", "payment_intent")),
    Kind("disputes", "disputes", "dispute", "du", "charge.dispute", filters=("charge", "payment_intent")),
    Kind("payment_intents", "payment_intents", "payment_intent", "pi", "payment_intent", updated="succeeded",
         filters=("customer",)),
    Kind("setup_intents", "setup_intents", "setup_intent", "seti", "setup_intent", updated="succeeded",
         filters=("customer", "payment_method")),
    Kind("setup_attempts", "setup_attempts", "setup_attempt", "setatt", parent="setup_intent",
         permission="setup_intent"),
    Kind("payment_methods", "payment_methods", "payment_method", "pm", "payment_method", created="attached",
         deleted="detached", windowed=False, filters=("customer", "type")),
    Kind("checkout_sessions", "checkout/sessions", "checkout.session", "cs", "checkout.session", created="",
         updated="completed", nested=(_SOLD,), filters=("customer", "status", "payment_intent", "subscription")),
    Kind("checkout_line_items", "checkout/sessions/{parent}/line_items", "item", "li", parent="checkout_session",
         permission="checkout_session", windowed=False),
    Kind("payment_links", "payment_links", "payment_link", "plink", "payment_link", windowed=False, nested=(_LINKED,),
         filters=("active",)),
    Kind("payment_link_line_items", "payment_links/{parent}/line_items", "item", "li", parent="payment_link",
         permission="payment_link", windowed=False),
    Kind("quotes", "quotes", "quote", "qt", "quote", updated="finalized", windowed=False, nested=(_QUOTED,),
         filters=("customer", "status")),
    Kind("quote_line_items", "quotes/{parent}/line_items", "item", "li", parent="quote", permission="quote",
         windowed=False),
    Kind("balance_transactions", "balance_transactions", "balance_transaction", "txn", permission="balance",
         filters=("type", "source", "currency")),
    Kind("payouts", "payouts", "payout", "po", "payout", filters=("status",)),
    Kind("transfers", "transfers", "transfer", "tr", "transfer", nested=(_REVERSALS,), filters=("destination",)),
    Kind("transfer_reversals", "transfers/{parent}/reversals", "transfer_reversal", "trr", parent="transfer",
         permission="transfer", windowed=False),
    Kind("application_fees", "application_fees", "application_fee", "fee", "application_fee",
         updated="refunded", nested=(_FEE_REFUNDS,), filters=("charge",)),
    Kind("fee_refunds", "application_fees/{parent}/refunds", "fee_refund", "fr", parent="fee",
         permission="application_fee", windowed=False),
    Kind("topups", "topups", "topup", "tu", "topup", updated="succeeded", filters=("status",)),
    Kind("tax_rates", "tax_rates", "tax_rate", "txr", "tax_rate", filters=("active",)),
    Kind("tax_ids", "tax_ids", "tax_id", "txi", "customer.tax_id", deleted="deleted", windowed=False,
         filters=("customer",)),
    Kind("shipping_rates", "shipping_rates", "shipping_rate", "shr", filters=("active",)),
    Kind("customer_balance_transactions", "customers/{parent}/balance_transactions", "customer_balance_transaction",
         "cbtxn", parent="customer", permission="customer"),
    Kind("reviews", "reviews", "review", "prv", "review", created="opened", updated="closed"),
    Kind("early_fraud_warnings", "radar/early_fraud_warnings", "radar.early_fraud_warning", "issfr",
         "radar.early_fraud_warning", filters=("charge",)),
    Kind("files", "files", "file", "file", "file", updated="", filters=("purpose",)),
    Kind("file_links", "file_links", "file_link", "link", filters=("file",)),
    Kind("events", "events", "event", "evt"),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}


def event_type(kind: Kind, change: str) -> str | None:
    """The type that tells of a `created`, `updated` or `deleted`; None where upstream is silent."""
    word = {"created": kind.created, "updated": kind.updated, "deleted": kind.deleted}[change]
    return f"{kind.events}.{word}" if kind.events and word else None
