"""The one shape of everything that goes wrong, whatever goes wrong."""

import json
from typing import Any

import pytest
from django.core.cache import cache

from sequin_console.common import rest
from syncs import listing
from tests.api_client import ApiClient, error_of

pytestmark = pytest.mark.django_db
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    cache.clear()


@pytest.fixture
def api() -> ApiClient:
    return ApiClient()


def test_no_token_is_401() -> None:
    response = ApiClient(None).get("syncs")
    error = error_of(response, 401)
    assert (error["kind"], response["WWW-Authenticate"]) == ("credentials", "Bearer")


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer sqn_wrong", "Basic YTpi", "Bearer", ""])
def test_wrong_token_is_401(header: str) -> None:
    client = ApiClient(None)
    client.headers = {"Authorization": header}
    error_of(client.get("syncs"), 401)


def test_revoked_token_is_401(api: ApiClient) -> None:
    from sequin_console.accounts import tokens

    tokens.revoke(api.token, None)
    error_of(api.get("syncs"), 401)


def test_viewer_who_writes_is_403() -> None:
    error = error_of(ApiClient("viewer").delete(f"syncs/{NOBODY}"), 403)
    assert error["kind"] == "permission"
    assert "viewer" in error["message"]


@pytest.mark.parametrize(
    "path",
    ["nowhere", "syncs/", "syncs/not-an-id", f"syncs/{NOBODY}", f"syncs/{NOBODY}/nowhere", "", "providers/x",
     f"nats-consumers/{NOBODY}", f"records/{NOBODY}/a/b/c%2Fd", "syncs/%00", "a" * 3000, "a%0Ab", "%FF%0A",
     f"records/{NOBODY}/a/b%0Ac"],
)  # fmt: skip
def test_unknown_addresses_are_404(api: ApiClient, path: str) -> None:
    assert error_of(api.get(path), 404)["kind"] == "not_found"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_405_and_say_which_are_taken(api: ApiClient, method: str) -> None:
    response = api.call(method, "syncs")
    assert error_of(response, 405)["kind"] == "method"
    assert sorted(response["Allow"].split(", ")) == ["GET", "POST"]


@pytest.mark.parametrize(
    "body",
    ["{", "nul", '{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"\\u0000":1}', b'{"a":"\xff"}',
     '{"name":' + "[" * 5000 + "]" * 5000 + "}", '{"name":' + "[" * 60 + "]" * 60 + "}"],
)  # fmt: skip
def test_what_is_no_json_is_400(api: ApiClient, body: str | bytes) -> None:
    error = error_of(api.post("syncs", body), 400)
    assert "not valid JSON" in error["message"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "collection_ids"}),
        ({"name": 1, "collection_ids": "x"}, {"name", "collection_ids"}),
        ({"name": "n", "collection_ids": [1]}, {"collection_ids.0"}),
        ({"name": "n", "collection_ids": [], "surprise": 1}, {"surprise"}),
        ({"name": "n", "collection_ids": [], "poll_s": "soon"}, {"poll_s"}),
        ({"name": "n", "collection_ids": [], "credential_id": "x"}, {"credential_id"}),
        ({"name": "n", "collection_ids": [], "credential": {"properties": 1}}, {"credential.properties"}),
        ({"name": "n" * 101, "collection_ids": []}, {"name"}),
    ],
)
def test_wrong_types_are_422_at_the_dotted_field(api: ApiClient, body: Any, fields: set[str]) -> None:
    assert set(error_of(api.post("syncs", body), 422)["fields"]) == fields


@pytest.mark.parametrize("body", ["[]", "null", "1", '"text"'])
def test_body_that_is_no_object_is_422(api: ApiClient, body: str) -> None:
    assert error_of(api.post("syncs", body), 422)["message"] == "This is not a JSON object."


def test_no_body_is_422(api: ApiClient) -> None:
    assert error_of(api.post("syncs"), 422)["message"] == "The request has no body."


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "W10"}, {"status": "odd"},
     {"metadata": "x"}, {"metadata": "[]"}],
)  # fmt: skip
def test_wrong_query_is_422_at_its_name(api: ApiClient, query: dict[str, Any]) -> None:
    assert set(error_of(api.get("syncs", **query), 422)["fields"]) == set(query)


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-23T10:00:00", "0001-01-01T00:00:00+14:00"])
def test_moment_must_be_one(api: ApiClient, moment: str) -> None:
    assert "changed_since" in error_of(api.get("records", changed_since=moment), 422)["fields"]


def test_body_that_is_too_large_is_413(api: ApiClient) -> None:
    assert error_of(api.post("syncs", json.dumps({"name": "n" * 3_000_000})), 413)["kind"] == "too_large"


def test_body_that_is_not_json_by_name_is_415(api: ApiClient) -> None:
    response = api._client.post("/v1/syncs", {"name": "form"}, headers=api.headers)
    assert error_of(response, 415)["kind"] == "media_type"


def test_many_refused_requests_are_429_but_a_good_token_still_passes(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FAILURES_A_MINUTE", 3)
    stranger = ApiClient(None)
    for _ in range(3):
        error_of(stranger.get("syncs"), 401)
    response = stranger.get("syncs")
    assert error_of(response, 429)["kind"] == "rate_limit"
    assert response["Retry-After"]
    assert api.get("syncs").status_code == 200


def test_mistake_of_ours_is_500_without_its_details(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("s3cret detail")

    monkeypatch.setattr(listing, "syncs", broken)
    response = api.get("syncs")
    assert error_of(response, 500)["kind"] == "internal"
    assert b"s3cret" not in response.content


def test_answers_stay_out_of_caches_and_set_no_cookie(api: ApiClient) -> None:
    response = api.get("syncs")
    assert "no-store" in response["Cache-Control"]
    assert not response.cookies
