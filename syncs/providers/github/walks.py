"""The walks through one place's list, each as steps that can be stored one by one and gone on from.

A walk is told what was known (`state`) and where it was cut short (`inner`), and ends with the state known afterwards.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from syncs.providers.github.catalogue import How, Resource
from syncs.providers.github.errors import PlaceLost
from syncs.providers.github.lists import Inner, ListPage, Lists, without_page
from syncs.providers.github.places import Place
from syncs.providers.kit.errors import UpstreamFailed
from syncs.providers.kit.records import RawRecord
from syncs.providers.kit.times import from_unix
from syncs.providers.kit.together import together

OVERLAP_S = 15 * 60  # lists run late, and clocks are set right
RUNS_BACK_S = 6 * 3600  # a run younger than this may still change
MOST_LOST = 3  # times a walk through one place is begun anew without getting on
AT_ONCE = 20  # parents whose children are read together

State = Any
"""What a place's next look starts from: unix seconds of the newest seen, a commit, or nothing."""


@dataclass(frozen=True)
class Step:
    """Records to store, and where the walk stands after them. `inner` None: the place is done, and `state` holds.

    here     where the page stood that these records came from, for walks that go through it bit by bit
    read_no  of the latest request for it
    """

    records: list[RawRecord]
    inner: Inner | None
    state: State = None
    here: Inner | None = None
    read_no: int = 0


async def page_at(lists: Lists, resource: Resource, place: Place, at: Inner, params: Any) -> tuple[ListPage, Inner]:
    """The page where a walk stands, and where that was in the end: a lost page is begun anew, a heavy one made smaller.

    params  a walk's place -> the parameters of its first page
    """
    while True:
        try:
            return await lists.page(resource, place, at, params(at)), at
        except PlaceLost as error:
            lost = at.get("lost", 0) + 1
            if lost > MOST_LOST:
                raise UpstreamFailed("GitHub loses our place again and again.", detail=error.detail) from None
            at = {**without_page(at), "lost": lost}
        except UpstreamFailed as error:
            at = lists.smaller(at, error)


async def since(
    lists: Lists, resource: Resource, place: Place, state: State, inner: Inner | None
) -> AsyncIterator[Step]:
    """Oldest change first, from a time on; with no state, from the beginning.

    1. After a page, the walk goes on from its last time, in a new window: rows that moved or went meanwhile shift none
       past us, as they would between numbered pages. A second of overlap, in case `since` means later than.
    2. Where upstream's link carries a cursor (`after`), that does the same, and is followed.
    3. So is a link within rows of one and the same second, which no window can part.
    """
    at = inner or {"since": None if state is None else state - OVERLAP_S, "newest": state or 0}
    met: set[tuple[str, object]] = set()
    while True:
        page, at = await page_at(lists, resource, place, at, _since_params)
        stamps = page.stamps()
        newest = max([at["newest"], *stamps])
        records = [record for record in page.records if (record.upstream_id, record.updated_at) not in met]
        met = {(record.upstream_id, record.updated_at) for record in page.records}
        if not page.next:
            yield Step(records, None, newest)
            return
        reached = stamps[-1] - 1 if stamps else at["since"]
        moved = reached is not None and (at["since"] is None or reached > at["since"])
        at = {**without_page(at), "newest": newest, **({"since": reached, "lost": 0} if moved else {})}
        if not moved or "after=" in page.next:
            at["next"] = page.next
        yield Step(records, at)


def _since_params(at: Inner) -> dict[str, str]:
    params = {"sort": "updated", "direction": "asc"}
    return params if at["since"] is None else {**params, "since": _iso(at["since"])}


