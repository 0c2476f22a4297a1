"""One connection to GitHub, read: each collection is one list a repository (or organisation), walked place by place.

A repository that is gone or closed to us is passed over; if every one is, the collection is in trouble. A place that a
look has no state of is new (created, or let in, since): its history is read there and then.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from syncs.providers.github import commits, walks
from syncs.providers.github.catalogue import BY_ID, COLLECTIONS, How, Over, Resource
from syncs.providers.github.errors import Blocked, FeatureOff, NotThere
from syncs.providers.github.lists import Inner, Lists
from syncs.providers.github.places import INSTALLATION, Place, find, find_anew
from syncs.providers.github.reading_one import read, repositories
from syncs.providers.github.walks import RUNS_BACK_S, State, Step
from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, ProviderError, UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord
from syncs.providers.kit.times import to_unix
from syncs.providers.kit.together import together

HEADS_AT_START = 100  # of more repositories the commits are read twice, rather than asking longer than a run lasts
PROBED = 3
PASSED_OVER = (NotThere, Blocked, FeatureOff, PermissionMissing)


class GitHubReader:
    """Reads what one connection is given to read, through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lists = Lists(client)

    async def check(self) -> Account:
        """Whose token it is; of an app's installation, whose repositories."""
        if self.client.settings.get(INSTALLATION):
            answer = await self.client.get("/installation/repositories", {"per_page": 1})
            first = next(iter(raw.records_at(answer.body, "repositories")), None)
            who = raw.find(first, "owner") if first is not None else None
        else:
            who = (await self.client.get("/user")).body  # type: ignore[assignment]
        parts = raw.split(who) if who is not None else {}
        name = raw.text_of(parts.get("login")) or "GitHub account"
        return Account(str(raw.scalar(parts.get("id")) or ""), name)

    async def discover(self) -> tuple[Collection, ...]:
        return COLLECTIONS

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """The fields of some record: GitHub describes them in its docs only. Empty while there is none."""
        sample = await self._sample(_resource(collection))
        parts = raw.split(sample.data or b"{}") if sample else {}
        return tuple(Field(key, raw.value_type(each), key, key == "id") for key, each in parts.items())

    async def _sample(self, resource: Resource) -> RawRecord | None:
        """A record out of one of the first places."""
        if resource.over is Over.ACCOUNT:
            return (await self._repositories(resource))[0]
        for place in (await find(self.client)).of(resource)[:PROBED]:
            with suppress(*PASSED_OVER):
                async for step in self._history(resource, place, None):
                    if step.records:
                        return step.records[0]
        return None

    async def probe(self, collection: Collection) -> None:
        """One record of one of the first repositories. Raises what the last of them said if none lets us."""
        resource = _resource(collection)
        refusal: ProviderError | None = None
        for place in (await find(self.client)).of(resource)[:PROBED]:
            if resource.over is Over.ACCOUNT:
                return
            try:
                await self.lists.page(resource, place, {"size": 1})
                return
            except FeatureOff:
                return
            except PASSED_OVER as error:
                refusal = error
        if refusal is not None:
            raise _told(refusal)

    async def count(self, collection: Collection) -> int | None:
        """Repositories are known; GitHub counts nothing else without listing it."""
        return len((await find(self.client)).repositories) if _resource(collection).over is Over.ACCOUNT else None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        """Now, by GitHub's clock or ours, whichever is behind; of commits, the heads.

        Cursor: {"t": latest time known, unix seconds, "places": {id: state}, "deep_at": when changes were looked for
        far back}; while a look is under way also {"look": {"at": place, "inner": where in it, "deep", "ok"}}. Some 25
        bytes a repository (60 of commits), however many records it has.
        """
        resource, found = _resource(collections[0]), await find(self.client)
        now = to_unix(self.client.server_now())
        if resource.how is How.WHOLE:
            return {"t": now}
        states: dict[str, State] = dict.fromkeys(found.ids(resource), now)
        if resource.how is How.HEAD:
            first = found.of(resource)[:HEADS_AT_START]
            heads = await together(self._head(resource, place) for place in first)
            states = {place.id: head for place, head in zip(first, heads, strict=True) if head is not None}
        return {"t": now, "places": states, "deep_at": now}

    async def _head(self, resource: Resource, place: Place) -> str | None:
        """None where it is not shown: the first look finds the place without a state, and reads it whole."""
        try:
            return await commits.head_of(self.lists, resource, place)
        except PASSED_OVER:
            return None

    async def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        """All repositories, by id. Cursor: {"at": the one under way, "inner": where in it, "ok": one has answered}."""
        resource, cursor = _resource(collection), dict(cursor or {})
        refusals = Refusals(bool(cursor.get("ok")))
        if resource.over is Over.ACCOUNT:
            yield Page(await self._repositories(resource), {"at": 0}, done=True)
            return
        for place in await self._from(resource, cursor.get("at", 0)):
            inner = cursor.get("inner") if place.rank == cursor.get("at") else None
            try:
                async for step in self._history(resource, place, inner):
                    refusals.ok = True
                    yield Page(step.records, {**_at(place, step), "ok": True}, done=False)
            except PASSED_OVER as error:
                refusals.note(error)
        refusals.raise_if_all()
        yield Page([], {"at": cursor.get("at", 0), "ok": refusals.ok}, done=True)

    async def changes_silently(self, collection: Collection) -> bool:
        return True

    async def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        """One look at every place, by id; what is there for the first time is read from its beginning."""
        resource = _resource(collections[0])
        if resource.over is Over.ACCOUNT:
            yield Page(await self._repositories(resource), {"t": cursor.get("t", 0)}, done=True)
            return
        places = await find(self.client)
        known = places.ids(resource)
        states = {key: state for key, state in (cursor.get("places") or {}).items() if key in known}
        look = cursor.get("look") or self._new_look(resource, cursor)
        refusals = Refusals(look["ok"])
        for place in await self._from(resource, look["at"]):
            inner = look.get("inner") if place.rank == look["at"] else None
            try:
                async for step in self._news(resource, place, states.get(place.id), inner, deep=look["deep"]):
                    refusals.ok = True
                    if step.inner is None and step.state is not None:
                        states[place.id] = self._held_back(step.state, states.get(place.id))
                    look = {"deep": look["deep"], "began": look["began"], "ok": True, **_at(place, step)}
                    yield Page(step.records, {**cursor, **_known(cursor, states), "look": look}, done=False)
            except PASSED_OVER as error:
                states.pop(place.id, None)  # once it is open again, what went by unread is read
                refusals.note(error)
        refusals.raise_if_all()
        ended = {**cursor, **_known(cursor, states)}
        ended.pop("look", None)
        yield Page([], {**ended, **({"deep_at": look["began"]} if look["deep"] else {})}, done=True)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        return await read(self.lists, _resource(collection), ids)

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """All ids, from the lists themselves: GitHub has no shorter ones."""
        async for page in self.backfill(collection, cursor):
            yield IdPage([record.upstream_id for record in page.records], page.cursor, page.done)

    async def reach(self, collection: Collection) -> dict[str, str]:
        """The repositories or organisations it is read from."""
        return {place.id: place.name for place in (await find(self.client)).of(_resource(collection))}

    def _held_back(self, state: State, before: State) -> State:
        """A time no later than now: a clock upstream that ran ahead must not carry us over what comes afterwards."""
        if not isinstance(state, int):
            return state
        return max(before or 0, min(state, to_unix(self.client.server_now())))

    # --- One place ---------------------------------------------------------------------------------------------------

    def _history(self, resource: Resource, place: Place, inner: Inner | None) -> AsyncIterator[Step]:
        if resource.child:
            parents = walks.whole(self.lists, resource, place, (inner or {}).get("parents"))
            return walks.with_children(self.lists, resource, place, parents, inner)
        if resource.how is How.SINCE:
            return walks.since(self.lists, resource, place, None, inner)
        if resource.how is How.CREATED:
            return walks.by_creation(self.lists, resource, place, None, inner, 0)
        if resource.how is How.HEAD:
            return commits.history(self.lists, resource, place, inner)
        return walks.whole(self.lists, resource, place, inner)

    def _news(
        self, resource: Resource, place: Place, state: State, inner: Inner | None, *, deep: bool
    ) -> AsyncIterator[Step]:
        reach_s = resource.deep_s if deep else walks.OVERLAP_S
        if resource.how is How.HEAD:
            return commits.news(self.lists, resource, place, state, inner)
        if resource.how is How.WHOLE:
            return self._history(resource, place, inner)
        if resource.how is How.SINCE:
            return walks.since(self.lists, resource, place, state, inner)
        if resource.how is How.CREATED:
            return walks.by_creation(self.lists, resource, place, state, inner, max(reach_s, RUNS_BACK_S))
        if resource.child:
            parents = walks.newest_first(self.lists, resource, place, state, (inner or {}).get("parents"), reach_s)
            return walks.with_children(self.lists, resource, place, parents, inner)
        return walks.newest_first(self.lists, resource, place, state, inner, reach_s)

    # --- All places --------------------------------------------------------------------------------------------------

    async def _from(self, resource: Resource, rank: int) -> list[Place]:
        return [place for place in (await find(self.client)).of(resource) if place.rank >= rank]

    async def _repositories(self, resource: Resource) -> list[RawRecord]:
        return repositories(self.lists, resource, await find_anew(self.client))

    def _new_look(self, resource: Resource, cursor: Cursor) -> dict[str, Any]:
        began = to_unix(self.client.server_now())
        deep = bool(resource.deep_s) and began - int(cursor.get("deep_at") or 0) >= resource.deep_every_s
        return {"at": 0, "deep": deep, "began": began, "ok": False}


