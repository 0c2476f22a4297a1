"""Zendesk, without a network of its own: sign-in, catalogue, exports, lists, parts of tickets, refusals."""

import base64
import json
from datetime import UTC, datetime

import httpx
import pytest

from syncs.engine.changes import digest
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
from syncs.providers.kit.quota import MINUTE_S, Quota
from syncs.providers.kit.times import to_unix
from syncs.providers.kit.values import BadValue
from syncs.providers.zendesk import PROVIDER
from syncs.providers.zendesk.catalogue import COLLECTIONS, own_collection
from syncs.providers.zendesk.errors import (
    ExportsBusy,
    ObjectGone,
    PlaceLost,
    TooRecent,
    classify,
    exports_left,
    read_quota,
    spare_quota,
)
from syncs.providers.zendesk.signin import LIFETIME_S, SUBDOMAIN, client_credentials, token_error
from tests.unit.providers.fakes import answer, client_for, script

MOMENT = datetime(2026, 11, 23, 9, tzinfo=UTC)
NOW = to_unix(MOMENT)
BY_COLLECTION = {each.id: each for each in COLLECTIONS}
TICKET, METRIC, COMMENT, AUDIT, ORGANIZATION, GROUP, RATING, TAG = (
    BY_COLLECTION[f"zendesk:{name}"]
    for name in (
        "ticket", "ticket_metric", "ticket_comment", "ticket_audit", "organization", "group", "satisfaction_rating",
        "tag",
    )
)  # fmt: skip


def stamp(number: int) -> str:
    return f"2026-11-22T08:{number % 60:02d}:00Z"


def ticket(number: int, **more) -> dict:
    return {"id": number, "status": "open", "created_at": stamp(1), "updated_at": stamp(number),
            "generated_timestamp": NOW - 5000 + number, "custom_fields": [], "fields": [], **more}  # fmt: skip


def export(items: list, after: str | None = "end", end: bool = True, key: str = "tickets", **more) -> httpx.Response:
    return answer({key: items, "after_cursor": after, "after_url": None, "end_of_stream": end, **more})


def listed(key: str, items: list, after: str = "") -> httpx.Response:
    """As Zendesk answers: `links.next` is there on the last page, too."""
    meta = {"has_more": bool(after), "after_cursor": after or "last", "before_cursor": None}
    return answer({key: items, "meta": meta, "links": {"next": "https://upstream.test/again", "prev": None}})


def reader_over(upstream, **settings):
    return PROVIDER.reader(client_for(upstream, PROVIDER, settings=settings))


async def walk(pages) -> list:
    return [page async for page in pages]


def refusal(status: int, body, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx.Headers(named), body if isinstance(body, bytes) else json.dumps(body).encode())


# --- Sign-in


@pytest.mark.parametrize("typed", ["acme", "https://acme.zendesk.com/agent", " ACME.zendesk.com"])
def test_subdomain_is_taken_from_what_people_paste(typed):
    assert SUBDOMAIN.clean(typed) == "acme"


@pytest.mark.parametrize("typed", ["support.acme.com", "acme.zendesk.com.evil.test", "a@b", "acme:8443", ""])
def test_secrets_go_to_no_other_host(typed):
    with pytest.raises(BadValue):
        SUBDOMAIN.clean(typed)


def test_api_token_is_sent_as_basic_of_address_and_token():
    headers = PROVIDER.kind("zendesk_api_token").request_headers({"api_token": "k3y"}, {"email": "ada@acme.com"})
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"ada@acme.com/token:k3y"


