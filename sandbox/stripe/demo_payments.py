"""Believable Stripe objects, second half: what is billed and paid.

Shapes follow the resources' own pages below https://docs.stripe.com/api (version 2026-10-28), shortened.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sandbox import words

if TYPE_CHECKING:
    from sandbox.stripe.demo import Maker

NO_EVIDENCE = {"due_by": None, "has_evidence": False, "past_due": False, "submission_count": 0}


def _payment_method(make: Maker) -> dict[str, Any]:
    card = {"brand": make.pick("visa", "mastercard"), "country": "DE", "exp_month": make.rng.randint(1, 12),
            "exp_year": 2029, "funding": "credit", "last4": f"{make.rng.randint(0, 9_999):04d}"}  # fmt: skip
    return {"allow_redisplay": "unspecified", "billing_details": {"address": None, "email": None, "name": None},
            "card": card, "customer": make.link("customers"), "type": "card"}  # fmt: skip


def _invoice(make: Maker) -> dict[str, Any]:
    created, cents = make.moment(), make.cents()
    status = make.pick("paid", "paid", "paid", "open", "draft", "void")
    return {
        "created": created, "account_country": "DE", "account_name": "Sandbox Coffee Works", "amount_due": cents,
        "amount_paid": cents if status == "paid" else 0, "amount_remaining": 0 if status == "paid" else cents,
        "attempt_count": 1, "auto_advance": False, "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically", "currency": "eur", "customer": make.link("customers"),
        "customer_email": "billing@example.com", "due_date": None, "hosted_invoice_url": None,
        "number": f"SCW-{make.rng.randint(1, 99_999):05d}", "period_end": created, "period_start": created - 2_592_000,
        "parent": {"type": "subscription_details", "quote_details": None,
                   "subscription_details": {"metadata": {}, "subscription": make.link("subscriptions")}},
        "starting_balance": 0, "status": status, "subtotal": cents, "total": cents, "total_taxes": [],
    }  # fmt: skip


def _invoice_line(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    return {"amount": cents, "currency": "eur", "description": f"1 × {make.rng.choice(words.COFFEES)}",
            "discountable": True, "invoice": make.crowded_link("invoices"),
            "period": {"end": make.now_s, "start": make.now_s - 2_592_000},
            "pricing": {"type": "price_details", "price_details": {"price": make.link("prices")},
                        "unit_amount_decimal": str(cents)}, "quantity": 1, "taxes": []}  # fmt: skip


def _invoiceitem(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(), "currency": "eur", "customer": make.link("customers"), "date": make.now_s,
            "description": "Extra bag", "discountable": True, "invoice": None, "proration": False,
            "quantity": 1}  # fmt: skip


def _invoice_payment(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    return {"amount_paid": cents, "amount_requested": cents, "currency": "eur", "invoice": make.link("invoices"),
            "is_default": True, "status": "paid",
            "payment": {"type": "payment_intent", "payment_intent": make.link("payment_intents")}}  # fmt: skip


def _credit_note(make: Maker) -> dict[str, Any]:
    cents = make.cents(1, 20)
    return {"amount": cents, "currency": "eur", "customer": make.link("customers"), "invoice": make.link("invoices"),
            "memo": None, "number": f"SCW-{make.rng.randint(1, 9_999):04d}-CN-01", "reason": "product_unsatisfactory",
            "status": "issued", "subtotal": cents, "total": cents, "type": "post_payment"}  # fmt: skip


def _credit_note_line(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(1, 20), "credit_note": make.crowded_link("credit_notes"), "description": "Damaged bag",
            "quantity": 1, "type": "custom_line_item", "unit_amount_decimal": "1.10"}  # fmt: skip


def _charge(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    return {
        "amount": cents, "amount_captured": cents, "amount_refunded": 0, "balance_transaction": None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None}, "captured": True,
        "currency": "eur", "customer": make.link("customers"), "description": f"Order {make.rng.randint(1, 99_999)}",
        "disputed": False, "failure_code": None, "outcome": {"network_status": "approved_by_network", "risk_score": 12},
        "paid": True, "payment_intent": make.link("payment_intents"), "payment_method": make.link("payment_methods"),
        "receipt_email": None, "refunded": False, "status": "succeeded",
    }  # fmt: skip


def _refund(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(1, 30), "balance_transaction": None, "charge": make.link("charges"), "currency": "eur",
            "payment_intent": make.link("payment_intents"), "reason": make.pick(None, "requested_by_customer"),
            "receipt_number": None, "status": "succeeded"}  # fmt: skip


def _dispute(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(), "charge": make.link("charges"), "currency": "eur",
            "evidence_details": dict(NO_EVIDENCE), "is_charge_refundable": False,
            "payment_intent": make.link("payment_intents"), "reason": "fraudulent",
            "status": make.pick("needs_response", "won", "lost")}  # fmt: skip


def _payment_intent(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    return {
        "amount": cents, "amount_capturable": 0, "amount_received": cents, "canceled_at": None,
        "capture_method": "automatic", "confirmation_method": "automatic", "currency": "eur",
        "customer": make.link("customers"), "description": None, "latest_charge": None,
        "payment_method": make.link("payment_methods"), "payment_method_types": ["card"], "receipt_email": None,
        "status": make.pick("succeeded", "succeeded", "processing", "requires_payment_method"),
    }  # fmt: skip


def _setup_intent(make: Maker) -> dict[str, Any]:
    return {"cancellation_reason": None, "customer": make.link("customers"), "description": None,
            "last_setup_error": None,
            "payment_method": make.link("payment_methods"), "payment_method_types": ["card"], "status": "succeeded",
            "usage": "off_session"}  # fmt: skip


def _setup_attempt(make: Maker) -> dict[str, Any]:
    return {"customer": make.link("customers"), "payment_method": make.link("payment_methods"), "setup_error": None,
            "setup_intent": make.link("setup_intents"), "status": "succeeded", "usage": "off_session"}  # fmt: skip


def _checkout_session(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    return {"amount_subtotal": cents, "amount_total": cents, "cancel_url": "https://shop.example.com/cart",
            "currency": "eur", "customer": make.link("customers"), "mode": "subscription",
            "payment_intent": None, "payment_status": "paid", "status": make.pick("complete", "open", "expired"),
            "subscription": make.link("subscriptions"), "success_url": "https://shop.example.com/thanks"}  # fmt: skip


def _line_item(make: Maker, parent: str, collection: str) -> dict[str, Any]:
    """What is sold: of a checkout session, a quote or a payment link. The field that names it is the sandbox's own."""
    cents = make.cents()
    return {"amount_discount": 0, "amount_subtotal": cents, "amount_tax": 0, "amount_total": cents, "currency": "eur",
            "description": make.rng.choice(words.COFFEES), "price": {"id": make.link("prices"), "object": "price"},
            "quantity": make.rng.randint(1, 4), parent: make.crowded_link(collection)}  # fmt: skip


