"""Jira's small tables: fields, types, statuses and the like. A site begins with some, and somebody may add more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.jira import people
from sandbox.jira.people import SITE, named, person_of, status
from sandbox.jira.work import BARE, MS, VERSION_FIELD, text_id
from sandbox.kit.maker import Maker
from sandbox.kit.table import Table

_FIELDS = (
    ("summary", "Summary", "string"), ("description", "Description", "string"), ("status", "Status", "status"),
    ("issuetype", "Issue Type", "issuetype"), ("priority", "Priority", "priority"), ("project", "Project", "project"),
    ("assignee", "Assignee", "user"), ("reporter", "Reporter", "user"), ("labels", "Labels", "array"),
    ("created", "Created", "datetime"), ("updated", "Updated", "datetime"), ("duedate", "Due date", "date"),
    ("comment", "Comment", "comments-page"), ("customfield_10016", "Story Points", "number"),
    ("customfield_10020", "Sprint", "array"), ("customfield_10030", "Customer", "string"),
    (VERSION_FIELD, "Sandbox version", "number"),
)  # fmt: skip


def _field(field_id: str, name: str, kind: str) -> dict[str, Any]:
    custom = field_id.startswith("customfield_")
    schema: dict[str, Any] = {"type": kind, **({"items": "string"} if kind == "array" else {})}
    schema |= {"customId": int(field_id.removeprefix("customfield_"))} if custom else {"system": field_id}
    return {"id": field_id, "key": field_id, "name": name, "custom": custom, "orderable": True, "navigable": True,
            "searchable": True, "clauseNames": [f"cf[{schema['customId']}]", name] if custom else [field_id],
            "schema": schema}  # fmt: skip


def fixed(name: str, rows: Sequence[dict[str, Any]], **table: Any) -> Table:
    """A table that begins with these rows; further ones are like the last, under another id and name."""

    def make(maker: Maker) -> dict[str, Any]:
        number = maker.serial(name)
        if number <= len(rows):
            return dict(rows[number - 1])
        id_field = table.get("ids", ("id",))[0]
        return {key: value for key, value in rows[-1].items() if key != id_field} | {"name": f"New {name} {number}"}

    more = {"new_id": lambda number: text_id(10_000 + number), "numeric": False, **BARE, **MS, **table}
    return Table(name, make, demo=len(rows), always=len(rows), edit=lambda rng: {"description": "Edited"}, **more)


def group(maker: Maker) -> dict[str, Any]:
    number = maker.serial("group")
    return {"name": ("jira-users", "site-admins", "developers")[number - 1] if number < 4 else f"team-{number}"}


def owned(kind: str, names: Sequence[str]) -> Any:
    def make(maker: Maker) -> dict[str, Any]:
        found = {"name": maker.pick(*names), "description": "", "owner": person_of(maker)}
        return found | ({"jql": "project = ACME"} if kind == "filter" else {"isFavourite": False})

    return make


SMALL = (
    fixed("field", [_field(*each) for each in _FIELDS], new_id=lambda number: f"customfield_{11_000 + number}"),
    fixed("issue_type", [named("issuetype", each, subtask=False, hierarchyLevel=0) for each in people.TYPES]),
    fixed("status", [status(number) for number in range(3)]),
    fixed("priority", [named("priority", each, isDefault=each[1] == "Medium") for each in people.PRIORITIES]),
    fixed("resolution", [named("resolution", each) for each in (("10000", "Done"), ("10001", "Won't Do"))]),
    fixed("issue_link_type", [named("issueLinkType", ("10000", "Blocks"), inward="is blocked by", outward="blocks"),
                              named("issueLinkType", ("10001", "Relates"), inward="relates to", outward="relates to")]),
    fixed("status_category", [{"self": f"{SITE}/rest/api/3/statuscategory/{each[3]}", "id": each[3], "key": each[2],
                               "name": each[1], "colorName": "blue-gray"} for each in people.STATUSES],
          new_id=lambda number: 100 + number),
    fixed("project_category", [named("projectCategory", ("10000", "Products"), description="What we sell")]),
    Table("group", group, demo=3, new_id=lambda number: f"276f955c-63d7-42c8-9520-{number:012d}", ids=("groupId",),
          numeric=False, **BARE, **MS),
    Table("filter", owned("filter", ("My open bugs", "Due this week", "Unassigned")), demo=6, new_id=text_id, **BARE,
          **MS),
    Table("dashboard", owned("dashboard", ("Team health", "Support desk")), demo=3, new_id=text_id, **BARE, **MS),
)  # fmt: skip
