"""Sockets: who gets in, what they hear, when they are closed."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client

from sequin_console import asgi
from sequin_console.accounts import services, sessions
from sequin_console.accounts.models import User
from sequin_console.common import changes, feeds, watcher
from tests.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)
sqlite_only = pytest.mark.only_on("sqlite")  # about how SQLite is watched
PATH = "/ws/changes/"
BrowserOf = Callable[..., Client]


async def heard(socket: Socket, topic: str) -> list[str]:
    """Wait until the socket says this topic; return all it said meanwhile."""
    topics: list[str] = []
    while topic not in topics:
        topics += (await socket.receive_json())["changed"]
    return topics


async def listening(browser: Client) -> Socket:
    """An open socket of a process that hears changes from now on; on PostgreSQL that takes a moment, and is said."""
    socket = Socket(browser, PATH)
    assert await socket.open()
    if connection.vendor == "postgresql":
        await heard(socket, watcher.ANYTHING)
    return socket


@pytest.fixture(autouse=True)
def hosts(settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PUBLIC_URL = "https://console.example.com"


async def test_vera_hears_what_changed(vera: User, browser_of: BrowserOf) -> None:
    socket = await listening(await sync_to_async(browser_of)(vera))
    await sync_to_async(changes.write)(["sync-7", "sync-8"])
    assert set(await heard(socket, "sync-7")) >= {"sync-7", "sync-8"}
    await sync_to_async(changes.write)(["sync-8"])
    assert await heard(socket, "sync-8") == ["sync-8"]
    await socket.leave()


async def test_a_burst_arrives_in_few_messages(vera: User, browser_of: BrowserOf, monkeypatch: Any) -> None:
    monkeypatch.setattr(watcher, "POLL_S", 0.01)
    socket = await listening(await sync_to_async(browser_of)(vera))
    for number in range(30):
        await sync_to_async(changes.write)([f"sync-{number}"])
    started, messages, seen = asyncio.get_running_loop().time(), 0, set()
    while "sync-29" not in seen:
        seen |= set((await socket.receive_json())["changed"])
        messages += 1
    assert seen >= {f"sync-{number}" for number in range(30)}
    assert messages <= 2 + (asyncio.get_running_loop().time() - started + 1) / feeds.SEND_EVERY_S
    await socket.leave()


@sqlite_only
async def test_what_changed_while_the_page_was_drawn_is_told(vera: User, browser_of: BrowserOf) -> None:
    browser = await sync_to_async(browser_of)(vera)
    await sync_to_async(changes.write)(["sync-early"])
    socket = Socket(browser, PATH)
    await socket.open()
    assert "sync-early" in await heard(socket, "sync-early")
    await socket.leave()


async def test_a_stranger_is_closed_with_4401(stan: AnonymousUser, browser_of: BrowserOf) -> None:
    socket = Socket(await sync_to_async(browser_of)(stan), PATH)
    await socket.open()
    assert await socket.closed_with() == feeds.NOT_SIGNED_IN


async def test_who_has_no_role_is_closed_with_4403(vera: User, browser_of: BrowserOf) -> None:
    browser = await sync_to_async(browser_of)(vera)
    await User.objects.filter(pk=vera.pk).aupdate(role="none")
    socket = Socket(browser, PATH)
    await socket.open()
    assert await socket.closed_with() == feeds.NOT_ALLOWED


@pytest.mark.parametrize("how", ["deactivate", "end sessions"])
async def test_access_that_ends_closes_open_sockets_at_once(
    vera: User, root: User, browser_of: BrowserOf, how: str
) -> None:
    socket = await listening(await sync_to_async(browser_of)(vera))
    if how == "deactivate":
        await sync_to_async(services.deactivate)(vera, root)
    else:
        await sync_to_async(sessions.end)(vera)
    await sync_to_async(changes.flush)()
    assert await socket.closed_with() == feeds.NOT_SIGNED_IN


async def test_access_is_looked_at_again_even_if_nobody_tells(
    vera: User, browser_of: BrowserOf, monkeypatch: Any
) -> None:
    monkeypatch.setattr(feeds, "CHECK_EVERY_S", 0.05)
    socket = Socket(await sync_to_async(browser_of)(vera), PATH)
    await socket.open()
    await User.objects.filter(pk=vera.pk).aupdate(is_active=False)
    assert await socket.closed_with() == feeds.NOT_SIGNED_IN


@pytest.mark.parametrize(
    "origin",
    [None, "https://evil.example", "http://testserver:81", "http://testserver.evil.example", "null", "http://["],
)
async def test_another_sites_page_cannot_open_a_socket(vera: User, browser_of: BrowserOf, origin: str | None) -> None:
    socket = Socket(await sync_to_async(browser_of)(vera), PATH, origin)
    assert not await socket.open()


async def test_the_public_address_may_open_a_socket(vera: User, browser_of: BrowserOf) -> None:
    socket = Socket(await sync_to_async(browser_of)(vera), PATH, "https://console.example.com")
    assert await socket.open()
    await socket.leave()


async def test_what_a_browser_sends_is_ignored(vera: User, browser_of: BrowserOf) -> None:
    socket = await listening(await sync_to_async(browser_of)(vera))
    await socket.send(text="{not json")
    await socket.send(bytes=b"\x00")
    await sync_to_async(changes.write)(["sync-7"])
    assert "sync-7" in await heard(socket, "sync-7")
    await socket.leave()


async def test_a_host_that_is_not_ours_is_refused_even_if_origin_and_host_agree(
    vera: User, browser_of: BrowserOf
) -> None:
    assert not asgi.is_same_origin("http://evil.example", "evil.example")
    assert asgi.is_same_origin("http://testserver", "testserver")


@sqlite_only
async def test_the_watcher_outlives_a_database_that_went_away(monkeypatch: Any) -> None:
    """After the failure it hears again, and says that something may have been missed."""
    real, failures = watcher._data_version, iter([True])

    def once_broken() -> int:
        if next(failures, False):
            connection.close()
            raise watcher.DatabaseError("gone")
        return real()

    monkeypatch.setattr(watcher, "_data_version", once_broken)
    monkeypatch.setattr(watcher, "RETRY_S", 0.01)
    told: list[set[str]] = []
    watcher.watcher().join(told.append)
    await sync_to_async(changes.write)(["sync-7"])
    deadline = asyncio.get_running_loop().time() + 3
    while {"sync-7"} not in told and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    assert told[0] == {watcher.ANYTHING}
    assert {"sync-7"} in told