async def newest_first(
    lists: Lists, resource: Resource, place: Place, state: State, inner: Inner | None, reach_s: int
) -> AsyncIterator[Step]:
    """Latest change first, until `reach_s` before what is known. Rows that change meanwhile are met by the next look.

    The newest of the first page is the state afterwards, and is fixed there: later ones were not all read.
    """
    at = inner or {"bound": 0 if state is None else state - reach_s, "newest": None}
    while True:
        page, at = await page_at(lists, resource, place, at, lambda _: {"sort": "updated", "direction": "desc"})
        stamps = page.stamps()
        if at["newest"] is None:
            at = {**at, "newest": max([state or 0, *stamps])}
        here, state_then = at, at["newest"]
        records = [record for record, stamp in zip(page.records, stamps, strict=True) if stamp >= at["bound"]]
        is_last = not page.next or len(records) < len(stamps)
        at = {**at, "next": page.next}
        yield Step(records, None if is_last else at, state_then, here)
        if is_last:
            return


async def by_creation(
    lists: Lists, resource: Resource, place: Place, state: State, inner: Inner | None, reach_s: int
) -> AsyncIterator[Step]:
    """Latest created first, down to `reach_s` before what is known; with no state, all.

    GitHub lists 1,000 of a window at most: each page is the first of a new one, that ends where the last page did.
    """
    at = inner or {"from": None if state is None else state - reach_s, "until": None, "newest": state or 0}
    met: set[tuple[str, object]] = set()
    while True:
        page, at = await page_at(lists, resource, place, at, _created_params)
        stamps = page.stamps(by="created_at")
        records = [record for record in page.records if (record.upstream_id, record.updated_at) not in met]
        met = {(record.upstream_id, record.updated_at) for record in page.records}
        at = {**without_page(at), "newest": max([at["newest"], *stamps])}
        if not page.next or not stamps:
            yield Step(records, None, at["newest"])
            return
        if at["until"] is None or stamps[-1] < at["until"]:
            at["until"] = stamps[-1]
        else:
            at["next"] = page.next
        yield Step(records, at)


def _created_params(at: Inner) -> dict[str, str]:
    begin, end = at["from"], at["until"]
    if begin is None and end is None:
        return {}
    if begin is None:
        return {"created": f"<={_iso(end)}"}
    return {"created": f">={_iso(begin)}" if end is None else f"{_iso(begin)}..{_iso(end)}"}


async def whole(lists: Lists, resource: Resource, place: Place, inner: Inner | None) -> AsyncIterator[Step]:
    """The list from one end to the other, in upstream's own order; the oldest first where it can be chosen."""
    params = {"sort": "created", "direction": "asc"} if resource.how is How.NEWEST else {}
    at = inner or {}
    while True:
        page, at = await page_at(lists, resource, place, at, lambda _: params)
        here = at
        at = {**at, "next": page.next}
        yield Step(page.records, at if page.next else None, None, here, page.read_no)
        if not page.next:
            return


async def with_children(
    lists: Lists, resource: Resource, place: Place, parents: AsyncIterator[Step], inner: Inner | None
) -> AsyncIterator[Step]:
    """What hangs on each of the parents that a walk brings, some of them together.

    Stands at {"parents": the parents' page, "skip": how many of it are done}. Rows that come to its head meanwhile make
    us read some twice, and leave none out.
    """
    skip = (inner or {}).get("skip", 0)
    async for step in parents:
        todo = step.records[skip:]
        for start in range(0, len(todo), AT_ONCE):
            part = todo[start : start + AT_ONCE]
            found = await together(lists.children(resource, place, each) for each in part)
            records = [record for each in found for record in each]
            done = skip + start + len(part)
            if done < len(step.records):
                yield Step(records, {"parents": step.here, "skip": done}, read_no=step.read_no)
            else:
                yield Step(records, _after(step), step.state, read_no=step.read_no)
        if not todo:
            yield Step([], _after(step), step.state, read_no=step.read_no)
        skip = 0


def _after(step: Step) -> Inner | None:
    return None if step.inner is None else {"parents": step.inner}


def newest_of(states: Sequence[State]) -> int:
    """The latest time among states, 0 for none."""
    return max([state for state in states if isinstance(state, int)], default=0)


def _iso(seconds: int) -> str:
    moment = from_unix(seconds)
    assert moment is not None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