def _payment_link(make: Maker) -> dict[str, Any]:
    return {"active": True, "allow_promotion_codes": False, "billing_address_collection": "auto", "currency": "eur",
            "submit_type": "auto", "url": "https://buy.example.com/test_a"}  # fmt: skip


def _balance_transaction(make: Maker) -> dict[str, Any]:
    cents = make.cents()
    fee = 25 + cents * 14 // 1000
    return {"amount": cents, "available_on": make.now_s, "currency": "eur", "description": None, "exchange_rate": None,
            "fee": fee, "fee_details": [{"amount": fee, "currency": "eur", "type": "stripe_fee"}], "net": cents - fee,
            "reporting_category": "charge", "source": make.link("charges"), "status": make.pick("available", "pending"),
            "type": "charge"}  # fmt: skip


def _payout(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(200, 9_000), "arrival_date": make.now_s, "automatic": True, "currency": "eur",
            "description": "STRIPE PAYOUT", "failure_code": None, "method": "standard",
            "status": make.pick("paid", "in_transit"), "type": "bank_account"}  # fmt: skip


def _transfer(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(), "amount_reversed": 0, "currency": "eur", "description": None,
            "destination": "acct_1SandboxRoaster02", "reversed": False, "transfer_group": None}  # fmt: skip


def _transfer_reversal(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(1, 9), "currency": "eur", "transfer": make.crowded_link("transfers")}


def _application_fee(make: Maker) -> dict[str, Any]:
    return {"account": "acct_1SandboxRoaster02", "amount": make.cents(1, 9), "amount_refunded": 0,
            "application": "ca_sandbox", "charge": make.link("charges"), "currency": "eur",
            "refunded": False}  # fmt: skip


def _fee_refund(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(1, 3), "currency": "eur", "fee": make.crowded_link("application_fees")}


def _topup(make: Maker) -> dict[str, Any]:
    return {"amount": make.cents(100, 900), "currency": "eur", "description": "Float", "status": "succeeded"}


def _customer_balance_transaction(make: Maker) -> dict[str, Any]:
    return {"amount": -make.cents(1, 20), "currency": "eur", "customer": make.link("customers"), "description": None,
            "ending_balance": 0, "invoice": None, "type": "adjustment"}  # fmt: skip


def _review(make: Maker) -> dict[str, Any]:
    return {"charge": make.link("charges"), "closed_reason": None, "open": True, "opened_reason": "rule",
            "reason": "rule"}  # fmt: skip


def _early_fraud_warning(make: Maker) -> dict[str, Any]:
    return {"actionable": True, "charge": make.link("charges"), "fraud_type": "made_with_stolen_card"}


MAKERS: dict[str, Callable[[Maker], dict[str, Any]]] = {
    "payment_methods": _payment_method, "invoices": _invoice, "invoice_lines": _invoice_line,
    "invoiceitems": _invoiceitem, "invoice_payments": _invoice_payment, "credit_notes": _credit_note,
    "credit_note_lines": _credit_note_line, "charges": _charge, "refunds": _refund, "disputes": _dispute,
    "payment_intents": _payment_intent, "setup_intents": _setup_intent, "setup_attempts": _setup_attempt,
    "checkout_sessions": _checkout_session, "payment_links": _payment_link,
    "checkout_line_items": partial(_line_item, parent="checkout_session", collection="checkout_sessions"),
    "quote_line_items": partial(_line_item, parent="quote", collection="quotes"),
    "payment_link_line_items": partial(_line_item, parent="payment_link", collection="payment_links"),
    "balance_transactions": _balance_transaction, "payouts": _payout, "transfers": _transfer,
    "transfer_reversals": _transfer_reversal, "application_fees": _application_fee, "fee_refunds": _fee_refund,
    "topups": _topup, "customer_balance_transactions": _customer_balance_transaction, "reviews": _review,
    "early_fraud_warnings": _early_fraud_warning,
}  # fmt: skip
