"""Where lists hang: the repositories a connection reads, and the organisations they belong to. Asked once a run.

Docs: https://docs.github.com/rest/repos/repos, https://docs.github.com/rest/apps/installations
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import msgspec

from syncs.providers.github.catalogue import Over, Resource
from syncs.providers.github.errors import Blocked, Moved, NotThere
from syncs.providers.github.remembered import fetch
from syncs.providers.github.selection import Selection
from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, UnexpectedShape
from syncs.providers.kit.paging import LinkHeader, Request

INSTALLATION = "installation_id"  # the setting that makes a connection a GitHub App's
PER_PAGE = 100
_LINKS = LinkHeader()


class _Owner(msgspec.Struct):
    id: int
    login: str
    type: str = ""


class _Repository(msgspec.Struct):
    id: int
    full_name: str
    owner: _Owner
    fork: bool = False
    archived: bool = False


_repository = msgspec.json.Decoder(_Repository)


@dataclass(frozen=True, slots=True)
class Place:
    """One of them. `path` begins every request there; `raw` is the repository as listed, and when that was asked."""

    id: str
    path: str
    name: str
    raw: bytes = b""
    read_no: int = 0

    @property
    def rank(self) -> int:
        """Walks go by it: ids are never given again, and new ones are higher."""
        return int(self.id or 0)


@dataclass(frozen=True)
class Found:
    """What a connection reads, by rank."""

    repositories: tuple[Place, ...]
    organisations: tuple[Place, ...]

    @property
    def read_no(self) -> int:
        """Of the request that fixed what there is: its first."""
        return min(place.read_no for place in self.repositories)

    def ids(self, resource: Resource) -> set[str]:
        """The ids of the places a list hangs on."""
        return {place.id for place in self.of(resource)}

    def of(self, resource: Resource) -> tuple[Place, ...]:
        """The places a list hangs on. All repositories are one list of one place."""
        if resource.over is Over.ACCOUNT:
            return (Place("", "", ""),)
        return self.repositories if resource.over is Over.REPOSITORY else self.organisations


class _Once:
    """What was found for a client, and the lock under which it is asked for: a run's feeds all want it at once."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.found: Found | None = None


_once: "WeakKeyDictionary[Client, _Once]" = WeakKeyDictionary()


async def find(client: Client) -> Found:
    """The places a connection reads; the same throughout a run, for a client lives as long. Raises as `find_anew`.

    Whoever asked first: `read_no` of these is another feed's, and says nothing in ours.
    """
    once = _once.setdefault(client, _Once())
    async with once.lock:
        once.found = once.found or await find_anew(client)
        return once.found


async def find_anew(client: Client) -> Found:
    """The places there are now, asked for in our own name: their `read_no` may order our records.

    Raises PermissionMissing when there is not one repository: what is left of a lost access must not pass for empty.
    """
    selection = Selection.of(client.settings)
    repositories: dict[int, Place] = {}
    organisations: dict[int, Place] = {}
    async for row, read_no in _listed(client, selection):
        try:
            each = _repository.decode(row)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnexpectedShape("A repository came in a form we do not know.", detail=str(error)[:200]) from None
        if not selection.has(each.full_name, fork=each.fork, archived=each.archived):
            continue
        body = raw.without(raw.compact(bytes(row)), {"temp_clone_token"})  # a secret
        repositories[each.id] = Place(str(each.id), f"/repos/{each.full_name}", each.full_name, body, read_no)
        if each.owner.type == "Organization":
            login = each.owner.login
            organisations[each.owner.id] = Place(str(each.owner.id), f"/orgs/{login}", login)
    if not repositories:
        raise PermissionMissing(
            "The connection sees no repository to read.",
            next_step="Check the list of repositories in the connection, and that the token or app was given them.",
        )
    return Found(*(tuple(sorted(each.values(), key=lambda p: p.rank)) for each in (repositories, organisations)))


async def _listed(client: Client, selection: Selection) -> AsyncIterator[tuple[msgspec.Raw, int]]:
    """Repositories, some of which may not be wanted, or come twice."""
    if client.settings.get(INSTALLATION):
        async for row in _pages(client, "/installation/repositories", "repositories"):
            yield row
        return
    if not selection.wanted:
        async for row in _pages(client, "/user/repos"):
            yield row
    for owner in selection.owners:
        async for row in _of_owner(client, owner):
            yield row
    for name in selection.named:
        try:
            answer = await get(client, Request(f"/repos/{name}"))
        except (NotThere, Blocked, PermissionMissing):
            continue  # one that is gone stops no other
        yield msgspec.Raw(answer.body), answer.read_no


async def _of_owner(client: Client, owner: str) -> AsyncIterator[tuple[msgspec.Raw, int]]:
    """An organisation's, or a person's: our own private ones are listed among ours only."""
    try:
        async for row in _pages(client, f"/orgs/{owner}/repos", type="all"):
            yield row
        return
    except NotThere:
        pass
    async for row in _pages(client, "/user/repos", affiliation="owner,collaborator"):
        yield row
    try:
        async for row in _pages(client, f"/users/{owner}/repos", type="owner"):
            yield row
    except NotThere:
        return


async def _pages(client: Client, path: str, rows: str = "", **params: str) -> AsyncIterator[tuple[msgspec.Raw, int]]:
    request: Request | None = Request(path, {"per_page": PER_PAGE, **params})
    while request is not None:
        answer = await get(client, request)
        for row in raw.records_at(answer.body, rows):
            yield row, answer.read_no
        request = _LINKS.after(answer, request)


async def get(client: Client, request: Request) -> Answer:
    """The answer to a GET, at its new address where the repository was renamed or transferred meanwhile."""
    try:
        return await fetch(client, request)
    except Moved as moved:
        url = moved.url
    if not url:
        raise UnexpectedShape("GitHub says that a repository has moved, and not where.")
    try:
        return await fetch(client, request.at(url))
    except Moved:
        raise UnexpectedShape("GitHub sends us from one address to the next.") from None
