"""The objects of the sandbox's org: the standard ones a sales team has, and custom ones that are hard to read.

Field names, types and lengths of standard objects: Object Reference for the Salesforce Platform, v67.0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sandbox.salesforce.fields import Field, address, choice, number, reference, text

API_VERSION = "67.0"
VERSION_FIELD = "Sandbox_Version__c"

INDUSTRIES = ("Technology", "Finance", "Healthcare", "Manufacturing", "Retail", "Energy", "Education", "Transportation")
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal/Price Quote", "Negotiation/Review",
          "Closed Won", "Closed Lost")  # fmt: skip
CASE_STATUSES = ("New", "Working", "Escalated", "Closed")
LEAD_STATUSES = ("Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted")
TASK_STATUSES = ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")
INVOICE_STATUSES = ("Draft", "Sent", "Paid", "Overdue", "Void")
WIDE_FIELD_COUNT = 450


@dataclass(frozen=True)
class SObject:
    """One object of the org."""

    name: str
    label: str
    plural: str
    prefix: str
    fields: tuple[Field, ...]
    queryable: bool = True
    deprecated: bool = False
    mergeable: bool = False
    bulk: bool = True

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all its fields."""
        return frozenset(field.name for field in self.fields)

    @property
    def has_delete_mark(self) -> bool:
        return "IsDeleted" in self.names

    def with_fields(self, fields: tuple[Field, ...]) -> SObject:
        return replace(self, fields=fields)

    def listed(self) -> dict[str, Any]:
        """The object as an element of `sobjects` in the global describe."""
        root = f"/services/data/v{API_VERSION}/sobjects/{self.name}"
        can = self.queryable
        return {
            "name": self.name, "label": self.label, "labelPlural": self.plural, "keyPrefix": self.prefix or None,
            "custom": self.custom, "customSetting": False, "queryable": can, "retrieveable": can,
            "replicateable": can and self.has_delete_mark, "searchable": can, "triggerable": can, "createable": can,
            "updateable": can, "deletable": can and self.has_delete_mark, "undeletable": can and self.has_delete_mark,
            "layoutable": can, "mergeable": self.mergeable, "activateable": False, "feedEnabled": False,
            "hasSubtypes": False, "isInterface": False, "isSubtype": False, "mruEnabled": can,
            "deprecatedAndHidden": self.deprecated, "associateEntityType": None, "associateParentEntity": None,
            "urls": {"sobject": root, "describe": f"{root}/describe", "rowTemplate": root + "/{ID}"},
        }  # fmt: skip


def _system(*, delete_mark: bool = True, modified: bool = True, stamp: bool = True) -> tuple[Field, ...]:
    fields = [Field("Id", "id", nillable=False, writable=False)]
    if delete_mark:
        fields.append(Field("IsDeleted", "boolean", nillable=False, writable=False))
    fields += [Field("CreatedDate", "datetime", nillable=False, writable=False),
               reference("CreatedById", "User", nillable=False, writable=False)]  # fmt: skip
    if modified:
        fields += [Field("LastModifiedDate", "datetime", nillable=False, writable=False),
                   reference("LastModifiedById", "User", nillable=False, writable=False)]  # fmt: skip
    if stamp:
        fields.append(Field("SystemModstamp", "datetime", nillable=False, writable=False))
    return (*fields, number(VERSION_FIELD, writable=False))


_OWNER = reference("OwnerId", "User", nillable=False)
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")

