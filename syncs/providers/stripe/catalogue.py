"""Which Stripe lists are offered, and how each one's changes are found.

Docs    https://docs.stripe.com/api, https://docs.stripe.com/api/events/types (read 2026-11-23)
"""

from syncs.providers.kit.catalogue import Collection, Deletes
from syncs.providers.stripe.flat import PARTLY, RESOURCES
from syncs.providers.stripe.owned import PARTS
from syncs.providers.stripe.resource import Found, Resource

EVENTS_FEED = "stripe:events"

LISTS = (*RESOURCES, *PARTS)
BY_ID = {resource.id: resource for resource in LISTS}

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
    Found.OWNER: Deletes.SWEEP,
}
_COST = {
    Found.EVENTS: "One request for 100 records, then one for each record that changes.",
    Found.CREATED: "One request for 100 records, then one for each look for changes.",
    Found.WHOLE: "One request for 100 records, every hour.",
    Found.SELF: "One request for 100 events, then nothing beyond the looks for changes.",
    Found.OWNER: "One request for 100 owners and one for each with more than 10, then one for each owner that changes.",
}
_BY_OWNER = "One request for each owner, and then one for each owner that changes."
_NEVER_DELETED = ("customer_balance_transaction", "setup_attempt")


def to_collection(resource: Resource) -> Collection:
    """The resource as the console shows it."""
    in_feed = resource.found in (Found.EVENTS, Found.SELF, Found.OWNER)
    deletes = Deletes.EVENT if resource.deletable else _DELETES[resource.found]
    if resource.name in _NEVER_DELETED:
        deletes = Deletes.NONE
    one_by_one = bool(resource.owner) and not resource.inside
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=EVENTS_FEED if in_feed else resource.id,
        upstream=resource.path,
        deletes=deletes,
        every_s=3600 if resource.found is Found.WHOLE else None,
        sweep_every_h=None if deletes is Deletes.NONE or resource.single else 24 * 7,
        page_size=1 if one_by_one else 100,
        sweep_page=1 if one_by_one else 100,
        remembers_s=EVENTS_KEPT_S if in_feed else None,
        shown=resource.shown,
        reread_every_h=24 if resource.partly else None,
        help=PARTLY if resource.partly else resource.help,
        cost=_BY_OWNER if one_by_one else _COST[resource.found],
        params=resource.params,
        volatile=("pending_webhooks",) if resource.found is Found.SELF else (),
    )


COLLECTIONS = tuple(to_collection(resource) for resource in LISTS)
