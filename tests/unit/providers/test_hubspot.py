"""HubSpot's reader: pages and searches by id, cursors by what was seen, deletions of four kinds, refusals in words."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from syncs.providers.hubspot import PROVIDER
from syncs.providers.hubspot.catalogue import BY_ID, COLLECTIONS, CUSTOM_SCOPES, to_collection
from syncs.providers.hubspot.errors import classify, read_quota, spare_quota
from syncs.providers.hubspot.signin import grant, token_error
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.catalogue import Deletes
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    CursorLost,
    PermissionMissing,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.quota import DAY_S, Quota
from tests.unit.providers.fakes import Time, answer, client_for, script
from tests.unit.providers.hubspot_portal import NOW, VERSION, Portal

CONTACT = to_collection(BY_ID["hubspot:contact"])
LINKS = to_collection(BY_ID["hubspot:contact_to_companies"])
OWNER = to_collection(BY_ID["hubspot:owner"])
MINUTE = timedelta(minutes=1)


def reader_of(portal, **settings):
    return PROVIDER.reader(client_for(portal, PROVIDER, settings={"page_size": 2, **settings}))


async def all_of(walk):
    pages = [page async for page in walk]
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages


async def look(reader, cursor, collection=CONTACT):
    """One look: the last version seen of each, and the cursor afterwards."""
    records = {}
    for page in await all_of(reader.changes(collection.feed, [collection], cursor)):
        records |= {record.upstream_id: record for record in page.records}
        cursor = page.cursor if page.cursor is not None else cursor
    return records, cursor


def records_of(pages):
    return [record for page in pages for record in page.records]


# --- History ---------------------------------------------------------------------------------------------------------


async def test_history_names_all_properties_and_ends():
    portal = Portal()
    for number in range(1, 6):
        portal.put(number, email=f"n{number}@ex.test")
    records = records_of(await all_of(reader_of(portal).backfill(CONTACT, None)))
    assert [record.upstream_id for record in records] == ["1", "2", "3", "4", "5"]
    assert json.loads(records[0].data)["properties"]["email"] == "n1@ex.test"
    assert records[0].updated_at == NOW
    listed = [body for path, body in portal.asked if path.endswith("/contacts") and "limit" in body]
    assert {body["properties"] for body in listed} == {"email,hs_merged_object_ids,hs_object_id,lastmodifieddate"}
    assert portal.count("batch/read") == 0


async def test_more_properties_than_fit_a_url_are_read_by_id_with_the_same_bytes():
    portal = Portal()
    for number in range(1, 6):
        portal.put(number, email=f"Zoë {number}")
    short = {
        each.upstream_id: each.data for each in records_of(await all_of(reader_of(portal).backfill(CONTACT, None)))
    }
    narrow = reader_of(portal, longest_names=10)
    long = {each.upstream_id: each.data for each in records_of(await all_of(narrow.backfill(CONTACT, None)))}
    assert short == long
    assert portal.count("batch/read") == 3
    assert all(len(body.get("properties", "")) < 60 for path, body in portal.asked if path.endswith("/contacts"))


async def test_history_goes_on_where_the_next_object_was_deleted():
    portal = Portal()
    for number in range(1, 6):
        portal.put(number)
    reader = reader_of(portal)
    walk = reader.backfill(CONTACT, None)
    first = await anext(walk)
    await walk.aclose()
    portal.archive(3)
    rest = records_of(await all_of(reader.backfill(CONTACT, first.cursor)))
    assert [record.upstream_id for record in rest] == ["4", "5"]


# --- Changes ---------------------------------------------------------------------------------------------------------


async def test_a_look_finds_what_changed_and_then_nothing():
    portal = Portal()
    portal.put(1, NOW - timedelta(days=2))
    reader = reader_of(portal)
    cursor = await reader.start(CONTACT.feed, [CONTACT])
    _, cursor = await look(reader, cursor)
    portal.put(2, NOW - MINUTE, email="ada@ex.test")
    records, cursor = await look(reader, cursor)
    assert list(records) == ["2"]
    portal.now += timedelta(minutes=10)
    _, cursor = await look(reader, cursor)
    records, cursor = await look(reader, cursor)
    assert records == {}


async def test_more_than_ten_thousand_of_one_stamp_are_all_found():
    portal = Portal()
    reader = PROVIDER.reader(client_for(portal, PROVIDER))
    cursor = await reader.start(CONTACT.feed, [CONTACT])
    for number in range(1, 10_002):
        portal.put(number, NOW)
    records, cursor = await look(reader, cursor)
    assert len(records) == 10_001
    assert all("after" not in body for path, body in portal.asked if path.endswith("/search"))
    portal.now += timedelta(minutes=5)
    _, cursor = await look(reader, cursor)
    before = len(portal.asked)
    assert (await look(reader, cursor))[0] == {}
    assert len(portal.asked) - before == 1, "what cannot show up late any more is not read again and again"


async def test_one_that_changes_behind_the_walk_is_found_by_the_next_look():
    portal = Portal()
    for number in range(1, 8):
        portal.put(number, NOW - MINUTE)
    reader = reader_of(portal)
    cursor = {"t": "2026-11-23T08:00:00.000Z"}
    turns = []

    def between():
        turns.append(1)
        if len(turns) == 2:
            portal.now = NOW + timedelta(seconds=2)
            portal.put(1, portal.now, email="late@ex.test")

    portal.between = between
    first, cursor = await look(reader, cursor)
    assert len(first) == 7
    assert b"late@" not in first["1"].data
    assert cursor["t"] <= "2026-11-23T09:00:00.000Z"
    second, _ = await look(reader, cursor)
    assert b"late@" in second["1"].data


@pytest.mark.parametrize(("late", "looks"), [(timedelta(seconds=90), 1), (timedelta(minutes=40), 4)])
async def test_what_the_index_shows_late_is_not_missed(late, looks):
    portal = Portal()
    portal.put(1, NOW - timedelta(days=1))
    reader = reader_of(portal)
    cursor = await reader.start(CONTACT.feed, [CONTACT])
    portal.put(2, NOW - late)
    portal.hidden = {2}
    portal.put(3, NOW)
    records, cursor = await look(reader, cursor)
    assert "2" not in records
    portal.hidden = set()
    seen = {}
    for _ in range(looks):
        portal.now += timedelta(minutes=5) if looks > 1 else timedelta(seconds=20)
        records, cursor = await look(reader, cursor)
        seen |= records
    assert "2" in seen


async def test_a_clock_ten_minutes_off_carries_the_cursor_over_nothing():
    portal = Portal()
    portal.put(1, NOW - timedelta(hours=1))
    reader = reader_of(portal)
    cursor = await reader.start(CONTACT.feed, [CONTACT])
    portal.now = NOW + timedelta(minutes=10)
    _, cursor = await look(reader, cursor)
    portal.now = NOW
    portal.put(2, NOW)
    records, cursor = await look(reader, cursor)
    assert "2" in records
    portal.now = NOW - timedelta(minutes=10)
    portal.put(3, NOW + MINUTE)
    records, _ = await look(reader, cursor)
    assert "3" in records


async def test_a_look_cut_short_goes_on_from_any_page():
    portal = Portal()
    for number in range(1, 12):
        portal.put(number, NOW - MINUTE)
    reader, cursor, seen, done = reader_of(portal), {"t": "2026-11-23T08:00:00.000Z"}, [], False
    while not done:
        walk = reader.changes(CONTACT.feed, [CONTACT], cursor)
        page = await anext(walk)
        await walk.aclose()
        seen += [record.upstream_id for record in page.records if not record.deleted]
        cursor, done = json.loads(json.dumps(page.cursor)), page.done
    assert sorted(seen, key=int) == [str(number) for number in range(1, 12)]


async def test_searches_leave_four_a_second():
    portal, time = Portal(), Time()
    for number in range(1, 41):
        portal.put(number, NOW - MINUTE)
    reader = PROVIDER.reader(client_for(portal, PROVIDER, time=time, settings={"page_size": 2}))
    await look(reader, {"t": "2026-11-23T08:00:00.000Z"})
    assert portal.count("/search") == 10
    assert sum(time.slept) == pytest.approx(9 / 4)


# --- Deletions -------------------------------------------------------------------------------------------------------


async def test_the_recycle_bin_is_read_every_quarter_of_an_hour_and_less_often_when_large():
    portal = Portal()
    for number in range(1, 42):
        portal.put(number, NOW - timedelta(days=1))
    reader = reader_of(portal)
    cursor = await reader.start(CONTACT.feed, [CONTACT])
    for number in range(1, 41):
        portal.archive(number)
    records, cursor = await look(reader, cursor)
    assert records == {}
    portal.now += 15 * MINUTE
    records, cursor = await look(reader, cursor)
    assert len(records) == 40
    assert all(record.deleted and record.data is None for record in records.values())
    portal.now += 19 * MINUTE
    assert (await look(reader, cursor))[0] == {}
    portal.now += MINUTE
    assert len((await look(reader, cursor))[0]) == 40


@pytest.mark.parametrize("collection", [CONTACT, LINKS])
async def test_a_merged_object_is_buried_when_its_survivor_comes(collection):
    portal = Portal()
    for number in (1, 2, 3):
        portal.put(number, NOW - timedelta(days=1))
    portal.links = {"1": [601]}
    reader = reader_of(portal)
    cursor = await reader.start(collection.feed, [collection])
    del portal.contacts[2]
    portal.put(1, NOW, hs_merged_object_ids="2;3")  # 3 lives: whatever the survivor says, it is asked for
    records, _ = await look(reader, cursor, collection)
    assert records["2"].deleted
    assert "3" not in records
    assert not records["1"].deleted


async def test_read_tells_gone_from_not_readable_now():
    portal = Portal()
    portal.put(1)
    reader = reader_of(portal)
    one, gone = await reader.read(CONTACT, ["1", "9"])
    assert (one.upstream_id, one.deleted, gone.upstream_id, gone.deleted) == ("1", False, "9", True)
    path = f"/crm/objects/{VERSION}/contacts/batch/read"
    sick = {"category": "INTERNAL_ERROR", "message": "Timed out.", "context": {"ids": ["1"]}}
    portal.extra[path] = answer({"results": [], "errors": [sick]}, 207)
    assert await reader.read(CONTACT, ["1"]) == []
    portal.extra[path] = answer({"results": [], "errors": [{"category": "INTERNAL_ERROR"}]}, 207)
    with pytest.raises(UpstreamFailed):
        await reader.read(CONTACT, ["1"])


async def test_a_sweep_reads_ids_alone():
    portal = Portal()
    for number in range(1, 6):
        portal.put(number)
    portal.archive(2)
    pages = [page async for page in reader_of(portal).sweep(CONTACT, None)]
    assert [each for page in pages for each in page.ids] == ["1", "3", "4", "5"]
    assert portal.count("properties") == 0


# --- Associations ----------------------------------------------------------------------------------------------------


async def test_associations_are_whole_ordered_and_one_record_an_object():
    portal = Portal()
    portal.put(1)
    portal.put(2)
    portal.links, portal.most_links = {"1": [605, 602, 601, 604, 603]}, 2
    records = records_of(await all_of(reader_of(portal).backfill(LINKS, None)))
    one = next(record for record in records if record.upstream_id == "1")
    assert [each["toObjectId"] for each in json.loads(one.data)["to"]] == [601, 602, 603, 604, 605]
    assert json.loads(one.data)["from"] == {"id": "1"}
    assert next(record for record in records if record.upstream_id == "2").deleted
    portal.links["1"].reverse()
    (again,) = await reader_of(portal).read(LINKS, ["1"])
    assert again.data == one.data


async def test_associations_follow_their_objects():
    portal = Portal()
    portal.put(1, NOW - timedelta(days=1))
    portal.links = {"1": [601]}
    reader = reader_of(portal)
    cursor = await reader.start(LINKS.feed, [LINKS])
    _, cursor = await look(reader, cursor, LINKS)
    portal.links["1"].append(602)
    portal.put(1, NOW)
    records, cursor = await look(reader, cursor, LINKS)
    assert len(json.loads(records["1"].data)["to"]) == 2
    portal.archive(1)
    portal.now += 16 * MINUTE
    records, _ = await look(reader, cursor, LINKS)
    assert records["1"].deleted
    assert [each async for page in reader.sweep(LINKS, None) for each in page.ids] == []


# --- Owners, custom objects, account ---------------------------------------------------------------------------------


async def test_archived_owners_arrive_as_deleted():
    def upstream(request):
        is_bin = request.url.params.get("archived") == "true"
        owner = {
            "id": "9" if is_bin else "7",
            "email": "ada@ex.test",
            "archived": is_bin,
            "createdAt": "2026-01-01T00:00:00Z",
        }
        return answer({"results": [owner]})

    records = records_of(await all_of(reader_of(upstream).backfill(OWNER, None)))
    assert [(record.upstream_id, record.deleted) for record in records] == [("7", False), ("9", True)]
    gone = await reader_of(upstream).read(OWNER, ["9"])
    assert [record.deleted for record in gone] == [True]


async def test_custom_objects_are_discovered_and_read():
    ends = [{"fromObjectTypeId": one, "toObjectTypeId": other} for one, other in (("2-77", "0-1"), ("0-1", "2-77"))]
    car = {"name": "car", "objectTypeId": "2-77", "labels": {"singular": "Car", "plural": "Cars"}}
    schemas = {"results": [car | {"associations": ends}, {"name": "old", "objectTypeId": "2-78", "archived": True}]}

    def upstream(request):
        if "schemas" in request.url.path:
            return answer(schemas)
        paths = ("objects/{}/2-77", "properties/{}/2-77", "associations/{}/2-77/contacts/batch/read")
        assert request.url.path in [f"/crm/{path.format(VERSION)}" for path in paths]
        return answer({"results": []})

    reader = reader_of(upstream)
    found = await reader.discover()
    assert [each.id for each in found[len(COLLECTIONS) :]] == ["hubspot:custom:car", "hubspot:custom:car_to_contacts"]
    car, links = found[-2:]
    assert links.title == "Associations: cars to contacts"
    assert (car.title, car.custom, car.deletes) == ("Cars", True, Deletes.FLAG)
    await all_of(reader.backfill(car, None))
    await all_of(reader.backfill(links, None))


async def test_an_account_without_custom_objects_offers_the_rest():
    refusal = {
        "status": "error",
        "category": "MISSING_SCOPES",
        "message": "This app hasn't been granted all required scopes.",
    }
    reader = reader_of(lambda request: answer(refusal, 403))
    assert await reader.discover() == COLLECTIONS


async def test_check_tells_whose_account_it_is():
    details = {
        "portalId": 4242424,
        "accountType": "DEVELOPER_TEST",
        "timeZone": "US/Eastern",
        "uiDomain": "app.hubspot.com",
    }
    account = await reader_of(lambda request: answer(details)).check()
    assert (account.id, account.name, account.live) == ("4242424", "HubSpot account 4242424, developer test", False)
    account = await reader_of(lambda request: answer({"category": "MISSING_SCOPES"}, 403)).check()
    assert account.id == ""


async def test_fields_are_the_properties():
    fields = {each.accessor: each for each in await reader_of(Portal()).fields(CONTACT)}
    assert fields["properties.email"].type == "string"
    assert fields["id"].primary_key


# --- Refusals --------------------------------------------------------------------------------------------------------


def said(status: int, body: object = None, **headers: str) -> Answer:
    found = answer(body, status, **headers)
    return Answer(status, found.headers, found.content)


SCOPES = {
    "category": "MISSING_SCOPES",
    "errors": [{"message": "x", "context": {"requiredGranularScopes": ["tickets"]}}],
}


@pytest.mark.parametrize(
    ("refused", "kind", "words"),
    [
        (said(401, {"category": "EXPIRED_AUTHENTICATION", "message": "…"}), CredentialsRefused, "expired"),
        (said(401, {"category": "INVALID_AUTHENTICATION"}), CredentialsRefused, "rotated"),
        (said(530), CredentialsRefused, "no access token"),
        (said(403, SCOPES), PermissionMissing, "tickets"),
        (said(403, []), PermissionMissing, "may not"),
        (said(400, {"message": "Unable to infer object type from: appointments"}), CollectionGone, "does not offer"),
        (said(400, {"category": "VALIDATION_ERROR", "message": "Invalid paging cursor"}), CursorLost, "place"),
        (said(400, {"category": "VALIDATION_ERROR", "message": "limit"}), UnexpectedShape, "understand"),
        (said(414), UnexpectedShape, "understand"),
        (said(423), UpstreamFailed, "busy"),
        (said(503), UpstreamFailed, "trouble"),
        (said(524), UpstreamFailed, "trouble"),
    ],
)  # fmt: skip
def test_refusals_are_told_apart(refused, kind, words):
    error = classify(refused)
    assert type(error) is kind
    assert words in error.message


@pytest.mark.parametrize(
    ("refused", "wait_s"),
    [
        (said(429, {"policyName": "TEN_SECONDLY_ROLLING"}), 10),
        (said(429, {"policyName": "TEN_SECONDLY_ROLLING"}, X_HubSpot_RateLimit_Interval_Milliseconds="5000"), 5),
        (said(429, {"message": "You have reached your secondly limit."}), 1),
        (said(429, {"policyName": "DAILY", "message": "You have reached your daily limit."}), 3600),
        (said(429, {"policyName": "DAILY"}, Retry_After="120"), 120),
        (said(429, b"<html>", Retry_After="7"), 7),
        (said(477, None, Retry_After="86400"), 86400),
        (said(477), 900),
    ],
)
def test_waits_are_as_long_as_the_limit(refused, wait_s):
    error = classify(refused)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait_s


async def test_a_long_search_limit_is_sat_out():
    busy = answer({"message": "You have reached your secondly limit."}, 429)
    portal = Portal()
    portal.put(1)
    upstream = script([busy, busy, portal._searched({"sorts": [{"propertyName": "x"}], "limit": 1, "properties": []})])
    time = Time()
    reader = PROVIDER.reader(client_for(upstream, PROVIDER, time=time))
    assert await reader.count(CONTACT) == 1
    assert sum(time.slept) >= 2


def test_the_day_of_the_account_is_the_quota():
    headers = {"x-hubspot-ratelimit-daily": "250000", "x-hubspot-ratelimit-daily-remaining": "100000"}
    day = Quota(150_000, 250_000, "day", DAY_S)
    assert read_quota(headers) == (day,)
    burst = {"x-hubspot-ratelimit-max": "110", "x-hubspot-ratelimit-remaining": "109"}
    assert read_quota({**headers, **burst}) == (day, Quota(1, 110, "burst", 10))
    assert read_quota({}) == ()
    assert spare_quota(Quota(200_000, 250_000, "day")) is None
    assert "240,000" in spare_quota(Quota(240_000, 250_000, "day")).message
    assert spare_quota(Quota(110, 110, "burst", 10)) is None


# --- Signing in ------------------------------------------------------------------------------------------------------


def test_the_grant_names_account_and_scopes():
    made = grant(
        {"access_token": "CIr", "refresh_token": "na1-1", "expires_in": 1800, "hub_id": 4242424, "scopes": ["oauth"]}
    )
    assert (made.account_id, made.lifetime_s, made.scopes, made.refresh_token) == ("4242424", 1800, ("oauth",), "na1-1")


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, {"error": "invalid_grant", "status": "BAD_REFRESH_TOKEN"}, CredentialsRefused, "ended this connection"),
        (400, {"error": "access_denied", "status": "BAD_HUB"}, CredentialsRefused, "ended this connection"),
        (400, {"error": "invalid_grant", "status": "BAD_AUTH_CODE"}, CredentialsRefused, "did not accept"),
        (400, {"error": "invalid_client", "status": "BAD_CLIENT_SECRET"}, CredentialsRefused, "our OAuth app"),
        (400, {"status": "BAD_SCOPES"}, CredentialsRefused, "our OAuth app"),
        (429, {}, RateLimited, "slow down"),
        (477, {}, UpstreamFailed, "did not answer"),
        (503, {}, UpstreamFailed, "did not answer"),
    ],
)
def test_only_a_dead_grant_is_called_dead(status, body, kind, words):
    error = token_error(status, json.dumps(body).encode())
    assert type(error) is kind
    assert words in error.message


def test_the_setup_page_names_the_scopes_that_are_asked_for():
    page = (Path(__file__).resolve().parents[3] / "templates/providers/_hubspot_scopes.html").read_text()
    named = set(re.findall("<code>(.+?)</code>", page))
    assert named == {scope for each in COLLECTIONS if each.shown for scope in each.scopes} | set(CUSTOM_SCOPES)
