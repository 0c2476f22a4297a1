"""Which of Jira's lists are offered, and how each one's changes are found.

Docs    https://developer.atlassian.com/cloud/jira/platform/rest/v3, …/cloud/jira/software/rest (read 2026-11-23)
Scopes  the classic ones of the platform's OpenAPI description; boards and sprints have granular ones alone
"""

from dataclasses import dataclass
from enum import StrEnum

from syncs.providers.kit.catalogue import KEPT, Collection, Deletes

PREFIX = "jira:"
WORK, USER = "read:jira-work", "read:jira-user"
BOARD, SPRINT, PROJECT = "read:board-scope:jira-software", "read:sprint:jira-software", "read:project:jira"
PROJECTS = "/rest/api/3/project/search"
BOARDS = "/rest/agile/1.0/board"


class Found(StrEnum):
    """How a list's changes are found."""

    ISSUES = "issues"  # issues themselves, by the time of their last change
    OF_ISSUES = "of_issues"  # what belongs to issues that changed
    FEED = "feed"  # a list of changed ids, and one of deleted ids
    WHOLE = "whole"  # nothing tells: the whole list is read again


@dataclass(frozen=True)
class Resource:
    """One list.

    items   path of the records in an answer; empty: the answer is the list
    parent  the list whose members each have one of these: their id stands for `{id}` in `path`
    size    the largest page Jira gives; 0: it comes whole
    member  of what belongs to issues: the issue's field that holds the first ones
    """

    name: str
    title: str
    path: str
    found: Found = Found.WHOLE
    items: str = "values"
    id_field: str = "id"
    parent: str = ""
    size: int = 50
    member: str = ""
    scopes: tuple[str, ...] = (WORK,)
    shown: bool = True
    help: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name


_ALL_STATES = "?status=live&status=archived&status=deleted&expand=description,lead,issueTypes,url,projectKeys"

RESOURCES = (
    Resource(
        "issue",
        "Issues",
        "/rest/api/3/search/jql",
        Found.ISSUES,
        help="With all fields, by their ids; their names are in the collection of fields.",
    ),
    Resource("comment", "Comments", "/rest/api/3/issue/{id}/comment", Found.OF_ISSUES, "comments", member="comment"),
    Resource("worklog", "Worklogs", "/rest/api/3/issue/{id}/worklog", Found.FEED, "worklogs", member="worklog"),
    Resource(
        "changelog",
        "Changelogs",
        "/rest/api/3/changelog/bulkfetch",
        Found.OF_ISSUES,
        help="Entries never change. Those of a deleted issue stay in the log.",
    ),
    Resource("field", "Fields", "/rest/api/3/field", items="", size=0, help="Names and types of the fields of issues."),
    Resource(
        "project", "Projects", PROJECTS + _ALL_STATES, size=100, help="A project in Jira's bin arrives as deleted."
    ),
    Resource("component", "Components", "/rest/api/3/project/{id}/component", parent=PROJECTS),
    Resource("version", "Versions", "/rest/api/3/project/{id}/version", parent=PROJECTS),
    Resource(
        "user",
        "Users",
        "/rest/api/3/users/search",
        items="",
        id_field="accountId",
        size=1000,
        scopes=(USER,),
        help="Inactive users and apps among them. Needs the permission “Browse users and groups”.",
    ),
    Resource("board", "Boards", BOARDS, scopes=(BOARD, PROJECT), help="Only where Jira Software is in use."),
    Resource(
        "sprint",
        "Sprints",
        BOARDS + "/{id}/sprint",
        parent=BOARDS,
        scopes=(BOARD, PROJECT, SPRINT),
        help="Only boards of the kind Scrum have sprints.",
    ),
    Resource("issue_type", "Issue types", "/rest/api/3/issuetype", items="", size=0),
    Resource("status", "Statuses", "/rest/api/3/status", items="", size=0),
    Resource("priority", "Priorities", "/rest/api/3/priority/search"),
    Resource("resolution", "Resolutions", "/rest/api/3/resolution/search"),
    Resource(
        "issue_link_type", "Issue link types", "/rest/api/3/issueLinkType", items="issueLinkTypes", size=0, shown=False
    ),
    Resource("status_category", "Status categories", "/rest/api/3/statuscategory", items="", size=0, shown=False),
    Resource("project_category", "Project categories", "/rest/api/3/projectCategory", items="", size=0, shown=False),
    Resource(
        "group",
        "Groups",
        "/rest/api/3/group/bulk",
        id_field="groupId",
        scopes=(USER,),
        shown=False,
        help="Needs the permission “Browse users and groups”.",
    ),
    Resource("filter", "Filters", "/rest/api/3/filter/search?expand=description,owner,jql", shown=False),
    Resource("dashboard", "Dashboards", "/rest/api/3/dashboard", items="dashboards", shown=False),
)

BY_ID = {resource.id: resource for resource in RESOURCES}

_COST = {
    Found.ISSUES: "One request for 100 issues, then two for each look for changes. Ids alone: 5,000 a request.",
    Found.OF_ISSUES: "One request for 100 issues, and one more for each issue with many of them.",
    Found.FEED: "One request for 100 issues, then two for each look for changes and one for 1,000 changed ones.",
    Found.WHOLE: "The whole list, every hour: one request a page.",
}
_BY_PARENT = {
    PROJECTS: "One request for each project, every hour.",
    BOARDS: "One request for each board, every hour.",
}
_DAY_H = 24


def to_collection(resource: Resource) -> Collection:
    """The resource as the console shows it."""
    is_log = resource.name == "changelog"
    deletes = Deletes.NONE if is_log else Deletes.EVENT if resource.found is Found.FEED else Deletes.SWEEP
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=resource.id,
        upstream=resource.path.partition("?")[0],
        deletes=deletes,
        versioned_by_time=resource.found is not Found.WHOLE and not is_log,
        every_s=3600 if resource.found is Found.WHOLE else None,
        reread_every_h=7 * _DAY_H if resource.found is not Found.WHOLE and not is_log else None,
        sweep_every_h=None if deletes is Deletes.NONE else _SWEEPS.get(resource.name, 7 * _DAY_H),
        sweep_page=5_000 if resource.found is Found.ISSUES else 100,
        ids_only=resource.found is Found.ISSUES,
        kept=("id", "key", "fields.created", "fields.updated")
        if resource.found is Found.ISSUES
        else (*KEPT, resource.id_field),
        described=resource.found is Found.ISSUES,
        shown=resource.shown,
        volatile=("fields.lastViewed",) if resource.found is Found.ISSUES else (),
        help=resource.help,
        cost=_BY_PARENT.get(resource.parent) or _COST[resource.found],
        scopes=resource.scopes,
    )


_SWEEPS = {"issue": _DAY_H, "project": _DAY_H, "version": _DAY_H, "component": _DAY_H, "sprint": _DAY_H}

COLLECTIONS = tuple(to_collection(resource) for resource in RESOURCES)
