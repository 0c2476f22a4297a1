"""Stripe, without a network of its own: keys, catalogue, events as hints, nested lists, refusals."""

import json

import httpx
import msgspec
import pytest

from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    CursorLost,
    PermissionMissing,
    RateLimited,
    UpstreamFailed,
)
from syncs.providers.stripe import PROVIDER, STRIPE_VERSION, key_mode, request_headers
from syncs.providers.stripe.catalogue import BY_ID, COLLECTIONS, EVENTS_FEED
from syncs.providers.stripe.errors import ObjectGone, PlaceGone, classify
from syncs.providers.stripe.events import OVERLAP_S
from syncs.providers.stripe.hints import Event, hints, named_objects
from tests.unit.providers.fakes import answer, client_for

NOW = 1795424400  # Mon, 23 Nov 2026 09:00:00 GMT
BY_COLLECTION = {each.id: each for each in COLLECTIONS}


def event(kind: str, obj: dict, at: int = NOW - 10, number: int = 1) -> dict:
    return {"id": f"evt_{number}", "object": "event", "type": kind, "created": at, "data": {"object": obj}}


def parsed(*given: dict):
    raws = [msgspec.Raw(json.dumps(each).encode()) for each in given]
    return [(msgspec.json.decode(item, type=Event), item, 7) for item in raws]


def listed(items: list, more: bool = False) -> httpx.Response:
    return answer(json.dumps({"object": "list", "data": items, "has_more": more, "url": "/"}, indent=2).encode())


async def walk(pages) -> list:
    return [page async for page in pages]


def test_at_least_27_collections_and_no_id_twice():
    assert len(BY_COLLECTION) == len(COLLECTIONS) >= 27
    assert BY_COLLECTION["stripe:subscription"].params == (("status", "all"),)


def test_every_request_says_version_key_and_account():
    headers = request_headers({"secret_key": "rk_test_1"}, {"account": "acct_1"})
    assert headers == {
        "Authorization": "Bearer rk_test_1",
        "Stripe-Version": STRIPE_VERSION,
        "Stripe-Account": "acct_1",
    }
    assert "Stripe-Account" not in request_headers({"secret": "rk_test_1"}, {})


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"secret": "rk_live_abc"}, []),
        ({"secret_key": "sk_test_abc"}, []),
        ({"secret": "rkcs_test_abc"}, []),
        ({"secret": "pk_live_abc"}, ["secret"]),
        ({"secret": "whatever"}, ["secret"]),
        ({}, ["secret"]),
        ({"secret": "rk_live_abc", "test": "true"}, ["test"]),
        ({"secret": "rk_test_abc", "test": "true"}, []),
        ({"secret": "rk_test_abc", "account": "cus_1"}, ["account"]),
    ],
)
def test_keys_are_looked_at_before_stripe_is_asked(values, wrong):
    assert list(PROVIDER.kind("stripe_key").problems(values)) == wrong


def test_mode_is_told_by_the_key():
    assert (key_mode("rk_live_x"), key_mode("sk_test_x"), key_mode("pk_test_x")) == ("live", "test", "")


def test_an_event_names_its_object_its_owner_and_its_relatives():
    assert named_objects(parsed(event("customer.updated", {"id": "cus_1", "object": "customer"}))[0][0]) == [
        ("customer", "cus_1")
    ]
    card = event("customer.source.updated", {"id": "card_1", "object": "card", "customer": "cus_1"})
    assert ("customer", "cus_1") in named_objects(parsed(card)[0][0])
    refund = event("charge.refund.updated", {"id": "re_1", "object": "refund", "charge": "ch_1"})
    assert named_objects(parsed(refund)[0][0]) == [("refund", "re_1"), ("charge", "ch_1")]
    balance = event("balance.available", {"object": "balance"})
    assert named_objects(parsed(balance)[0][0]) == []


