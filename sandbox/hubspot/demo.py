"""Believable records of a coffee roaster's CRM, and their tables. Every property is text, whatever its type."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sandbox import words
from sandbox.hubspot.kinds import KINDS, PAIRS, Kind
from sandbox.kit.maker import Maker
from sandbox.kit.table import Table, iso_ms_z
from sandbox.rawjson import Fields, dump
from sandbox.store import Row

Values = dict[str, Any]
FIRST_ID = 500
DEAL_STAGES = ("appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost")
TICKET_STAGES = ("1", "2", "3", "4")
COUNTS = {
    "contacts": 260, "companies": 60, "deals": 130, "tickets": 90, "products": 12, "line_items": 150, "quotes": 20,
    "leads": 15, "calls": 60, "emails": 120, "meetings": 40, "notes": 80, "tasks": 60, "machines": 25,
}  # fmt: skip


def _contact(make: Maker) -> Values:
    first, last = words.person(make.rng)
    number = make.serial("contacts")
    mail = f"{words.slug(first)}.{words.slug(last)}{number}@example.com"
    return {"email": mail, "firstname": first, "lastname": last, "phone": words.phone(make.rng),
            "jobtitle": make.rng.choice(words.TITLES), "city": make.rng.choice(words.CITIES)[0],
            "lifecyclestage": make.pick("lead", "customer"), "company": words.company(make.rng)}  # fmt: skip


def _company(make: Maker) -> Values:
    name, city = words.company(make.rng), make.rng.choice(words.CITIES)
    domain = f"{words.slug(name).replace('.', '-')}-{make.serial('companies')}.example"
    return {"name": name, "domain": domain, "city": city[0], "country": city[3], "industry": "FOOD_BEVERAGES",
            "numberofemployees": str(make.rng.randint(2, 900))}  # fmt: skip


def _deal(make: Maker) -> Values:
    return {"dealname": f"{make.rng.choice(words.DEALS)} {make.serial('deals')}", "pipeline": "default",
            "amount": f"{make.rng.randint(2, 900) * 100}.{make.pick('00', '50', '10')}",
            "dealstage": make.rng.choice(DEAL_STAGES), "closedate": iso_ms_z(make.moment_ms(-90, 120))}  # fmt: skip


def _ticket(make: Maker) -> Values:
    return {"subject": make.rng.choice(words.PROBLEMS), "content": "Please have a look.", "hs_pipeline": "default",
            "hs_pipeline_stage": make.rng.choice(TICKET_STAGES),
            "hs_ticket_priority": make.pick("LOW", "HIGH")}  # fmt: skip


def _product(make: Maker) -> Values:
    return {"name": make.rng.choice(words.COFFEES), "price": f"{make.rng.randint(6, 90)}.90",
            "hs_sku": f"SC-{make.serial('products'):04d}"}  # fmt: skip


def _line_item(make: Maker) -> Values:
    quantity, price = make.rng.randint(1, 40), make.rng.randint(6, 90)
    return {"name": make.rng.choice(words.COFFEES), "quantity": str(quantity), "price": f"{price}.00",
            "amount": f"{quantity * price}.00", "hs_product_id": make.link("products")}  # fmt: skip


def _logged(make: Maker, **values: str) -> Values:
    return {"hs_timestamp": iso_ms_z(make.moment_ms(-400)), **values}


MAKERS: dict[str, Callable[[Maker], Values]] = {
    "contacts": _contact, "companies": _company, "deals": _deal, "tickets": _ticket, "products": _product,
    "line_items": _line_item,
    "quotes": lambda make: _logged(make, hs_title=f"Quote {make.serial('quotes')}", hs_status="APPROVAL_NOT_NEEDED"),
    "leads": lambda make: {"hs_lead_name": " ".join(words.person(make.rng)), "hs_lead_type": "NEW_BUSINESS"},
    "calls": lambda make: _logged(make, hs_call_title=make.rng.choice(words.ERRANDS), hs_call_duration="184000",
                                  hs_call_direction=make.pick("INBOUND", "OUTBOUND")),
    "emails": lambda make: _logged(make, hs_email_subject=make.rng.choice(words.ERRANDS), hs_email_status="SENT",
                                   hs_email_direction="EMAIL", hs_email_text="Dear all, …"),
    "meetings": lambda make: _logged(make, hs_meeting_title=make.rng.choice(words.ERRANDS),
                                     hs_meeting_outcome="SCHEDULED"),
    "notes": lambda make: _logged(make, hs_note_body=f"<p>{make.rng.choice(words.NEXT_STEPS)}</p>"),
    "tasks": lambda make: _logged(make, hs_task_subject=make.rng.choice(words.ERRANDS), hs_task_status="NOT_STARTED"),
    "communications": lambda make: _logged(make, hs_communication_channel_type="WHATS_APP"),
    "postal_mail": lambda make: _logged(make, hs_postal_mail_body="A card"),
    "machines": lambda make: {"model": make.pick("Linea", "Strada"), "serial_number": f"M{make.serial('machines')}",
                              "installed_on": f"{datetime.fromtimestamp(make.moment_ms(-900) // 1000, UTC):%Y-%m-%d}"},
}  # fmt: skip

EDITS: dict[str, Callable[[random.Random], Values]] = {
    "contacts": lambda rng: {"phone": words.phone(rng)},
    "companies": lambda rng: {"numberofemployees": str(rng.randint(2, 900))},
    "deals": lambda rng: {"dealstage": rng.choice(DEAL_STAGES), "amount": f"{rng.randint(2, 900) * 100}.00"},
    "tickets": lambda rng: {"hs_pipeline_stage": rng.choice(TICKET_STAGES)},
    "line_items": lambda rng: {"quantity": str(rng.randint(1, 40))},
    "tasks": lambda rng: {"hs_task_status": rng.choice(("NOT_STARTED", "COMPLETED"))},
    "notes": lambda rng: {"hs_note_body": f"<p>{rng.choice(words.NEXT_STEPS)}</p>"},
    "machines": lambda rng: {"model": rng.choice(("Linea", "Strada", "Leva"))},
}
WEIGHTS = {"contacts": 3, "companies": 1, "deals": 3, "tickets": 2, "line_items": 1, "tasks": 1, "notes": 1}


def _other(make: Maker) -> Values:
    return {"hs_name": f"{make.rng.choice(words.COFFEES)} {make.serial('others')}", "hs_status": "open"}


def text_id(number: int) -> str:
    return str(FIRST_ID + number)


def _archived_at(fields: Fields, row: Row) -> Fields:
    """`archivedAt` stands in archived records alone."""
    if row.deleted:
        return {**fields, "archivedAt": dump(iso_ms_z(row.stamp_ms))}
    return {name: value for name, value in fields.items() if name != "archivedAt"}


def _table(kind: Kind) -> Table:
    make, edit = MAKERS.get(kind.name, _other), EDITS.get(kind.name, lambda rng: {})

    def made(maker: Maker) -> Values:
        empty = dict.fromkeys(name for name in kind.properties if name not in ("hs_object_id", "sandbox_version"))
        owner = maker.link("owners")
        return {"properties": empty | make(maker) | {"hubspot_owner_id": owner}}

    return Table(
        kind.name, made, demo=COUNTS.get(kind.name, 5), edit=lambda rng: {"properties": edit(rng)},
        weight=WEIGHTS.get(kind.name, 0), new_id=text_id, ids=("id", "properties.hs_object_id"),
        created=("createdAt", f"properties.{kind.created}"), updated=("updatedAt", f"properties.{kind.modified}"),
        versions=("properties.sandbox_version",), marks=("archived",), time=iso_ms_z, unit_ms=1, version=str,
        finish=_archived_at,
    )  # fmt: skip


def _owner(make: Maker) -> Values:
    first, last = words.person(make.rng)
    number = make.serial("owners")
    mail, user = f"{words.slug(first)}{number}@sandbox.example", 9000 + number
    return {"email": mail, "type": "PERSON", "firstName": first, "lastName": last, "userId": user,
            "userIdIncludingInactive": user, "teams": []}  # fmt: skip


def _inactive(fields: Fields, row: Row) -> Fields:
    return {**fields, "userId": b"null" if row.deleted else fields.get("userIdIncludingInactive", b"null")}


def _pipeline(stages: tuple[str, ...]) -> Callable[[Maker], Values]:
    def make(maker: Maker) -> Values:
        listed = [{"label": name, "displayOrder": place, "metadata": {"isClosed": "false"}, "id": name,
                   "archived": False} for place, name in enumerate(stages)]  # fmt: skip
        return {"label": f"Pipeline {maker.serial('pipelines')}", "displayOrder": 0, "stages": listed}

    return make


def _association(make: Maker) -> Values:
    """Between some two records; the first of them one that has none yet, as far as luck helps."""
    one, other, type_id, _ = make.rng.choices(PAIRS, weights=[share for *_, share in PAIRS])[0]
    return {"from": f"{one}:{make.link(one)}", "to": f"{other}:{make.link(other)}", "category": "HUBSPOT_DEFINED",
            "typeId": type_id, "label": None}  # fmt: skip


_STAMPED: dict[str, Any] = {"created": ("createdAt",), "updated": ("updatedAt",), "time": iso_ms_z, "unit_ms": 1}
OWNERS = Table("owners", _owner, demo=9, always=1, new_id=text_id, marks=("archived",), finish=_inactive,
               edit=lambda rng: {"lastName": rng.choice(words.LAST_NAMES)}, **_STAMPED)  # fmt: skip
PIPELINES = tuple(
    Table(f"{kind}_pipelines", _pipeline(stages), demo=2, always=1, marks=("archived",), numeric=False,
          new_id=lambda number: "default" if number == 1 else f"pipeline-{number}",
          edit=lambda rng: {"label": f"Pipeline {rng.randint(1, 99)}"}, **_STAMPED)
    for kind, stages in (("deals", DEAL_STAGES), ("tickets", TICKET_STAGES))
)  # fmt: skip
ASSOCIATIONS = Table("associations", _association, demo=900, weight=1, facet="from", **_STAMPED)
TABLES = (OWNERS, *PIPELINES, *(_table(kind) for kind in KINDS), ASSOCIATIONS)
