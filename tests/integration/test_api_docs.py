"""The OpenAPI document and its page: who may see them, and that every route is described."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from sequin_console.accounts.models import User
from sequin_console.api import api as mounted
from sequin_console.api import docs
from tests.api_client import ApiClient, error_of

pytestmark = pytest.mark.django_db
BrowserOf = Callable[..., Client]
DOCUMENT = mounted.get_openapi_schema(path_prefix="v1/")
ROOT = Path(__file__).resolve().parents[2]


def test_signed_in_people_read_the_docs(browser_of: BrowserOf, vera: User) -> None:
    page = browser_of(vera).get("/v1/docs")
    text = page.content.decode()
    assert page.status_code == 200
    for path in DOCUMENT["paths"]:
        assert path in text
    assert "curl" in text
    assert "data-copy-button" in text


def test_strangers_are_sent_to_sign_in(browser_of: BrowserOf, stan: AnonymousUser) -> None:
    response = browser_of(stan).get("/v1/docs")
    assert (response.status_code, "/accounts/sign-in/" in response["Location"]) == (302, True)


def test_page_keeps_to_the_strict_policy(browser_of: BrowserOf, vera: User) -> None:
    page = browser_of(vera).get("/v1/docs")
    text = page.content.decode()
    assert "'unsafe" not in page["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=\"/)", text)
    assert not re.search(r"<[^>]+\s(style|on\w+)=", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


def test_document_is_for_whoever_is_signed_in_or_has_a_token(browser_of: BrowserOf, vera: User) -> None:
    error_of(ApiClient(None).get("openapi.json"), 401)
    by_token = ApiClient("viewer").get("openapi.json")
    assert by_token.status_code == 200
    assert browser_of(vera).get("/v1/openapi.json").json() == by_token.json()


def test_session_alone_opens_no_other_route(browser_of: BrowserOf, root: User) -> None:
    error_of(browser_of(root).get("/v1/syncs"), 401)


def test_every_operation_is_described() -> None:
    for operation in docs.operations(DOCUMENT):
        assert operation["summary"], operation["operationId"]
        assert operation.get("description"), operation["operationId"]
        assert "default" in operation["responses"]


def test_every_component_has_a_name_of_its_own() -> None:
    from consumers import schemas as consumer_schemas
    from syncs import schemas as sync_schemas

    both = [{n for n, v in vars(m).items() if isinstance(v, type) and v.__module__.startswith(m.__name__)}
            for m in (consumer_schemas, sync_schemas)]  # fmt: skip
    assert not both[0] & both[1]  # else one would stand in the document for both


def test_every_route_stands_in_the_written_docs() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in text, (method, path)


def test_shell_lines_quote_what_they_send() -> None:
    line = docs.curl("POST", "/v1/x", {"name": "O'Hara"}, needs_token=True)
    assert line.count("'") % 2 == 0
    assert "O’Hara" in line


@pytest.mark.parametrize("kind", ["sent", "answered"])
def test_examples_are_given(kind: str) -> None:
    routes = [route for group in docs.groups(DOCUMENT) for route in group["routes"]]
    given = {route["summary"] for route in routes if route[kind]}
    assert {"sent": {"Create a sync", "Create a NATS consumer"}, "answered": {"Get a record"}}[kind] <= given
