"""Believable Salesforce records, and the awkward ones that believable data also holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from sandbox import words
from sandbox.clock import DAY_MS, salesforce_date
from sandbox.rawjson import Fields, dump, dump_fields
from sandbox.salesforce import objects
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.org import Org

DEMO_COUNTS = {"UserRole": 6, "User": 14, "CaseStatus": 4, "Account": 900, "Contact": 2_600, "Opportunity": 1_200,
               "Lead": 120, "Case": 160, "Task": 90, "OpportunityHistory": 240, "Invoice__c": 350,
               "Wide__c": 60}  # fmt: skip
PARENTS_AT_HAND = 5_000


class Maker:
    """Makes field values for new records; parents are taken from what the org already has."""

    def __init__(self, org: Org, rng: random.Random):
        self.org, self.rng = org, rng
        self.now_ms = org.clock.now_ms()
        self._parents: dict[str, list[str]] = {}
        self._serials: dict[str, int] = {}

    def make(self, name: str, count: int) -> list[Fields]:
        """Raw fields of `count` believable records of an object."""
        maker = MAKERS[name]
        return [dump_fields(maker(self)) for _ in range(count)]

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def parent(self, name: str) -> str | None:
        """The id of some record of another object; None while there is none."""
        if name not in self._parents:
            self._parents[name] = self.org.store.sample_ids(self.org.shelf(name), PARENTS_AT_HAND)
        known = self._parents[name]
        return self.rng.choice(known) if known else None

    def serial(self, name: str) -> int:
        """1, 2, 3 … over the life of the org."""
        return self.org.store.count_up(f"demo/{name}")

    def date(self, earliest_days: int, latest_days: int) -> str:
        return salesforce_date(self.now_ms + self.rng.randint(earliest_days, latest_days) * DAY_MS)

    def amount(self, low: int, high: int) -> float:
        return round(self.rng.uniform(low, high), self.rng.choice((0, 0, 2)))

    def address(self, stem: str) -> dict[str, Any]:
        city, state, code, country, _, latitude, longitude = self.rng.choice(words.CITIES)
        return {
            f"{stem}Street": f"{self.rng.randint(1, 240)} {self.rng.choice(words.STREETS)}", f"{stem}City": city,
            f"{stem}State": state or None, f"{stem}PostalCode": code, f"{stem}Country": country,
            f"{stem}Latitude": latitude, f"{stem}Longitude": longitude, f"{stem}GeocodeAccuracy": "City",
        }  # fmt: skip


def _account(make: Maker) -> dict[str, Any]:
    rng, name = make.rng, words.company(make.rng)
    domain = f"{words.slug(name).replace('.', '-')}.example"
    number = make.serial("Account")
    return {
        "Name": name, "Type": make.pick("Customer", "Prospect", "Prospect", "Partner"), **make.address("Billing"),
        "Phone": words.phone(rng), "AccountNumber": f"AC-{number:06d}", "Website": f"https://www.{domain}",
        "Industry": rng.choice(objects.INDUSTRIES), "AnnualRevenue": rng.randint(1, 900) * 100_000,
        "NumberOfEmployees": rng.randint(3, 12_000), "Rating": make.pick("Hot", "Warm", "Cold", None),
        "AccountSource": make.pick("Web", "Partner Referral", "Other"), "OwnerId": make.parent("User"),
        "LastActivityDate": make.date(-90, 0), "Regions__c": make.pick("EMEA", "AMER", "EMEA;APAC", None),
        "External_Key__c": f"erp-{number:08d}", "Ledger_Number__c": 4_000_000_000 + number,
        "Health_Score__c": round(rng.uniform(0, 100), 2), "Description": None,
    }  # fmt: skip


def _contact(make: Maker) -> dict[str, Any]:
    rng = make.rng
    first, last = words.person(rng)
    return {
        "FirstName": first, "LastName": last, "AccountId": make.parent("Account"), **make.address("Mailing"),
        "Salutation": make.pick("Mr.", "Ms.", "Mx.", "Dr.", None), "Phone": words.phone(rng),
        "MobilePhone": make.pick(words.phone(rng), None), "Title": rng.choice(words.TITLES),
        "Email": f"{words.slug(f'{first} {last}')}.{make.serial('Contact')}@example.com",
        "Department": rng.choice(words.DEPARTMENTS), "LeadSource": make.pick("Web", "Phone Inquiry", "Other"),
        "Birthdate": make.pick(make.date(-22_000, -7_500), None), "OwnerId": make.parent("User"),
        "HasOptedOutOfEmail": rng.random() < 0.1, "Description": None, "EmailBouncedDate": None,
    }  # fmt: skip


def _lead(make: Maker) -> dict[str, Any]:
    rng = make.rng
    first, last = words.person(rng)
    return {
        "FirstName": first, "LastName": last, "Company": words.company(rng), **make.address(""),
        "Title": rng.choice(words.TITLES), "Phone": words.phone(rng),
        "Email": f"{words.slug(f'{first} {last}')}@example.org", "LeadSource": make.pick("Web", "Purchased List"),
        "Status": rng.choice(objects.LEAD_STATUSES[:2]), "Industry": rng.choice(objects.INDUSTRIES),
        "Rating": make.pick("Hot", "Warm", "Cold"), "AnnualRevenue": rng.randint(1, 90) * 50_000,
        "OwnerId": make.parent("User"), "IsConverted": False,
    }  # fmt: skip


def _opportunity(make: Maker) -> dict[str, Any]:
    rng = make.rng
    return {
        "Name": f"{rng.choice(words.COMPANY_HEADS)} – {rng.choice(words.DEALS)}", "AccountId": make.parent("Account"),
        "StageName": rng.choice(objects.STAGES), "Amount": make.amount(1_500, 240_000),
        "CloseDate": make.date(-200, 160),
        "Type": make.pick("New Business", "Existing Business"), "NextStep": rng.choice(words.NEXT_STEPS),
        "LeadSource": make.pick("Web", "Partner Referral", "Other"), "OwnerId": make.parent("User"),
        "ContactId": make.parent("Contact"), "Description": None,
    }  # fmt: skip


def _case(make: Maker) -> dict[str, Any]:
    return {
        "CaseNumber": f"{make.serial('Case'):08d}", "ContactId": make.parent("Contact"),
        "AccountId": make.parent("Account"), "Subject": make.rng.choice(words.PROBLEMS),
        "Description": 'Customer wrote:\r\n"It worked yesterday."\nPlease look into it,\tsoon.',
        "Status": make.rng.choice(objects.CASE_STATUSES), "Priority": make.pick("High", "Medium", "Low"),
        "Origin": make.pick("Phone", "Email", "Web"), "OwnerId": make.parent("User"), "ClosedDate": None,
    }  # fmt: skip


def _task(make: Maker) -> dict[str, Any]:
    return {
        "WhoId": make.parent("Contact"), "WhatId": make.parent("Opportunity"),
        "Subject": make.rng.choice(words.ERRANDS), "ActivityDate": make.date(-20, 30),
        "Status": make.rng.choice(objects.TASK_STATUSES), "Priority": make.pick("High", "Normal", "Low"),
        "OwnerId": make.parent("User"),
    }  # fmt: skip


def _user(make: Maker) -> dict[str, Any]:
    first, last = words.person(make.rng)
    number = make.serial("User")
    if number == 1:
        first, last = "Ada", "Okafor"
    name = words.slug(f"{first} {last}")
    return {
        "FirstName": first, "LastName": last, "Username": f"{name}.{number}@sandbox.example",
        "Email": f"{name}@sandbox.example", "Alias": name[:8], "Title": make.rng.choice(words.TITLES),
        "Department": make.rng.choice(words.DEPARTMENTS), "IsActive": number == 1 or make.rng.random() < 0.9,
        "UserRoleId": make.parent("UserRole"), "TimeZoneSidKey": "Europe/Berlin",
    }  # fmt: skip


def _user_role(make: Maker) -> dict[str, Any]:
    name = make.pick("Sales", "Support", "Finance", "Partner Sales", "Management")
    return {"Name": name, "DeveloperName": name.replace(" ", "") + str(make.serial("UserRole")), "ParentRoleId": None}


def _case_status(make: Maker) -> dict[str, Any]:
    number = make.serial("CaseStatus")
    status = objects.CASE_STATUSES[(number - 1) % len(objects.CASE_STATUSES)]
    return {"Id": record_id("01J", number), "MasterLabel": status, "ApiName": status, "SortOrder": number,
            "IsClosed": status == "Closed", "IsDefault": number == 1}  # fmt: skip


def _history(make: Maker) -> dict[str, Any]:
    return {"OpportunityId": make.parent("Opportunity"), "StageName": make.rng.choice(objects.STAGES),
            "Amount": make.amount(1_500, 240_000), "Probability": make.pick(10, 25, 40, 60),
            "CloseDate": make.date(-100, 100)}  # fmt: skip


def _invoice(make: Maker) -> dict[str, Any]:
    rng, number = make.rng, make.serial("Invoice__c")
    status = rng.choice(objects.INVOICE_STATUSES)
    _, _, _, _, _, latitude, longitude = rng.choice(words.CITIES)
    return {
        "Name": f"INV-{number:06d}", "Account__c": make.parent("Account"), "Opportunity__c": make.parent("Opportunity"),
        "Amount__c": make.amount(40, 18_000), "Tax_Rate__c": make.pick(0, 7, 19, 8.1),
        "Due_Date__c": make.date(-60, 60),
        "Sent_At__c": None, "Cutoff_Time__c": "17:30:00.000Z", "Status__c": status, "Paid__c": status == "Paid",
        "Channels__c": make.pick("Email", "Email;Portal", "Post"), "Billing_Email__c": "billing@example.com",
        "Portal_Link__c": f"https://pay.example.com/i/{number}?lang=de&x=1", "Line_Count__c": rng.randint(1, 40),
        "Currency__c": make.pick("EUR", "USD", "CHF"), "Notes__c": None, "Card_Hint__c": "****4242",
        "Site__Latitude__s": latitude, "Site__Longitude__s": longitude, "Days_Overdue__c": rng.randint(0, 60),
    }  # fmt: skip


def _wide(make: Maker) -> dict[str, Any]:
    rng = make.rng
    values: dict[str, Any] = {"Name": f"Questionnaire {make.serial('Wide__c'):05d}"}
    samples = {
        "string": "as agreed on the phone",
        "double": 42,
        "boolean": True,
        "date": "2026-03-14",
        "picklist": "Yes",
    }
    for field in objects.WIDE.fields:
        if field.name.startswith("Questionnaire_") and rng.random() < 0.6:
            values[field.name] = samples[field.type]
    return values


MAKERS: dict[str, Callable[[Maker], dict[str, Any]]] = {
    "Account": _account, "Contact": _contact, "Lead": _lead, "Opportunity": _opportunity, "Case": _case, "Task": _task,
    "User": _user, "UserRole": _user_role, "CaseStatus": _case_status, "OpportunityHistory": _history,
    "Invoice__c": _invoice, "Wide__c": _wide,
}  # fmt: skip

# Values that do not survive a float, a wrong encoding, or a CSV reader that looks for line ends.
AWKWARD: dict[str, Sequence[Fields]] = {
    "Account": (
        {"Name": dump("Zürcher & Söhne \"Präzision\" 🛠️ AG"), "Ledger_Number__c": b"9007199254740993"},
        {"Name": dump("شركة الأفق للتجارة"),
         "Description": dump("Zeile 1\nZeile 2\r\nTab\there, \"quoted\", \\ and ' too")},
        {"Name": dump("Cafe\u0301 Ame\u0301lie"), "Description": dump(""), "AnnualRevenue": b"1.10"},
        {"Name": dump("日本精密工業株式会社"), "Description": b'"escaped \\u00e9 \\ud83d\\ude00 \\/ \\u0007 bell"'},
        {"Name": dump("null"), "Website": dump(""), "AccountNumber": dump("007"), "NumberOfEmployees": b"0"},
    ),
    "Contact": (
        {"LastName": dump("O'Brien, \"Rory\""), "Description": dump("a,b;c\n\n=1+1\n--")},
        {"LastName": dump("👩‍👩‍👧‍👦 Familie"), "FirstName": b"null", "Department": dump("")},
    ),
    "Invoice__c": (
        {"Exact_Total__c": b"12345678901234567890.123", "Amount__c": b"1.10", "Notes__c": dump("one\ntwo\n\"three\"")},
        {"Exact_Total__c": b"-0.001", "Amount__c": b"100.00", "Line_Count__c": b"9007199254740993"},
        {"Exact_Total__c": b"1E+2", "Notes__c": dump("‏مرحبا‎ mixed with English")},
    ),
}  # fmt: skip
