"""GitHub's REST routes: whose repositories, whose teams; and what is in one, by its name and by its id.

Source: https://docs.github.com/rest, API version 2022-11-28
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from sandbox.control import body_of, plain
from sandbox.github import shapes
from sandbox.github.apps import APP_ID
from sandbox.github.errors import not_found, said
from sandbox.github.lists import answered, numbered
from sandbox.github.repository import IN_REPOSITORY, in_repository
from sandbox.kit.query import EVERYTHING, Wanted
from sandbox.rawjson import dump

if TYPE_CHECKING:
    from sandbox.github.side import GitHub

SCOPES = {"issues": ("issues", "repo"), "pulls": ("pull_requests", "repo"), "contents": ("contents", "repo"),
          "actions": ("actions", "repo"), "members": ("members", "read:org")}  # fmt: skip


def of(side: GitHub) -> list[BaseRoute]:
    """All routes. Those of a repository are there twice: links name it by its id."""
    found: list[BaseRoute] = [
        side.get("/user", _user(side)),
        side.get("/user/repos", _repositories(side, "user")),
        side.get("/user/installations", _installations(side)),
        side.get("/installation/repositories", _repositories(side, "installation")),
        side.get("/orgs/{owner}/repos", _repositories(side, "owner")),
        side.get("/users/{owner}/repos", _repositories(side, "person")),
        side.get("/orgs/{owner}/teams", _of_organisation(side, "teams"), *SCOPES["members"]),
        side.get("/orgs/{owner}/members", _of_organisation(side, "members"), *SCOPES["members"]),
        side.get("/orgs/{owner}/teams/{slug}/members", _team_members(side), *SCOPES["members"]),
    ]
    for path, scope, endpoint in IN_REPOSITORY:
        scopes = SCOPES.get(scope, ())
        for start in ("/repos/{owner}/{name}", "/repositories/{repository:int}"):
            found.append(side.get(start + path, in_repository(side, endpoint), *scopes))
    return found


# ---- whose


def _user(side: GitHub) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.state.caller.user:
            raise said(403, "Resource not accessible by integration")
        return answered(side, request, dump({**shapes.user(shapes.FIRST_PERSON), "name": "Ada", "email": None}))

    return endpoint


def _installations(side: GitHub) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        found = side.app.installations()
        return answered(side, request, dump({"total_count": len(found), "installations": found}))

    return endpoint


def _repositories(side: GitHub, whose: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        installation = request.state.caller.user
        owner = request.path_params.get("owner", "")
        is_ours = whose in ("installation", "owner")
        if (whose == "installation") != bool(installation) and whose in ("installation", "user"):
            raise said(403, "Resource not accessible by integration" if installation else "Not an installation.")
        if is_ours and whose == "owner" and owner.lower() not in (shapes.ORGANISATION, shapes.OTHER):
            raise not_found()
        if whose == "installation":
            owner = next(each["account"]["login"] for each in side.app.installations()
                         if str(each["id"]) == installation)  # fmt: skip
        wanted = Wanted(among={"owner.login": [owner]}) if owner else EVERYTHING
        rows_key = "repositories" if whose == "installation" else ""
        return numbered(side, request, "repositories", wanted, path=request.url.path.removeprefix(f"/{side.key}"),
                        rows_key=rows_key)  # fmt: skip

    return endpoint


def _of_organisation(side: GitHub, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        owner = request.path_params["owner"].lower()
        if owner not in (shapes.ORGANISATION, shapes.OTHER):
            raise not_found()
        return numbered(side, request, name, Wanted(facet=owner), path=f"/orgs/{owner}/{name}")

    return endpoint


def _team_members(side: GitHub) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        owner, slug = request.path_params["owner"].lower(), request.path_params["slug"]
        teams = side.tables.page("teams", Wanted(facet=owner, among={"slug": [slug]}), order="id", limit=1)
        if not teams:
            raise not_found()
        path = f"/orgs/{owner}/teams/{slug}/members"
        return numbered(side, request, "team_members", Wanted(facet=teams[0].id), path=path)

    return endpoint


# ---- the control API


@plain
async def app(request: Request) -> Any:
    """The GitHub App's own secrets, as its settings page shows them, and where it is installed."""
    held = request.app.state.sandbox.side("github").app
    return {
        "app_id": APP_ID,
        "private_key": held.private_key(),
        "installations": [{"id": each["id"], "login": each["account"]["login"]} for each in held.installations()],
    }


@plain
async def installation(request: Request) -> Any:
    """`{"state": "active" | "suspended" | "gone"}`: what an owner does to an installation."""
    held = request.app.state.sandbox.side("github").app
    number = request.path_params["id"]
    held.set_state(number, (await body_of(request))["state"])
    return {"id": number, "state": held.state(number)}
