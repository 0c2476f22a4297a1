"""Commits of the default branch: all that its head has, and later what a new head has that the old one had not.

Times do not find them: a merge brings commits with dates of last week. `compare` follows the parents instead.
Docs: https://docs.github.com/rest/commits/commits
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from syncs.providers.github.catalogue import Resource
from syncs.providers.github.errors import FeatureOff, NotThere
from syncs.providers.github.lists import Inner, Lists
from syncs.providers.github.places import Place
from syncs.providers.github.walks import State, Step, page_at


async def head_of(lists: Lists, resource: Resource, place: Place) -> str:
    """The newest commit of the default branch; empty for a repository without any."""
    try:
        page = await lists.page(resource, place, {"size": 1})
    except FeatureOff:
        return ""
    return page.records[0].upstream_id.rpartition("/")[2] if page.records else ""


async def history(lists: Lists, resource: Resource, place: Place, inner: Inner | None) -> AsyncIterator[Step]:
    """All commits of the head there is when the walk begins: pushes meanwhile shift nothing."""
    head = inner["head"] if inner else await head_of(lists, resource, place)
    if not head:
        yield Step([], None, "")
        return
    async for step in _pages(lists, resource, place, inner or {"head": head}, {"sha": head}):
        yield step


async def news(
    lists: Lists, resource: Resource, place: Place, state: State, inner: Inner | None
) -> AsyncIterator[Step]:
    """What came since the head that `state` names; all, where that is no more (a force push) or never was."""
    head = inner["head"] if inner else await head_of(lists, resource, place)
    if head == state:
        yield Step([], None, state)
        return
    if not state or not head or (inner and inner.get("anew")):
        async for step in history(lists, resource, place, inner):
            yield step
        return
    compared = replace(resource, path=f"/compare/{state}...{head}", rows="commits")
    try:
        async for step in _pages(lists, compared, place, inner or {"head": head}, {}):
            yield step
    except NotThere:
        async for step in history(lists, resource, place, {"head": head, "anew": True}):
            yield step


async def _pages(
    lists: Lists, resource: Resource, place: Place, at: Inner, params: dict[str, str]
) -> AsyncIterator[Step]:
    while True:
        page, at = await page_at(lists, resource, place, at, lambda _: params)
        at = {**at, "next": page.next}
        yield Step(page.records, at if page.next else None, at["head"])
        if not page.next:
            return
