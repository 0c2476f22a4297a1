"""The main job, as a person does it: connect, pick, stream, watch. And once more through the API."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import nats
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World, look
from tests.running_up import eventually

pytestmark = pytest.mark.browser
T = TypeVar("T")


def connect_salesforce(page: Page, world: World) -> None:
    """Add the customer's OAuth app, then through Salesforce's own pages and back."""
    page.goto(world.up.url + "/connections/new/salesforce/")
    page.get_by_role("link", name="Add OAuth app").click()
    page.get_by_label("Client id").fill("sandbox-console")
    page.get_by_label("Client secret").fill("sandbox-console-secret")
    page.get_by_role("button", name="Save app").click()
    page.get_by_role("button", name="Continue to Salesforce").click()
    page.wait_for_url(re.compile("/salesforce/services/oauth2/authorize"))
    look(page, "0-consent")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(re.compile(re.escape(world.up.url)))


def start_sync(page: Page, world: World, *collections: str) -> str:
    """Through the wizard; returns the sync's id."""
    page.goto(world.up.url + "/syncs/new/")
    look(page, "1-new-sync")
    page.get_by_role("link", name=re.compile("Salesforce account|127.0.0.1")).first.click()
    for name in collections:
        page.get_by_role("checkbox", name=re.compile(rf"^{name}\b")).check()
    look(page, "2-pick")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name").fill("Sales data")
    page.get_by_label("Look for changes").select_option(index=0)  # the quickest
    look(page, "3-start")
    page.get_by_role("button", name="Start sync").click()
    page.wait_for_url(re.compile(r"/syncs/[0-9a-f-]{36}/$"))
    return page.url.rstrip("/").rpartition("/")[2]


def start_consumer(page: Page, world: World) -> str:
    """To the console's own NATS server, stream made on request; returns the consumer's id."""
    page.goto(world.up.url + "/consumers/new/")
    page.get_by_label("Name").fill("Data platform")
    look(page, "5-new-consumer")
    page.get_by_role("button", name="Test first").click()
    expect(page.locator("#consumer-checks")).to_contain_text(re.compile("stream", re.I))
    page.get_by_role("button", name=re.compile("Create the stream")).first.click()
    expect(page.locator("#consumer-checks")).to_contain_text("SEQUIN-RECORDS")
    look(page, "6-checks")
    page.get_by_role("button", name="Start consumer").click()
    page.wait_for_url(re.compile(r"/consumers/[0-9a-f-]{36}/$"))
    return page.url.rstrip("/").rpartition("/")[2]


def test_from_an_empty_workspace_to_a_record_edited_upstream_arriving(page: Page, world: World) -> None:
    world.sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    look(page, "home-empty")
    connect_salesforce(page, world)
    look(page, "connection")
    sync_id = start_sync(page, world, "Contacts", "Accounts")
    expect(page.get_by_text("Live", exact=True).first).to_be_visible()
    look(page, "4-sync")
    consumer_id = start_consumer(page, world)
    expect(page.locator("main")).to_contain_text("Exactly once into the stream")
    look(page, "consumer")

    page.goto(f"{world.up.url}/live/{consumer_id}/")
    rows = page.locator("#live-list .live-row")
    expect(rows.first).to_be_visible()
    edit_in_the_sandbox(page, world)
    edited = rows.filter(has_text="Edited-by-Ada").first
    expect(edited).to_be_visible()
    edited.click()
    expect(page.locator("#live-json")).to_contain_text("Edited-by-Ada")
    look(page, "live")

    publish_from_outside(
        world, f"sequin-records.{sync_id}.salesforce:contact.from-outside", {"hello": "<b>stranger</b>"}
    )
    stranger = rows.filter(has_text="from-outside").first
    expect(stranger).to_be_visible()
    stranger.click()
    expect(page.locator("#live-json")).to_contain_text("<b>stranger</b>")


def edit_in_the_sandbox(page: Page, world: World) -> None:
    """In another tab, as a colleague would in Salesforce."""
    tab = page.context.new_page()
    tab.goto(world.sandbox.url + "/browse/salesforce/Contact")
    tab.locator("table a").first.click()
    tab.get_by_label(re.compile("^Last ?Name", re.I)).fill("Edited-by-Ada")
    tab.get_by_role("button", name="Save record").click()
    expect(tab.locator("body")).to_contain_text("Edited-by-Ada")
    look(tab, "sandbox-record")
    tab.close()


def publish_from_outside(world: World, subject: str, body: dict[str, Any]) -> None:
    """Somebody else's message on the stream: the viewer reads NATS, not our log."""

    async def publish() -> None:
        connection = await nats.connect(world.up.facts["nats_url"])
        await connection.jetstream().publish(subject, json.dumps(body).encode())
        await connection.close()

    on_a_loop_of_its_own(publish())


def on_a_loop_of_its_own(work: Coroutine[Any, Any, T]) -> T:
    """Playwright keeps a loop running in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_the_same_through_the_api(world: World) -> None:
    """The two request bodies of the well-known guide, as they stand."""
    token = world.up.manage("create_api_token", "guide")

    def call(method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{world.up.url}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    grant = world.sandbox.control("POST", "grants", {"provider": "salesforce"})
    app = call("POST", "oauth-apps", {
        "provider": "salesforce", "name": "Guide app",
        "client_id": grant["client_id"], "client_secret": grant["client_secret"],
    })  # fmt: skip
    sync = call("POST", "syncs", {
        "provider": "salesforce", "name": "Guide sync", "collection_ids": ["salesforce:opportunity"],
        "credential": {
            "properties": {"kind": "salesforce_oauth2", "secret": grant["refresh_token"], "name": "Guide"},
            "oauth_app_id": app["id"],
        },
    })  # fmt: skip
    assert grant["refresh_token"] not in json.dumps(sync)
    host, _, port = world.up.facts["nats_url"].removeprefix("nats://").partition(":")
    consumer = call("POST", "nats_consumers", {
        "sync_id": sync["id"], "name": "Guide consumer", "subject_prefix": "guide-records",
        "nats": {"host": host, "port": int(port), "tls": False},
    })  # fmt: skip
    call("POST", f"nats_consumers/{consumer['id']}/create-stream")
    eventually(lambda: call("GET", f"syncs/{sync['id']}")["initial_backfill_completed_at"], 90, "backfill")
    wanted = call("GET", f"syncs/{sync['id']}")["collections"][0]["live_count"]
    eventually(lambda: call("GET", f"nats_consumers/{consumer['id']}")["delivered"] >= wanted, 60, "delivery")
    messages = on_a_loop_of_its_own(read_as_the_guide_says(world, "guide-records.>"))
    assert len(messages) == len({message["upstream_id"] for message in messages}) == wanted
    assert {"Amount", "Name", "StageName"} <= messages[0]["data"].keys()


async def read_as_the_guide_says(world: World, subject: str) -> list[dict[str, Any]]:
    """A stock pull consumer, deliver=all, ack=explicit: every record once, each one line of JSON."""
    connection = await nats.connect(world.up.facts["nats_url"])
    jetstream = connection.jetstream()
    stream = await jetstream.find_stream_name_by_subject(subject)
    reader = await jetstream.pull_subscribe(subject, durable="guide", stream=stream)
    found: list[dict[str, Any]] = []
    while True:
        try:
            batch = await reader.fetch(500, timeout=2)
        except TimeoutError:
            break
        for message in batch:
            assert b"\n" not in message.data
            found.append(json.loads(message.data))
            await message.ack()
    await connection.close()
    return found
