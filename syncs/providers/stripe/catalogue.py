"""Which Stripe lists are offered, and how each one's changes are found.

Docs    https://docs.stripe.com/api, https://docs.stripe.com/api/events/types (read 2026-11-23)
"""

from dataclasses import dataclass
from enum import StrEnum

from syncs.providers.kit.catalogue import Collection, Deletes

PREFIX = "stripe:"
EVENTS_FEED = "stripe:events"


class Found(StrEnum):
    """How a list's changes are found."""

    EVENTS = "events"  # one feed for all: each event names an object, which is read again
    CREATED = "created"  # no events and (almost) no changes: what was created lately is listed again
    WHOLE = "whole"  # neither: the whole list is read again from time to time
    SELF = "self"  # the events themselves


@dataclass(frozen=True)
class Resource:
    """One list.

    object      the `object` of its members, as events name it
    deletable   members can be deleted, and an event says so
    by_created  the list takes `created[gte]` and the like
    params      always sent when listing
    listed_too  creation raises no event: what was created lately is listed with each look at the events
    single      not a list: the path answers one object
    partly      some edits raise no event: the whole list is read again once a day
    """

    name: str
    title: str
    path: str
    object: str
    found: Found = Found.EVENTS
    deletable: bool = False
    by_created: bool = True
    params: tuple[tuple[str, str], ...] = ()
    listed_too: bool = False
    single: bool = False
    partly: bool = False
    shown: bool = True
    help: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name


_PARTLY = "Some edits raise no event in Stripe: the whole list is read again once a day."
_WHOLE = "Stripe announces no changes here: the list is read again every hour."

RESOURCES = (
    Resource("customer", "Customers", "/v1/customers", "customer", deletable=True),
    Resource("product", "Products", "/v1/products", "product", deletable=True),
    Resource("price", "Prices", "/v1/prices", "price", deletable=True),
    Resource("plan", "Plans (older form of prices)", "/v1/plans", "plan", deletable=True, shown=False),
    Resource("coupon", "Coupons", "/v1/coupons", "coupon", deletable=True),
    Resource("promotion_code", "Promotion codes", "/v1/promotion_codes", "promotion_code"),
    Resource(
        "subscription",
        "Subscriptions",
        "/v1/subscriptions",
        "subscription",
        params=(("status", "all"),),  # the default leaves out canceled ones
        help="Canceled subscriptions stay, with status canceled.",
    ),
    Resource("subscription_schedule", "Subscription schedules", "/v1/subscription_schedules", "subscription_schedule"),
    Resource("invoice", "Invoices", "/v1/invoices", "invoice", deletable=True),
    Resource("invoiceitem", "Invoice items", "/v1/invoiceitems", "invoiceitem", deletable=True, partly=True),
    Resource("invoice_payment", "Invoice payments", "/v1/invoice_payments", "invoice_payment", partly=True),
    Resource("credit_note", "Credit notes", "/v1/credit_notes", "credit_note"),
    Resource("charge", "Charges", "/v1/charges", "charge"),
    Resource("refund", "Refunds", "/v1/refunds", "refund"),
    Resource("dispute", "Disputes", "/v1/disputes", "dispute"),
    Resource("payment_intent", "Payment intents", "/v1/payment_intents", "payment_intent"),
    Resource("setup_intent", "Setup intents", "/v1/setup_intents", "setup_intent"),
    Resource("payment_method", "Payment methods", "/v1/payment_methods", "payment_method", by_created=False),
    Resource("checkout_session", "Checkout sessions", "/v1/checkout/sessions", "checkout.session", listed_too=True),
    Resource("payment_link", "Payment links", "/v1/payment_links", "payment_link", by_created=False),
    Resource("quote", "Quotes", "/v1/quotes", "quote", by_created=False, partly=True),
    Resource(
        "balance_transaction",
        "Balance transactions",
        "/v1/balance_transactions",
        "balance_transaction",
        Found.CREATED,
    ),
    Resource("payout", "Payouts", "/v1/payouts", "payout"),
    Resource("transfer", "Transfers", "/v1/transfers", "transfer"),
    Resource("application_fee", "Application fees", "/v1/application_fees", "application_fee"),
    Resource("topup", "Top-ups", "/v1/topups", "topup"),
    Resource("tax_rate", "Tax rates", "/v1/tax_rates", "tax_rate"),
    Resource("tax_id", "Own tax ids", "/v1/tax_ids", "tax_id", Found.WHOLE, by_created=False, help=_WHOLE),
    Resource("shipping_rate", "Shipping rates", "/v1/shipping_rates", "shipping_rate", Found.WHOLE, help=_WHOLE),
    Resource("review", "Reviews", "/v1/reviews", "review"),
    Resource(
        "early_fraud_warning",
        "Early fraud warnings",
        "/v1/radar/early_fraud_warnings",
        "radar.early_fraud_warning",
    ),
    Resource("file", "Files", "/v1/files", "file", help="What is known of each file; not its content."),
    Resource("file_link", "File links", "/v1/file_links", "file_link", Found.WHOLE, help=_WHOLE),
    Resource("issuing_card", "Issuing: cards", "/v1/issuing/cards", "issuing.card", shown=False),
    Resource(
        "issuing_cardholder", "Issuing: cardholders", "/v1/issuing/cardholders", "issuing.cardholder", shown=False
    ),
    Resource(
        "issuing_authorization",
        "Issuing: authorizations",
        "/v1/issuing/authorizations",
        "issuing.authorization",
        shown=False,
    ),
    Resource(
        "issuing_transaction", "Issuing: transactions", "/v1/issuing/transactions", "issuing.transaction", shown=False
    ),
    Resource("issuing_dispute", "Issuing: disputes", "/v1/issuing/disputes", "issuing.dispute", shown=False),
    Resource("billing_meter", "Billing meters", "/v1/billing/meters", "billing.meter", by_created=False, shown=False),
    Resource(
        "billing_alert",
        "Billing alerts",
        "/v1/billing/alerts",
        "billing.alert",
        Found.WHOLE,
        by_created=False,
        shown=False,
        help=_WHOLE,
    ),
    Resource(
        "entitlement_feature",
        "Entitlement features",
        "/v1/entitlements/features",
        "entitlements.feature",
        Found.WHOLE,
        by_created=False,
        shown=False,
        help=_WHOLE,
    ),
    Resource(
        "connected_account",
        "Connected accounts",
        "/v1/accounts",
        "account",
        shown=False,
        help="Only for Connect platforms.",
    ),
    Resource("account", "Own account", "/v1/account", "account", Found.WHOLE, single=True, help=_WHOLE),
    Resource("event", "Events", "/v1/events", "event", Found.SELF, help="Stripe keeps events for 30 days."),
)

