"""APIs that people described: every way of paging, times in every spelling, and what may befall a walk."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from syncs.providers.custom import provider_of
from syncs.providers.custom.definition import Definition, Incremental, origins
from syncs.providers.custom.values import moment_at, since
from syncs.providers.kit.access import Access
from syncs.providers.kit.errors import (
    CollectionGone,
    CursorLost,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
)
from tests.unit.providers.custom_api import WAYS, Api, definition
from tests.unit.providers.fakes import BASE, Source, Time, answer, client_for

MOMENT = 1_795_424_400_000  # the API's Date: 2026-11-23T09:00:00Z
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
PAGED = pytest.mark.parametrize("way", [way for way in WAYS if way != "none"])
MARK = "things?"


def opened(api, way="keyset", auth=None, source=None, time=None, **changed):
    """The reader over an API, and its one collection."""
    provider = provider_of(definition(way, auth, **changed))
    return provider.reader(client_for(api, provider, source=source, time=time)), provider.collections[0]


async def ids_of(walk):
    return [record.upstream_id async for page in walk for record in page.records]


async def look(reader, collection, cursor):
    ids = []
    async for page in reader.changes(collection.feed, [collection], cursor):
        ids += [record.upstream_id for record in page.records]
        cursor = page.cursor if page.cursor is not None else cursor
    return ids, cursor


def api_of(count, way="", **options):
    api = Api(size=1000 if way == "none" else 3, **options)
    api.fill(count)
    return api


# --- Walks -----------------------------------------------------------------------------------------------------------


def sized(way):
    return {"size": 1000} if way == "none" else {}


@EVERY_WAY
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 10])
async def test_each_record_comes_once_and_the_walk_ends(way, count):
    reader, collection = opened(api_of(count, way), way, **sized(way))
    pages = [page async for page in reader.backfill(collection, None)]
    ids = [record.upstream_id for page in pages for record in page.records]
    assert ids == [str(number) for number in range(1, count + 1)]
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
    assert all(page.cursor is not None and json.loads(json.dumps(page.cursor)) == page.cursor for page in pages)


@EVERY_WAY
async def test_ten_thousand_and_one_records_of_one_time_all_come(way):
    api = Api(size=20_000 if way == "none" else 500)
    api.fill(10_001)
    size = 20_000 if way == "none" else 500
    changed = {"size": size if size <= 10_000 else 10_000, "size_param": "" if way == "none" else "limit"}
    if way == "none":
        api.ignores = frozenset({"limit"})
        api.listed = _all_at_once(api)
    reader, collection = opened(api, way, **changed)
    ids = await ids_of(reader.backfill(collection, None))
    assert len(ids) == len(set(ids)) == 10_001
    looked, cursor = await look(reader, collection, await reader.start(collection.feed, [collection]))
    again, _ = await look(reader, collection, {"t": datetime.fromtimestamp(1_795_424_000, UTC).isoformat()})
    assert (looked, len(set(again))) == ([], 10_001)
    assert len(api.asked) < 100
    assert cursor["t"] == "2026-11-23T09:00:00+00:00"


def _all_at_once(api):
    whole = Api.listed
    return lambda params: whole(api, {**params, "limit": "20000"})


@PAGED
async def test_walk_goes_on_from_every_cursor(way):
    reader, collection = opened(api_of(10), way)
    seen, cursor, done = [], None, False
    while not done:
        walk = reader.backfill(collection, cursor)
        page = await anext(walk)
        await walk.aclose()
        seen += [record.upstream_id for record in page.records]
        cursor, done = json.loads(json.dumps(page.cursor)), page.done
    assert seen == [str(number) for number in range(1, 11)]


@PAGED
async def test_look_goes_on_from_every_cursor_and_its_cursor_never_goes_back(way):
    api = api_of(10)
    reader, collection = opened(api, way)
    cursor = {"t": "2026-11-20T00:00:00+00:00"}
    seen, done, before = [], False, cursor["t"]
    while not done:
        walk = reader.changes(collection.feed, [collection], cursor)
        page = await anext(walk)
        await walk.aclose()
        seen += [record.upstream_id for record in page.records]
        cursor, done = json.loads(json.dumps(page.cursor)), page.done
        assert cursor["t"] >= before
        before = cursor["t"]
    assert (len(seen), len(set(seen))) == (10, 10)
    assert cursor == {"t": "2026-11-23T08:53:20+00:00"}  # the newest change seen


@PAGED
@pytest.mark.parametrize("gone", [1, 2, 3, 4])
async def test_record_deleted_between_two_pages_hides_no_other(way, gone):
    api = api_of(12)
    reader, collection = opened(api, way)
    ids, pages = [], 0
    async for page in reader.backfill(collection, None):
        ids += [record.upstream_id for record in page.records]
        pages += 1
        if pages == 1:
            for number in range(1, gone + 1):
                api.things.pop(number, None)
    missing = {str(number) for number in range(4, 13)} - set(ids) - {str(each) for each in range(1, gone + 1)}
    # What pages that are counted hide, the next whole reading brings.
    assert not missing or way in ("page_number", "link_header", "next_url", "page_token")
    assert bool(collection.reread_every_h) == (way in ("page_number", "link_header", "next_url"))


async def test_offset_goes_back_when_all_it_had_read_is_gone():
    api = api_of(12)
    reader, collection = opened(api, "offset")
    walk = reader.backfill(collection, None)
    first = [await anext(walk), await anext(walk)]
    for number in range(1, 7):
        del api.things[number]
    rest = [record.upstream_id async for page in walk for record in page.records]
    assert {record.upstream_id for page in first for record in page.records} | set(rest) >= {
        str(number) for number in range(7, 13)
    }


async def test_offset_gets_past_records_that_came_in_front():
    api = api_of(12)
    reader, collection = opened(api, "offset")
    walk, seen = reader.backfill(collection, None), []
    async for page in walk:
        seen += [record.upstream_id for record in page.records]
        if len(seen) == 3 and len(api.things) == 12:
            api.things |= {-1: 1, -2: 1}
    assert {str(number) for number in range(1, 13)} <= set(seen)
    assert len(api.asked) < 40


async def test_server_that_cuts_pages_short_ends_no_list():
    for way in ("offset", "page_number"):
        api = api_of(10)
        api.size = 2
        reader, collection = opened(api, way, size=500)
        if way == "page_number":
            api.ignores = frozenset({"limit"})
            api.size = 3
        assert len(set(await ids_of(reader.backfill(collection, None)))) == 10


@pytest.mark.parametrize("way", ["page_number", "offset", "keyset", "page_token"])
async def test_api_that_turns_no_pages_is_told_and_read_no_further(way):
    api = api_of(10)
    api.ignores = frozenset({"page", "offset", "after_id", "after_time", "token"})
    reader, collection = opened(api, way)
    with pytest.raises(UnexpectedShape) as told:
        await ids_of(reader.backfill(collection, None))
    assert len(api.asked) < 5
    assert "Try it" in told.value.next_step or "same page" in told.value.message


async def test_page_number_beyond_the_last_may_be_not_found():
    api = api_of(6)
    api.before = lambda request: answer({}, 404) if request.url.params.get("page") == "3" else None
    reader, collection = opened(api, "page_number")
    assert len(await ids_of(reader.backfill(collection, None))) == 6


async def test_forgotten_place_begins_a_look_again_and_a_backfill_from_its_beginning():
    api = api_of(10)
    reader, collection = opened(api, "page_token")
    pages = [page async for page in reader.changes(collection.feed, [collection], {"t": "2026-11-20T00:00:00+00:00"})]
    lost = []

    def forget(request):
        if "token" in request.url.params and not lost:
            lost.append(request)
            return answer({"error": "expired"}, 400)
        return None

    api.before = forget
    ids, cursor = await look(reader, collection, pages[0].cursor)
    assert (len(set(ids)), cursor) == (10, pages[-1].cursor)
    lost.clear()
    with pytest.raises(CursorLost):
        await ids_of(reader.backfill(collection, pages[0].cursor["look"]))


async def test_cursor_never_passes_the_apis_own_clock():
    api = api_of(3)
    api.things[9] = MOMENT + 600_000  # stamped ten minutes ahead
    reader, collection = opened(api)
    _, cursor = await look(reader, collection, {"t": "2026-11-20T00:00:00+00:00"})
    assert cursor["t"] == "2026-11-23T09:00:00+00:00"


async def test_time_asked_for_is_the_cursors_less_the_overlap():
    api = api_of(0)
    reader, collection = opened(api)
    _, cursor = await look(reader, collection, {"t": "2026-11-23T08:00:00+00:00"})
    assert int(api.asked[-1].url.params["since"]) == MOMENT - 3_600_000 - 10_000
    assert cursor == {"t": "2026-11-23T08:00:00+00:00"}


async def test_list_without_a_time_is_read_whole_each_time():
    api = api_of(7)
    reader, collection = opened(api, incremental=None)
    assert await reader.start(collection.feed, [collection]) == {}
    assert [len((await look(reader, collection, {}))[0]) for _ in range(2)] == [7, 7]
    assert collection.every_s == 3600


async def test_list_that_was_read_whole_until_now_begins_again():
    reader, collection = opened(api_of(3))
    with pytest.raises(CursorLost):
        await look(reader, collection, {})


# --- Records ---------------------------------------------------------------------------------------------------------


async def test_values_stay_bytes_and_times_are_read():
    reader, collection = opened(api_of(1))
    page = await anext(reader.backfill(collection, None))
    record = page.records[0]
    assert b'"price":1.1' in record.data
    assert record.data == record.data.strip()
    assert b" " not in record.data
    assert (record.created_at, record.updated_at) == (
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 23, 8, 53, 20, tzinfo=UTC)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b'"2026-11-23T09:00:00Z"', 0),
        (b'"2026-11-23T10:00:00+01:00"', 0),
        (b'"2026-11-23T09:00:00"', 0),
        (b"1795424400", 0),
        (b"1795424400000", 0),
        (b'"1795424400"', 0),
        (b"1795424400.5", 0.5),
        (b'"soon"', None),
        (b"null", None),
        (b"1e400", None),
        (b'"9999-99-99"', None),
    ],
)
def test_times_in_every_spelling(written, meant):
    found = moment_at(b'{"at":' + written + b"}", "at")
    assert found == (None if meant is None else datetime.fromtimestamp(1_795_424_400 + meant, UTC))


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("rfc3339", "2026-11-23T09:00:00Z"),
        ("unix_s", "1795424400"),
        ("unix_ms", "1795424400000"),
        ("date", "2026-11-23"),
    ],
)
def test_time_is_asked_for_in_the_apis_spelling_rounded_down(form, written):
    assert since(Incremental(format=form), datetime(2026, 11, 23, 9, 0, 0, 999_999, tzinfo=UTC)) == written


async def test_gone_record_is_deleted_and_a_forbidden_one_stops():
    api = api_of(2)
    reader, collection = opened(api)
    found = await reader.read(collection, ["2", "7"])
    assert [(each.upstream_id, each.deleted) for each in found] == [("2", False), ("7", True)]
    api.before = lambda request: answer({}, 403)
    with pytest.raises(PermissionMissing):
        await reader.read(collection, ["2"])


async def test_without_a_path_of_its_own_a_record_that_no_walk_met_is_gone():
    reader, collection = opened(api_of(2), record_path="")
    found = await reader.read(collection, ["2", "7"])
    assert [(each.upstream_id, each.deleted) for each in found] == [("2", False), ("7", True)]


async def test_sweep_reads_every_id_and_goes_on_from_its_cursor():
    reader, collection = opened(api_of(7))
    pages = [page async for page in reader.sweep(collection, None)]
    assert [key for page in pages for key in page.ids] == [str(number) for number in range(1, 8)]
    rest = [page async for page in reader.sweep(collection, pages[0].cursor)]
    assert [key for page in rest for key in page.ids] == [str(number) for number in range(4, 8)]


async def test_fields_come_from_the_first_page():
    reader, collection = opened(api_of(2))
    assert [(each.accessor, each.type, each.primary_key) for each in await reader.fields(collection)] == [
        ("id", "number", True), ("price", "number", False), ("created", "string", False), ("meta", "object", False)
    ]  # fmt: skip


async def test_count_is_told_where_the_answer_tells_it():
    way = WAYS["offset"] | {"total": "total"}
    reader, collection = opened(api_of(7), "offset", paging=way)
    assert await reader.count(collection) == 7
    assert await opened(api_of(7))[0].count(collection) is None
    assert len(await ids_of(reader.backfill(collection, None))) == 7


# --- Trouble ---------------------------------------------------------------------------------------------------------


async def test_429_pauses_and_a_long_one_is_told_with_its_time():
    api, struck, time = api_of(5), [], Time()
    api.before = lambda request: None if struck or struck.append(1) else answer({}, 429, Retry_After="2")
    reader, collection = opened(api, time=time)
    assert len(await ids_of(reader.backfill(collection, None))) == 5
    assert sum(time.slept) >= 2
    api.before = lambda request: answer({}, 429, Retry_After="600")
    with pytest.raises(RateLimited) as told:
        await reader.probe(collection)
    assert told.value.retry_after_s == 600


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, PermissionMissing), (404, CollectionGone), (400, UnexpectedShape), (302, UnexpectedShape)],
)
async def test_refusals_are_told_with_a_next_step(status, kind):
    api = Api(before=lambda request: answer({}, status, Location="https://elsewhere.test/x"))
    reader, collection = opened(api)
    with pytest.raises(kind) as told:
        await reader.probe(collection)
    assert told.value.next_step.endswith(".")
    assert status != 302 or "elsewhere.test" in told.value.message


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"{}", b'{"data":3}', b'{"data":{"items":{}}}',
                                  b'{"data":{"items":[3]}}', b'{"data":{"items":[{"id":1.5}]}}'])  # fmt: skip
async def test_unknown_answers_are_told_and_nothing_else_is_raised(body):
    for way in WAYS:
        reader, collection = opened(lambda request: answer(body), way)
        with contextlib.suppress(ProviderError):
            await ids_of(reader.backfill(collection, None))
        with pytest.raises(UnexpectedShape):
            await reader.probe(collection)


async def test_next_page_elsewhere_gets_no_key():
    api = api_of(3)
    api.before = lambda request: answer(
        {"data": {"items": [{"id": 1}]}, "links": {"next": "https://evil.test/things?page=2"}}
    )
    reader, collection = opened(api, "next_url")
    with pytest.raises(UnexpectedShape, match="another host"):
        await ids_of(reader.backfill(collection, None))
    assert {request.url.host for request in api.asked} == {"upstream.test"}


class Keyed(Source):
    async def access(self):
        return Access(BASE, {}, {"api_key": "key-0123456789"})


async def test_key_that_upstream_repeats_in_the_next_url_stays_out_of_the_cursor():
    api = api_of(1)
    api.before = lambda request: (
        answer({"data": {"items": [{"id": 1}]}, "links": {"next": f"{BASE}/things?api_key=key-0123456789&page=2"}})
        if "page" not in request.url.params
        else None
    )
    reader, collection = opened(api, "next_url", source=Keyed())
    pages = [page async for page in reader.backfill(collection, None)]
    assert pages[0].cursor == {"url": f"{BASE}/things?page=2"}
    assert [str(each.url).count("key-0123456789") for each in api.asked] == [1, 1]


# --- What may be said ------------------------------------------------------------------------------------------------


def said(**changed):
    whole = definition().as_json()
    whole["collections"][0] |= changed.pop("collection", {})
    return {**whole, **changed}


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("base_url", {"base_url": "http://crm.example.com"}),
        ("base_url", {"base_url": "https://user:pw@crm.example.com"}),
        ("base_url", {"base_url": "https://{secret}.example.com"}),
        ("base_url", {"base_url": "ftp://crm.example.com"}),
        ("key", {"key": "Acme CRM"}),
        ("headers", {"headers": {"Authorization": "Bearer abc"}}),
        ("headers", {"headers": {"X-Api-Key": "abc"}}),
        ("collections", {"collections": []}),
        ("auth.header.name", {"auth": {"type": "header", "name": "X Key"}}),
        ("auth", {"auth": {"type": "magic"}}),
        ("surprise", {"surprise": 1}),
        ("schema", {"schema": "sequin-custom-provider/2"}),
        ("collections.0.path", {"collection": {"path": "things"}}),
        ("collections.0.path", {"collection": {"path": "/../admin"}}),
        ("collections.0.path", {"collection": {"path": "/things?key=1"}}),
        ("collections.0.list_at", {"collection": {"list_at": "data..items"}}),
        ("collections.0.params", {"collection": {"params": {"access_token": "x"}}}),
        ("collections.0.id", {"collection": {"id": "a:b"}}),
        ("collections.0", {"collection": {"record_path": "/things"}}),
        ("collections.0", {"collection": {"updated_at": ""}}),
        ("collections.0", {"collection": {"paging": WAYS["page_number"], "record_path": ""}}),
    ],
)
def test_what_cannot_be_is_said_at_its_place(place, changed):
    with pytest.raises(ValidationError) as told:
        Definition.model_validate(said(**changed))
    assert place in [".".join(map(str, each["loc"])) for each in told.value.errors()]


@pytest.mark.parametrize("url", ["http://10.1.2.3:8080/api", "http://[fd00::1]/x", "http://127.0.0.1:9/x"])
def test_http_is_for_private_addresses(url):
    assert Definition.model_validate(said(base_url=url)).base_url == url


def test_definition_survives_its_file():
    whole = definition("offset")
    assert Definition.model_validate_json(json.dumps(whole.as_json())) == whole


@pytest.mark.parametrize(
    ("auth", "headers", "params"),
    [
        ({"type": "bearer"}, {"Authorization": "Bearer s3cret"}, {}),
        ({"type": "header", "name": "X-Key", "prefix": "Token "}, {"X-Key": "Token s3cret"}, {}),
        ({"type": "query", "name": "key"}, {}, {"key": "s3cret"}),
        ({"type": "basic"}, {"Authorization": "Basic YWRhOnMzY3JldA=="}, {}),
    ],
)
def test_secrets_stand_where_the_definition_says(auth, headers, params):
    kind = provider_of(definition(auth=auth)).kinds[0]
    secrets, settings = {"secret": "s3cret", "password": "s3cret"}, {"user": "ada"}
    assert kind.request_headers(secrets, settings) == {"Accept": "application/json", **headers}
    assert (kind.request_params(secrets, settings) if kind.request_params else {}) == params


def test_client_credentials_ask_for_a_token_as_the_definition_says():
    auth = {"type": "client_credentials", "token_url": "https://login.acme.test/oauth/token", "scopes": "read, write"}
    provider = provider_of(definition(auth=auth))
    values = {"client_id": "id", "client_secret": "s3cret"}
    request = provider.kinds[0].mint.request(values, "", datetime.now(UTC))
    assert (provider.hosts[0].url, request.path) == ("https://login.acme.test", "/oauth/token")
    assert request.form == {"grant_type": "client_credentials", "scope": "read write", **values}
    assert origins(definition(auth=auth)) == {"https://login.acme.test", BASE}
    basic = provider_of(definition(auth=auth | {"client_auth": "basic"})).kinds[0].mint
    assert "client_secret" not in basic.request(values, "", datetime.now(UTC)).form
