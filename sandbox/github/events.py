"""What GitHub tells its webhooks of a change: the event's name, its action, and the objects around it.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.github import shapes
from sandbox.github.making import PARENT
from sandbox.kit.query import Wanted
from sandbox.kit.tables import Change
from sandbox.rawjson import load

if TYPE_CHECKING:
    from sandbox.github.side import GitHub

Body = dict[str, Any]
OF_REPOSITORIES = frozenset({
    "branch_protection_rule", "commit_comment", "create", "delete", "issue_comment", "issues", "label", "member",
    "milestone", "pull_request", "pull_request_review", "pull_request_review_comment", "push", "release", "repository",
    "workflow_run",
})  # fmt: skip
OF_ORGANISATIONS = OF_REPOSITORIES | {"membership", "organization", "team"}
ACTIONS = {"created": "created", "updated": "edited", "deleted": "deleted"}


@dataclass(frozen=True)
class Event:
    """One event. `places`: the hooks that hear of it are at one of these."""

    name: str
    body: Body
    places: frozenset[str]


def events_of(side: GitHub, change: Change) -> Iterator[Event]:
    """What is told of a change; nothing of what GitHub is silent about."""
    record = load(change.row.body)
    if change.table in ("teams", "team_members", "members"):
        login = record.get("sandbox_organisation", shapes.ORGANISATION)
        for name, body in _of_organisation(side, change, record):
            yield Event(name, {**body, "organization": shapes.organisation(login)}, frozenset({f"orgs/{login}"}))
        return
    own = change.row.id if change.table == "repositories" else str(record.get(PARENT) or _parent(side, change))
    row = side.store.newest(side.tables.shelf("repositories"), own)
    if row is None or change.table not in _TOLD:
        return
    repository = load(row.body)
    owner = repository["owner"]["login"]
    around = {"repository": repository, "organization": shapes.organisation(owner),
              "sender": shapes.user(shapes.FIRST_PERSON)}  # fmt: skip
    for name, body in _TOLD[change.table](side, change, record):
        yield Event(name, {**body, **around}, frozenset({f"repos/{own}", f"orgs/{owner}"}))


Told = Iterator[tuple[str, Body]]


def _acted(change: Change, record: Body, created: str = "created") -> str:
    """The action: a state that changed is told before anything else."""
    if change.what == "created":
        return created
    if change.what == "updated" and change.before is not None:
        was, state = load(change.before.body).get("state"), record.get("state")
        if was != state and state in ("open", "closed"):
            return "closed" if state == "closed" else "reopened"
    return ACTIONS.get(change.what, "edited")


def _issues(side: GitHub, change: Change, record: Body) -> Told:
    """A pull request's other face is told as the pull request alone."""
    if not record.get("sandbox_pull"):
        yield "issues", {"action": _acted(change, record, "opened"), "issue": record}


def _pulls(side: GitHub, change: Change, record: Body) -> Told:
    """Pull requests are never deleted."""
    if change.what != "deleted":
        action = _acted(change, record, "opened")
        yield "pull_request", {"action": action, "number": record["number"], "pull_request": record}


def _reviews(side: GitHub, change: Change, record: Body) -> Told:
    pull = _by_id(side, "pulls", record["sandbox_pull_request"])
    if pull:
        action = {"created": "submitted", "updated": "edited"}.get(change.what, "dismissed")
        yield "pull_request_review", {"action": action, "review": record, "pull_request": pull}


def _review_comments(side: GitHub, change: Change, record: Body) -> Told:
    pull = _by_number(side, "pulls", record, record["pull_request_url"])
    if pull:
        body = {"action": ACTIONS.get(change.what, "edited"), "comment": record, "pull_request": pull}
        yield "pull_request_review_comment", body


def _issue_comments(side: GitHub, change: Change, record: Body) -> Told:
    issue = _by_number(side, "issues", record, record["issue_url"])
    if issue:
        yield "issue_comment", {"action": ACTIONS.get(change.what, "edited"), "comment": record, "issue": issue}