def test_every_token_request_asks_for_a_life_and_for_reading_alone():
    oauth = PROVIDER.kind("zendesk_oauth2").oauth
    asked = oauth.request("id", "secret", {"grant_type": "refresh_token", "refresh_token": "r"})
    assert asked.json == {
        "grant_type": "refresh_token", "refresh_token": "r", "scope": "read", "expires_in": str(LIFETIME_S),
        "client_id": "id", "client_secret": "secret",
    }  # fmt: skip
    minted = client_credentials({"client_id": "id", "client_secret": "secret", "subdomain": "acme"}, "", MOMENT)
    assert minted.json["grant_type"] == "client_credentials"
    assert (minted.json["scope"], minted.json["expires_in"]) == ("read", LIFETIME_S)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(400, "invalid_grant", "no longer"), (401, "invalid_client", "OAuth client"), (400, "invalid_scope", "scope"),
     (404, "", "address")],
)  # fmt: skip
def test_refusals_of_the_token_endpoint_are_told(status, code, words):
    error = token_error(status, json.dumps({"error": code}).encode())
    assert isinstance(error, CredentialsRefused)
    assert words in error.message
    assert isinstance(token_error(503, b"<html>"), UpstreamFailed)


@pytest.mark.parametrize(
    ("user", "error"),
    [({"id": None, "name": "Anonymous user"}, CredentialsRefused), ({"id": 3, "role": "agent"}, PermissionMissing),
     ({"id": 3, "role": "admin", "active": False}, PermissionMissing), ({"id": "three"}, UnexpectedShape)],
)  # fmt: skip
async def test_who_is_nobody_or_no_admin_is_not_let_in(user, error):
    with pytest.raises(error):
        await reader_over(lambda request: answer({"user": user})).check()


async def test_dead_token_is_renewed_before_we_ask_who_we_are():
    """Zendesk takes the bearer of a dead token for a guest, and says so with 200: nothing would ever be renewed."""

    def upstream(request: httpx.Request) -> httpx.Response:
        is_dead = request.headers["Authorization"].endswith("-0")
        if "settings" in request.url.path:
            return answer({"error": "invalid_token"}, 401) if is_dead else answer({"settings": {}})
        return answer({"user": {"id": None if is_dead else 3, "role": "admin"}})

    assert (await reader_over(upstream).check()).name == "upstream.test"


async def test_account_is_told_by_its_own_address():
    user = {"id": 3, "role": "admin", "active": True, "url": "https://acme.zendesk.com/api/v2/users/3.json"}
    account = await reader_over(lambda request: answer({"user": user})).check()
    assert (account.id, account.name) == ("acme", "acme.zendesk.com")


# --- Catalogue


def test_all_collections_of_the_issue_are_there():
    names = {each.removeprefix("zendesk:") for each in BY_COLLECTION}
    assert names >= {
        "ticket", "ticket_comment", "ticket_metric", "ticket_audit", "user", "organization", "group", "brand",
        "ticket_field", "ticket_form", "satisfaction_rating", "macro", "view", "custom_object",
    }  # fmt: skip
    assert all(not each.sweep_every_h for each in COLLECTIONS if each.deletes is Deletes.NONE)


async def test_custom_objects_are_discovered_unless_the_plan_has_none():
    own = {"custom_objects": [{"key": "coffee_machine", "title": "Machine", "title_pluralized": "Machines"}]}
    found = await reader_over(lambda request: answer(own)).discover()
    assert found[-1].id == "zendesk:custom_object:coffee_machine"
    assert (found[-1].title, found[-1].custom, len(found)) == ("Machines", True, len(COLLECTIONS) + 1)
    gone = {"error": "InvalidEndpoint", "description": "Not found"}
    assert await reader_over(lambda request: answer(gone, 404)).discover() == COLLECTIONS


# --- Exports


async def test_history_begins_at_zero_and_goes_on_by_cursor_though_a_page_is_empty():
    upstream = script([export([ticket(1), ticket(2)], "a", False), export([], "b", False), export([ticket(3)], "c")])
    pages = await walk(reader_over(upstream).backfill(TICKET, None))
    assert [request.url.params.get("cursor") for request in upstream.asked] == [None, "a", "b"]
    assert [request.url.params.get("start_time") for request in upstream.asked] == ["0", None, None]
    assert [record.upstream_id for page in pages for record in page.records] == ["1", "2", "3"]
    assert pages[-1].cursor == {"after": "c", "t": NOW - 5000 + 3}
    assert [page.done for page in pages] == [False, False, True]


