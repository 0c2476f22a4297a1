"""Which GitHub lists are offered, where they hang, and how each one's changes are found.

Docs    https://docs.github.com/rest, API version 2022-11-28 (read 2026-11-23)
Ids     the repository's (or organisation's) id, a slash, and what GitHub's own URLs name the record by: `42/17` is
        issue 17 of repository 42. Names change; these do not. A record can be read again from its id alone
"""

from dataclasses import dataclass
from enum import StrEnum

from syncs.providers.kit.catalogue import KEPT, Collection, Deletes

PREFIX = "github:"
WHOLE_EVERY_S = 300
DAY_H = 24


class Over(StrEnum):
    """What a list hangs on."""

    ACCOUNT = "account"  # the repositories themselves
    REPOSITORY = "repository"
    ORGANISATION = "organisation"


class How(StrEnum):
    """How changes are found."""

    SINCE = "since"  # the list takes `since`, and sorts by `updated_at`, oldest first
    NEWEST = "newest"  # it sorts by `updated_at`, newest first: read until what is known
    CREATED = "created"  # newest first by creation, bounded by `created`; younger rows still change
    HEAD = "head"  # commits: what the branch's head has that the one before had not
    WHOLE = "whole"  # the whole list again; unchanged pages cost nothing (304)


@dataclass(frozen=True)
class Resource:
    """One list.

    path       below its place; of the parents', where `child` is set
    key        the field by which GitHub's URLs name a record
    rows       where in the answer the list is; empty: the answer is the list
    single     where one record is read, `{}` for its key; empty: it is found in the list
    extra      what a single read has and the list has not: left out, so that both give the same bytes
    child      the list hangs on each record of `path`, at this path (`{}`: the parent's `child_by`)
    deep_s     so far back changes are looked for every `deep_every_s`, for those that move no time
    needs      the least permission, in words
    scopes     of an OAuth app
    """

    name: str
    title: str
    path: str
    how: How = How.WHOLE
    over: Over = Over.REPOSITORY
    key: str = "id"
    rows: str = ""
    params: tuple[tuple[str, str], ...] = ()
    single: str = ""
    extra: tuple[str, ...] = ()
    child: str = ""
    child_by: str = ""
    deep_s: int = 0
    deep_every_s: int = 24 * 3600
    deletes: Deletes = Deletes.SWEEP
    sweep_every_h: int | None = DAY_H
    volatile: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("repo",)
    needs: str = ""
    shown: bool = True
    help: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name


_ALL = (("state", "all"),)
_WEEK_H = 7 * DAY_H
_PULL_EXTRA = ("merged", "mergeable", "rebaseable", "mergeable_state", "merged_by", "comments", "review_comments",
               "maintainer_can_modify", "commits", "additions", "deletions", "changed_files")  # fmt: skip
_PULL_SEEN = (("head", "repo"), ("base", "repo"))

