"""Values the org works out itself: a person's full name, what a stage says of an opportunity, formulas."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.rawjson import Fields, dump, load

PROBABILITIES = {"Prospecting": 10, "Qualification": 25, "Needs Analysis": 40, "Proposal/Price Quote": 60,
                 "Negotiation/Review": 80, "Closed Won": 100, "Closed Lost": 0}  # fmt: skip


def derive(object_name: str, body: Fields, today: str) -> None:
    """Set the derived values of a body in place. `today` is the date of its stamp, for formulas over time."""
    rule = RULES.get(object_name)
    if rule:
        rule(body, today)


def _person(body: Fields, today: str) -> None:
    parts = [load(body[name]) for name in ("FirstName", "LastName") if name in body]
    if parts:
        body["Name"] = dump(" ".join(part for part in parts if part))


def _opportunity(body: Fields, today: str) -> None:
    stage = load(body.get("StageName", b"null"))
    body.setdefault("Probability", dump(PROBABILITIES.get(stage, 10)))
    body["IsClosed"] = dump(stage in ("Closed Won", "Closed Lost"))
    body["IsWon"] = dump(stage == "Closed Won")
    amount, probability = load(body.get("Amount", b"null")), load(body["Probability"])
    if isinstance(amount, int | float) and isinstance(probability, int | float):
        body["ExpectedRevenue"] = dump(round(amount * probability / 100, 2))


def _case(body: Fields, today: str) -> None:
    body["IsClosed"] = dump(load(body.get("Status", b"null")) == "Closed")


def _task(body: Fields, today: str) -> None:
    body["IsClosed"] = dump(load(body.get("Status", b"null")) == "Completed")


RULES: dict[str, Callable[[Fields, str], None]] = {
    "Contact": _person, "Lead": _person, "User": _person, "Opportunity": _opportunity, "Case": _case, "Task": _task,
}  # fmt: skip
