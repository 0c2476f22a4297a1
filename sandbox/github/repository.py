"""What is in a repository: its lists, its commits, single records.

Source: https://docs.github.com/rest, API version 2022-11-28
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.github.errors import moved, not_found, said
from sandbox.github.lists import answered, by_creation, by_cursor, by_state, numbered, numbers_of, since
from sandbox.github.making import PARENT
from sandbox.kit.query import Wanted
from sandbox.rawjson import dump, load
from sandbox.store import Row

if TYPE_CHECKING:
    from sandbox.github.side import GitHub

MANY = 1_000
RepositoryEndpoint = Callable[["GitHub", Request, Row], Response]


def in_repository(side: GitHub, endpoint: RepositoryEndpoint) -> Callable[[Request], Awaitable[Response]]:
    async def found(request: Request) -> Response:
        return endpoint(side, request, repository_of(side, request))

    return found


def repository_of(side: GitHub, request: Request) -> Row:
    """The repository of the URL. An old name points to its id; what is gone is not found."""
    asked = request.path_params
    if "repository" in asked:
        row = side.tables.get("repositories", str(asked["repository"]))
    else:
        name = f"{asked['owner']}/{asked['name']}".lower()
        rows = side.tables.page("repositories", order="id", limit=MANY)
        row = next((row for row in rows if load(row.body)["full_name"].lower() == name), None)
        renamed = side.store.note("github_renamed", name)
        if row is None and renamed is not None:
            rest = request.url.path.removeprefix(f"/{side.key}/repos/{asked['owner']}/{asked['name']}")
            query = f"?{request.url.query}" if request.url.query else ""
            base = f"{request.url.scheme}://{request.headers['host']}/{side.key}"
            raise moved(f"{base}/repositories/{renamed}{rest}{query}")
    installation = request.state.caller.user
    if row is not None and installation:
        logins = {str(each["id"]): each["account"]["login"] for each in side.app.installations()}
        row = row if load(row.body)["owner"]["login"] == logins.get(installation) else None
    if row is None:
        raise not_found()
    return row


def _path(request: Request, repository: Row) -> str:
    """The list's path by the repository's id."""
    return f"/repositories/{repository.id}/" + request.url.path.split("/", 4 if "repository" in request.path_params
                                                                  else 5)[-1]  # fmt: skip


def _sorted(request: Request, usual: str) -> tuple[str, bool]:
    order = request.query_params.get("sort", usual)
    return order if order in ("created", "updated") else usual, request.query_params.get("direction", "desc") == "desc"


def repository(side: GitHub, request: Request, row: Row) -> Response:
    return answered(side, request, row.body.encode())


def issues(side: GitHub, request: Request, row: Row) -> Response:
    if not load(row.body)["has_issues"]:
        raise said(410, "Issues are disabled for this repo")
    wanted = since(request, by_state(request, Wanted(facet=row.id)))
    order, descending = _sorted(request, "created")
    return by_cursor(side, request, "issues", wanted, path=_path(request, row), order=order, descending=descending)


def pulls(side: GitHub, request: Request, row: Row) -> Response:
    order, descending = _sorted(request, "created")
    wanted = by_state(request, Wanted(facet=row.id))
    return numbered(side, request, "pulls", wanted, path=_path(request, row), order=order, descending=descending)


def comments(name: str) -> RepositoryEndpoint:
    """The comments of a whole repository; oldest first unless asked otherwise."""

    def endpoint(side: GitHub, request: Request, row: Row) -> Response:
        order, _ = _sorted(request, "created")
        descending = "sort" in request.query_params and request.query_params.get("direction", "desc") == "desc"
        wanted = since(request, Wanted(facet=row.id))
        return numbered(side, request, name, wanted, path=_path(request, row), order=order, descending=descending)

    return endpoint


def reviews(side: GitHub, request: Request, row: Row) -> Response:
    pull = _by_number(side, "pulls", row, request.path_params["number"])
    return numbered(side, request, "reviews", Wanted(facet=pull.id), path=_path(request, row), order="created")


def runs(side: GitHub, request: Request, row: Row) -> Response:
    """Newest first. A search by creation lists 1,000 at most, though it counts all."""
    wanted, most = Wanted(facet=row.id), 0
    if request.query_params.get("created"):
        wanted, most = by_creation(request, wanted), 1_000
    return numbered(side, request, "workflow_runs", wanted, path=_path(request, row), order="created",
                    descending=True, rows_key="workflow_runs", most=most)  # fmt: skip


def plain_list(name: str, rows_key: str = "", *, state: bool = False) -> RepositoryEndpoint:
    """A list without filters, in the order of ids."""

    def endpoint(side: GitHub, request: Request, row: Row) -> Response:
        wanted = Wanted(facet=row.id)
        wanted = by_state(request, wanted) if state else wanted
        return numbered(side, request, name, wanted, path=_path(request, row), rows_key=rows_key)

    return endpoint


# ---- commits


def _history(side: GitHub, repository: Row, head: str = "") -> list[Row]:
    """All commits that a head has, newest first: history is one line here."""
    rows = side.tables.page("commits", Wanted(facet=repository.id), order="created", descending=True, limit=1_000_000)
    at = next((number for number, row in enumerate(rows) if row.id == head), None) if head else 0
    if at is None:
        raise not_found()
    return rows[at:]


def commits(side: GitHub, request: Request, row: Row) -> Response:
    history = _history(side, row, request.query_params.get("sha", ""))
    if not history:
        raise said(409, "Git Repository is empty.")
    return _sliced(side, request, row, history)


def compare(side: GitHub, request: Request, row: Row) -> Response:
    """What the head has and the base has not, oldest first, in pages."""
    base, _, head = request.path_params["basehead"].partition("...")
    known = {each.id for each in _history(side, row, base)}
    ahead = [each for each in reversed(_history(side, row, head)) if each.id not in known]
    return _sliced(side, request, row, ahead, {"status": "ahead", "ahead_by": len(ahead), "behind_by": 0,
                                              "total_commits": len(ahead), "files": []})  # fmt: skip


def _sliced(
    side: GitHub, request: Request, row: Row, found: list[Row], around: dict[str, Any] | None = None
) -> Response:
    page, size = numbers_of(request, side.sandbox.settings.page_size_cap or 100)
    bodies = ",".join(each.body for each in found[(page - 1) * size : page * size])
    body = f"[{bodies}]".encode()
    if around is not None:
        body = dump(around)[:-1] + b',"commits":' + body + b"}"
    link = ""
    if page * size < len(found):
        asked = {**dict(request.query_params), "page": str(page + 1)}
        query = "&".join(f"{key}={value}" for key, value in asked.items())
        base = f"{request.url.scheme}://{request.headers['host']}/{side.key}"
        link = f'<{base}{_path(request, row)}?{query}>; rel="next"'
    return answered(side, request, body, link)


# ---- one record


def _by_number(side: GitHub, name: str, repository: Row, number: int) -> Row:
    wanted = Wanted(deleted=True, facet=repository.id, among={"number": [number]})
    rows = side.tables.page(name, wanted, order="id", limit=1)
    if not rows:
        raise not_found()
    if rows[0].deleted:
        raise said(410, "This issue was deleted") if name == "issues" else not_found()
    return rows[0]


def one_by_number(name: str) -> RepositoryEndpoint:
    def endpoint(side: GitHub, request: Request, row: Row) -> Response:
        found = _by_number(side, name, row, request.path_params["number"])
        if name != "pulls":
            return answered(side, request, found.body.encode())
        more = b',"merged":false,"mergeable":null,"mergeable_state":"clean","merged_by":null,"comments":1,"commits":1}'
        return answered(side, request, found.body.encode()[:-1] + more)

    return endpoint


def one(name: str) -> RepositoryEndpoint:
    def endpoint(side: GitHub, request: Request, row: Row) -> Response:
        found = side.tables.get(name, str(request.path_params["id"]))
        if found is None or (name != "reviews" and str(load(found.body)[PARENT]) != row.id):
            raise not_found()
        more = b',"stats":{"total":1},"files":[]}' if name == "commits" else b"}"
        return answered(side, request, found.body.encode()[:-1] + more)

    return endpoint


IN_REPOSITORY: tuple[tuple[str, str, RepositoryEndpoint], ...] = (
    ("", "", repository),
    ("/issues", "issues", issues),
    ("/issues/comments", "issues", comments("issue_comments")),
    ("/issues/comments/{id:int}", "issues", one("issue_comments")),
    ("/issues/{number:int}", "issues", one_by_number("issues")),
    ("/pulls", "pulls", pulls),
    ("/pulls/comments", "pulls", comments("review_comments")),
    ("/pulls/comments/{id:int}", "pulls", one("review_comments")),
    ("/pulls/{number:int}", "pulls", one_by_number("pulls")),
    ("/pulls/{number:int}/reviews", "pulls", reviews),
    ("/pulls/{number:int}/reviews/{id:int}", "pulls", one("reviews")),
    ("/commits", "contents", commits),
    ("/commits/{id}", "contents", one("commits")),
    ("/compare/{basehead}", "contents", compare),
    ("/branches", "contents", plain_list("branches")),
    ("/tags", "contents", plain_list("tags")),
    ("/releases", "contents", plain_list("releases")),
    ("/releases/{id:int}", "contents", one("releases")),
    ("/labels", "issues", plain_list("labels")),
    ("/milestones", "issues", plain_list("milestones", state=True)),
    ("/milestones/{number:int}", "issues", one_by_number("milestones")),
    ("/comments", "contents", plain_list("commit_comments")),
    ("/comments/{id:int}", "contents", one("commit_comments")),
    ("/actions/runs", "actions", runs),
    ("/actions/runs/{id:int}", "actions", one("workflow_runs")),
    ("/actions/workflows", "actions", plain_list("workflows", "workflows")),
)
