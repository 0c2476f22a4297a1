"""What a new sandbox is given, and believable records on request. The same seed gives the same records, ids included;
only times count from today.
"""

from __future__ import annotations

import random
from typing import Any

from sandbox.clock import DAY_MS, salesforce_time
from sandbox.rawjson import Fields, dump
from sandbox.salesforce import demo as salesforce_demo
from sandbox.stripe import demo as stripe_demo
from sandbox.stripe.account import MODES

SEED = 20261123
YEARS_DAYS = 900
EVENT_DAYS = 29


def plant(sandbox: Any) -> None:
    """Fill a new store: everything for `demo`; for `empty` only the users that own what is made later."""
    rng = random.Random(SEED)
    maker = salesforce_demo.Maker(sandbox.salesforce.org, rng)
    for name, count in salesforce_demo.DEMO_COUNTS.items():
        if sandbox.seed_name == "demo" or name == "User":
            _plant_object(sandbox, maker, name, count if sandbox.seed_name == "demo" else 1)
    if sandbox.seed_name != "demo":
        return
    for mode in MODES:
        _plant_mode(sandbox, random.Random(SEED + len(mode)), mode)


def believable(sandbox: Any, provider: str, name: str, count: int, mode: str = "test") -> list[Fields]:
    """Raw fields of new records, for the control API and the churn; they are made now, not in the past."""
    if provider == "stripe":
        maker = stripe_demo.Maker(sandbox.stripe.account, mode, sandbox.churn.rng)
        return [{key: value for key, value in fields.items() if key != "created"} for fields in maker.make(name, count)]
    return salesforce_demo.Maker(sandbox.salesforce.org, sandbox.churn.rng).make(name, count)


def _plant_object(sandbox: Any, maker: salesforce_demo.Maker, name: str, count: int) -> None:
    """Records of one object, made and changed at different times of the last years, in the order of their making."""
    awkward = salesforce_demo.AWKWARD.get(name, ()) if sandbox.seed_name == "demo" else ()
    made = maker.make(name, count)
    for fields, odd in zip(made, awkward, strict=False):
        fields.update(odd)
    known = {field.name for field in sandbox.salesforce.org.object(name).fields}
    ages = sorted((maker.rng.uniform(0, YEARS_DAYS) for _ in made), reverse=True)
    for fields, age in zip(made, ages, strict=True):
        created_ms = maker.now_ms - round(age * DAY_MS)
        changed_ms = created_ms + round(maker.rng.random() ** 3 * (maker.now_ms - created_ms))
        if "CreatedDate" in known:
            fields["CreatedDate"] = dump(salesforce_time(created_ms))
        fields["SystemModstamp"] = dump(salesforce_time(changed_ms))
    sandbox.salesforce.org.create(name, made)


def _plant_mode(sandbox: Any, rng: random.Random, mode: str) -> None:
    """All kinds of one Stripe mode, and the events of the last weeks."""
    account = sandbox.stripe.account
    maker = stripe_demo.Maker(account, mode, rng)
    recent_ms = account.clock.now_ms() - EVENT_DAYS * DAY_MS
    recent = []
    for name, count in stripe_demo.DEMO_COUNTS.items():
        wanted = count if mode == "test" else max(count // 10, 1)
        made = sorted(maker.make(name, wanted), key=lambda fields: int(fields["created"]))
        rows = account.create(mode, name, made, tell=False)
        recent += [(row.created_ms, name, row) for row in rows if row.created_ms > recent_ms]
    for created_ms, name, row in sorted(recent, key=lambda item: item[:2]):
        account.tell(name, mode, "created", row, at_ms=created_ms)