RESOURCES = (
    Resource(
        "repository",
        "Repositories",
        "",
        over=Over.ACCOUNT,
        needs="Metadata: read",
        help="Those the connection reads. New ones are found at each look, and their history is read.",
    ),
    Resource(
        "issue",
        "Issues",
        "/issues",
        how=How.SINCE,
        key="number",
        params=_ALL,
        single="/issues/{}",
        sweep_every_h=_WEEK_H,
        needs="Issues: read",
        help="Pull requests are among them, as GitHub lists them (with `pull_request`).",
    ),
    Resource(
        "pull_request",
        "Pull requests",
        "/pulls",
        how=How.NEWEST,
        key="number",
        params=_ALL,
        single="/pulls/{}",
        extra=_PULL_EXTRA,
        deletes=Deletes.NONE,
        sweep_every_h=None,
        volatile=tuple(".".join(path) for path in _PULL_SEEN),
        needs="Pull requests: read",
    ),
    Resource(
        "review",
        "Reviews",
        "/pulls",
        how=How.NEWEST,
        params=_ALL,
        child="/pulls/{}/reviews",
        child_by="number",
        single="/pulls/{}/reviews/{}",
        deep_s=14 * 24 * 3600,
        deletes=Deletes.NONE,
        sweep_every_h=None,
        needs="Pull requests: read",
        help="Read for each pull request that changed. An edited review moves no time: those of pull requests changed "
        "in the last 14 days are read again once a day.",
    ),
    Resource(
        "review_comment",
        "Review comments",
        "/pulls/comments",
        how=How.SINCE,
        single="/pulls/comments/{}",
        sweep_every_h=_WEEK_H,
        needs="Pull requests: read",
    ),
    Resource(
        "issue_comment",
        "Issue comments",
        "/issues/comments",
        how=How.SINCE,
        single="/issues/comments/{}",
        sweep_every_h=_WEEK_H,
        needs="Issues: read",
        help="Comments in the conversation of pull requests are among them.",
    ),
    Resource(
        "commit",
        "Commits",
        "/commits",
        how=How.HEAD,
        key="sha",
        single="/commits/{}",
        extra=("stats", "files"),
        deletes=Deletes.NONE,
        sweep_every_h=None,
        needs="Contents: read",
        help="Of the default branch. Commits that a force push leaves behind stay.",
    ),
    Resource("branch", "Branches", "/branches", key="name", needs="Contents: read"),
    Resource("tag", "Tags", "/tags", key="name", needs="Contents: read", shown=False),
    Resource("release", "Releases", "/releases", single="/releases/{}", needs="Contents: read"),
    Resource("label", "Labels", "/labels", needs="Issues: read"),
    Resource(
        "milestone",
        "Milestones",
        "/milestones",
        key="number",
        params=_ALL,
        single="/milestones/{}",
        needs="Issues: read",
    ),
    Resource(
        "workflow_run",
        "Workflow runs",
        "/actions/runs",
        how=How.CREATED,
        rows="workflow_runs",
        single="/actions/runs/{}",
        deep_s=30 * 24 * 3600,
        deep_every_s=6 * 3600,
        sweep_every_h=_WEEK_H,
        needs="Actions: read",
        help="Runs of the last 6 hours are looked at each time, those of the last 30 days (re-runs) every 6 hours.",
    ),
    Resource(
        "workflow", "Workflows", "/actions/workflows", rows="workflows", needs="Actions: read", shown=False
    ),
    Resource(
        "commit_comment",
        "Commit comments",
        "/comments",
        single="/comments/{}",
        needs="Contents: read",
        shown=False,
    ),
    Resource(
        "team",
        "Teams",
        "/teams",
        over=Over.ORGANISATION,
        scopes=("read:org",),
        needs="Members: read (of the organisation)",
    ),
    Resource(
        "team_member",
        "Team members",
        "/teams",
        over=Over.ORGANISATION,
        child="/teams/{}/members",
        child_by="slug",
        scopes=("read:org",),
        needs="Members: read (of the organisation)",
        help="One record for each person in each team, with the team's id added.",
    ),
    Resource(
        "member",
        "Members",
        "/members",
        over=Over.ORGANISATION,
        scopes=("read:org",),
        needs="Members: read (of the organisation)",
        help="People of the organisations whose repositories are read.",
    ),
)  # fmt: skip

BY_ID = {resource.id: resource for resource in RESOURCES}
_TIMED = (How.SINCE, How.NEWEST, How.CREATED)


def to_collection(resource: Resource) -> Collection:
    """What the console is told of a list."""
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=resource.id,
        upstream=_upstream(resource),
        deletes=resource.deletes,
        versioned_by_time=resource.how in _TIMED and not resource.child,
        every_s=WHOLE_EVERY_S if resource.how is How.WHOLE else None,
        sweep_every_h=resource.sweep_every_h,
        kept=(*KEPT, resource.key),
        shown=resource.shown,
        volatile=resource.volatile,
        help=f"{resource.help} Needs {resource.needs}.".strip(),
        cost=_cost(resource),
        scopes=resource.scopes,
    )


def _upstream(resource: Resource) -> str:
    start = {Over.ACCOUNT: "/user/repos", Over.REPOSITORY: "/repos/{}/{}", Over.ORGANISATION: "/orgs/{}"}[resource.over]
    return start + (resource.child or resource.path)


def _cost(resource: Resource) -> str:
    if resource.child:
        parents = "pull request" if resource.over is Over.REPOSITORY else "team"
        return f"One request for each {parents}; later, for each that changed."
    if resource.over is Over.REPOSITORY:
        return "One request for 100 records; later, one a repository and look, free of quota where nothing changed."
    return "One request for 100 records; free of quota where nothing changed."


COLLECTIONS = tuple(to_collection(resource) for resource in RESOURCES)
