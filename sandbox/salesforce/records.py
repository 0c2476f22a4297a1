"""The org's records under the verbs the control API, the pages and the churn use; and the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from sandbox import seed, words
from sandbox.clock import DAY_MS, salesforce_time
from sandbox.rawjson import Fields, dump, dump_fields
from sandbox.records import Records
from sandbox.salesforce import demo, objects
from sandbox.salesforce.org import Org
from sandbox.store import Row

YEARS_DAYS = 900


class OrgRecords(Records):
    """All queryable objects of the org."""

    def __init__(self, org: Org, rng: random.Random):
        super().__init__(org.store, "salesforce")
        self.org, self.rng = org, rng

    def names(self) -> list[str]:
        return [name for name, sobject in self.org.objects.items() if sobject.queryable and not sobject.deprecated]

    def shelf(self, name: str) -> str:
        return self.org.shelf(name)

    def create(self, name: str, values: Sequence[Fields], stamps: Sequence[int] | None = None) -> list[str]:
        return [row.id for row in self.org.create(name, values, stamps=stamps)]

    def update(self, name: str, record: str, changes: Fields, *, keep_stamp: bool = False) -> Row:
        return self.org.update(name, record, changes, keep_stamp=keep_stamp)

    def delete(self, name: str, record: str, *, hard: bool = False) -> Row:
        return self.org.delete(name, record, hard=hard)

    def undelete(self, name: str, record: str) -> Row:
        return self.org.undelete(name, record)

    def believable(self, name: str, count: int) -> list[Fields]:
        return demo.Maker(self.org, self.rng).make(name, count)

    def unique_fields(self, name: str) -> Sequence[str]:
        return [field.name for field in self.org.object(name).fields if field.unique]

    def choices(self, name: str) -> Mapping[str, Sequence[str]]:
        return {field.name: field.choices for field in self.org.object(name).fields if field.type == "picklist"}


def plant(org: Org, is_demo: bool) -> None:
    """All objects of the demo; or only the user that owns what is made later."""
    maker = demo.Maker(org, random.Random(seed.SEED))
    for name, count in demo.DEMO_COUNTS.items():
        if is_demo:
            _plant_object(org, maker, name, maker.make(name, count), demo.AWKWARD.get(name, ()))
        elif name == "User":
            _plant_object(org, maker, name, maker.make(name, 1), ())


def _plant_object(org: Org, maker: demo.Maker, name: str, made: list[Fields], awkward: Sequence[Fields]) -> None:
    """Records of one object, made and changed at different times of the last years, in the order of their making."""
    for fields, odd in zip(made, awkward, strict=False):
        fields.update(odd)
    known = {field.name for field in org.object(name).fields}
    ages = sorted((maker.rng.uniform(0, YEARS_DAYS) for _ in made), reverse=True)
    for fields, age in zip(made, ages, strict=True):
        created_ms = maker.now_ms - round(age * DAY_MS)
        changed_ms = created_ms + round(maker.rng.random() ** 3 * (maker.now_ms - created_ms))
        if "CreatedDate" in known:
            fields["CreatedDate"] = dump(salesforce_time(created_ms))
        fields["SystemModstamp"] = dump(salesforce_time(changed_ms))
    org.create(name, made)


def _phone(rng: random.Random) -> Fields:
    return {"Phone": dump(words.phone(rng))}


def _contact(rng: random.Random) -> Fields:
    return {"Title": dump(rng.choice(words.TITLES))} if rng.random() < 0.5 else _phone(rng)


def _opportunity(rng: random.Random) -> Fields:
    if rng.random() < 0.4:
        return {"Amount": dump(round(rng.uniform(1_500, 240_000), 2))}
    stage = rng.choice(objects.STAGES)
    return dump_fields({"StageName": stage, "NextStep": rng.choice(words.NEXT_STEPS)})


CHURNED = ("Contact", "Contact", "Opportunity", "Opportunity", "Account", "Lead", "Case", "Invoice__c")
EDITS: dict[str, Callable[[random.Random], Fields]] = {
    "Account": _phone,
    "Contact": _contact,
    "Opportunity": _opportunity,
    "Lead": lambda rng: {"Status": dump(rng.choice(objects.LEAD_STATUSES[:2]))},
    "Case": lambda rng: {"Status": dump(rng.choice(objects.CASE_STATUSES))},
    "Invoice__c": lambda rng: {"Status__c": dump(rng.choice(objects.INVOICE_STATUSES))},
}
