"""What repositories, their commits, releases, runs and the people of an organisation look like.

Source: GitHub's OpenAPI description (`api.github.com`): the schemas repository, commit, release, workflow-run, team …
"""

from __future__ import annotations

from typing import Any

from sandbox import words
from sandbox.github import shapes
from sandbox.github.making import KEY, PARENT, TOPICS, in_repository, person, sha, title
from sandbox.github.shapes import API, WEB, node, user
from sandbox.kit.maker import Maker
from sandbox.kit.table import iso_z
from sandbox.rawjson import Fields, dump, load
from sandbox.store import Row

UNSIGNED = {"payload": None, "reason": "unsigned", "signature": None, "verified": False, "verified_at": None}

NAMES = ("storefront", "roaster-firmware", "brewing-guide", "loyalty-api", "warehouse", "handbook", "pos-terminal",
         "bean-tracker", "subscriptions", "design-system")  # fmt: skip


def repository(make: Maker) -> dict[str, Any]:
    number = make.serial("repositories")
    owner = shapes.organisation() if number % 5 else shapes.organisation(shapes.OTHER)
    name = f"{NAMES[(number - 1) % len(NAMES)]}{'' if number <= len(NAMES) else f'-{number}'}"
    return {
        "node_id": None, "name": name, "full_name": f"{owner['login']}/{name}", "private": number % 3 != 0,
        "owner": owner, "description": f"All about the {make.pick(*TOPICS)}", "fork": number % 7 == 0,
        "homepage": None, "language": make.pick("Python", "Go", "TypeScript"), "mirror_url": None, "size": 120,
        "default_branch": "main", "archived": number % 9 == 0, "disabled": False, "visibility": "private",
        "has_issues": True, "has_projects": True, "has_wiki": False, "has_pages": False, "has_downloads": True,
        "forks": 0, "forks_count": 0, "open_issues": 3, "open_issues_count": 3, "stargazers_count": 12,
        "watchers": 12, "watchers_count": 12, "topics": [], "license": None, "temp_clone_token": "a-secret-of-github",
        "permissions": {"admin": False, "push": False, "pull": True}, "pushed_at": iso_z(make.moment_ms(-30)),
    }  # fmt: skip


def repository_last(fields: Fields, row: Row) -> Fields:
    links = shapes.repository_links(load(fields["full_name"]))
    return {**fields, "node_id": dump(node("R", row.id)), **{key: dump(value) for key, value in links.items()}}


def commit(make: Maker) -> dict[str, Any]:
    parent, who = in_repository(make)[1], person(make)
    by = {"name": who["login"], "email": f"{who['login']}@sandbox.example", "date": None}
    return {
        "node_id": "C", "commit": {"author": by, "committer": by, "message": title(make.rng), "comment_count": 0,
        "tree": {"sha": sha("t"), "url": API}, "url": API, "verification": dict(UNSIGNED)}, "author": who,
        "committer": who, "parents": [], PARENT: parent,
    }  # fmt: skip


def commit_last(fields: Fields, row: Row) -> Fields:
    """Its dates, unless given: a merge brings commits that are older than what was there."""
    url, commit = f"{API}/repositories/{load(fields[PARENT])}/commits/{row.id}", load(fields["commit"])
    for who in ("author", "committer"):
        commit[who]["date"] = commit[who]["date"] or iso_z(row.created_ms)
    links = {"url": url, "html_url": f"{WEB}/commit/{row.id}", "comments_url": f"{url}/comments"}
    return {**fields, "commit": dump(commit), **{key: dump(value) for key, value in links.items()}}


def branch_of(parent: int, name: str, head: str) -> dict[str, Any]:
    url = f"{API}/repositories/{parent}/commits/{head}"
    return {"name": name, "commit": {"sha": head, "url": url}, "protected": name == "main", PARENT: parent,
            KEY: f"{parent}/{name}"}  # fmt: skip


def branch(make: Maker) -> dict[str, Any]:
    number = make.serial("branches")
    return branch_of(in_repository(make)[1], f"topic/{number}-{words.slug(make.pick(*TOPICS))}", sha(f"b{number}"))


def tag(make: Maker) -> dict[str, Any]:
    parent, name = in_repository(make)[1], f"v1.{make.serial('tags')}.0"
    url = f"{API}/repositories/{parent}"
    return {"name": name, "commit": {"sha": sha(name), "url": url}, "zipball_url": f"{url}/zipball/{name}",
            "tarball_url": f"{url}/tarball/{name}", "node_id": "REF", PARENT: parent,
            KEY: f"{parent}/{name}"}  # fmt: skip


