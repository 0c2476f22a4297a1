"""What the sandbox's workspace holds. Fields nobody fills are there all the same, and null.

Source: the types of schema.json; values as Linear's pages show them
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from sandbox import words
from sandbox.kit.maker import Maker
from sandbox.kit.paths import with_value
from sandbox.kit.table import Table, iso_ms_z
from sandbox.rawjson import Fields, dump
from sandbox.store import BINNED, Row

STATES = (("Backlog", "backlog"), ("Todo", "unstarted"), ("In Progress", "started"), ("Done", "completed"))
TITLES = ("Label printer forgets orders", "Roast profile is lost on save", "Add décaf 🫘 to the menu", "Slow checkout")


def _id_of(table: str) -> Callable[[int], str]:
    return lambda number: str(uuid.uuid5(uuid.NAMESPACE_URL, f"linear/{table}/{number}"))


def _link(make: Maker, table: str) -> dict[str, Any] | None:
    found = make.link(table)
    return {"id": found} if found else None


def _with_archive(fields: Fields, row: Row) -> Fields:
    """What goes to the trash is archived, too."""
    return with_value(fields, "archivedAt", dump(iso_ms_z(row.stamp_ms))) if row.deleted == BINNED else fields


def _table(name: str, make: Callable[[Maker], dict[str, Any]], version: str, **more: Any) -> Table:
    has_trash = more.pop("trash", False)
    return Table(
        name,
        make,
        new_id=_id_of(name),
        created=("createdAt",),
        updated=("updatedAt",),
        versions=(version,),
        marks=("trashed",) if has_trash else (),
        finish=_with_archive if has_trash else None,
        time=iso_ms_z,
        unit_ms=1,
        numeric=False,
        **more,
    )


def _team(make: Maker) -> dict[str, Any]:
    number = make.serial("teams")
    return {"key": f"T{number}", "name": f"{make.pick('Roastery', 'Shop', 'Web')} {number}",
            "displayName": f"Team {number}",
            "description": None, "color": "#5e6ad2", "timezone": "Europe/Berlin", "cyclesEnabled": True,
            "cycleDuration": 2, "cycleStartDay": 1, "triageEnabled": False, "issueEstimationType": "linear",
            "visibility": "public"}  # fmt: skip


def _user(make: Maker) -> dict[str, Any]:
    first, last = words.person(make.rng)
    return {"name": f"{first} {last}", "displayName": words.slug(first), "active": make.rng.random() < 0.9,
            "email": f"{words.slug(f'{first} {last}')}{make.serial('users')}@example.com", "admin": False,
            "guest": False, "owner": False, "app": False, "timezone": "Europe/Berlin"}  # fmt: skip


def _state(make: Maker) -> dict[str, Any]:
    name, kind = make.rng.choice(STATES)
    return {"name": name, "type": kind, "color": "#bec2c8", "description": None, "team": _link(make, "teams")}


def _label(make: Maker) -> dict[str, Any]:
    return {"name": make.pick("Bug", "Feature", "Größe"), "color": "#eb5757", "isGroup": False,
            "team": _link(make, "teams"), "creator": _link(make, "users")}  # fmt: skip


def _cycle(make: Maker) -> dict[str, Any]:
    starts_ms = make.moment_ms(-200, 10)
    return {"number": make.serial("cycles"), "name": None, "startsAt": iso_ms_z(starts_ms),
            "endsAt": iso_ms_z(starts_ms + 14 * 86_400_000), "team": _link(make, "teams")}  # fmt: skip


def _project(make: Maker) -> dict[str, Any]:
    return {"name": f"{make.pick('New roaster', 'Webshop', 'Wholesale')} {make.serial('projects')}", "description": "",
            "content": make.pick(None, "## Why\nBecause.\n"), "color": "#4cb782",
            "slugId": f"{make.rng.getrandbits(48):x}",
            "priority": 2, "priorityLabel": "High", "progress": 0.25, "scope": 12.0, "labelIds": [],
            "status": {"id": str(uuid.uuid4()), "name": "In Progress", "type": "started"},
            "lead": _link(make, "users"), "creator": _link(make, "users"), "targetDate": "2027-03-31"}  # fmt: skip


def _issue(make: Maker) -> dict[str, Any]:
    number, team = make.serial("issues"), make.row("teams") or {}
    name, kind = make.rng.choice(STATES)
    state = make.row("workflowStates") or {"id": str(uuid.uuid4()), "name": name, "type": kind}
    return {"number": number, "identifier": f"{team.get('key', 'T0')}-{number}", "title": make.rng.choice(TITLES),
            "description": make.pick(None, "It happens **every** time.\n\n- one\n- two"),
            "priority": make.rng.randint(0, 4),
            "priorityLabel": "Medium", "estimate": make.pick(None, 1, 2.5), "labelIds": [], "previousIdentifiers": [],
            "url": f"https://linear.app/sandbox/issue/T-{number}", "branchName": f"ada/t-{number}",
            "state": {key: state[key] for key in ("id", "name", "type")},
            "team": {"id": team["id"], "key": team["key"]} if team else None, "assignee": _link(make, "users"),
            "creator": _link(make, "users"), "project": _link(make, "projects"), "cycle": _link(make, "cycles"),
            "customerTicketCount": 0}  # fmt: skip


def _comment(make: Maker) -> dict[str, Any]:
    return {"body": make.pick("Looks good.", "Can we ship it? 🚢", "Not on my machine."), "reactionData": {},
            "issueId": make.link("issues"), "hideInLinear": False, "user": _link(make, "users")}  # fmt: skip


def _of_project(make: Maker) -> dict[str, Any]:
    return {"name": make.pick("Alpha", "Beta"), "body": "On track.", "health": "onTrack", "status": "next",
            "description": None, "project": _link(make, "projects"), "user": _link(make, "users")}  # fmt: skip


def _initiative(make: Maker) -> dict[str, Any]:
    return {"name": f"Goal {make.serial('initiatives')}", "status": "Active", "owner": _link(make, "users")}


def _document(make: Maker) -> dict[str, Any]:
    return {"title": "Notes", "content": "# Notes\n", "slugId": "a1", "creator": _link(make, "users"),
            "project": _link(make, "projects")}  # fmt: skip


def _attachment(make: Maker) -> dict[str, Any]:
    number = make.serial("attachments")
    return {"title": f"Pull request #{number}", "subtitle": None, "url": f"https://code.example/pr/{number}",
            "sourceType": "github", "metadata": {"state": "open"}, "source": {"type": "github"},
            "issue": _link(make, "issues")}  # fmt: skip


def _retitled(rng: random.Random) -> dict[str, Any]:
    return {"title": rng.choice(TITLES), "priority": rng.randint(0, 4)}


TABLES = (
    _table("teams", _team, "autoArchivePeriod", demo=3, always=1),
    _table("users", _user, "statusLabel", demo=14, always=1),
    _table("workflowStates", _state, "position", demo=8),
    _table("issueLabels", _label, "description", demo=9),
    _table("cycles", _cycle, "progress", demo=6),
    _table("initiatives", _initiative, "sortOrder", demo=3, trash=True),
    _table("projects", _project, "sortOrder", demo=7, trash=True, weight=1,
           edit=lambda rng: {"progress": rng.random()}),
    _table("projectMilestones", _of_project, "sortOrder", demo=8),
    _table("projectUpdates", _of_project, "slugId", demo=9),
    _table("documents", _document, "sortOrder", demo=6, trash=True),
    _table("issues", _issue, "sortOrder", demo=220, trash=True, weight=4, edit=_retitled),
    _table("comments", _comment, "quotedText", demo=160, weight=2, edit=lambda rng: {"body": rng.choice(TITLES)}),
    _table("attachments", _attachment, "metadata.sandboxVersion", demo=20),
)  # fmt: skip