def test_hints_name_each_object_once_and_leave_out_seen_and_previews():
    found = parsed(
        event("customer.updated", {"id": "cus_1", "object": "customer"}, NOW - 1, 3),
        event("customer.created", {"id": "cus_1", "object": "customer"}, NOW - 5, 2),
        event("customer.updated", {"id": "cus_2", "object": "customer"}, NOW - 6, 1),
        event("invoice.upcoming", {"id": "upcoming_in_1", "object": "invoice"}, NOW, 4),
        event("charge.succeeded", {"id": "ch_1", "object": "charge"}, NOW, 5),
    )
    told = hints(found, [BY_ID["stripe:customer"], BY_ID["stripe:invoice"]], frozenset({"evt_1"}))
    assert [(resource.id, each, heard.first, heard.last) for (resource, each), heard in told.changed.items()] == [
        ("stripe:customer", "cus_1", NOW - 5, NOW - 1)
    ]


def upstream_of(events: list[dict], objects: dict[str, httpx.Response]):
    def upstream(request):
        upstream.asked.append(request)
        if request.url.path == "/v1/events":
            return listed(events)
        return objects[request.url.path]

    upstream.asked = []
    return upstream


async def changes(upstream, *collections: str, cursor: dict):
    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    return await walk(reader.changes(EVENTS_FEED, [BY_COLLECTION[each] for each in collections], cursor))


async def test_objects_are_read_again_and_deletions_told():
    upstream = upstream_of(
        [
            event("customer.updated", {"id": "cus_1", "object": "customer"}, number=1),
            event("customer.deleted", {"id": "cus_2", "object": "customer"}, number=2),
            event("coupon.deleted", {"id": "SUMMER", "object": "coupon"}, number=3),
            event("customer.subscription.deleted", {"id": "sub_1", "object": "subscription"}, number=4),
        ],
        {
            "/v1/customers/cus_1": answer(b'{\n  "id": "cus_1",\n  "balance": 9007199254740993,\n  "rate": 1.10\n}'),
            "/v1/customers/cus_2": answer({"id": "cus_2", "object": "customer", "deleted": True}),
            "/v1/coupons/SUMMER": answer({"error": {"code": "resource_missing"}}, 404),
            "/v1/subscriptions/sub_1": answer({"id": "sub_1", "status": "canceled"}),
        },
    )
    wanted = ("stripe:customer", "stripe:coupon", "stripe:subscription")
    pages = await changes(upstream, *wanted, cursor={"t": NOW - 60, "seen": []})
    records = {record.upstream_id: record for page in pages for record in page.records}
    assert records["cus_1"].data == b'{"id":"cus_1","balance":9007199254740993,"rate":1.10}'
    assert [(each, records[each].deleted, records[each].data) for each in ("cus_2", "SUMMER")] == [
        ("cus_2", True, None),
        ("SUMMER", True, None),
    ]
    assert not records["sub_1"].deleted
    assert all(record.read_no for record in records.values())
    last = pages[-1]
    assert last.done
    assert last.cursor["t"] == NOW - 10
    assert set(last.cursor["seen"]) == {"evt_1", "evt_2", "evt_3", "evt_4"}
    assert int(dict(upstream.asked[0].url.params)["created[gte]"]) == NOW - 60 - OVERLAP_S


async def test_seen_events_are_not_read_again_and_the_cursor_stays():
    told = [event("customer.updated", {"id": "cus_1", "object": "customer"})]
    cursor = {"t": NOW - 10, "seen": ["evt_1"], "settled": False}
    pages = await changes(upstream_of(told, {}), "stripe:customer", cursor=cursor)
    assert [page.records for page in pages] == [[]]
    assert pages[-1].cursor["t"] == NOW - 10


async def test_events_gone_from_stripe_lose_the_cursor():
    with pytest.raises(CursorLost):
        await changes(upstream_of([], {}), "stripe:customer", cursor={"t": NOW - 31 * 86400, "seen": []})