def _commits(side: GitHub, change: Change, record: Body) -> Told:
    if change.what == "created":
        told = {"id": record["sha"], "message": record["commit"]["message"], "url": record["url"], "distinct": True}
        yield "push", {"ref": "refs/heads/main", "before": "0" * 40, "after": record["sha"], "created": False,
                       "deleted": False, "forced": False, "commits": [told], "head_commit": told}  # fmt: skip


def _branches(side: GitHub, change: Change, record: Body) -> Told:
    """A branch that moves to other commits was pushed to."""
    if change.what != "updated":
        yield from _refs("branch")(side, change, record)
        return
    yield "push", {"ref": f"refs/heads/{record['name']}", "before": "0" * 40, "after": record["commit"]["sha"],
                   "created": False, "deleted": False, "forced": False, "commits": []}  # fmt: skip


def _refs(kind: str) -> Callable[[GitHub, Change, Body], Told]:
    def told(side: GitHub, change: Change, record: Body) -> Told:
        if change.what in ("created", "deleted"):
            name = "create" if change.what == "created" else "delete"
            yield name, {"ref": record["name"], "ref_type": kind, "pusher_type": "user"}

    return told


def _plain(name: str, created: str = "created") -> Callable[[GitHub, Change, Body], Told]:
    """One object under the event's own name, or the one that follows a dot: `commit_comment.comment`."""
    event, _, field = name.partition(".")

    def told(side: GitHub, change: Change, record: Body) -> Told:
        yield event, {"action": _acted(change, record, created), field or event: record}

    return told


def _repository(side: GitHub, change: Change, record: Body) -> Told:
    before = load(change.before.body) if change.before else record
    action = "renamed" if before["name"] != record["name"] else ACTIONS.get(change.what, "edited")
    yield "repository", {"action": action}


_TOLD: Mapping[str, Callable[[GitHub, Change, Body], Told]] = {
    "issues": _issues, "pulls": _pulls, "reviews": _reviews, "review_comments": _review_comments,
    "issue_comments": _issue_comments, "commits": _commits, "branches": _branches, "tags": _refs("tag"),
    "releases": _plain("release", "published"), "labels": _plain("label"), "milestones": _plain("milestone"),
    "workflow_runs": _plain("workflow_run", "requested"), "commit_comments": _plain("commit_comment.comment"),
    "repositories": _repository,
}  # fmt: skip


def _of_organisation(side: GitHub, change: Change, record: Body) -> Told:
    is_gone = change.what == "deleted"
    if change.table == "teams":
        yield "team", {"action": ACTIONS.get(change.what, "edited"), "team": record}
    elif change.table == "team_members":
        team = _by_id(side, "teams", record["sandbox_team"]) or {"id": record["sandbox_team"]}
        yield "membership", {"action": "removed" if is_gone else "added", "scope": "team", "member": record,
                             "team": team}  # fmt: skip
    elif change.what != "updated":
        action = "member_removed" if is_gone else "member_added"
        yield "organization", {"action": action, "membership": {"user": record, "role": "member", "state": "active"}}


# ---- what belongs to a record


def _parent(side: GitHub, change: Change) -> object:
    """The repository of a review: its pull request's."""
    pull = _by_id(side, "pulls", load(change.row.body).get("sandbox_pull_request"))
    return pull[PARENT] if pull else ""


def _by_id(side: GitHub, name: str, record: object) -> Body | None:
    row = side.store.newest(side.tables.shelf(name), str(record))
    return load(row.body) if row else None


def _by_number(side: GitHub, name: str, record: Body, url: str) -> Body | None:
    """The issue or pull request that a record's link ends with."""
    number = url.rpartition("/")[2]
    wanted = Wanted(deleted=True, facet=str(record[PARENT]), among={"number": [int(number)]})
    rows = side.tables.page(name, wanted, order="id", limit=1) if number.isdigit() else []
    return load(rows[0].body) if rows else None
