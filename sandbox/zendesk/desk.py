"""The tables people work in: tickets and what belongs to them, users, organizations, an account's own objects.

Source: the resources' own pages below https://developer.zendesk.com/api-reference/ticketing/
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sandbox import words
from sandbox.clock import SECOND_MS
from sandbox.kit.maker import Maker
from sandbox.kit.table import Table, iso_z
from sandbox.rawjson import Fields, dump, load, split_list
from sandbox.store import Row

SITE = "https://sandbox.zendesk.com/api/v2"
VERSION_FIELD, MACHINE_FIELD, PRICE_FIELD = 360_000_900, 360_000_901, 360_000_902
TOMBSTONE = "[DELETED]"
OBJECT = "coffee_machine"
ADMIN, AGENT = "ada@sandbox.example", "vera@sandbox.example"
SUBJECTS = (
    "Machine leaks after descaling", "Where is my order?", "Grinder makes a loud noise", "Invoice shows the wrong VAT",
    "Subscription: please pause in August", "Beans arrived broken", "App does not find the machine",
    "Wrong voltage delivered", "Spare part for the steam wand", "Refund has not arrived",
)  # fmt: skip
REMARKS = (
    "Thank you, that helped!", "Could you send us a photo, please?", "We have sent a replacement today.",
    "It still does not work.", "I have asked the workshop.", "The parcel is with the carrier.",
    "You can find the number under the drip tray.", "Sorry for the wait.",
)  # fmt: skip


def big_id(first: int) -> Callable[[int], int]:
    """Ids of many digits, as most of Zendesk's are."""
    return lambda number: first + number


def link_of(kind: str) -> Callable[[Fields, Row], Fields]:
    """A last touch: the record's link to itself."""
    return lambda fields, row: {"url": dump(f"{SITE}/{kind}/{row.id}.json"), **fields}


# ---- tickets


def ticket(maker: Maker) -> dict[str, Any]:
    subject, requester = maker.pick(*SUBJECTS), maker.link("users")
    return {
        "external_id": None, "via": {"channel": maker.pick("email", "web", "api"), "source": {"from": {}, "to": {}}},
        "type": maker.pick("question", "incident", "problem", None), "subject": subject, "raw_subject": subject,
        "description": f"{subject}. {maker.pick(*REMARKS)}", "priority": maker.pick("low", "normal", "high", None),
        "status": maker.pick("new", "open", "pending", "solved", "closed"), "recipient": None,
        "requester_id": requester, "submitter_id": requester, "assignee_id": maker.link("users"),
        "organization_id": maker.link("organizations"), "group_id": maker.link("groups"), "collaborator_ids": [],
        "follower_ids": [], "email_cc_ids": [], "forum_topic_id": None, "problem_id": None, "has_incidents": False,
        "is_public": True, "due_at": None, "tags": maker.rng.sample(["beans", "machine", "vip", "refund"], 2),
        "custom_fields": [{"id": MACHINE_FIELD, "value": maker.pick("crema_one", "crema_two", None)},
                          {"id": PRICE_FIELD, "value": maker.pick("129.90", "1.10", None)}],
        "satisfaction_rating": {"score": "unoffered"}, "sharing_agreement_ids": [], "custom_status_id": 360_000_100,
        "ticket_form_id": maker.link("ticket_forms"), "brand_id": maker.link("brands"),
        "allow_channelback": False, "allow_attachments": True, "from_messaging_channel": False,
    }  # fmt: skip


