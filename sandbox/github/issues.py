"""What issues, pull requests and their comments look like.

Source: GitHub's OpenAPI description (`api.github.com`): the schemas issue, pull-request-simple, pull-request-review …
"""

from __future__ import annotations

from typing import Any

from sandbox.github import shapes
from sandbox.github.making import PARENT, in_repository, person, sha, title
from sandbox.github.shapes import API, WEB, node
from sandbox.kit.maker import Maker
from sandbox.rawjson import Fields, dump, load
from sandbox.store import Row


def issue_of(make: Maker, parent: int, named: str = "", number: int | None = None) -> dict[str, Any]:
    """An issue, or what the issues list shows of the pull request of that number."""
    return {
        "node_id": None, "number": number, "title": named or title(make.rng), "user": person(make), "labels": [],
        "state": make.pick("open", "closed"), "locked": False, "assignee": None, "assignees": [], "milestone": None,
        "comments": make.rng.randrange(5), "closed_at": None, "author_association": "MEMBER", "body": "As discussed.",
        "state_reason": None, "active_lock_reason": None, "performed_via_github_app": None, "type": None,
        PARENT: parent, "sandbox_pull": number is not None,
    }  # fmt: skip


def issue_last(fields: Fields, row: Row) -> Fields:
    """Its number, and the addresses made of it. Pull requests have odd numbers, issues even ones."""
    fields = dict(fields)
    if fields["number"] == b"null":
        fields["number"] = dump(2 * (int(row.id) % 1_000_000))
    number, url = load(fields["number"]), f"{API}/repositories/{load(fields[PARENT])}"
    here = f"{url}/issues/{number}"
    links = {"node_id": node("I", row.id), "url": here, "repository_url": url, "html_url": f"{WEB}/issues/{row.id}",
             "reactions": shapes.reactions(here),
             **{f"{name}_url": f"{here}/{name}" for name in ("labels", "comments", "events", "timeline")}}  # fmt: skip
    if fields.get("sandbox_pull") == b"true":
        links["pull_request"] = {"url": f"{url}/pulls/{number}", "html_url": f"{WEB}/pull/{number}", "merged_at": None}
    return {**fields, **{key: dump(value) for key, value in links.items()}}


def issue(make: Maker) -> dict[str, Any]:
    return issue_of(make, in_repository(make)[1])


def pull(make: Maker) -> dict[str, Any]:
    repository, parent = in_repository(make)
    owner, small = repository["owner"], shapes.minimal(repository)
    ends = {end: {"label": f"{owner['login']}:{ref}", "ref": ref, "sha": sha(f"{end}{make.rng.random()}"),
                  "user": owner, "repo": small} for end, ref in (("head", "topic"), ("base", "main"))}  # fmt: skip
    return {
        "node_id": None, "number": None, "state": make.pick("open", "closed"), "locked": False,
        "title": title(make.rng), "user": person(make), "body": "Please have a look.", "closed_at": None,
        "merged_at": None, "merge_commit_sha": None, "assignee": None, "assignees": [], "requested_reviewers": [],
        "requested_teams": [], "labels": [], "milestone": None, "draft": False, **ends, "author_association": "MEMBER",
        "auto_merge": None, "active_lock_reason": None, PARENT: parent,
    }  # fmt: skip


def pull_last(fields: Fields, row: Row) -> Fields:
    fields = dict(fields)
    if fields["number"] == b"null":
        fields["number"] = dump(2 * (int(row.id) % 1_000_000) + 1)
    number, url = load(fields["number"]), f"{API}/repositories/{load(fields[PARENT])}"
    here = f"{url}/pulls/{number}"
    links = {"node_id": node("PR", row.id), "url": here, "html_url": f"{WEB}/pull/{row.id}",
             "diff_url": f"{WEB}/pull/{row.id}.diff", "patch_url": f"{WEB}/pull/{row.id}.patch",
             "issue_url": f"{url}/issues/{number}", "comments_url": f"{url}/issues/{number}/comments",
             "review_comment_url": f"{url}/pulls/comments{{/number}}", "statuses_url": f"{url}/statuses/x",
             "review_comments_url": f"{here}/comments", "commits_url": f"{here}/commits",
             "_links": {"self": {"href": here}, "comments": {"href": f"{here}/comments"}}}  # fmt: skip
    return {**fields, **{key: dump(value) for key, value in links.items()}}


def review(make: Maker) -> dict[str, Any]:
    pull = make.row("pulls") or {"id": 0, "url": f"{API}/pulls/0", "html_url": WEB, "head": {"sha": None}}
    return {
        "node_id": None, "user": person(make), "body": make.pick("", "Looks good.", "One question below."),
        "state": make.pick("APPROVED", "CHANGES_REQUESTED", "COMMENTED"), "html_url": pull["html_url"],
        "pull_request_url": pull["url"], "author_association": "MEMBER", "commit_id": pull["head"]["sha"],
        "_links": {"pull_request": {"href": pull["url"]}}, "sandbox_pull_request": pull["id"],
    }  # fmt: skip


def review_comment(make: Maker) -> dict[str, Any]:
    pull = make.row("pulls") or {"url": f"{API}/pulls/0", "html_url": WEB, PARENT: in_repository(make)[1]}
    return {
        "node_id": None, "pull_request_review_id": None, "diff_hunk": "@@ -1 +1 @@", "path": "README.md",
        "commit_id": sha("c"), "original_commit_id": sha("o"), "user": person(make), "line": 1, "side": "RIGHT",
        "body": make.pick("Why?", "Better so.", "Nice."), "html_url": pull["html_url"],
        "pull_request_url": pull["url"], "author_association": "MEMBER", "_links": {}, PARENT: pull[PARENT],
    }  # fmt: skip


def issue_comment(make: Maker) -> dict[str, Any]:
    issue = make.row("issues") or {"url": f"{API}/issues/0", PARENT: in_repository(make)[1]}
    return {
        "node_id": None, "html_url": f"{WEB}/issues", "issue_url": issue["url"], "user": person(make),
        "body": make.pick("Seen again today.", "Done.", "Can you try the new roast?"), "author_association": "MEMBER",
        "performed_via_github_app": None, PARENT: issue[PARENT],
    }  # fmt: skip