async def test_a_forbidden_collection_is_named():
    refusal = answer({"error": {"message": "lacks rak_customer_read on account 'acct_9'"}}, 403)
    told = [event("customer.updated", {"id": "cus_1", "object": "customer"})]
    with pytest.raises(PermissionMissing) as caught:
        await changes(upstream_of(told, {"/v1/customers/cus_1": refusal}), "stripe:customer", cursor={"t": NOW - 60})
    assert caught.value.collection_id == "stripe:customer"
    assert "rak_customer_read" in caught.value.message


async def test_nested_lists_arrive_whole():
    def upstream(request):
        if request.url.path == "/v1/subscriptions":
            nested = {"object": "list", "data": [{"id": "si_1"}], "has_more": True}
            nested["url"] = "/v1/subscription_items?subscription=sub_1"
            return listed([{"id": "sub_1", "object": "subscription", "items": nested, "last": 1}])
        assert request.url.params["subscription"] == "sub_1"
        after = request.url.params.get("starting_after")
        return listed([{"id": "si_2"}], False) if after else listed([{"id": "si_1"}], True)

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    (page,) = await walk(reader.backfill(BY_COLLECTION["stripe:subscription"], None))
    assert page.records[0].data == (
        b'{"id":"sub_1","object":"subscription","items":{"object":"list","data":[{"id":"si_1"},{"id":"si_2"}],'
        b'"has_more":false,"url":"/v1/subscription_items?subscription=sub_1"},"last":1}'
    )


async def test_backfill_goes_on_after_its_place_was_deleted():
    def upstream(request):
        params = dict(request.url.params)
        if params.get("starting_after") == "cus_2":
            return answer({"error": {"code": "resource_missing", "param": "starting_after"}}, 400)
        if params.get("created[lte]") == "200":
            return listed([{"id": "cus_1", "created": 100}])
        return listed([{"id": "cus_3", "created": 300}, {"id": "cus_2", "created": 200}], True)

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    pages = await walk(reader.backfill(BY_COLLECTION["stripe:customer"], None))
    assert [record.upstream_id for page in pages for record in page.records] == ["cus_3", "cus_2", "cus_1"]
    assert pages[0].cursor == {"after": "cus_2", "created": 200}
    assert pages[-1].done


async def test_an_object_without_id_is_set_aside_and_its_page_goes_on():
    reader = PROVIDER.reader(client_for(lambda request: listed([{"object": "customer"}, {"id": "cus_1"}]), PROVIDER))
    (page,) = await walk(reader.backfill(BY_COLLECTION["stripe:customer"], None))
    assert [record.upstream_id for record in page.records] == ["cus_1"]
    assert len(page.skipped) == 1


async def test_check_reads_the_account_from_a_refusal():
    def upstream(request):
        if request.url.path == "/v1/account":
            return answer({"error": {"message": "… rak_accounts_kyc_basic_read … on account 'acct_9'"}}, 403)
        return listed([])

    account = await PROVIDER.reader(client_for(upstream, PROVIDER)).check()
    assert (account.id, account.live) == ("acct_9", False)


def refusal(status: int, **said: str) -> Answer:
    return Answer(status, httpx.Headers(), json.dumps({"error": said}).encode())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(401, message="Invalid API Key provided: rk_…"), CredentialsRefused),
        (refusal(401, code="api_key_expired"), CredentialsRefused),
        (refusal(403, message="needs rak_charge_read"), PermissionMissing),
        (refusal(403, code="account_invalid"), CredentialsRefused),
        (refusal(403, message="Only Stripe Connect platforms can work with other accounts."), CollectionGone),
        (refusal(404, code="resource_missing"), ObjectGone),
        (refusal(404, message="Unrecognized request URL (GET: /v1/issuing/cards)."), CollectionGone),
        (refusal(400, code="resource_missing", param="starting_after"), PlaceGone),
        (refusal(429, code="rate_limit"), RateLimited),
        (refusal(400, code="rate_limit"), RateLimited),
        (refusal(429, code="lock_timeout"), UpstreamFailed),
        (refusal(409), UpstreamFailed),
        (refusal(500), UpstreamFailed),
    ],
)
def test_refusals_are_told_apart_with_a_next_step(answer, kind):
    error = classify(answer)
    assert type(error) is kind
    assert error.message.endswith(".")
    assert error.next_step


