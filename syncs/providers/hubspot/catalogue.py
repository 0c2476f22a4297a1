"""Which of HubSpot's lists are offered, and how each one's changes are found.

Docs    https://developers.hubspot.com/docs/api-reference/crm-objects-v3 and its dated successors (read 2026-11-23)
Scopes  as the security blocks of HubSpot's OpenAPI descriptions name them
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncs.providers.kit.catalogue import Collection, Deletes

PREFIX = "hubspot:"
VERSION = "2026-09"  # of all paths; each is supported for 18 months
OWNERS = f"/crm/owners/{VERSION}"
PIPELINES = f"/crm/pipelines/{VERSION}"
SCHEMAS = f"/crm-object-schemas/{VERSION}/schemas"
MODIFIED = "hs_lastmodifieddate"
CUSTOM_SCOPES = ("crm.objects.custom.read", "crm.schemas.custom.read")


class Found(StrEnum):
    """How a list's changes are found."""

    OBJECTS = "objects"  # by search, in order of their last change; archived ones in the recycle bin
    LINKS = "links"  # what objects are associated with: by the objects' changes, and read whole once a day
    WHOLE = "whole"  # nothing tells: the whole list is read again


@dataclass(frozen=True)
class Resource:
    """One list.

    type      of the objects, or of the objects whose associations these are: `contacts`, `2-3465404`
    to        of what they are associated with
    modified  the property that holds the time of the last change
    path      of a list that is read whole
    paged     it comes in pages
    binned    archived members are listed when asked for
    """

    name: str
    title: str
    found: Found = Found.OBJECTS
    type: str = ""
    to: str = ""
    modified: str = MODIFIED
    path: str = ""
    paged: bool = False
    binned: bool = False
    scopes: tuple[str, ...] = ()
    shown: bool = True
    help: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name

    @property
    def upstream(self) -> str:
        if self.found is Found.LINKS:
            return f"/crm/associations/{VERSION}/{self.type}/{self.to}"
        return self.path or f"/crm/objects/{VERSION}/{self.type}"


CONTACTS, COMPANIES, DEALS = "crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read"
TICKETS, EMAILS = "tickets", "sales-email-read"
_NEWER = "Only where the object is turned on in HubSpot."


def _objects(name: str, title: str, kind: str, *scopes: str, **more: Any) -> Resource:
    return Resource(name, title, type=kind, scopes=scopes, **more)


def _links(one: str, many: str, kind: str, to: str, *scopes: str, shown: bool = True) -> Resource:
    title = f"Associations: {kind.replace('_', ' ')} to {to.replace('_', ' ')}"
    modified = "lastmodifieddate" if kind == "contacts" else MODIFIED
    return Resource(f"{one}_to_{many}", title, Found.LINKS, kind, to, modified, scopes=scopes, shown=shown)


