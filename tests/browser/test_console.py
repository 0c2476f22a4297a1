"""The demo as a new user meets it: one click to a live record; pages that read and work by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests import backends
from tests.browser.conftest import look
from tests.running_up import RunningUp, running_up

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """`up` as it comes: sandbox, a connected account, a sync, a consumer, and records that change by themselves."""
    with backends.console() as console, running_up(tmp_path_factory.mktemp("demo"), "--port", "0", env=console) as up:
        up.wait_until_ready()
        up.wait_until_said("records flow")
        yield up


def sign_in(page: Page, up: RunningUp) -> None:
    """By the link that `up` printed for the first time, by a new one afterwards."""
    page.goto(up.manage("signin_link", "admin", "--base-url", up.url))
    page.wait_for_url(re.compile(re.escape(up.url) + r"/($|\?)"))


def test_from_sign_in_to_a_record_changing_live_is_one_click(page: Page, demo: RunningUp) -> None:
    sign_in(page, demo)
    page.get_by_role("link", name="Watch records live").click()
    rows = page.locator("#live-list .live-row")
    expect(rows.first).to_be_visible()
    expect(rows.filter(has_text=re.compile("Changed|Deleted")).first).to_be_visible()


PAGES = ("/", "/syncs/", "/syncs/new/", "/connections/", "/connections/new/", "/connections/new/salesforce/",
         "/connections/new/stripe/", "/connections/new/jira/", "/connections/new/hubspot/", "/connections/new/zendesk/",
         "/connections/new/linear/", "/consumers/", "/consumers/new/", "/live/", "/records/",
         "/activity/", "/settings/", "/profile/", "/v1/docs")  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_page_has_no_accessibility_fault_and_no_sideways_scroll(page: Page, demo: RunningUp, path: str) -> None:
    sign_in(page, demo)
    page.goto(demo.url + path)
    look(page, "page" + path.replace("/", "-").rstrip("-"))
    check_with_axe(page)


def check_with_axe(page: Page) -> None:
    """No fault that a machine can find, by day and by night."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.reload()  # colours glide when the scheme changes under a page, and would be measured on the way
        found = Axe().run(page)
        faults = [
            f"{v['id']}: {v['help']} at {[n['target'] for n in v['nodes']][:3]}" for v in found.response["violations"]
        ]
        assert faults == [], scheme


def test_what_a_sync_and_a_record_are_is_reached_by_links_from_the_list(page: Page, demo: RunningUp) -> None:
    sign_in(page, demo)
    page.goto(demo.url + "/syncs/")
    page.get_by_role("link", name="Demo CRM").click()
    expect(page.locator("main")).to_contain_text("Contacts")
    expect(page.locator("main")).to_contain_text("Demo stream")  # where its records go, loaded by itself
    page.get_by_role("link", name="Browse records").click()
    page.locator("main table a").first.click()
    expect(page.locator("main pre").first).to_contain_text('"Id"')
    expect(page.locator("main")).to_contain_text("Demo stream")
    look(page, "record")


