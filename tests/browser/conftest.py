"""A real Chromium in front of a real console: `up` without the demo, its providers pointed at a sandbox of ours."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from sandbox.process import RunningSandbox
from sandbox.process import running as running_sandbox
from tests import backends, ensure
from tests.running_up import RunningUp, running_up

ARTEFACTS = Path(os.environ.get("SEQUIN_ARTEFACTS") or Path(__file__).resolve().parents[2] / "test-artifacts")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PATIENCE_MS = 60_000
FORESEEN = ("WebSocket", "favicon", "422 (Unprocessable")  # a form with errors is answered so, and htmx logs it
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class World:
    """The console and what stands in for Salesforce and Stripe."""

    up: RunningUp
    sandbox: RunningSandbox

    def sign_in(self, page: Page, user: str = "admin") -> None:
        """As a person does: by a one-time link."""
        page.goto(self.up.manage("signin_link", user, "--base-url", self.up.url))
        page.wait_for_url(re.compile(re.escape(self.up.url) + r"/($|\?)"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser a module: while Playwright runs, its loop runs in this thread, where others' tests want their own."""
    executable = ensure.chromium()
    assert executable, "no Chromium: run `make setup`, which gets one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An empty workspace. The sandbox has its demo data and changes only when a test says so."""
    folder = tmp_path_factory.mktemp("world")
    with backends.console() as console, running_sandbox(folder / "sandbox", seed="demo") as sandbox:
        urls = json.dumps({"salesforce": sandbox.salesforce, "stripe": sandbox.stripe})
        env = {**console, "SEQUIN_PROVIDER_URLS": urls, "SEQUIN_PRIVATE_APIS": "127.0.0.1"}
        with running_up(folder / "console", "--no-demo", env=env) as up:
            up.wait_until_ready()
            yield World(up, sandbox)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile. Whatever the page logs as an error fails the test: a strict CSP must not be tripped."""
    context = chromium.new_context(viewport=DESKTOP, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    context.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    unexpected = [text for text in errors if not any(word in text for word in FORESEEN)]
    assert unexpected == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def look(page: Page, name: str) -> None:
    """Keep screenshots of this page: desktop and phone, light and dark. No page may scroll sideways."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for label, size in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(size)
            page.wait_for_timeout(100)  # let the layout settle for the picture; nothing is awaited by it
            page.screenshot(path=ARTEFACTS / f"{name}-{label}-{scheme}.png", full_page=True)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{name} scrolls sideways on {label}: {width} px"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)
