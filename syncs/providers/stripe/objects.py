"""What is wanted of Stripe, by list or one by one, side by side; lists that hang on each member of another, too.

What Stripe cannot serve is set aside, unless it serves nothing at all.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.records import RawRecord, Skipped
from syncs.providers.kit.together import together
from syncs.providers.stripe import parts
from syncs.providers.stripe.catalogue import BY_ID
from syncs.providers.stripe.errors import ObjectGone
from syncs.providers.stripe.lists import MOST_SICK, Failed, ListPage, Lists
from syncs.providers.stripe.owned import expansion, owner_of
from syncs.providers.stripe.resource import Resource

_SICK = (UpstreamFailed, UnexpectedShape, ObjectGone)


@dataclass(frozen=True)
class Wanted:
    """One object to read, or the list that hangs on it.

    changed_at  what is known of its last change, unix seconds
    members     of such a list: those that are told of as deleted where they are not in it
    """

    resource: Resource
    id: str
    changed_at: int | None = None
    members: frozenset[str] = frozenset()


# --- By list ----------------------------------------------------------------------------------------------------------


async def pages(lists: Lists, resource: Resource, params: Mapping[str, str | int]) -> AsyncIterator[ListPage]:
    """The list's pages from these parameters on; of what hangs on owners, pages of these, which its places are in."""
    if not resource.owner:
        async for page in lists.pages(resource, params):
            yield page
        return
    async for page in lists.pages(owner_of(resource), params):
        found = await together(_of_owner(lists, resource, owner) for owner in page.records)
        failed = [each for each in found if isinstance(each, Skipped)]
        if len(failed) > MOST_SICK:
            raise UpstreamFailed(failed[0].reason)
        records = [record for each in found if not isinstance(each, Skipped) for record in each]
        skipped = [replace(each, collection_id=resource.id) for each in page.skipped]
        yield replace(page, records=records, skipped=(*skipped, *failed))


async def _of_owner(lists: Lists, part: Resource, owner: RawRecord) -> list[RawRecord] | Skipped:
    try:
        found = parts.inside(part, owner) if part.inside else await parts.listed(lists, part, owner.upstream_id)
        return parts.records(part, owner.upstream_id, found)
    except (UpstreamFailed, UnexpectedShape) as error:
        return Skipped(part.id, owner.upstream_id, error.message)


async def probe(lists: Lists, resource: Resource) -> None:
    """Read one member, or the list that hangs on one: raises what keeps us from it."""
    if not resource.owner or resource.inside:
        await lists.probe(owner_of(resource) if resource.owner else resource)
        return
    async for page in lists.pages(owner_of(resource), {"limit": 1}):
        for owner in page.records:
            await parts.listed(lists, resource, owner.upstream_id)
        return


# --- One by one -------------------------------------------------------------------------------------------------------


async def read(lists: Lists, wanted: Sequence[Wanted]) -> tuple[list[RawRecord], tuple[Skipped, ...]]:
    """The objects as they are now, and those that cannot be read.

    An outage is raised: more than a few fail, of more than one list, or not even the list of events answers. One list
    in trouble is none: its objects are set aside, and the others go on.
    """
    once = _Once(lists)
    outcomes = await together(_one(once, each) for each in wanted)
    failed = [
        (each, outcome.error) for each, outcome in zip(wanted, outcomes, strict=True) if isinstance(outcome, Failed)
    ]
    failing = {each.resource.id: each.resource for each, _ in failed}
    if len(failed) > MOST_SICK and len(failing) > 1:
        raise failed[0][1]
    for resource in failing.values():
        try:
            await probe(lists, resource)
        except UpstreamFailed:
            await lists.probe(BY_ID["stripe:event"])
    skipped = (Skipped(each.resource.id, each.id, error.message) for each, error in failed)
    found = [record for outcome in outcomes if not isinstance(outcome, Failed) for record in outcome]
    return found, tuple(skipped)


async def _one(once: "_Once", wanted: Wanted) -> list[RawRecord] | Failed:
    """The object now, or the list that hangs on it, or why it alone cannot be read.

    A refusal is raised and names the collection it is about, so that its neighbours can go on without it.
    """
    resource = wanted.resource
    try:
        if not resource.owner:
            return [await once.read(resource, wanted)]
        if resource.inside:
            found = parts.inside(resource, await once.read(owner_of(resource), wanted, expansion(resource)))
        else:
            found = await parts.listed(once.lists, resource, wanted.id)
        return parts.records(resource, wanted.id, found, wanted.members, wanted.changed_at)
    except _SICK as error:
        return Failed(error)
    except (PermissionMissing, CollectionGone) as error:
        error.collection_id = resource.id
        raise


class _Once:
    """Objects asked for once each, though several lists may want them: an invoice, and its lines."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists
        self._asked: dict[tuple[str, str, tuple[tuple[str, str], ...]], asyncio.Task[RawRecord]] = {}

    async def read(self, resource: Resource, wanted: Wanted, params: tuple[tuple[str, str], ...] = ()) -> RawRecord:
        key = (resource.id, wanted.id, params)
        if key not in self._asked:
            reading = self.lists.one(resource, wanted.id, wanted.changed_at, dict(params))
            self._asked[key] = asyncio.ensure_future(reading)
        return await self._asked[key]