async def test_ticket_keeps_its_bytes_and_is_versioned_by_generated_timestamp():
    body = b'{"tickets":[{"id":7,"price":1.10,"fields":[1],"status":"open","updated_at":"2026-11-20T00:00:00Z",'
    body += b'"generated_timestamp":%d}],"after_cursor":"x","end_of_stream":true}' % NOW
    record = (await walk(reader_over(lambda request: answer(body)).backfill(TICKET, None)))[0].records[0]
    assert record.data == b'{"id":7,"price":1.10,"status":"open","updated_at":"2026-11-20T00:00:00Z",' + (
        b'"generated_timestamp":%d}' % NOW
    )
    assert to_unix(record.updated_at) == NOW


def test_system_update_alone_is_the_same_content():
    before, after = (json.dumps(ticket(1, generated_timestamp=NOW + n)).encode() for n in (0, 60))
    assert digest(before, TICKET.volatile) == digest(after, TICKET.volatile)
    assert digest(before, TICKET.volatile) != digest(json.dumps(ticket(1, status="solved")).encode(), TICKET.volatile)


async def test_marks_of_deletion_are_seen():
    marked = export([ticket(1, status="deleted"), ticket(2)])
    records = (await walk(reader_over(lambda request: marked).backfill(TICKET, None)))[0].records
    assert [record.deleted for record in records] == [True, False]
    users = export([{"id": 1, "active": False}, {"id": 2, "active": True}, {"id": 3}], key="users")
    records = (await walk(reader_over(lambda r: users).backfill(BY_COLLECTION["zendesk:user"], None)))[0].records
    assert [record.deleted for record in records] == [True, False, False]
    own = own_collection("machine", "Machines")
    rows = export([{"id": "01J", "name": "[DELETED]", "custom_object_fields": {"a": "[DELETED]"}},
                   {"id": "01K", "name": "Ours", "custom_object_fields": {"a": None}}],
                  key="custom_object_records")  # fmt: skip
    records = (await walk(reader_over(lambda request: rows).backfill(own, None)))[0].records
    assert [(record.deleted, record.data is None) for record in records] == [(True, True), (False, False)]


async def test_metrics_come_beside_tickets_by_one_request():
    metrics = [{"id": 11, "ticket_id": 1}, {"id": 12, "ticket_id": 2}]
    upstream = script([export([ticket(1, status="deleted"), ticket(2)], metric_sets=metrics)])
    pages = await walk(reader_over(upstream).changes(TICKET.feed, [METRIC, TICKET], {"t": 5}))
    assert upstream.asked[0].url.params["include"] == "metric_sets"
    found = {(record.collection_id, record.upstream_id): record.deleted for record in pages[0].records}
    assert found == {(METRIC.id, "11"): True, (METRIC.id, "12"): False, (TICKET.id, "1"): True, (TICKET.id, "2"): False}


async def test_forgotten_cursor_goes_on_by_time():
    lost = answer({"error": "InvalidCursor", "description": "The cursor is invalid"}, 400)
    upstream = script([lost, export([ticket(3)])])
    pages = await walk(reader_over(upstream).changes(TICKET.feed, [TICKET], {"after": "old", "t": 77}))
    assert upstream.asked[1].url.params["start_time"] == "77"
    assert len(pages[0].records) == 1


async def test_page_too_heavy_for_zendesk_is_halved():
    upstream = script([answer(b"upstream request timeout", 504)] * 3 + [export([ticket(1)])])
    await walk(reader_over(upstream).backfill(TICKET, None))
    assert [request.url.params["per_page"] for request in upstream.asked] == ["1000"] * 3 + ["500"]


async def test_export_that_stands_still_is_no_endless_loop():
    with pytest.raises(UpstreamFailed):
        await walk(reader_over(lambda request: export([], "same", False)).backfill(TICKET, None))


async def test_exports_stop_before_the_minute_is_used_up():
    page = export([ticket(1)], "a", False)
    page.headers["zendesk-ratelimit-incremental-exports"] = "total=10; remaining=1; resets=43"
    pages = reader_over(lambda request: page).backfill(TICKET, None)
    assert (await anext(pages)).cursor["after"] == "a"
    with pytest.raises(ExportsBusy) as caught:
        await anext(pages)
    assert caught.value.retry_after_s == 43
    assert not isinstance(caught.value, RateLimited), "lists go on meanwhile"