ACCOUNT = SObject("Account", "Account", "Accounts", "001", mergeable=True, fields=(
    *_system(), reference("MasterRecordId", "Account"), text("Name", nillable=False),
    choice("Type", "Customer", "Prospect", "Partner"), reference("ParentId", "Account"), *address("BillingAddress"),
    *address("ShippingAddress"), Field("Phone", "phone"), text("AccountNumber", 40), Field("Website", "url"),
    choice("Industry", *INDUSTRIES), number("AnnualRevenue", 18, 0, "currency"),
    number("NumberOfEmployees", 8, 0, "int"), Field("Description", "textarea_long"),
    choice("Rating", "Hot", "Warm", "Cold"), choice("AccountSource", *_SOURCES), _OWNER,
    Field("LastActivityDate", "date"), choice("Regions__c", "EMEA", "AMER", "APAC", kind="multipicklist"),
    text("External_Key__c", 32, unique=True, external_id=True), number("Ledger_Number__c", 18, 0),
    number("Health_Score__c", 5, 2, calculated=True, writable=False),
))  # fmt: skip
CONTACT = SObject("Contact", "Contact", "Contacts", "003", mergeable=True, fields=(
    *_system(), reference("MasterRecordId", "Contact"), reference("AccountId", "Account"),
    text("LastName", 80, nillable=False), text("FirstName", 40), choice("Salutation", "Mr.", "Ms.", "Mx.", "Dr."),
    text("Name", 121, writable=False), *address("MailingAddress"), Field("Phone", "phone"),
    Field("MobilePhone", "phone"), Field("Email", "email"), text("Title", 128), text("Department", 80),
    choice("LeadSource", *_SOURCES), Field("Birthdate", "date"), Field("Description", "textarea_long"), _OWNER,
    Field("HasOptedOutOfEmail", "boolean", nillable=False), Field("EmailBouncedDate", "datetime"),
))  # fmt: skip
LEAD = SObject("Lead", "Lead", "Leads", "00Q", mergeable=True, fields=(
    *_system(), reference("MasterRecordId", "Lead"), text("LastName", 80, nillable=False), text("FirstName", 40),
    text("Name", 121, writable=False), text("Title", 128), text("Company", nillable=False), *address("Address"),
    Field("Phone", "phone"), Field("Email", "email"), Field("Website", "url"), choice("LeadSource", *_SOURCES),
    choice("Status", *LEAD_STATUSES), choice("Industry", *INDUSTRIES), choice("Rating", "Hot", "Warm", "Cold"),
    number("AnnualRevenue", 18, 0, "currency"), _OWNER, Field("IsConverted", "boolean", nillable=False),
    Field("ConvertedDate", "date"), reference("ConvertedAccountId", "Account"),
    reference("ConvertedContactId", "Contact"),
))  # fmt: skip
OPPORTUNITY = SObject("Opportunity", "Opportunity", "Opportunities", "006", fields=(
    *_system(), reference("AccountId", "Account"), text("Name", 120, nillable=False),
    Field("Description", "textarea_long"), choice("StageName", *STAGES), number("Amount", 18, 2, "currency"),
    number("Probability", 3, 0, "percent"), number("ExpectedRevenue", 18, 2, "currency", writable=False),
    Field("CloseDate", "date"), choice("Type", "New Business", "Existing Business"), text("NextStep"),
    choice("LeadSource", *_SOURCES), Field("IsClosed", "boolean", nillable=False, writable=False),
    Field("IsWon", "boolean", nillable=False, writable=False), _OWNER, reference("ContactId", "Contact"),
))  # fmt: skip
CASE = SObject("Case", "Case", "Cases", "500", mergeable=True, fields=(
    *_system(), reference("MasterRecordId", "Case"), text("CaseNumber", 30), reference("ContactId", "Contact"),
    reference("AccountId", "Account"), text("Subject"), Field("Description", "textarea_long"),
    choice("Status", *CASE_STATUSES), choice("Priority", "High", "Medium", "Low"),
    choice("Origin", "Phone", "Email", "Web"), Field("IsClosed", "boolean", nillable=False, writable=False),
    Field("ClosedDate", "datetime"), reference("OwnerId", "User", "Group", nillable=False),
))  # fmt: skip
TASK = SObject("Task", "Task", "Tasks", "00T", fields=(
    *_system(), reference("WhoId", "Contact", "Lead"), reference("WhatId", "Account", "Opportunity"),
    text("Subject"), Field("ActivityDate", "date"), choice("Status", *TASK_STATUSES),
    choice("Priority", "High", "Normal", "Low"), Field("Description", "textarea_long"),
    Field("IsClosed", "boolean", nillable=False), _OWNER,
))  # fmt: skip
USER = SObject("User", "User", "Users", "005", fields=(
    *_system(delete_mark=False), text("Username", 80, nillable=False), text("LastName", 80, nillable=False),
    text("FirstName", 40), text("Name", 121), Field("Email", "email"), text("Alias", 8), text("Title", 80),
    text("Department", 80), Field("IsActive", "boolean", nillable=False), reference("UserRoleId", "UserRole"),
    text("TimeZoneSidKey", 40), Field("LastLoginDate", "datetime"),
))  # fmt: skip
USER_ROLE = SObject("UserRole", "Role", "Roles", "00E", fields=(
    Field("Id", "id", nillable=False, writable=False), text("Name", 80, nillable=False),
    reference("ParentRoleId", "UserRole"), text("DeveloperName", 80), Field("LastModifiedDate", "datetime"),
    reference("LastModifiedById", "User"), Field("SystemModstamp", "datetime", nillable=False, writable=False),
    number(VERSION_FIELD, writable=False),
))  # fmt: skip
OPPORTUNITY_HISTORY = SObject("OpportunityHistory", "Opportunity History", "Opportunity Histories", "008", fields=(
    *_system(modified=False, stamp=False), reference("OpportunityId", "Opportunity"), choice("StageName", *STAGES),
    number("Amount", 18, 2, "currency"), number("Probability", 3, 0, "percent"), Field("CloseDate", "date"),
))  # fmt: skip
CASE_STATUS = SObject("CaseStatus", "Case Status Value", "Case Status Values", "", bulk=False, fields=(
    *_system(delete_mark=False), text("MasterLabel"), text("ApiName"), number("SortOrder", 8, 0, "int"),
    Field("IsClosed", "boolean"), Field("IsDefault", "boolean"),
))  # fmt: skip
INVOICE = SObject("Invoice__c", "Invoice", "Invoices", "a01", fields=(
    *_system(), text("Name", 80, nillable=False), reference("Account__c", "Account"),
    reference("Opportunity__c", "Opportunity"), number("Amount__c", 18, 2, "currency"),
    number("Tax_Rate__c", 5, 3, "percent"), number("Exact_Total__c", 38, 3), Field("Due_Date__c", "date"),
    Field("Sent_At__c", "datetime"), Field("Cutoff_Time__c", "time"), choice("Status__c", *INVOICE_STATUSES),
    choice("Channels__c", "Email", "Post", "Portal", kind="multipicklist"), Field("Paid__c", "boolean", nillable=False),
    Field("Billing_Email__c", "email"), Field("Portal_Link__c", "url"), Field("Notes__c", "textarea_long"),
    Field("Card_Hint__c", "encryptedstring"), number("Line_Count__c", 9, 0), text("Currency__c", 3),
    number("Site__Latitude__s", 18, 15, compound="Site__c"), number("Site__Longitude__s", 18, 15, compound="Site__c"),
    Field("Site__c", "location", writable=False), number("Days_Overdue__c", 9, 0, calculated=True, writable=False),
    _OWNER,
))  # fmt: skip

