"""The object types of the account: names, ids, properties, scopes, and what belongs together.

Docs    https://developers.hubspot.com/docs/api-reference/crm-objects-v3, …/guides/crm/understanding-the-crm
"""

from __future__ import annotations

from dataclasses import dataclass

PORTAL = 4_242_424
BASE = ("hs_object_id", "sandbox_version")
CRM = ("createdate", "hs_lastmodifieddate", "hubspot_owner_id", *BASE)
LOGGED = ("hs_createdate", "hs_lastmodifieddate", "hs_timestamp", "hubspot_owner_id", *BASE)
CONTACTS = "crm.objects.contacts.read"


@dataclass(frozen=True)
class Kind:
    """One object type.

    properties   all of them; `shown`: those a list has when none are asked for
    created, modified   the properties that hold these times
    scopes       reading needs all of these
    custom       an account's own type
    """

    name: str
    type_id: str
    properties: tuple[str, ...]
    shown: tuple[str, ...]
    scopes: tuple[str, ...]
    singular: str
    created: str = "createdate"
    modified: str = "hs_lastmodifieddate"
    custom: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called in a path."""
        own = (f"p{PORTAL}_{self.singular.lower()}", self.singular.lower()) if self.custom else ()
        return (self.name, self.type_id, *own)


def _crm(name: str, type_id: str, singular: str, scope: str, *own: str) -> Kind:
    return Kind(name, type_id, (*own, "hs_merged_object_ids", *CRM), (*own[:3], "createdate", "hs_lastmodifieddate",
                "hs_object_id"), (scope,), singular)  # fmt: skip


def _logged(name: str, type_id: str, singular: str, scopes: tuple[str, ...], *own: str) -> Kind:
    shown = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")
    return Kind(name, type_id, (*own, *LOGGED), shown, scopes, singular, created="hs_createdate")


def _other(name: str, type_id: str, singular: str, scope: str) -> Kind:
    return Kind(name, type_id, ("hs_name", "hs_status", *CRM), ("hs_createdate", "hs_object_id"), (scope,), singular)


KINDS = (
    Kind("contacts", "0-1",
         ("email", "firstname", "lastname", "phone", "company", "jobtitle", "city", "lifecyclestage", "hs_lead_status",
          "hs_merged_object_ids", "createdate", "lastmodifieddate", "hubspot_owner_id", *BASE),
         ("email", "firstname", "lastname", "createdate", "lastmodifieddate", "hs_object_id"),
         (CONTACTS,), "CONTACT", modified="lastmodifieddate"),
    _crm("companies", "0-2", "COMPANY", "crm.objects.companies.read", "name", "domain", "city", "industry", "country",
         "numberofemployees", "annualrevenue"),
    _crm("deals", "0-3", "DEAL", "crm.objects.deals.read", "dealname", "amount", "dealstage", "pipeline", "closedate"),
    _crm("tickets", "0-5", "TICKET", "tickets", "subject", "content", "hs_pipeline", "hs_pipeline_stage",
         "hs_ticket_priority"),
    _crm("products", "0-7", "PRODUCT", "crm.objects.products.read", "name", "price", "hs_sku", "description"),
    _crm("line_items", "0-8", "LINE_ITEM", "crm.objects.line_items.read", "name", "quantity", "price",
         "hs_product_id", "amount"),
    _logged("quotes", "0-14", "QUOTE", ("crm.objects.quotes.read",), "hs_title", "hs_status", "hs_expiration_date"),
    _crm("leads", "0-136", "LEAD", "crm.objects.leads.read", "hs_lead_name", "hs_lead_type", "hs_lead_label"),
    _logged("calls", "0-48", "CALL", (CONTACTS,), "hs_call_title", "hs_call_body", "hs_call_duration",
            "hs_call_direction"),
    _logged("emails", "0-49", "EMAIL", (CONTACTS, "sales-email-read"), "hs_email_subject", "hs_email_text",
            "hs_email_direction", "hs_email_status"),
    _logged("meetings", "0-47", "MEETING_EVENT", (CONTACTS,), "hs_meeting_title", "hs_meeting_start_time",
            "hs_meeting_outcome"),
    _logged("notes", "0-46", "NOTE", (CONTACTS,), "hs_note_body"),
    _logged("tasks", "0-27", "TASK", (CONTACTS,), "hs_task_subject", "hs_task_status", "hs_task_priority"),
    _logged("communications", "0-18", "COMMUNICATION", (CONTACTS,), "hs_communication_channel_type",
            "hs_communication_body"),
    _logged("postal_mail", "0-116", "POSTAL_MAIL", (CONTACTS,), "hs_postal_mail_body"),
    _other("orders", "0-123", "ORDER", "crm.objects.orders.read"),
    _other("carts", "0-142", "CART", "crm.objects.carts.read"),
    _other("invoices", "0-53", "INVOICE", "crm.objects.invoices.read"),
    _other("commerce_payments", "0-101", "COMMERCE_PAYMENT", "crm.objects.commercepayments.read"),
    _other("subscriptions", "0-69", "SUBSCRIPTION", "crm.objects.subscriptions.read"),
    _other("users", "0-115", "USER", "crm.objects.users.read"),
    _other("appointments", "0-421", "APPOINTMENT", "crm.objects.appointments.read"),
    _other("courses", "0-410", "COURSE", "crm.objects.courses.read"),
    _other("listings", "0-420", "LISTING", "crm.objects.listings.read"),
    _other("services", "0-162", "SERVICE", "crm.objects.services.read"),
    Kind("machines", "2-7700001", ("model", "serial_number", "installed_on", *LOGGED), ("model", "hs_object_id"),
         ("crm.objects.custom.read",), "MACHINE", created="hs_createdate", custom=True),
)  # fmt: skip

BY_NAME = {name: kind for kind in KINDS for name in kind.names}
PIPED = {"deals": "crm.objects.deals.read", "tickets": "tickets"}

# Which records the demo associates: (from, to, type id, how many of a hundred have one).
PAIRS = (
    ("contacts", "companies", 279, 70), ("deals", "contacts", 3, 80), ("deals", "companies", 341, 80),
    ("deals", "line_items", 19, 60), ("tickets", "contacts", 16, 80), ("tickets", "companies", 339, 40),
    ("calls", "contacts", 194, 90), ("emails", "contacts", 198, 90), ("meetings", "contacts", 200, 90),
    ("notes", "contacts", 202, 90), ("tasks", "contacts", 204, 90), ("companies", "companies", 13, 10),
    ("machines", "companies", 35, 10),
)  # fmt: skip

SCOPES = {
    "oauth": "Know the account", "crm.objects.owners.read": "Read owners", "crm.schemas.custom.read": "Read schemas",
    **{scope: f"Read {kind.name.replace('_', ' ')}" for kind in reversed(KINDS) for scope in kind.scopes},
}  # fmt: skip
