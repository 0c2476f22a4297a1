"""Times, hosts, paging types, token answers: the small pure parts."""

from datetime import UTC, datetime

import httpx
import pytest

from syncs.providers.kit import auth
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import CredentialsRefused, RateLimited, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.hosts import BadHost, clean_url
from syncs.providers.kit.paging import LocatorHeader, NextRecordsUrl, Request, StartingAfter
from syncs.providers.kit.times import from_unix, parse_time, to_millis_z


def page(body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(200, httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), body)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T08:15:00.000+0000",
        "2026-11-20T08:15:00Z",
        "2026-11-20T09:15:00+01:00",
        "2026-11-20T08:15:00.000000000Z",
        "2026-11-20T08:15:00",
    ],
)
def test_times_are_aware_utc(text):
    moment = parse_time(text)
    assert moment == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    assert moment.tzinfo is UTC
    assert to_millis_z(moment) == "2026-11-20T08:15:00.000Z"


def test_unix_time_in_a_wrong_unit_is_no_time():
    assert from_unix(1764000000) == datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
    assert from_unix(1764000000000000) is None
    assert from_unix(None) is None


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("acme.example.com/", "https://acme.example.com"),
        (" https://acme.example.com/api/v3/ ", "https://acme.example.com/api/v3"),
        ("http://127.0.0.1:8090/stripe", "http://127.0.0.1:8090/stripe"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_addresses_are_cleaned(typed, cleaned):
    assert clean_url(typed) == cleaned


@pytest.mark.parametrize(
    "typed",
    ["http://acme.example.com", "", "https://", "ftp://a", "https://u:p@a.com", "https://a.com?x=1", "https://a.com#x",
     "https://a b.com", "https://a.com:x", "javascript:alert(1)", "http://127.0.0.1.evil.com", "//"],
)  # fmt: skip
def test_unsafe_addresses_are_refused(typed):
    with pytest.raises(BadHost):
        clean_url(typed)


def test_next_records_url_is_followed_until_done():
    request = Request("/q", {"q": "x"}, {"A": "b"})
    more = page(b'{"done":false,"nextRecordsUrl":"/services/data/v67.0/query/0r8-2000","records":[]}')
    assert NextRecordsUrl().after(more, request) == Request("/services/data/v67.0/query/0r8-2000", None, {"A": "b"})
    assert NextRecordsUrl().after(page(b'{"done":true,"records":[]}'), request) is None


def test_locator_ends_with_the_word_null():
    request = Request("/results", {"maxRecords": 10})
    following = LocatorHeader().after(page(Sforce_Locator="MjU"), request)
    assert following == Request("/results", {"maxRecords": 10, "locator": "MjU"})
    assert LocatorHeader().after(page(Sforce_Locator="null"), request) is None
    assert LocatorHeader().after(page(), request) is None


def test_starting_after_takes_the_last_id():
    request = Request("/v1/customers", {"limit": 2})
    body = b'{"object":"list","data":[{"id":"cus_B"},{"id":"cus_A"}],"has_more":%s}'
    assert StartingAfter().after(page(body % b"true"), request) == Request(
        "/v1/customers", {"limit": 2, "starting_after": "cus_A"}
    )
    assert StartingAfter().after(page(body % b"false"), request) is None
    assert StartingAfter().after(page(b'{"data":[],"has_more":true}'), request) is None


def test_grant_shows_no_token():
    grant = auth.parse_grant({"access_token": "topsecret", "refresh_token": "more", "expires_in": 3600, "scope": "a b"})
    assert (grant.access_token, grant.refresh_token, grant.lifetime_s) == ("topsecret", "more", 3600)
    assert grant.scopes == ("a", "b")
    assert "topsecret" not in repr(grant)
    assert "more" not in repr(grant)


def test_grant_without_token_is_told():
    with pytest.raises(UnexpectedShape):
        auth.parse_grant({"error": "x"})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":"invalid_grant"}', CredentialsRefused),
        (401, b'{"error":"invalid_client"}', CredentialsRefused),
        (400, b"<html>", CredentialsRefused),
        (429, b"", RateLimited),
        (503, b"<html>", UpstreamFailed),
    ],
)
def test_token_refusals_are_told_apart(status, body, kind):
    error = auth.token_error(status, body)
    assert type(error) is kind
    assert error.next_step