def test_a_collection_is_set_up_its_fields_picked_and_a_question_of_it_answered(page: Page, demo: RunningUp) -> None:
    sign_in(page, demo)
    page.goto(demo.url + "/syncs/")
    page.get_by_role("link", name="Demo CRM").click()
    page.locator("li.collection", has_text="salesforce:contact").get_by_role("link", name="Set up").click()
    expect(page.locator("main")).to_contain_text("How late at worst")
    page.get_by_label("At another interval").check()
    page.get_by_label("Hours between two comparisons").fill("36")
    look(page, "collection")
    check_with_axe(page)
    page.get_by_role("link", name="Pick fields").click()
    page.get_by_label("Only the fields ticked below").check()
    for name in ("FirstName", "LastName", "Email"):
        page.get_by_label(f"Keep {name}", exact=True).check()
    page.get_by_label("Keep Email as a hash").check()
    look(page, "pick-fields")
    page.get_by_role("button", name="Save fields").click()
    expect(page.locator("main")).to_contain_text("Contacts")
    facts = (
        "from syncs.models import *;"
        "r = SyncCollection.objects.get(collection_id='salesforce:contact');"
        "SyncCollection.objects.filter(pk=r.pk).update(held_deletes=612, held_why='That is more than usual.');"
        "d = [{'path': 'Nickname__c', 'kind': 'added', 'before': '', 'after': 'string'},"
        " {'path': 'Fax', 'kind': 'removed', 'before': 'phone', 'after': ''},"
        " {'path': 'Age__c', 'kind': 'retyped', 'before': 'double', 'after': 'string'}];"
        "SchemaChange.objects.create(collection=r, changes=d);"
        "why = 'We were away 34 days; Salesforce remembers 15 days.';"
        "Feed.objects.filter(pk=r.feed_id).update(census_at=r.backfill_started_at, census_why=why)"
    )
    demo.manage("shell", "-c", facts)
    page.reload()
    expect(page.locator("main")).to_contain_text("We lost access: keep them")
    look(page, "questions")
    check_with_axe(page)
    page.get_by_role("button", name="I have seen it").click()
    expect(page.locator("main")).not_to_contain_text("Nickname__c")
    page.get_by_role("link", name="Edit sync").click()
    expect(page.locator("main")).to_contain_text("When fields of a collection change")
    look(page, "sync-edit")


def test_a_page_hears_of_a_change_made_elsewhere(page: Page, demo: RunningUp) -> None:
    sign_in(page, demo)
    page.goto(demo.url + "/syncs/")
    page.get_by_role("link", name="Demo CRM").click()
    expect(page.get_by_role("button", name="Pause sync")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Pause sync").click()
    expect(other.get_by_role("button", name="Resume sync")).to_be_visible()
    expect(page.get_by_role("button", name="Resume sync")).to_be_visible()  # without a reload
    page.get_by_role("button", name="Resume sync").click()
    expect(page.get_by_role("button", name="Pause sync")).to_be_visible()


def test_live_viewer_works_by_keyboard(page: Page, demo: RunningUp) -> None:
    sign_in(page, demo)
    page.get_by_role("link", name="Watch records live").click()
    expect(page.locator("#live-list .live-row").first).to_be_visible()
    page.locator("#live-pause").click()
    page.locator("#live-list").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#live-details")).to_be_visible()
    expect(page.locator("#live-json")).to_contain_text("upstream_id")
    page.keyboard.press("Escape")
    expect(page.locator("#live-details")).to_be_hidden()


def test_secrets_typed_into_a_form_with_errors_stay_in_the_browser_alone(page: Page, demo: RunningUp) -> None:
    sign_in(page, demo)
    page.goto(demo.url + "/consumers/new/")
    page.get_by_label("Name").fill("Kept")
    page.get_by_label("Another NATS server").check()
    page.get_by_label("Host", exact=True).fill("127.0.0.1")
    page.get_by_role("spinbutton", name="Port").fill("1")
    page.get_by_label("User and password").check()
    page.get_by_label("User", exact=True).fill("ada")
    page.get_by_role("textbox", name="Password").fill("not-for-the-server-to-echo")
    with page.expect_response(re.compile("/consumers/new/$")) as answered:
        page.get_by_role("button", name="Start consumer").click()
    assert answered.value.status == 422
    assert "not-for-the-server-to-echo" not in answered.value.text()
    expect(page.get_by_role("textbox", name="Password")).to_have_value("not-for-the-server-to-echo")


def test_a_creds_file_dropped_on_the_form_is_read_and_explained(page: Page, demo: RunningUp, tmp_path: Path) -> None:
    sign_in(page, demo)
    page.goto(demo.url + "/consumers/new/")
    page.get_by_label("Another NATS server").check()
    file = tmp_path / "user.creds"
    file.write_text("this is no creds file")
    page.locator("div[data-drop-zone]", has=page.locator("#id_creds")).locator("[data-drop-file]").set_input_files(file)
    expect(page.locator("#id_creds")).to_have_value("this is no creds file")