async def test_too_recent_means_nothing_new():
    body = {"error": "InvalidValue", "description": "Too recent start_time. Use a start_time older than 60 seconds"}
    pages = await walk(reader_over(lambda r: answer(body, 422)).changes(TICKET.feed, [TICKET], {"t": NOW}))
    assert [(page.records, page.cursor, page.done) for page in pages] == [([], None, True)]


async def test_stamps_of_the_future_do_not_carry_the_cursor_along():
    page = export([ticket(1, generated_timestamp=NOW + 600)], "later")
    pages = await walk(reader_over(lambda request: page).changes(TICKET.feed, [TICKET], {"t": NOW - 3000}))
    assert [page.cursor for page in pages] == [{"t": NOW - 900}]
    rated = {"id": 1, "created_at": "2026-11-23T09:10:00Z"}
    ratings = listed("satisfaction_ratings", [rated])
    pages = await walk(reader_over(lambda request: ratings).changes(RATING.feed, [RATING], {"t": NOW - 300}))
    assert pages[-1].cursor == {"t": NOW}


async def test_changes_start_a_quarter_of_an_hour_ago():
    reader = reader_over(lambda request: answer({"user": {"id": 3}}))
    assert await reader.start(TICKET.feed, [TICKET]) == {"t": NOW - 900}
    assert await reader.start(GROUP.feed, [GROUP]) == {}


async def test_export_by_time_goes_on_from_its_end():
    def page(numbers: list[int], end: int, done: bool):
        rows = [{"id": n, "updated_at": stamp(n)} for n in numbers]
        return answer({"organizations": rows, "end_time": end, "end_of_stream": done, "count": len(rows)})

    upstream = script([page([1, 2], 60, False), page([2, 3], 90, True)])
    pages = await walk(reader_over(upstream).changes(ORGANIZATION.feed, [ORGANIZATION], {"t": 5}))
    assert [request.url.params["start_time"] for request in upstream.asked] == ["5", "60"]
    assert [page.cursor for page in pages] == [{"t": 60}, {"t": 90}]


async def test_export_by_time_that_stands_still_reads_the_list_again():
    stuck = answer({"organizations": [{"id": 1}], "end_time": 60, "end_of_stream": False})
    with pytest.raises(CursorLost):
        await walk(reader_over(lambda request: stuck).changes(ORGANIZATION.feed, [ORGANIZATION], {"t": 60}))


async def test_export_by_time_without_a_list_steps_over_the_second():
    event = BY_COLLECTION["zendesk:ticket_event"]
    rows = {"ticket_events": [{"id": 1}], "end_time": 60}
    upstream = script([answer({**rows, "end_of_stream": False}), answer({**rows, "end_of_stream": True})])
    pages = await walk(reader_over(upstream).changes(event.feed, [event], {"t": 60}))
    assert pages[-1].cursor == {"t": 61}


# --- Lists


async def test_list_ends_by_has_more_though_a_next_link_is_there():
    upstream = script([listed("groups", [{"id": 1}], "a"), listed("groups", [{"id": 2, "deleted": True}])])
    pages = await walk(reader_over(upstream).backfill(GROUP, None))
    assert [request.url.params.get("page[after]") for request in upstream.asked] == [None, "a"]
    assert upstream.asked[0].url.params["exclude_deleted"] == "false"
    assert [(r.upstream_id, r.deleted) for page in pages for r in page.records] == [("1", False), ("2", True)]


async def test_list_by_page_numbers_and_list_of_one_page():
    form = BY_COLLECTION["zendesk:ticket_form"]
    first = answer({"ticket_forms": [{"id": 1}], "next_page": "https://upstream.test/api/v2/ticket_forms?page=2"})
    upstream = script([first, answer({"ticket_forms": [{"id": 2}], "next_page": None})])
    pages = await walk(reader_over(upstream).backfill(form, None))
    assert [request.url.params.get("page") for request in upstream.asked] == [None, "2"]
    assert [page.done for page in pages] == [False, True]


