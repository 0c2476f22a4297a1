"""Stripe's lists that stand by themselves.

Docs    https://docs.stripe.com/api, https://docs.stripe.com/api/events/types (read 2026-11-23)
"""

from syncs.providers.stripe.resource import Found, Resource

PARTLY = "Some edits raise no event in Stripe: the whole list is read again once a day."
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
        "billing_credit_grant",
        "Billing credit grants",
        "/v1/billing/credit_grants",
        "billing.credit_grant",
        by_created=False,
        shown=False,
    ),
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
