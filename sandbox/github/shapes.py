"""Objects inside GitHub's records: people, repositories, and the addresses every object carries.

Source: GitHub's OpenAPI description (`api.github.com`), the schemas simple-user, repository, reaction-rollup
"""

from __future__ import annotations

from typing import Any

from sandbox import words

API, WEB = "https://api.github.com", "https://github.com"
ORGANISATION, ORGANISATION_ID = "sandbox-coffee", 301
OTHER, OTHER_ID = "sandbox-roastery", 302
FIRST_PERSON = 501
LOGINS = tuple(words.slug(name) for name in words.FIRST_NAMES[:12])
REPOSITORY_LINKS = (
    "archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents",
    "contributors", "deployments", "downloads", "events", "forks", "git_commits", "git_refs", "git_tags", "hooks",
    "issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges", "milestones", "notifications",
    "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees",
)  # fmt: skip
USER_LINKS = ("events", "followers", "following", "gists", "organizations", "received_events", "repos", "starred",
              "subscriptions")  # fmt: skip


def node(kind: str, number: object) -> str:
    return f"{kind}_kwDO{number}"


def user(number: int, login: str = "", kind: str = "User") -> dict[str, Any]:
    """A simple user; people by number, 501 and on."""
    login = login or (LOGINS[number - FIRST_PERSON] if number - FIRST_PERSON < len(LOGINS) else f"guest-{number}")
    url = f"{API}/users/{login}"
    return {"login": login, "id": number, "node_id": node("U", number), "gravatar_id": "", "url": url,
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4", "html_url": f"{WEB}/{login}",
            **{f"{link}_url": f"{url}/{link}" for link in USER_LINKS}, "type": kind,
            "site_admin": False}  # fmt: skip


def organisation(login: str = ORGANISATION) -> dict[str, Any]:
    return user(ORGANISATION_ID if login == ORGANISATION else OTHER_ID, login, "Organization")


def repository_links(full_name: str) -> dict[str, Any]:
    """All addresses of a repository: they change with its name."""
    url = f"{API}/repos/{full_name}"
    return {"url": url, "html_url": f"{WEB}/{full_name}", "clone_url": f"{WEB}/{full_name}.git",
            "git_url": f"git:github.com/{full_name}.git", "ssh_url": f"git@github.com:{full_name}.git",
            "svn_url": f"{WEB}/{full_name}",
            **{f"{link}_url": f"{url}/{link}" for link in REPOSITORY_LINKS}}  # fmt: skip


def minimal(repository: dict[str, Any]) -> dict[str, Any]:
    """A repository as other objects carry it."""
    kept = ("id", "node_id", "name", "full_name", "private", "owner", "description", "fork")
    return {key: repository[key] for key in kept} | repository_links(repository["full_name"])


def reactions(url: str) -> dict[str, Any]:
    names = ("total_count", "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": f"{url}/reactions", **dict.fromkeys(names, 0)}
