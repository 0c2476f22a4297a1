"""The tables people work in: issues, what belongs to them, projects, boards."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from sandbox import words
from sandbox.jira import people
from sandbox.jira.people import SITE, document, named, person_of, status
from sandbox.jira.times import jira_date, jira_time, unix_seconds
from sandbox.kit.maker import Maker
from sandbox.kit.paths import value_at
from sandbox.kit.table import Table
from sandbox.rawjson import Fields, dump, load
from sandbox.store import Row

PROJECT_NAMES = ("Acme Platform", "Billing", "Customer Portal", "Data Warehouse", "Enablement", "Field Service")
VERSION_FIELD = "customfield_10900"
FIRST_ID = 10_000


def text_id(number: int) -> str:
    """Ids of the platform are digits, as text."""
    return str(FIRST_ID + number)


def linked(kind: str) -> Any:
    """A last touch: the record's link to itself."""

    def finish(fields: Fields, row: Row) -> Fields:
        return {"self": dump(f"{SITE}/rest/{kind}/{row.id}"), **fields}

    return finish


# ---- issues


def issue(maker: Maker) -> dict[str, Any]:
    project, number = maker.row("project") or {"id": "10001", "key": "ACME", "name": "Acme"}, maker.rng.randrange(3)
    kind = maker.pick(*people.TYPES)
    return {"fields": {
        "summary": maker.pick(*people.SUMMARIES), "description": document(maker.pick(*people.REMARKS)),
        "issuetype": named("issuetype", kind, subtask=False), "status": status(number),
        "priority": named("priority", maker.pick(*people.PRIORITIES)),
        "project": {key: project[key] for key in ("self", "id", "key", "name") if key in project},
        "assignee": person_of(maker), "reporter": person_of(maker), "creator": person_of(maker),
        "labels": maker.rng.sample(["customer", "quick-win", "security", "ux"], maker.rng.randrange(3)),
        "components": [], "fixVersions": [], "subtasks": [], "issuelinks": [], "attachment": [],
        "resolution": named("resolution", ("10000", "Done")) if number == 2 else None,
        "duedate": jira_date(maker.moment_ms(0, 60)), "lastViewed": None, "workratio": -1,
        "customfield_10016": maker.pick(None, 1, 2, 3, 5, 8, 0.5), "customfield_10020": None,
        "customfield_10030": words.company(maker.rng),
    }}  # fmt: skip


def finish_issue(fields: Fields, row: Row) -> Fields:
    """Its key, unless it has one: the project's, and a number. A moved issue is given another."""
    if "key" not in fields:
        project = load(value_at(fields, "fields.project.key")) or "ACME"
        fields = {**fields, "key": dump(f"{project}-{int(row.id) - FIRST_ID}")}
    link = dump(f"{SITE}/rest/api/3/issue/{row.id}")
    return {"id": fields["id"], "self": link, "key": fields["key"], **fields}


def edit_issue(rng: random.Random) -> dict[str, Any]:
    """Somebody moves it on, estimates it, or finds better words."""
    return {"fields": rng.choice((
        {"status": status(rng.randrange(3))}, {"customfield_10016": rng.choice((1, 2, 3, 5, 8))},
        {"summary": f"{rng.choice(people.SUMMARIES)} ({rng.randint(2, 99)})"},
        {"labels": [rng.choice(("ux", "later"))]},
    ))}  # fmt: skip


# ---- what belongs to issues


def comment(maker: Maker) -> dict[str, Any]:
    who = person_of(maker)
    return {"issueId": maker.link("issue"), "author": who, "body": document(maker.pick(*people.REMARKS)),
            "updateAuthor": who, "jsdPublic": True}  # fmt: skip


def finish_comment(fields: Fields, row: Row) -> Fields:
    owner = load(fields.get("issueId", b"null"))
    return {"self": dump(f"{SITE}/rest/api/3/issue/{owner}/comment/{row.id}"), **fields}


def worklog(maker: Maker) -> dict[str, Any]:
    who, quarters = person_of(maker), maker.rng.randint(1, 16)
    return {"issueId": maker.link("issue"), "author": who, "updateAuthor": who,
            "comment": document(maker.pick(*people.REMARKS)), "started": jira_time(maker.moment_ms(-30)),
            "timeSpent": f"{quarters * 15}m", "timeSpentSeconds": quarters * 900}  # fmt: skip


def finish_worklog(fields: Fields, row: Row) -> Fields:
    owner = load(fields.get("issueId", b"null"))
    return {"self": dump(f"{SITE}/rest/api/3/issue/{owner}/worklog/{row.id}"), **fields}


def changelog(maker: Maker) -> dict[str, Any]:
    before, after = people.STATUSES[0], people.STATUSES[1]
    item = {"field": "status", "fieldtype": "jira", "fieldId": "status", "from": before[0], "fromString": before[1],
            "to": after[0], "toString": after[1]}  # fmt: skip
    return {"issueId": maker.link("issue"), "author": person_of(maker), "items": [item]}


# ---- projects and boards