async def test_list_whose_place_is_forgotten_begins_anew():
    lost = answer({"errors": [{"code": "InvalidPaginationParameter", "title": "Invalid parameter"}]}, 400)
    upstream = script([lost, listed("groups", [{"id": 1}])])
    pages = await walk(reader_over(upstream).backfill(GROUP, {"after": "old"}))
    assert [record.upstream_id for page in pages for record in page.records] == ["1"]
    with pytest.raises(UpstreamFailed):
        await walk(reader_over(script([lost])).backfill(GROUP, {"after": "old", "lost": 3}))


async def test_ratings_are_looked_for_by_time_and_gone_on_with():
    def rating(number: int) -> dict:
        return {"id": number, "created_at": stamp(number), "updated_at": stamp(number)}

    upstream = script([listed("satisfaction_ratings", [rating(1)], "a"), listed("satisfaction_ratings", [rating(2)])])
    since = to_unix(datetime(2026, 11, 22, 8, tzinfo=UTC))
    pages = await walk(reader_over(upstream).changes(RATING.feed, [RATING], {"t": since}))
    assert {request.url.params["start_time"] for request in upstream.asked} == {str(since - 900)}
    assert pages[0].cursor == {"t": since, "look": {"after": "a"}, "newest": since + 60}
    assert pages[1].cursor == {"t": since + 120}
    upstream = script([listed("satisfaction_ratings", [rating(2)])])
    again = await walk(reader_over(upstream).changes(RATING.feed, [RATING], pages[0].cursor))
    assert upstream.asked[0].url.params["page[after]"] == "a"
    assert again[-1].cursor == pages[1].cursor


async def test_a_tag_is_known_by_its_name():
    tags = listed("tags", [{"name": "vip", "count": 3}])
    reader = reader_over(lambda request: answer({"settings": {}}) if "settings" in str(request.url) else tags)
    records = {record.upstream_id: record.deleted for record in await reader.read(TAG, ["vip", "gone"])}
    assert records == {"vip": False, "gone": True}


async def test_records_are_read_again_by_id():
    upstream = script([answer({"tickets": [ticket(2)], "count": 1})])
    records = {each.upstream_id: each for each in await reader_over(upstream).read(TICKET, ["1", "2"])}
    assert upstream.asked[0].url.params["ids"] == "1,2"
    assert (records["1"].deleted, records["2"].deleted) == (True, False)
    gone = answer({"error": "RecordNotFound", "description": "Not found"}, 404)
    replies = {"/api/v2/groups/1": gone, "/api/v2/groups/2": answer({"group": {"id": 2, "name": "B"}})}
    records = {each.upstream_id: each for each in await reader_over(lambda r: replies[r.url.path]).read(GROUP, "12")}
    assert (records["1"].deleted, records["2"].data) == (True, b'{"id":2,"name":"B"}')


# --- Parts of tickets


class Desk:
    """Five tickets with a comment and an audit each; the third is deleted."""

    def __init__(self, sick: str = "", forbidden: str = "", page: int = 5) -> None:
        self.sick, self.forbidden, self.asked, self.page = sick, forbidden, [], page

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if "incremental" in path:
            return export([ticket(n, status="deleted" if n == 3 else "open") for n in range(1, 6)])
        number, kind = path.split("/")[4:6]
        if kind == self.forbidden:
            return answer({"error": {"title": "Forbidden", "message": "Restricted"}}, 403)
        if number == self.sick:
            return answer({"error": "Oops"}, 500)
        if number == "4":
            return answer({"error": "RecordNotFound", "description": "Not found"}, 404)
        return listed(kind, [{"id": int(number) * 10, "created_at": stamp(1)}])


async def test_comments_and_audits_come_with_one_look_at_the_tickets():
    desk = Desk()
    pages = await walk(reader_over(desk).changes(COMMENT.feed, [COMMENT, AUDIT], {"t": 5}))
    found = sorted((record.collection_id, record.upstream_id) for page in pages for record in page.records)
    assert found == [(AUDIT.id, n) for n in ("10", "20", "50")] + [(COMMENT.id, n) for n in ("10", "20", "50")]
    comments = [record.data for page in pages for record in page.records if record.collection_id == COMMENT.id]
    assert comments[0] == b'{"id":10,"created_at":"%b","ticket_id":1}' % stamp(1).encode()
    assert sum("incremental" in path for path in desk.asked) == 1
    assert not any("/tickets/3/" in path for path in desk.asked)
    assert pages[-1].done
    assert pages[-1].cursor["after"] == "end"