RESOURCES = (
    _objects("contact", "Contacts", "contacts", CONTACTS, modified="lastmodifieddate"),
    _objects("company", "Companies", "companies", COMPANIES),
    _objects("deal", "Deals", "deals", DEALS),
    _objects("ticket", "Tickets", "tickets", TICKETS),
    _objects("product", "Products", "products", "crm.objects.products.read"),
    _objects("line_item", "Line items", "line_items", "crm.objects.line_items.read"),
    _objects("quote", "Quotes", "quotes", "crm.objects.quotes.read"),
    _objects("lead", "Leads", "leads", "crm.objects.leads.read", shown=False, help="Needs Sales Hub Professional."),
    Resource(
        "owner",
        "Owners",
        Found.WHOLE,
        path=OWNERS,
        paged=True,
        binned=True,
        scopes=("crm.objects.owners.read",),
        help="A deactivated owner arrives as deleted.",
    ),
    _objects("call", "Calls", "calls", CONTACTS),
    _objects("email", "Emails", "emails", CONTACTS, EMAILS, help="What was logged on records; not marketing emails."),
    _objects("meeting", "Meetings", "meetings", CONTACTS),
    _objects("note", "Notes", "notes", CONTACTS),
    _objects("task", "Tasks", "tasks", CONTACTS),
    _objects("communication", "Messages (SMS, WhatsApp, LinkedIn)", "communications", CONTACTS, shown=False),
    _objects("postal_mail", "Postal mail", "postal_mail", CONTACTS, shown=False),
    Resource("deal_pipeline", "Deal pipelines", Found.WHOLE, path=f"{PIPELINES}/deals", scopes=(DEALS,)),
    Resource("ticket_pipeline", "Ticket pipelines", Found.WHOLE, path=f"{PIPELINES}/tickets", scopes=(TICKETS,)),
    _objects("order", "Orders", "orders", "crm.objects.orders.read", shown=False),
    _objects("cart", "Carts", "carts", "crm.objects.carts.read", shown=False),
    _objects("invoice", "Invoices", "invoices", "crm.objects.invoices.read", shown=False),
    _objects("payment", "Payments", "commerce_payments", "crm.objects.commercepayments.read", shown=False),
    _objects("subscription", "Subscriptions", "subscriptions", "crm.objects.subscriptions.read", shown=False),
    _objects("user", "Users", "users", "crm.objects.users.read", shown=False),
    _objects("appointment", "Appointments", "appointments", "crm.objects.appointments.read", shown=False, help=_NEWER),
    _objects("course", "Courses", "courses", "crm.objects.courses.read", shown=False, help=_NEWER),
    _objects("listing", "Listings", "listings", "crm.objects.listings.read", shown=False, help=_NEWER),
    _objects("service", "Services", "services", "crm.objects.services.read", shown=False, help=_NEWER),
    _links("contact", "companies", "contacts", "companies", CONTACTS, COMPANIES),
    _links("deal", "contacts", "deals", "contacts", DEALS, CONTACTS),
    _links("deal", "companies", "deals", "companies", DEALS, COMPANIES),
    _links("deal", "line_items", "deals", "line_items", DEALS, "crm.objects.line_items.read"),
    _links("ticket", "contacts", "tickets", "contacts", TICKETS, CONTACTS),
    _links("ticket", "companies", "tickets", "companies", TICKETS, COMPANIES),
    _links("call", "contacts", "calls", "contacts", CONTACTS, shown=False),
    _links("email", "contacts", "emails", "contacts", CONTACTS, EMAILS, shown=False),
    _links("meeting", "contacts", "meetings", "contacts", CONTACTS, shown=False),
    _links("note", "contacts", "notes", "contacts", CONTACTS, shown=False),
    _links("task", "contacts", "tasks", "contacts", CONTACTS, shown=False),
    _links("contact", "deals", "contacts", "deals", CONTACTS, DEALS, shown=False),
    _links("company", "companies", "companies", "companies", COMPANIES, shown=False),
)

BY_ID = {resource.id: resource for resource in RESOURCES}

_COST = {
    Found.OBJECTS: "One request for 100 records (two, where records have hundreds of properties), one search for each "
    "look for changes, and one request for 100 changed ones. The recycle bin: one request for 100, every 15 minutes "
    "or less often.",
    Found.LINKS: "Two requests for 100 records once a day, one search for each look for changes, and one request for "
    "200 changed records.",
    Found.WHOLE: "The whole list, every hour: one request for 100.",
}
_BIN = (
    "Archived records arrive as deleted within 15 minutes, later where the recycle bin is large; merged ones with the "
    "next look."
)
_LINKS = (
    "One record for each that has associations. A change of associations alone is found once a day, or when the record "
    "itself changes."
)
_DAY_H = 24
BIN_KEPT_S = 90 * _DAY_H * 3600  # archived records; later they are gone without a word


def to_collection(resource: Resource) -> Collection:
    """The resource as the console shows it."""
    is_whole, is_links = resource.found is Found.WHOLE, resource.found is Found.LINKS
    own = "" if is_whole else _LINKS if is_links else _BIN
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=resource.id,
        upstream=resource.upstream,
        deletes=Deletes.SWEEP if is_whole and not resource.binned else Deletes.FLAG,
        versioned_by_time=resource.found is Found.OBJECTS,
        every_s=3600 if is_whole else None,
        reread_every_h=None if is_whole else _DAY_H if is_links else 7 * _DAY_H,
        sweep_every_h=_DAY_H if is_whole else 7 * _DAY_H,
        described=resource.found is not Found.WHOLE,
        ids_only=resource.found is Found.OBJECTS,
        remembers_s=BIN_KEPT_S if resource.found is Found.OBJECTS else None,
        shown=resource.shown,
        help=" ".join(filter(None, [resource.help, own])),
        cost=_COST[resource.found],
        scopes=resource.scopes,
    )


COLLECTIONS = tuple(to_collection(resource) for resource in RESOURCES)