def release(make: Maker) -> dict[str, Any]:
    parent, name = in_repository(make)[1], f"v1.{make.serial('releases')}.0"
    url = f"{API}/repositories/{parent}/releases"
    return {
        "node_id": None, "assets_url": url, "upload_url": url, "tarball_url": url, "zipball_url": url, "html_url": WEB,
        "tag_name": name, "target_commitish": "main", "name": f"{name}, {make.pick(*words.COFFEES)}", "draft": False,
        "prerelease": False, "author": person(make), "assets": [], "body": "What is new", PARENT: parent,
        "published_at": iso_z(make.moment_ms(-300)),
    }  # fmt: skip


def label(make: Maker) -> dict[str, Any]:
    return {"node_id": None, "name": f"{make.pick('bug', 'idea', 'docs', 'urgent')} {make.serial('labels')}",
            "description": None, "color": make.pick("d73a4a", "0075ca"), "default": False,
            PARENT: in_repository(make)[1]}  # fmt: skip


def milestone(make: Maker) -> dict[str, Any]:
    number = make.serial("milestones")
    return {
        "node_id": None, "html_url": WEB, "labels_url": API, "title": f"Season {number}", "number": number,
        "state": make.pick("open", "closed"), "description": None, "creator": person(make), "open_issues": 2,
        "closed_issues": 3, "due_on": None, "closed_at": None, PARENT: in_repository(make)[1],
    }  # fmt: skip


def run(make: Maker) -> dict[str, Any]:
    repository, parent = in_repository(make)
    links = ("jobs", "logs", "check_suite", "cancel", "rerun", "artifacts", "workflow")
    return {
        "node_id": None, "name": "CI", "head_branch": "main", "head_sha": sha(f"r{make.rng.random()}"),
        "path": ".github/workflows/ci.yml", "display_title": title(make.rng), "run_number": make.serial("runs"),
        "event": "push", "status": "completed", "conclusion": make.pick("success", "failure"), "workflow_id": 1,
        "run_attempt": 1, "actor": person(make), "pull_requests": [], "html_url": WEB, "head_commit": None,
        "repository": shapes.minimal(repository), "head_repository": shapes.minimal(repository), PARENT: parent,
        **{f"{link}_url": API for link in links},
    }  # fmt: skip


def workflow(make: Maker) -> dict[str, Any]:
    number = make.serial("workflows")
    return {"node_id": None, "name": f"CI {number}", "path": f".github/workflows/ci-{number}.yml", "state": "active",
            "html_url": WEB, "badge_url": WEB, PARENT: in_repository(make)[1]}  # fmt: skip


def commit_comment(make: Maker) -> dict[str, Any]:
    return {"node_id": None, "html_url": WEB, "user": person(make), "position": None, "line": None, "path": None,
            "commit_id": sha("cc"), "body": "Neat.", "author_association": "MEMBER",
            PARENT: in_repository(make)[1]}  # fmt: skip


def team(make: Maker) -> dict[str, Any]:
    number = make.serial("teams")
    name = f"{make.pick('Roasting', 'Web', 'Stores', 'Data')} {number}"
    slug = name.lower().replace(" ", "-")
    url = f"{API}/organizations/{shapes.ORGANISATION_ID}/team/{number}"
    return {
        "node_id": None, "members_url": f"{url}/members", "name": name, "slug": slug, "description": "",
        "privacy": "closed", "notification_setting": "notifications_enabled", "permission": "pull", "parent": None,
        "type": "organization", "html_url": f"{WEB}/orgs/{shapes.ORGANISATION}/teams/{slug}", "repositories_url": url,
        "sandbox_organisation": shapes.ORGANISATION,
    }  # fmt: skip


def member(make: Maker) -> dict[str, Any]:
    return {**user(shapes.FIRST_PERSON - 1 + make.serial("members")), "sandbox_organisation": shapes.ORGANISATION}


def team_member(make: Maker) -> dict[str, Any]:
    team, person = make.link("teams"), user(shapes.FIRST_PERSON - 1 + make.serial("team_members"))
    return {**person, "sandbox_team": team, KEY: f"{team}/{person['id']}"}