async def test_objects_that_cannot_be_served_are_set_aside_while_their_list_answers():
    events = [event("customer.updated", {"id": f"cus_{n}", "object": "customer"}, number=n) for n in range(5)]

    def upstream(request):
        if request.url.path in ("/v1/events", "/v1/customers"):
            return listed(events if request.url.path == "/v1/events" else [])
        name = request.url.path.rpartition("/")[2]
        return answer({"id": name}) if name != "cus_3" else answer({"error": {}}, 500)

    pages = await changes(upstream, "stripe:customer", cursor={"t": NOW - 60})
    assert [record.upstream_id for page in pages for record in page.records] == ["cus_0", "cus_1", "cus_2", "cus_4"]
    assert [each.upstream_id for page in pages for each in page.skipped] == ["cus_3"]
    assert pages[-1].done


@pytest.mark.parametrize(("lists", "are_events_well"), [(["customer"], False), (["customer", "product"], True)])
async def test_an_outage_sets_nothing_aside(lists, are_events_well):
    """Not even events are listed any more, or many objects of more than one list fail."""
    count = 24 if are_events_well else 1
    names = [lists[n % len(lists)] for n in range(count)]
    events = [event(f"{name}.updated", {"id": f"{name}_{n}", "object": name}, number=n) for n, name in enumerate(names)]

    def upstream(request):
        is_probe = request.url.params.get("limit") == "1"
        if request.url.path == "/v1/events" and (are_events_well or not is_probe):
            return listed(events)
        return answer({"error": {}}, 500)

    with pytest.raises(UpstreamFailed):
        await changes(upstream, *(f"stripe:{name}" for name in lists), cursor={"t": NOW - 60})


async def test_one_list_in_trouble_keeps_no_other_from_its_changes():
    names = ["product"] * 30 + ["customer"]
    events = [event(f"{name}.updated", {"id": f"{name}_{n}", "object": name}, number=n) for n, name in enumerate(names)]

    def upstream(request):
        if request.url.path == "/v1/events":
            return listed(events)
        is_well = request.url.path.startswith("/v1/customers")
        return answer({"id": "customer_30"}) if is_well else answer({"error": {}}, 500)

    pages = await changes(upstream, "stripe:customer", "stripe:product", cursor={"t": NOW - 60})
    assert [record.upstream_id for page in pages for record in page.records] == ["customer_30"]
    assert {each.collection_id for page in pages for each in page.skipped} == {"stripe:product"}


async def test_an_object_whose_nested_list_does_not_come_is_set_aside():
    def upstream(request):
        if request.url.path == "/v1/subscriptions":
            nested = {"object": "list", "data": [], "has_more": True, "url": "/v1/subscription_items"}
            return listed([{"id": "sub_1", "object": "subscription", "items": nested}, {"id": "sub_2"}])
        return answer({"error": {}}, 500)

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    (page,) = await walk(reader.backfill(BY_COLLECTION["stripe:subscription"], None))
    assert [record.upstream_id for record in page.records] == ["sub_2"]
    assert [each.upstream_id for each in page.skipped] == ["sub_1"]


def world_of(told: list[dict]):
    """Stripe with these events, newest first, in pages of 100; each names a customer that is there."""

    def upstream(request):
        upstream.asked.append(request)
        if request.url.path != "/v1/events":
            return answer({"id": request.url.path.rpartition("/")[2]})
        params = dict(request.url.params)
        found = [each for each in told if int(params.get("created[gte]", 0)) <= each["created"]]
        found = [each for each in found if each["created"] < int(params.get("created[lt]", NOW * 2))]
        ids = [each["id"] for each in found]
        start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
        return listed(found[start : start + 100], len(found) > start + 100)

    upstream.asked = []
    return upstream