async def test_walk_through_tickets_goes_on_behind_the_last_one():
    desk = Desk()
    at = {"t": 5, "handled": [NOW - 5000 + 2, [2]]}
    pages = await walk(reader_over(desk).backfill(COMMENT, at))
    assert [record.upstream_id for page in pages for record in page.records] == ["50"]
    assert pages[0].cursor == {"t": 5, "handled": [NOW - 5000 + 5, [5]]}


async def test_walk_through_tickets_of_one_second_goes_on_with_those_not_read():
    numbers = [*range(30, 60), *range(1, 30)]  # ids say nothing of the order within a second
    rows = [ticket(number, generated_timestamp=NOW - 5000) for number in numbers]

    def upstream(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        return export(rows) if "incremental" in path else listed("comments", [{"id": int(path.split("/")[4])}])

    seen: list[str] = []
    cursor, done = {"t": 5}, False
    while not done:
        walk = reader_over(upstream).backfill(COMMENT, cursor)
        page = await anext(walk)
        await walk.aclose()
        seen += [record.upstream_id for record in page.records]
        cursor, done = page.cursor, page.done
    assert sorted(map(int, seen)) == sorted(numbers)


async def test_one_sick_ticket_is_set_aside_and_an_outage_is_told():
    pages = await walk(reader_over(Desk(sick="2")).backfill(COMMENT, None))
    assert [record.upstream_id for page in pages for record in page.records] == ["10", "50"]
    assert ["Ticket 2" in each.reason for page in pages for each in page.skipped] == [True]

    def outage(request: httpx.Request) -> httpx.Response:
        return export([ticket(1), ticket(2)]) if "incremental" in request.url.path else answer({}, 500)

    with pytest.raises(UpstreamFailed):
        await walk(reader_over(outage).backfill(COMMENT, None))


async def test_refusal_names_the_collection_it_is_about():
    with pytest.raises(PermissionMissing) as caught:
        await walk(reader_over(Desk(forbidden="audits")).changes(COMMENT.feed, [COMMENT, AUDIT], {"t": 5}))
    assert caught.value.collection_id == AUDIT.id


async def test_sweeps_name_the_living():
    upstream = script([export([ticket(1), ticket(2)])])
    pages = await walk(reader_over(upstream).sweep(TICKET, None))
    assert upstream.asked[0].url.params["exclude_deleted"] == "true"
    assert (pages[0].ids, pages[0].done) == (["1", "2"], True)
    users = export([{"id": 1, "active": False}, {"id": 2}], key="users")
    pages = await walk(reader_over(lambda request: users).sweep(BY_COLLECTION["zendesk:user"], None))
    assert pages[0].ids == ["2"]
    pages = await walk(reader_over(Desk()).sweep(COMMENT, None))
    assert [each for page in pages for each in page.ids] == ["10", "20", "50"]


# --- Fields


async def test_own_fields_are_named_as_people_named_them():
    def upstream(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("ticket_fields"):
            own = [{"id": 9, "type": "tagger", "title": "Machine", "removable": True},
                   {"id": 1, "type": "subject", "title": "Subject", "removable": False}]  # fmt: skip
            return listed("ticket_fields", own)
        return listed("tickets", [ticket(1)])

    fields = {field.accessor: field for field in await reader_over(upstream).fields(TICKET)}
    assert fields["id"].primary_key
    assert (fields["custom_fields.9"].label, fields["custom_fields.9"].type) == ("Machine", "tagger")
    assert "custom_fields.1" not in fields
    assert "fields" not in fields


# --- Refusals and limits

FORMS = [
    (401, {"error": "Couldn't authenticate you"}, CredentialsRefused),
    (401, {"error": "invalid_token", "error_description": "expired"}, CredentialsRefused),
    (403, {"error": "Forbidden", "description": "Missing the following required scopes: read"}, PermissionMissing),
    (403, {"error": {"title": "Forbidden", "message": "Access to this resource is restricted."}}, PermissionMissing),
    (403, {"description": "You do not have access to this page."}, PermissionMissing),
    (404, {"error": "InvalidEndpoint", "description": "Not found"}, CollectionGone),
    (404, {"error": "RecordNotFound", "description": "Not found"}, ObjectGone),
    (404, b"<html>No help desk</html>", CollectionGone),
    (302, b"", CollectionGone),
    (409, {"error": "Conflict"}, UpstreamFailed),
    (422, {"error": "InvalidValue", "description": "Too recent start_time."}, TooRecent),
    (400, {"errors": [{"code": "InvalidPaginationDepth", "title": "Bad", "detail": "…"}]}, UnexpectedShape),
    (400, {"error": "InvalidCursor", "description": "…"}, PlaceLost),
    (429, b"Number of allowed API requests per minute exceeded", RateLimited),
    (429, {"error": "APIRateLimitExceeded", "description": "…"}, RateLimited),
    (503, b"<html>Maintenance</html>", UpstreamFailed),
    (520, b"", UpstreamFailed),
]


@pytest.mark.parametrize(("status", "body", "kind"), FORMS)
def test_every_refusal_has_its_meaning(status, body, kind):
    assert isinstance(classify(refusal(status, body)), kind)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b'{"errors":[]}', b'{"errors":[3]}', b"{\xff}"])
