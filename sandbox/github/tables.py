"""GitHub's collections: how their ids, stamps and parents are written, and how they are edited."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sandbox.github import issues, projects
from sandbox.github.making import KEY, PARENT, sha, title
from sandbox.github.shapes import API, node
from sandbox.kit.table import Table
from sandbox.rawjson import Fields, dump, load
from sandbox.store import Row


def _numbered(base: int) -> Callable[[int], int]:
    """Ids of one kind: GitHub's are large, and those of different kinds differ."""
    return lambda number: base + number


def _linked(kind: str, path: str) -> Callable[[Fields, Row], Fields]:
    def last(fields: Fields, row: Row) -> Fields:
        url = f"{API}/repositories/{load(fields.get(PARENT, b'0'))}{path}/{row.id}"
        return {**fields, "node_id": dump(node(kind, row.id)), "url": dump(url)}

    return last


def _texts(*fields: str) -> Callable[[random.Random], dict[str, Any]]:
    return lambda rng: {field: f"{title(rng)}, please" for field in fields}


def _state(rng: random.Random) -> dict[str, Any]:
    return {"state": rng.choice(("open", "closed")), "title": title(rng)}


_NEVER: dict[str, Any] = {"created": (), "updated": ()}

CATALOGUE = (
    Table("repositories", projects.repository, 6, 2, _texts("description"), new_id=_numbered(4_000),
          finish=projects.repository_last),
    Table("issues", issues.issue, 60, 0, _state, 4, _numbered(11_000_000), facet=PARENT, finish=issues.issue_last),
    Table("pulls", issues.pull, 40, 0, _state, 3, _numbered(12_000_000), facet=PARENT, finish=issues.pull_last),
    Table("reviews", issues.review, 80, 0, _texts("body"), 1, _numbered(13_000_000), created=("submitted_at",),
          updated=(), facet="sandbox_pull_request", finish=_linked("PRR", "/reviews")),
    Table("review_comments", issues.review_comment, 60, 0, _texts("body"), 1, _numbered(14_000_000), facet=PARENT,
          finish=_linked("PRRC", "/pulls/comments")),
    Table("issue_comments", issues.issue_comment, 120, 0, _texts("body"), 2, _numbered(15_000_000), facet=PARENT,
          finish=_linked("IC", "/issues/comments")),
    Table("commits", projects.commit, 180, 0, new_id=lambda number: sha(f"commit {number}"), ids=("sha",), **_NEVER,
          facet=PARENT, numeric=False, finish=projects.commit_last),
    Table("branches", projects.branch, 12, 0, ids=(KEY,), **_NEVER, facet=PARENT, numeric=False),
    Table("tags", projects.tag, 12, 0, ids=(KEY,), **_NEVER, facet=PARENT, numeric=False),
    Table("releases", projects.release, 14, 0, _texts("body"), 1, _numbered(17_000_000), facet=PARENT,
          finish=_linked("RE", "/releases")),
    Table("labels", projects.label, 24, 0, _texts("description"), 1, _numbered(18_000_000), **_NEVER, facet=PARENT,
          finish=_linked("LA", "/labels")),
    Table("milestones", projects.milestone, 10, 0, _state, 1, _numbered(19_000_000), facet=PARENT,
          finish=_linked("MI", "/milestones")),
    Table("workflow_runs", projects.run, 90, 0, lambda rng: {"conclusion": rng.choice(("success", "failure"))}, 2,
          _numbered(20_000_000), facet=PARENT, finish=_linked("WFR", "/actions/runs")),
    Table("workflows", projects.workflow, 6, 0, _texts("name"), new_id=_numbered(21_000_000), facet=PARENT,
          finish=_linked("W", "/actions/workflows")),
    Table("commit_comments", projects.commit_comment, 8, 0, _texts("body"), new_id=_numbered(22_000_000), facet=PARENT,
          finish=_linked("CC", "/comments")),
    Table("teams", projects.team, 4, 1, _texts("description"), 1, _numbered(700), **_NEVER,
          facet="sandbox_organisation", finish=_linked("T", "/teams")),
    Table("team_members", projects.team_member, 12, 0, ids=(KEY,), **_NEVER, facet="sandbox_team", numeric=False),
    Table("members", projects.member, 14, 1, **_NEVER, facet="sandbox_organisation"),
)  # fmt: skip
