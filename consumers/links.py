"""This process's connections to NATS: one a consumer, shared by all that deliver for it. Also asks the embedded one."""

import asyncio
import json
import time
from functools import partial
from urllib.parse import urlsplit

from consumers.connection import LinkError, NatsSettings, join_host
from consumers.jetstream import Link, linked, open_link

IDLE_S = 300.0
_links: dict[tuple[int, str], Link] = {}
_opening: dict[tuple[int, str, NatsSettings], asyncio.Task[Link]] = {}


async def shared_link(key: str, settings: NatsSettings, *, inboxes: tuple[str, ...] = ()) -> Link:
    """This process's connection of one consumer; opened anew when lost, or when any of its settings has changed.

    Who asks while it is being opened shares the outcome: a dead host is waited for once, not once a cursor.
    """
    loop_id = id(asyncio.get_running_loop())
    link = _links.get((loop_id, key))
    if link is None or not link.is_open or link.settings != settings:
        place = (loop_id, key, settings)
        if (opening := _opening.get(place)) is None:
            opening = _opening[place] = asyncio.ensure_future(_replace(loop_id, key, settings, inboxes))
            opening.add_done_callback(partial(_opened, place))
        link = await asyncio.shield(opening)
    link.used_at = time.monotonic()
    await _close_idle(loop_id)
    return link


def _opened(place: tuple[int, str, NatsSettings], opening: "asyncio.Task[Link]") -> None:
    _opening.pop(place, None)
    if not opening.cancelled():
        opening.exception()  # seen, though nobody may be waiting any more


async def _replace(loop_id: int, key: str, settings: NatsSettings, inboxes: tuple[str, ...]) -> Link:
    if (former := _links.pop((loop_id, key), None)) is not None:
        await former.close()
    link = _links[loop_id, key] = await open_link(settings, inboxes=inboxes)
    return link


async def drop_link(key: str) -> None:
    """Close a consumer's shared connection, so that nothing of it is still under way."""
    link = _links.pop((id(asyncio.get_running_loop()), key), None)
    if link is not None:
        await link.close()


async def _close_idle(loop_id: int) -> None:
    since = time.monotonic() - IDLE_S
    for place, link in list(_links.items()):
        if place[0] == loop_id and link.used_at < since:
            del _links[place]
            await link.close()


async def embedded_status(url: str) -> str:
    """`ok` when the server at this URL answers a JetStream request; else what is wrong, in a sentence. For /readyz."""
    parts = urlsplit(url)
    settings = NatsSettings(
        (join_host(parts.hostname or "127.0.0.1", parts.port or 4222),),
        user=parts.username or "",
        password=parts.password or "",
        name="sequin-console readyz",
    )
    try:
        async with linked(settings) as link:
            answer = json.loads(await link.request("$JS.API.INFO"))
    except LinkError as error:
        return error.message
    return "ok" if "error" not in answer else str(answer["error"].get("description", "JetStream is not ready"))
