"""Single records, read again by their ids: what a sweep missed, what was set aside."""

from collections.abc import Sequence

import msgspec

from syncs.providers.github import walks
from syncs.providers.github.catalogue import Over, Resource
from syncs.providers.github.errors import Blocked, FeatureOff, Moved, NotThere
from syncs.providers.github.lists import Lists
from syncs.providers.github.places import Found, Place, find, find_anew
from syncs.providers.kit.errors import PermissionMissing, UpstreamFailed
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.together import together

CLOSED = (Blocked, FeatureOff, NotThere, PermissionMissing)


async def read(lists: Lists, resource: Resource, ids: Sequence[str]) -> list[RawRecord]:
    """These records as they are now.

    Gone is what is missing in a repository that lets us read, and what belongs to one that is read no more. What is
    closed to us is left out: of that nothing is known.
    """
    found = await find(lists.client)
    if resource.over is Over.ACCOUNT or not {each.partition("/")[0] for each in ids} <= found.ids(resource):
        found = await find_anew(lists.client)  # before anything is called gone, ask once more
    if resource.over is Over.ACCOUNT:
        here = {record.upstream_id: record for record in repositories(lists, resource, found)}
        return [here.get(each) or _gone(resource, each, found.read_no) for each in ids]
    places = {place.id: place for place in found.of(resource)}
    by_place: dict[str, list[str]] = {}
    for each in ids:
        by_place.setdefault(each.partition("/")[0], []).append(each)
    records = []
    for key, wanted in by_place.items():
        if key not in places:
            records += [_gone(resource, each, found.read_no) for each in wanted]
        elif resource.single:
            records += await _one_by_one(lists, resource, places[key], wanted)
        else:
            records += await _from_list(lists, resource, places[key], wanted)
    return records


def repositories(lists: Lists, resource: Resource, found: Found) -> list[RawRecord]:
    """The repositories that are read, as records: they are listed anyhow."""
    nowhere = Place("", "", "")
    return [lists.record(resource, nowhere, msgspec.Raw(each.raw), each.read_no) for each in found.repositories]


async def _one_by_one(lists: Lists, resource: Resource, place: Place, ids: Sequence[str]) -> list[RawRecord]:
    outcomes = await together(_one(lists, resource, place, each) for each in ids)
    failed = [why for _, why in outcomes if isinstance(why, UpstreamFailed)]
    if failed and len(failed) == len(ids):
        raise failed[0]
    missing = {each: why for each, (_, why) in zip(ids, outcomes, strict=True) if isinstance(why, NotThere)}
    if missing and not await _is_open(lists, resource, place):
        missing = {}
    found = [record for record, _ in outcomes if record is not None]
    return found + [_gone(resource, each, why.read_no) for each, why in missing.items()]


async def _one(
    lists: Lists, resource: Resource, place: Place, upstream_id: str
) -> tuple[RawRecord | None, NotThere | UpstreamFailed | None]:
    """The record, or why it is not there; neither where that is not known."""
    try:
        return await lists.one(resource, place, upstream_id.split("/")[1:]), None
    except Moved as moved:  # an issue transferred to another repository is gone from this one
        told = NotThere(moved.message)
        told.read_no = moved.read_no
        return None, told
    except (NotThere, UpstreamFailed) as error:
        return None, error
    except (Blocked, FeatureOff, PermissionMissing):
        return None, None


async def _is_open(lists: Lists, resource: Resource, place: Place) -> bool:
    """Whether the list lets us read: a 404 may as well mean that it does not."""
    try:
        await lists.page(resource, place, {"size": 1})
    except CLOSED:
        return False
    return True


async def _from_list(lists: Lists, resource: Resource, place: Place, ids: Sequence[str]) -> list[RawRecord]:
    """Found in the list, which is short: labels, branches, members."""
    left, records, read_no = set(ids), [], 0
    walk = walks.whole(lists, resource, place, None)
    if resource.child:
        walk = walks.with_children(lists, resource, place, walk, None)
    try:
        async for step in walk:
            read_no = read_no or step.read_no
            records += [record for record in step.records if record.upstream_id in left]
            left -= {record.upstream_id for record in step.records}
    except CLOSED:
        return records
    return records + [_gone(resource, each, read_no) for each in ids if each in left]


def _gone(resource: Resource, upstream_id: str, read_no: int) -> RawRecord:
    return RawRecord(resource.id, upstream_id, None, read_no, deleted=True)