def finish_ticket(fields: Fields, row: Row) -> Fields:
    """`fields` repeats `custom_fields`, where the version is; a deleted ticket says so by its status."""
    own = [each for each in split_list(fields.get("custom_fields", b"[]")) if load(each)["id"] != VERSION_FIELD]
    own.append(dump({"id": VERSION_FIELD, "value": str(row.version)}))
    status = load(fields.get("status", b"null"))
    status = "deleted" if row.deleted else "open" if status == "deleted" else status
    both = b"[" + b",".join(own) + b"]"
    return {"url": dump(f"{SITE}/tickets/{row.id}.json"), **fields, "status": dump(status), "custom_fields": both,
            "fields": both, "generated_timestamp": dump(row.stamp_ms // SECOND_MS)}  # fmt: skip


def edit_ticket(rng: random.Random) -> dict[str, Any]:
    return rng.choice((
        {"status": rng.choice(("open", "pending", "solved"))}, {"priority": rng.choice(("low", "high", "urgent"))},
        {"subject": f"{rng.choice(SUBJECTS)} ({rng.randint(2, 99)})"}, {"tags": [rng.choice(("vip", "beans"))]},
    ))  # fmt: skip


def comment(maker: Maker) -> dict[str, Any]:
    body = maker.pick(*REMARKS)
    return {"type": "Comment", "author_id": maker.link("users"), "body": body, "plain_body": body,
            "html_body": f'<div class="zd-comment"><p dir="auto">{body}</p></div>', "public": maker.rng.random() < 0.8,
            "attachments": [], "audit_id": None, "via": {"channel": "web", "source": {"from": {}, "to": {}}},
            "metadata": {"system": {}, "custom": {}}, "ticket_id": maker.link("tickets")}  # fmt: skip


def audit(maker: Maker) -> dict[str, Any]:
    event = {"id": maker.serial("events"), "type": "Change", "field_name": "status", "value": "open",
             "previous_value": "new"}  # fmt: skip
    return {"ticket_id": maker.link("tickets"), "author_id": maker.link("users"), "events": [event],
            "metadata": {"system": {}, "custom": {}}, "via": {"channel": "web", "source": {}}}  # fmt: skip


def metric(maker: Maker) -> dict[str, Any]:
    return {"ticket_id": maker.link("tickets"), "group_stations": 1, "assignee_stations": 1, "reopens": 0,
            "replies": maker.rng.randrange(5), "reply_time_in_minutes": {"calendar": 12, "business": 12}}  # fmt: skip


def side_conversation(maker: Maker) -> dict[str, Any]:
    return {"ticket_id": maker.link("tickets"), "subject": "Question to the workshop", "preview_text": "Can you look?",
            "state": "open", "participants": [], "external_ids": {}}  # fmt: skip


def metric_event(maker: Maker) -> dict[str, Any]:
    return {"ticket_id": maker.link("tickets"), "metric": "reply_time", "type": maker.pick("activate", "fulfill"),
            "instance_id": 1, "time": iso_z(maker.moment_ms(-30))}  # fmt: skip


# ---- people


def user(maker: Maker) -> dict[str, Any]:
    number = maker.serial("users")
    name = " ".join(words.person(maker.rng)) if number > 2 else ("Ada Admin", "Vera Agent")[number - 1]
    email = (ADMIN, AGENT)[number - 1] if number < 3 else f"user{number}@mail.example"
    role = ("admin", "agent")[number - 1] if number < 3 else "agent" if number % 12 == 0 else "end-user"
    return {"name": name, "email": email, "role": role, "active": True, "verified": True, "suspended": False,
            "time_zone": "Europe/Berlin", "iana_time_zone": "Europe/Berlin", "locale": "en-GB", "phone": None,
            "external_id": None, "tags": [], "organization_id": maker.link("organizations"), "alias": None,
            "notes": None, "details": None, "moderator": role != "end-user", "restricted_agent": role == "end-user",
            "user_fields": {"customer_since": "2024-05-01"}}  # fmt: skip


def finish_user(fields: Fields, row: Row) -> Fields:
    return {"url": dump(f"{SITE}/users/{row.id}.json"), **fields, "active": dump(not row.deleted)}


def organization(maker: Maker) -> dict[str, Any]:
    return {"name": f"{words.company(maker.rng)} {maker.serial('organizations')}", "shared_tickets": False,
            "shared_comments": False, "external_id": None, "domain_names": [], "details": None, "notes": None,
            "group_id": None, "tags": [],
            "organization_fields": {"segment": maker.pick("hotel", "office")}}  # fmt: skip


def finish_organization(fields: Fields, row: Row) -> Fields:
    gone = {"deleted_at": dump(iso_z(row.stamp_ms))} if row.deleted else {}
    return {"url": dump(f"{SITE}/organizations/{row.id}.json"), **fields, **gone}


# ---- an account's own objects


def own_record(maker: Maker) -> dict[str, Any]:
    return {"name": f"Machine {maker.serial('machines')}", "custom_object_key": OBJECT, "external_id": None,
            "created_by_user_id": str(maker.link("users")), "updated_by_user_id": str(maker.link("users")),
            "custom_object_fields": {"serial": f"CM-{maker.rng.randint(1000, 9999)}", "price": 1.1}}  # fmt: skip


def finish_own(fields: Fields, row: Row) -> Fields:
    """For 30 days a deleted record is told of, all its values replaced."""
    key = load(fields.get("custom_object_key", b"null"))
    link = {"url": dump(f"{SITE}/custom_objects/{key}/records/{row.id}.json")}
    if not row.deleted:
        return {**link, **fields}
    blank = dict.fromkeys(load(fields["custom_object_fields"]), TOMBSTONE)
    return {**link, **fields, "name": dump(TOMBSTONE), "custom_object_fields": dump(blank)}


def _metadata_version(kind: Callable[[Maker], dict[str, Any]], name: str, demo: int, first: int, **more: Any) -> Table:
    return Table(name, kind, demo=demo, new_id=big_id(first), facet="ticket_id",
                 versions=("metadata.custom.sandbox_version",), **more)  # fmt: skip


FINE = 1  # ms: exports put changes of one second in order, too, though no stamp shows it
TICKETS = Table(
    "tickets", ticket, unit_ms=FINE, demo=160, edit=edit_ticket, weight=6, versions=(), finish=finish_ticket
)
USERS = Table("users", user, unit_ms=FINE, demo=140, always=2, new_id=big_id(365_000_000_000), weight=2,
              finish=finish_user, versions=("user_fields.sandbox_version",),
              edit=lambda rng: {"notes": f"Called {rng.randint(1, 9)} times"})  # fmt: skip
ORGANIZATIONS = Table("organizations", organization, demo=40, new_id=big_id(366_000_000_000), weight=1,
                      versions=("organization_fields.sandbox_version",), finish=finish_organization,
                      edit=lambda rng: {"notes": f"Meets on {rng.randint(1, 28)} May"})  # fmt: skip
OWN_RECORDS = Table("custom_object_records", own_record, unit_ms=FINE, demo=25, numeric=False,
                    facet="custom_object_key", new_id=lambda number: f"01JD4ZK8T0Q3M7V5X2N6{number:06d}",
                    finish=finish_own, weight=1, versions=("custom_object_fields.sandbox_version",),
                    edit=lambda rng: {"custom_object_fields": {"serial": f"CM-{rng.randint(1000, 9999)}"}})  # fmt: skip
COMMENTS = _metadata_version(comment, "comments", 320, 370_000_000_000, weight=2)
AUDITS = _metadata_version(audit, "audits", 320, 371_000_000_000)
METRICS = Table("ticket_metrics", metric, new_id=big_id(372_000_000_000), facet="ticket_id",
                finish=link_of("ticket_metrics"))  # fmt: skip
SIDE_CONVERSATIONS = Table("side_conversations", side_conversation, demo=6, numeric=False, facet="ticket_id",
                           new_id=lambda number: f"8566255a-ece5-11e8-857d-{number:012d}",
                           versions=("external_ids.sandbox_version",))  # fmt: skip
METRIC_EVENTS = Table("ticket_metric_events", metric_event, demo=60, new_id=big_id(373_000_000_000))