def test_strange_bodies_of_refusals_are_borne(body):
    for status in (400, 401, 403, 404, 409, 422, 429, 500):
        classify(refusal(status, body))


def test_scope_that_is_missing_is_named():
    error = classify(refusal(403, {"error": "Forbidden", "description": "Missing the following required scopes: read"}))
    assert "“read”" in error.message


def test_429_waits_as_told_by_whichever_header_is_there():
    assert classify(refusal(429, b"slow", Retry_After="7")).retry_after_s == 7
    assert classify(refusal(429, b"slow", ratelimit_reset="31")).retry_after_s == 31
    assert classify(refusal(429, b"slow", rate_limit_reset="31")).retry_after_s == 31
    assert classify(refusal(429, b"slow")).retry_after_s is None
    header = {"zendesk_ratelimit_incremental_exports": "total=10; remaining=0; resets=12"}
    assert isinstance(classify(refusal(429, b"slow", **header)), ExportsBusy)
    assert classify(refusal(429, b"slow", **header)).retry_after_s == 12


@pytest.mark.parametrize(
    "names",
    [
        ("x-rate-limit", "x-rate-limit-remaining"),
        ("ratelimit-limit", "ratelimit-remaining"),
        ("rate-limit", "rate-limit-remaining"),
    ],
)
def test_quota_is_read_in_each_spelling(names):
    assert list(read_quota(httpx.Headers({names[0]: "700", names[1]: "650"}))) == [Quota(50, 700, "account", MINUTE_S)]
    assert list(read_quota(httpx.Headers())) == []
    assert exports_left(httpx.Headers({"zendesk-ratelimit-incremental-exports": "broken"})) is None


def test_a_fifth_of_the_minute_is_left_to_others():
    assert spare_quota(Quota(559, 700, "account")) is None
    stop = spare_quota(Quota(560, 700, "account"))
    assert "560 of the 700" in stop.message
    assert stop.retry_after_s
    assert spare_quota(Quota(560, 700, "account", MINUTE_S, 4.0)).retry_after_s == 5.0


def test_exports_are_a_budget_of_their_own_that_holds_up_nothing_else():
    headers = httpx.Headers(
        {"x-rate-limit": "700", "x-rate-limit-remaining": "650", "ratelimit-reset": "12"}
        | {"zendesk-ratelimit-incremental-exports": "total=10; remaining=0; resets=43"}
    )
    account, exports = read_quota(headers)
    assert account == Quota(50, 700, "account", MINUTE_S, 12.0)
    assert exports == Quota(10, 10, "exports", MINUTE_S, 43)
    assert spare_quota(exports) is None