BY_ID = {resource.id: resource for resource in RESOURCES}

# Objects inside an event that are no list of ours: the object they belong to is read again instead.
OWNERS = {
    "discount": (("customer", "customer"), ("subscription", "subscription"), ("invoice", "invoice")),
    "card": (("customer", "customer"), ("account", "account")),
    "bank_account": (("customer", "customer"), ("account", "account")),
    "source": (("customer", "customer"),),
    "tax_id": (("customer", "customer"),),
    "fee_refund": (("fee", "application_fee"),),
    "transfer_reversal": (("transfer", "transfer"),),
    "credit_note_line_item": (("credit_note", "credit_note"),),
    "person": (("account", "account"),),
}
# Objects whose change shows in another list that hears nothing of it: (field, object of the other list).
RELATED = {
    "refund": (("charge", "charge"),),
    "invoice_payment": (("invoice", "invoice"),),
}

EVENTS_KEPT_S = 30 * 24 * 3600
_DELETES = {
    Found.EVENTS: Deletes.SWEEP,
    Found.CREATED: Deletes.NONE,
    Found.WHOLE: Deletes.SWEEP,
    Found.SELF: Deletes.NONE,
}
_COST = {
    Found.EVENTS: "One request for 100 records, then one for each record that changes.",
    Found.CREATED: "One request for 100 records, then one for each look for changes.",
    Found.WHOLE: "One request for 100 records, every hour.",
    Found.SELF: "One request for 100 events, then nothing beyond the looks for changes.",
}


def to_collection(resource: Resource) -> Collection:
    """The resource as the console shows it."""
    in_feed = resource.found in (Found.EVENTS, Found.SELF)
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=EVENTS_FEED if in_feed else resource.id,
        upstream=resource.path,
        deletes=Deletes.EVENT if resource.deletable else _DELETES[resource.found],
        every_s=3600 if resource.found is Found.WHOLE else None,
        sweep_every_h=None if _DELETES[resource.found] is Deletes.NONE or resource.single else 24 * 7,
        remembers_s=EVENTS_KEPT_S if in_feed else None,
        shown=resource.shown,
        reread_every_h=24 if resource.partly else None,
        help=_PARTLY if resource.partly else resource.help,
        cost=_COST[resource.found],
        params=resource.params,
        volatile=("pending_webhooks",) if resource.found is Found.SELF else (),
    )


COLLECTIONS = tuple(to_collection(resource) for resource in RESOURCES)