def customer_event(number: int, at: int) -> dict:
    return event("customer.updated", {"id": f"cus_{number}", "object": "customer"}, at, number)


async def test_once_a_day_events_that_showed_up_hours_late_are_found():
    told = [customer_event(1, NOW - 10), customer_event(2, NOW - 6 * 3600)]
    cursor = {"t": NOW - 10, "seen": ["evt_1"], "settled": False, "deep_at": NOW - 3600}
    pages = await changes(world_of(told), "stripe:customer", cursor=cursor)
    assert [record for page in pages for record in page.records] == []
    pages = await changes(world_of(told), "stripe:customer", cursor=cursor | {"deep_at": NOW - 25 * 3600})
    assert [record.upstream_id for page in pages for record in page.records] == ["cus_2"]
    assert pages[-1].cursor["deep_at"] == NOW
    assert "deep" not in pages[-1].cursor
    assert pages[-1].cursor["t"] == NOW - 10


async def test_a_long_look_back_goes_on_from_any_page_and_never_moves_the_cursor_back():
    told = [customer_event(n, NOW - 3600 - n * 60) for n in range(400)]
    cursor = {"t": NOW - 1800, "seen": [], "settled": False, "deep_at": NOW - 25 * 3600}
    read: list[str] = []
    for _ in range(200):
        reader = PROVIDER.reader(client_for(world_of(told), PROVIDER))
        walked = reader.changes(EVENTS_FEED, [BY_COLLECTION["stripe:customer"]], cursor)
        before = cursor
        async for page in walked:  # cut off at the first page that moves the cursor, as when time runs out
            read += [record.upstream_id for record in page.records]
            if page.cursor is not None and page.cursor != cursor:
                assert page.cursor["t"] >= cursor["t"]
                cursor = page.cursor
                break
        await walked.aclose()
        if page.done or cursor == before or ("deep" not in cursor and cursor["deep_at"] == NOW):
            break
    assert set(read) == {f"cus_{n}" for n in range(400)}
    assert cursor["deep_at"] == NOW
    assert len(read) < 500, "little is read twice"


def subscription(*items: str, more: bool = False) -> dict:
    url = "/v1/subscription_items?subscription=sub_1"
    nested = {"object": "list", "data": [{"id": each} for each in items], "has_more": more, "url": url}
    return {"id": "sub_1", "object": "subscription", "created": 100, "items": nested}


async def test_members_of_owners_arrive_with_their_owner_beyond_the_first_page():
    def upstream(request):
        if request.url.path == "/v1/subscriptions":
            assert request.url.params["status"] == "all"
            return listed([subscription("si_1", more=True)])
        return listed([{"id": "si_1"}, {"id": "si_2", "subscription": "sub_1"}])

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    (page,) = await walk(reader.backfill(BY_COLLECTION["stripe:subscription_item"], None))
    assert [(record.upstream_id, record.data) for record in page.records] == [
        ("sub_1/si_1", b'{"id":"si_1","subscription":"sub_1"}'),
        ("sub_1/si_2", b'{"id":"si_2","subscription":"sub_1"}'),
    ]
    assert page.cursor == {"after": "sub_1", "created": 100}
    assert page.done


