"""Objects read one by one, side by side; those that Stripe cannot serve are set aside, unless it serves none at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.records import RawRecord, Skipped
from syncs.providers.kit.together import together
from syncs.providers.stripe.catalogue import BY_ID, Resource
from syncs.providers.stripe.errors import ObjectGone
from syncs.providers.stripe.lists import MOST_SICK, Failed, Lists


@dataclass(frozen=True)
class Wanted:
    """One object to read. changed_at: what is known of its last change, unix seconds."""

    resource: Resource
    id: str
    changed_at: int | None = None


async def read(lists: Lists, wanted: Sequence[Wanted]) -> tuple[list[RawRecord], tuple[Skipped, ...]]:
    """The objects as they are now, and those that cannot be read.

    An outage is raised: more than a few fail, of more than one list, or not even the list of events answers. One list
    in trouble is none: its objects are set aside, and the others go on.
    """
    outcomes = await together(_one(lists, each) for each in wanted)
    failed = [
        (each, outcome.error) for each, outcome in zip(wanted, outcomes, strict=True) if isinstance(outcome, Failed)
    ]
    failing = {each.resource.id: each.resource for each, _ in failed}
    if len(failed) > MOST_SICK and len(failing) > 1:
        raise failed[0][1]
    for resource in failing.values():
        try:
            await lists.probe(resource)
        except UpstreamFailed:
            await lists.probe(BY_ID["stripe:event"])
    skipped = (Skipped(each.resource.id, each.id, error.message) for each, error in failed)
    return [outcome for outcome in outcomes if isinstance(outcome, RawRecord)], tuple(skipped)


async def _one(lists: Lists, wanted: Wanted) -> RawRecord | Failed:
    """The object now, or why it alone cannot be read.

    A refusal is raised and names the collection it is about, so that its neighbours can go on without it.
    """
    try:
        return await lists.one(wanted.resource, wanted.id, wanted.changed_at)
    except (UpstreamFailed, UnexpectedShape, ObjectGone) as error:
        return Failed(error)
    except (PermissionMissing, CollectionGone) as error:
        error.collection_id = wanted.resource.id
        raise
