"""Zendesk's small tables: groups, brands, fields, forms, rules and the like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sandbox.kit.maker import Maker
from sandbox.kit.table import Table
from sandbox.zendesk.desk import MACHINE_FIELD, OBJECT, PRICE_FIELD, VERSION_FIELD, big_id, link_of

_FIELDS = (
    {"id": 360_000_001, "type": "subject", "title": "Subject", "removable": False},
    {"id": 360_000_002, "type": "description", "title": "Description", "removable": False},
    {"id": 360_000_003, "type": "status", "title": "Status", "removable": False},
    {"id": MACHINE_FIELD, "type": "tagger", "title": "Machine", "removable": True,
     "custom_field_options": [{"id": 1, "name": "Crema One", "value": "crema_one"},
                              {"id": 2, "name": "Crema Two", "value": "crema_two"}]},
    {"id": PRICE_FIELD, "type": "decimal", "title": "Price", "removable": True},
    {"id": VERSION_FIELD, "type": "text", "title": "Sandbox version", "removable": True},
)  # fmt: skip


def field(given: dict[str, Any]) -> dict[str, Any]:
    return {"raw_title": given["title"], "description": "", "raw_description": "", "position": 1, "active": True,
            "required": False, "agent_description": None, **given}  # fmt: skip


def fixed(name: str, rows: Sequence[dict[str, Any]], first: int, **more: Any) -> Table:
    """A table that begins with these rows; further ones are like the last, under another id and name."""

    def make(maker: Maker) -> dict[str, Any]:
        number = maker.serial(name)
        if number <= len(rows):
            return dict(rows[number - 1])
        title, id_field = "title" if "title" in rows[-1] else "name", kept.get("ids", ("id",))[0]
        return {key: value for key, value in rows[-1].items() if key != id_field} | {title: f"New {name} {number}"}

    kept = {"new_id": big_id(first), "finish": link_of(name), **more}
    return Table(name, make, demo=len(rows), always=len(rows), edit=lambda rng: {"description": "Edited"}, **kept)


def named(*names: str, key: str = "name", **more: Any) -> list[dict[str, Any]]:
    return [{key: name, **more} for name in names]


def _own_fields(*keys: str) -> list[dict[str, Any]]:
    return [field({"key": key, "type": "text", "title": key.replace("_", " ").capitalize()}) for key in keys]


def _rule(*titles: str) -> list[dict[str, Any]]:
    return named(*titles, key="title", active=True, position=1, description=None, restriction=None,
                 actions=[{"field": "status", "value": "solved"}], conditions={"all": [], "any": []})  # fmt: skip


def _member(of: str) -> Callable[[Maker], dict[str, Any]]:
    return lambda maker: {"user_id": maker.link("users"), f"{of}_id": maker.link(f"{of}s"), "default": True}


def rating(maker: Maker) -> dict[str, Any]:
    return {"ticket_id": maker.link("tickets"), "score": maker.pick("good", "bad", "offered"), "comment": None,
            "assignee_id": maker.link("users"), "group_id": maker.link("groups"), "requester_id": maker.link("users"),
            "reason": None, "reason_id": None}  # fmt: skip


def skip(maker: Maker) -> dict[str, Any]:
    return {"ticket_id": maker.link("tickets"), "user_id": maker.link("users"), "reason": "Not mine"}


def tag(maker: Maker) -> dict[str, Any]:
    number = maker.serial("tags")
    return {"name": ("beans", "machine", "refund", "vip")[number - 1] if number < 5 else f"tag_{number}", "count": 10}


BRANDS = fixed("brands", named("Coffee Works", "Coffee Works Pro", active=True, default=True, has_help_center=False,
                               subdomain="sandbox", brand_url="https://sandbox.zendesk.com"),
               360_001_000, marks=("is_deleted",))  # fmt: skip
GROUPS = fixed("groups", named("Support", "Workshop", "Billing", default=False, is_public=True, description=""),
               360_002_000, marks=("deleted",), weight=1)  # fmt: skip
FIRST = (BRANDS, GROUPS)
REST = (
    Table("group_memberships", _member("group"), demo=14, new_id=big_id(360_003_000)),
    Table("organization_memberships", _member("organization"), demo=60, new_id=big_id(360_004_000)),
    fixed("ticket_fields", [field(each) for each in _FIELDS], 360_010_000),
    fixed("user_fields", _own_fields("customer_since", "sandbox_version"), 360_011_000),
    fixed("organization_fields", _own_fields("segment", "sandbox_version"), 360_012_000),
    fixed("custom_statuses", [{"id": 360_000_100 + number, "status_category": each, "agent_label": each.capitalize(),
                               "end_user_label": each.capitalize(), "active": True, "default": True}
                              for number, each in enumerate(("new", "open", "pending", "hold", "solved"))],
          360_013_000),
    fixed("macros", _rule("Close and thank", "Ask for a photo", "Send replacement"), 360_014_000),
    fixed("views", _rule("Unsolved tickets", "Your tickets", "Recently solved"), 360_015_000),
    fixed("triggers", _rule("Notify requester", "Notify group"), 360_016_000),
    fixed("automations", _rule("Close after four days"), 360_017_000),
    Table("tags", tag, demo=4, ids=("name",), numeric=False, created=(), updated=(),
          new_id=lambda number: f"tag_{number}"),
    fixed("sla_policies", named("Gold", key="title", position=1, description="", filter={"all": [], "any": []},
                                policy_metrics=[]), 360_018_000),
    fixed("schedules", named("Office hours", time_zone="Berlin", intervals=[{"start_time": 1980, "end_time": 2460}]),
          360_019_000),
    fixed("custom_roles", named("Light agent", description="", configuration={}, role_type=1), 360_020_000),
    fixed("custom_objects", [{"key": OBJECT, "title": "Coffee machine", "title_pluralized": "Coffee machines",
                              "raw_title": "Coffee machine", "description": "", "created_by_user_id": "1"}],
          0, ids=("key",), numeric=False, new_id=lambda number: f"object_{number}"),
)  # fmt: skip
FORMS = fixed("ticket_forms", named("Default", active=True, default=True, position=1, end_user_visible=True,
                                    ticket_field_ids=[each["id"] for each in _FIELDS]), 360_021_000)  # fmt: skip
RATINGS = Table("satisfaction_ratings", rating, demo=50, new_id=big_id(360_100_000), weight=1,
                edit=lambda rng: {"score": rng.choice(("good", "bad"))},
                finish=link_of("satisfaction_ratings"))  # fmt: skip
SKIPS = Table("skips", skip, demo=8, new_id=big_id(360_200_000))