async def test_an_event_of_the_owner_brings_its_members_and_buries_those_it_shows_and_has_no_more():
    told = event("customer.subscription.updated", subscription("si_1", "si_2"))
    told["data"]["previous_attributes"] = {"items": {"data": [{"id": "si_1"}, {"id": "si_0"}]}}
    upstream = upstream_of([told], {"/v1/subscriptions/sub_1": answer(subscription("si_2", "si_3"))})
    wanted = ("stripe:subscription", "stripe:subscription_item")
    pages = await changes(upstream, *wanted, cursor={"t": NOW - 60})
    records = {record.upstream_id: record for page in pages for record in page.records}
    assert {each: record.deleted for each, record in records.items()} == {
        "sub_1": False,
        "sub_1/si_2": False,
        "sub_1/si_3": False,
        "sub_1/si_0": True,
        "sub_1/si_1": True,
    }
    assert {record.read_no for record in records.values()} == {records["sub_1"].read_no}
    assert [request.url.path for request in upstream.asked] == ["/v1/events", "/v1/subscriptions/sub_1"]


async def test_members_of_a_deleted_owner_are_gone_as_far_as_its_event_shows_them():
    told = event("invoice.deleted", {"id": "in_1", "object": "invoice", "lines": {"data": [{"id": "il_1"}]}})
    gone = answer({"error": {"code": "resource_missing"}}, 404)
    pages = await changes(
        upstream_of([told], {"/v1/invoices/in_1": gone}), "stripe:invoice_line", cursor={"t": NOW - 60}
    )
    assert [(record.upstream_id, record.deleted) for page in pages for record in page.records] == [("in_1/il_1", True)]


async def test_members_are_read_again_by_their_owner():
    def upstream(request):
        upstream.asked.append(str(request.url.raw_path, "ascii"))
        if "starting_after" in request.url.params:
            return listed([{"id": "setatt_1"}])
        return listed([{"id": "setatt_2"}], more=True)

    upstream.asked = []
    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    collection = BY_COLLECTION["stripe:setup_attempt"]
    records = await reader.read(collection, ["seti_1/setatt_1", "seti_1/setatt_9"])
    assert {record.upstream_id: record.deleted for record in records} == {
        "seti_1/setatt_1": False,
        "seti_1/setatt_2": False,
        "seti_1/setatt_9": True,
    }
    assert upstream.asked[0] == "/v1/setup_attempts?setup_intent=seti_1&limit=100"
    assert len(upstream.asked) == 2


async def test_what_is_inside_only_when_asked_for_is_asked_for():
    def upstream(request):
        wanted = "data.line_items" if request.url.path == "/v1/quotes" else "line_items"
        assert request.url.params["expand[]"] == wanted
        quote = {"id": "qt_1", "object": "quote", "line_items": {"object": "list", "data": [{"id": "li_1"}]}}
        return listed([quote]) if request.url.path == "/v1/quotes" else answer(quote)

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    collection = BY_COLLECTION["stripe:quote_line_item"]
    (page,) = await walk(reader.backfill(collection, None))
    (read,) = await reader.read(collection, ["qt_1"])
    assert page.records[0].data == read.data == b'{"id":"li_1","quote":"qt_1"}'


async def test_an_owner_whose_members_do_not_come_is_set_aside():
    def upstream(request):
        if request.url.path == "/v1/customers":
            return listed([{"id": "cus_2", "created": 200}, {"id": "cus_1", "created": 100}])
        return listed([{"id": "cbtxn_1"}]) if "cus_1" in request.url.path else answer({"error": {}}, 500)

    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    (page,) = await walk(reader.backfill(BY_COLLECTION["stripe:customer_balance_transaction"], None))
    assert [record.upstream_id for record in page.records] == ["cus_1/cbtxn_1"]
    assert [each.upstream_id for each in page.skipped] == ["cus_2"]


async def test_an_owner_without_the_list_it_should_bear_buries_nothing():
    told = event("customer.subscription.updated", subscription("si_1"))

    def upstream(request):
        if request.url.path == "/v1/events":
            return listed([told])
        return answer({"id": "sub_1", "object": "subscription"}) if "sub_1" in request.url.path else listed([])

    pages = await changes(upstream, "stripe:subscription_item", cursor={"t": NOW - 60})
    assert [record for page in pages for record in page.records] == []
    assert [each.upstream_id for page in pages for each in page.skipped] == ["sub_1"]
