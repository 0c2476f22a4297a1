"""An admin describes an API nobody knows, tries it, connects, syncs, and sees its records."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import World, look

pytestmark = pytest.mark.browser
KEY = "sandbox-anyapi-key"


def describe(page: Page, world: World) -> None:
    """Fill in the form as the API's documentation has it, with one mistake, which the trial tells."""
    page.goto(world.up.url + "/connections/")
    page.get_by_role("link", name="Describe it").click()
    look(page, "described-none")
    page.get_by_role("link", name="Describe an API").click()
    page.get_by_label("Name", exact=True).first.fill("Coffee Works")
    page.get_by_label("Key", exact=True).fill("coffee")
    page.get_by_label("Base URL").fill(f"{world.sandbox.url}/anyapi/header")
    page.get_by_label("How are we let in?").select_option("header")
    page.get_by_label("Name of the header").fill("X-Api-Key")
    table = page.get_by_role("group", name="List 1")
    table.get_by_label("Name", exact=True).fill("Contacts")
    table.get_by_label("Id", exact=True).fill("contacts")
    table.get_by_label("Path", exact=True).fill("/token/contacts")
    table.get_by_label("Where the list is").fill("items")
    table.get_by_label("Where the time of the last change is").fill("meta.updated")
    table.get_by_label("How does the list go on?").select_option("page_token")
    table.get_by_label("Where the token is").fill("next_cursor")
    table.get_by_label("Parameter it is sent as").fill("cursor")
    table.get_by_label("Parameter for the size of a page").fill("limit")
    table.get_by_label("Can it tell what changed?").select_option("rfc3339")
    table.locator("[name=c0-since_param]").fill("updated_since")
    table.get_by_label("Path of one record").fill("/token/contacts/{id}")
    table.get_by_label("Where the record is in that answer").fill("data")
    expect(table.get_by_label("Where the number of all records is")).to_be_hidden()


def test_an_admin_describes_an_api_tries_it_and_syncs_its_records(page: Page, world: World) -> None:
    world.sign_in(page)
    describe(page, world)
    trial = page.locator("#trial")
    page.get_by_label("Key or token").fill("wrong-key-123")
    page.get_by_role("button", name="Try it").click()
    expect(trial).to_contain_text("refused")
    look(page, "described-refused")
    page.get_by_label("Key or token").fill(KEY)
    page.get_by_role("button", name="Try it").click()
    expect(trial).to_contain_text("Lists in this answer: “data.items” (100 records)")
    look(page, "described-mistake")
    page.get_by_label("Where the list is").fill("data.items")
    page.get_by_role("button", name="Try it").click()
    expect(trial).to_contain_text("It works")
    expect(trial).to_contain_text("100 records on the first page")
    assert KEY not in page.content()
    look(page, "described-works")
    page.get_by_role("button", name="Save API").click()
    expect(page.get_by_role("link", name="Coffee Works")).to_be_visible()
    look(page, "described-list")

    page.get_by_role("link", name="Connect account").click()
    look(page, "described-connect")
    page.get_by_role("textbox", name="API key").fill(KEY)
    page.get_by_role("button", name="Check and connect").click()
    page.wait_for_url(re.compile(r"/connections/[0-9a-f-]{36}/$"))
    page.goto(world.up.url + "/syncs/new/")
    page.get_by_role("link", name=re.compile("Coffee Works account")).first.click()
    page.get_by_role("checkbox", name=re.compile("^Contacts")).check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Start sync").click()
    page.wait_for_url(re.compile(r"/syncs/[0-9a-f-]{36}/$"))
    expect(page.get_by_text("Live", exact=True).first).to_be_visible()
    expect(page.locator("main")).to_contain_text("250")
    page.get_by_role("link", name="Browse records").click()
    page.locator("main table a").first.click()
    expect(page.locator("main pre").first).to_contain_text("@sandbox.example")
    look(page, "described-record")