_WIDE_KINDS = ("string", "double", "boolean", "date", "picklist")


def _wide_field(number_: int) -> Field:
    kind = _WIDE_KINDS[number_ % len(_WIDE_KINDS)]
    choices = ("Yes", "No", "Unknown") if kind == "picklist" else ()
    name = f"Questionnaire_Answer_{number_:03d}_{kind.title()}_Value__c"
    return Field(name, kind, length=255 if kind == "string" else 0, choices=choices)


WIDE = SObject("Wide__c", "Wide Questionnaire", "Wide Questionnaires", "a02", fields=(
    *_system(), text("Name", 80, nillable=False), _OWNER, *(_wide_field(n) for n in range(1, WIDE_FIELD_COUNT + 1)),
))  # fmt: skip

# In the catalogue of every org, and of no use to a reader: one refuses queries, one is hidden.
CHANGE_EVENT = SObject("AccountChangeEvent", "Account Change Event", "Account Change Events", "", fields=(),
                       queryable=False)  # fmt: skip
RETIRED = SObject("Legacy_Quote__c", "Legacy Quote", "Legacy Quotes", "a0Z", fields=_system(), deprecated=True)

STANDARD_OBJECTS = (ACCOUNT, CHANGE_EVENT, CASE, CASE_STATUS, CONTACT, INVOICE, LEAD, RETIRED, OPPORTUNITY,
                    OPPORTUNITY_HISTORY, TASK, USER, USER_ROLE, WIDE)  # fmt: skip