class Refusals:
    """What places said that did not let us read. `ok`: at least one did."""

    def __init__(self, ok: bool) -> None:
        self.ok = ok
        self.last: ProviderError | None = None

    def note(self, error: ProviderError) -> None:
        """FeatureOff is an answer, too: there is nothing there."""
        if isinstance(error, FeatureOff):
            self.ok = True
        else:
            self.last = error

    def raise_if_all(self) -> None:
        if self.last is not None and not self.ok:
            raise _told(self.last)


def _told(refusal: ProviderError) -> ProviderError:
    """A refusal of all places is one of the collection."""
    if isinstance(refusal, PermissionMissing):
        return refusal
    told = PermissionMissing(refusal.message, next_step="Check that the token or app was given these repositories.")
    told.read_no, told.detail = refusal.read_no, refusal.detail
    return told


def _at(place: Place, step: Step) -> dict[str, Any]:
    """Where a walk over all places stands after a step in one of them."""
    return {"at": place.rank + 1} if step.inner is None else {"at": place.rank, "inner": step.inner}


def _known(cursor: Cursor, states: dict[str, State]) -> dict[str, Any]:
    return {"t": max(int(cursor.get("t") or 0), walks.newest_of(list(states.values()))), "places": dict(states)}


def _resource(collection: Collection) -> Resource:
    try:
        return BY_ID[collection.id]
    except KeyError:
        raise UnexpectedShape(f"{collection.id} is no collection of GitHub.") from None
