"""Texts and people of the demo company, in the shapes Jira has for them."""

from __future__ import annotations

import hashlib
from typing import Any

from sandbox import words
from sandbox.kit.maker import Maker

SITE = "https://sandbox.atlassian.net"
USER_EMAIL, OWN_NAME = "ada@sandbox.example", "Ada Admin"

SUMMARIES = (
    "Login page forgets the user's language", "Export stops at 10,000 rows", "Invoice PDF shows last month's address",
    "Add a dark mode to the reports", "Payment by SEPA fails on Sundays", "Speed up the nightly import",
    "Translate the onboarding mails", "Remove the old upload form", "Search ignores umlauts",
    "Audit log for price lists", "Two-factor sign-in for partners", "Calendar shows holidays of the wrong country",
)  # fmt: skip
REMARKS = (
    "I can reproduce this on the test system.", "Fixed on main, please have a look.",
    "The customer called again today.", "Moved to the next sprint.", "Works for me. Which browser is it?",
    "Here are the steps: open, edit, save twice.", "Waiting for the answer of the bank.", "Great, thank you!",
)  # fmt: skip
STATUSES = (("10000", "To Do", "new", 2), ("3", "In Progress", "indeterminate", 4), ("10001", "Done", "done", 3))
TYPES = (("10001", "Story"), ("10002", "Task"), ("10004", "Bug"))
PRIORITIES = (("2", "High"), ("3", "Medium"), ("4", "Low"))


def account_id(number: int) -> str:
    """`712020:` and something like a UUID; the same for the same number."""
    digest = hashlib.sha256(f"jira/user/{number}".encode()).hexdigest()
    return f"712020:{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def person_of(maker: Maker) -> dict[str, Any] | None:
    """A user as records mention one; None while there is none."""
    user = maker.row("user")
    if user is None:
        return None
    kept = ("self", "accountId", "accountType", "displayName", "active", "timeZone")
    return {name: user[name] for name in kept if name in user}


def document(*paragraphs: str) -> dict[str, Any]:
    """Rich text: the Atlassian Document Format."""
    content = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in paragraphs]
    return {"type": "doc", "version": 1, "content": content}


def status(number: int) -> dict[str, Any]:
    status_id, name, key, category = STATUSES[number % len(STATUSES)]
    return {"self": f"{SITE}/rest/api/3/status/{status_id}", "description": "", "name": name, "id": status_id,
            "statusCategory": {"id": category, "key": key, "name": name}}  # fmt: skip


def named(kind: str, entry: tuple[str, str], **more: Any) -> dict[str, Any]:
    """One of Jira's small things: `{"self", "id", "name"}`."""
    return {"self": f"{SITE}/rest/api/3/{kind}/{entry[0]}", "id": entry[0], "name": entry[1], **more}


def user(maker: Maker) -> dict[str, Any]:
    if maker.serial("user") == 1:
        return {"accountType": "atlassian", "displayName": OWN_NAME, "emailAddress": USER_EMAIL, "active": True,
                "timeZone": "Europe/Berlin", "locale": "en_GB"}  # fmt: skip
    first, last = words.person(maker.rng)
    return {
        "accountType": "atlassian", "displayName": f"{first} {last}",
        "emailAddress": f"{words.slug(first)}.{words.slug(last)}@sandbox.example", "active": maker.rng.random() > 0.1,
        "timeZone": maker.pick("Europe/Berlin", "America/New_York", "Asia/Kolkata"), "locale": "en_GB",
    }  # fmt: skip