def project(maker: Maker) -> dict[str, Any]:
    number = maker.serial("project")
    name = PROJECT_NAMES[(number - 1) % len(PROJECT_NAMES)]
    lap = (number - 1) // len(PROJECT_NAMES)
    key = "ACME" if number == 1 else name.split(" ")[0].upper()[:6] + (str(lap) if lap else "")
    return {"key": key, "name": name, "description": f"All about {name.lower()}.", "lead": person_of(maker),
            "projectTypeKey": "software", "simplified": False, "style": "classic", "isPrivate": False,
            "archived": False}  # fmt: skip


def component(maker: Maker) -> dict[str, Any]:
    owner = maker.row("project") or {"id": "10001", "key": "ACME"}
    return {"name": maker.pick("API", "Backend", "Billing engine", "Mobile app", "Reports", "Website"),
            "description": "", "assigneeType": "PROJECT_DEFAULT", "isAssigneeTypeValid": True,
            "project": owner["key"], "projectId": int(owner["id"])}  # fmt: skip


def version(maker: Maker) -> dict[str, Any]:
    owner = maker.row("project") or {"id": "10001"}
    return {"name": f"{maker.rng.randint(1, 6)}.{maker.rng.randint(0, 12)}.{maker.serial('version')}",
            "archived": False, "released": maker.rng.random() < 0.5, "releaseDate": jira_date(maker.moment_ms(-90, 90)),
            "projectId": int(owner["id"])}  # fmt: skip


def board(maker: Maker) -> dict[str, Any]:
    owner, number = maker.row("project") or {"id": "10001", "key": "ACME", "name": "Acme"}, maker.serial("board")
    kind = "kanban" if number % 3 == 0 else "scrum"
    return {"name": f"{owner['name']} {kind} board", "type": kind, "isPrivate": False,
            "location": {"projectId": int(owner["id"]), "projectKey": owner["key"], "name": owner["name"]}}  # fmt: skip


def sprint(maker: Maker) -> dict[str, Any]:
    """On a Scrum board; Kanban boards have none."""
    found = [maker.row("board") for _ in range(12)]
    owner = next((each["id"] for each in found if each and each["type"] == "scrum"), None)
    number = maker.serial("sprint")
    start = datetime.fromtimestamp(maker.moment_ms(-90, 30) // 1000, UTC)
    return {"state": maker.pick("closed", "active", "future"), "name": f"Sprint {number}",
            "startDate": f"{start:%Y-%m-%dT%H:%M:%S.000Z}", "originBoardId": owner,
            "goal": maker.pick("", "Ship the export", "Fewer open bugs")}  # fmt: skip


STAMPED: dict[str, Any] = {"created": ("created",), "updated": ("updated",), "versions": ("sandboxVersion",)}
BARE: dict[str, Any] = {"created": (), "updated": (), "versions": ("sandboxVersion",)}
MS: dict[str, Any] = {"time": jira_time, "unit_ms": 1}

USERS = Table("user", people.user, demo=24, always=1, new_id=people.account_id, ids=("accountId",), numeric=False,
              finish=lambda fields, row: {"self": dump(f"{SITE}/rest/api/3/user?accountId={row.id}"), **fields},
              edit=lambda rng: {"active": rng.random() < 0.8}, **BARE, **MS)  # fmt: skip
WORK = (
    USERS,
    Table("project", project, demo=6, always=1, new_id=text_id, marks=("deleted",), finish=linked("api/3/project"),
          edit=lambda rng: {"description": f"Reviewed {rng.randint(2, 99)} times."}, **BARE, **MS),
    Table("issue", issue, demo=320, edit=edit_issue, weight=5, new_id=text_id, created=("fields.created",),
          updated=("fields.updated",), versions=(f"fields.{VERSION_FIELD}",), finish=finish_issue, **MS),
    Table("comment", comment, demo=420, weight=3, new_id=text_id, facet="issueId", finish=finish_comment,
          edit=lambda rng: {"body": document(rng.choice(people.REMARKS), "(edited)")}, **STAMPED, **MS),
    Table("worklog", worklog, demo=160, weight=1, new_id=text_id, facet="issueId", finish=finish_worklog,
          edit=lambda rng: {"timeSpentSeconds": rng.randint(1, 32) * 900}, **STAMPED, **MS),
    Table("changelog", changelog, demo=300, new_id=text_id, facet="issueId", created=("created",), updated=(),
          versions=("sandboxVersion",), time=unix_seconds),
    Table("component", component, demo=14, new_id=text_id, facet="projectId", finish=linked("api/3/component"),
          edit=lambda rng: {"description": f"Owned by team {rng.randint(1, 9)}."}, **BARE, **MS),
    Table("version", version, demo=18, new_id=text_id, facet="projectId", finish=linked("api/3/version"),
          edit=lambda rng: {"released": True}, **BARE, **MS),
    Table("board", board, demo=5, always=1, finish=linked("agile/1.0/board"),
          edit=lambda rng: {"name": f"Board {rng.randint(2, 99)}"}, **BARE, **MS),
    Table("sprint", sprint, demo=22, facet="originBoardId", finish=linked("agile/1.0/sprint"),
          edit=lambda rng: {"goal": f"Goal {rng.randint(2, 99)}"}, **BARE, **MS),
)  # fmt: skip
