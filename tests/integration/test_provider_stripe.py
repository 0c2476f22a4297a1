"""Stripe's reader against the sandbox, over HTTP."""

import json
import urllib.request

import msgspec
import pytest

from sandbox.process import running
from syncs.providers.kit.errors import CredentialsRefused, PermissionMissing, RateLimited, UpstreamFailed
from syncs.providers.stripe.catalogue import BY_ID, COLLECTIONS
from tests.integration.provider_bench import stripe

CUSTOMER, SUBSCRIPTION, INVOICE = "stripe:customer", "stripe:subscription", "stripe:invoice"
SERVED = [
    each.id for each in COLLECTIONS if each.shown and each.id not in ("stripe:account", "stripe:event")
]  # what the sandbox has


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A demo account that nobody changes."""
    with running(tmp_path_factory.mktemp("planted"), seed="demo") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(tmp_path):
    with running(tmp_path) as sandbox:
        yield sandbox


def create(sandbox, shelf: str, /, **fields) -> str:
    return sandbox.control("POST", f"records/stripe/{shelf}", [fields])["ids"][0]


def change(sandbox, shelf: str, record: str, /, **fields) -> None:
    sandbox.control("PATCH", f"records/stripe/{shelf}/{record}", fields)


def delete(sandbox, name: str, record: str) -> None:
    sandbox.control("DELETE", f"records/stripe/{name}/{record}")


def one_by_one(sandbox, path: str, upstream_id: str) -> bytes:
    """The object as the sandbox serves it alone, less white space."""
    headers = {"Authorization": "Bearer rk_test_sandbox_demo", "Stripe-Version": "2026-10-28.endive"}
    request = urllib.request.Request(f"{sandbox.stripe}{path}/{upstream_id}", headers=headers)
    with urllib.request.urlopen(request) as response:
        return msgspec.json.format(response.read(), indent=-1)


async def test_check_tells_account_and_mode(planted):
    async with stripe(planted) as bench:
        account = await bench.reader.check()
        assert account.id.startswith("acct_")
        assert account.live is False


async def test_at_least_27_collections_are_read(planted):
    assert len(SERVED) >= 27
    async with stripe(planted) as bench:
        for collection_id in SERVED:
            records = await bench.backfill(collection_id)
            assert records, collection_id
            assert await bench.reader.fields(bench.collections[collection_id])
            await bench.reader.probe(bench.collections[collection_id])
            for record in records.values():
                assert json.loads(record.data)["id"] == record.upstream_id.rpartition("/")[2]
                assert b'"has_more":true' not in record.data


@pytest.mark.parametrize("collection_id", [CUSTOMER, "stripe:charge", "stripe:product", "stripe:payout"])
async def test_backfill_gives_the_bytes_of_the_single_object(planted, collection_id):
    async with stripe(planted) as bench:
        records = await bench.data(collection_id)
        for upstream_id in list(records)[:25]:
            assert records[upstream_id] == one_by_one(planted, BY_ID[collection_id].path, upstream_id)


@pytest.mark.parametrize("collection_id", [SUBSCRIPTION, INVOICE])
async def test_list_and_single_read_give_the_same_bytes(planted, collection_id):
    async with stripe(planted) as bench:
        records = await bench.data(collection_id)
        ids = list(records)[:30]
        for record in await bench.reader.read(bench.collections[collection_id], ids):
            assert record.data == records[record.upstream_id]


async def test_backfill_goes_on_from_any_page(planted):
    async with stripe(planted) as bench:
        collection, cursor, seen, done = bench.collections[CUSTOMER], None, set(), False
        while not done:
            walk = bench.reader.backfill(collection, cursor)
            page = await anext(walk)
            await walk.aclose()
            assert not seen & {record.upstream_id for record in page.records}
            seen |= {record.upstream_id for record in page.records}
            cursor, done = page.cursor, page.done
        assert len(seen) == 260


async def test_changes_bring_create_update_and_delete(sandbox):
    async with stripe(sandbox) as bench:
        wanted = (CUSTOMER, "stripe:coupon")
        cursor = await bench.start(*wanted)
        customer = create(sandbox, "customers", name="Zoë 😀")
        records, cursor = await bench.look(cursor, *wanted)
        assert "Zoë 😀" in json.loads(records[customer].data)["name"]
        change(sandbox, "customers", customer, name="Changed")
        records, cursor = await bench.look(cursor, *wanted)
        assert json.loads(records[customer].data)["name"] == "Changed"
        records, cursor = await bench.look(cursor, *wanted)
        assert records == {}
        delete(sandbox, "customers", customer)
        records, cursor = await bench.look(cursor, *wanted)
        assert records[customer].deleted
        assert records[customer].data is None


PARTS = {each.id: each for each in BY_ID.values() if each.owner and each.shown}


@pytest.mark.parametrize("collection_id", PARTS)
async def test_what_hangs_on_owners_is_whole_and_reads_back_the_same(planted, collection_id):
    """Against the sandbox's own count of them; one owner of each kind has more than fit inside it."""
    table = f"{collection_id.removeprefix('stripe:')}s".replace("customer_tax_ids", "tax_ids")
    wanted = {key for key, each in planted.control("GET", f"records/stripe/{table}")["records"].items()}
    async with stripe(planted) as bench:
        records = await bench.data(collection_id)
        assert {each.rpartition("/")[2] for each in records} == wanted
        some = list(records)[:20]
        read = {each.upstream_id: each for each in await bench.reader.read(bench.collections[collection_id], some)}
        assert {each: read[each].data for each in some} == {each: records[each] for each in some}
        for each, data in records.items():
            assert json.loads(data)[PARTS[collection_id].told_by] == each.partition("/")[0]


async def test_items_added_changed_and_taken_away_are_told_by_their_subscription(sandbox):
    item = "stripe:subscription_item"
    async with stripe(sandbox) as bench:
        owner = create(sandbox, "subscriptions", status="active")
        first = create(sandbox, "subscription_items", subscription=owner)
        cursor = await bench.start(item)
        second = create(sandbox, "subscription_items", subscription=owner, quantity=1)
        records, cursor = await bench.look(cursor, item)
        assert set(records) == {f"{owner}/{first}", f"{owner}/{second}"}
        change(sandbox, "subscription_items", second, quantity=7)
        delete(sandbox, "subscription_items", first)
        records, cursor = await bench.look(cursor, item)
        assert json.loads(records[f"{owner}/{second}"].data)["quantity"] == 7
        assert records[f"{owner}/{first}"].deleted
        records, _ = await bench.look(cursor, item)
        assert records == {}


async def test_a_sweep_meets_every_line_and_none_that_is_gone(sandbox):
    line = "stripe:invoice_line"
    async with stripe(sandbox) as bench:
        invoice = create(sandbox, "invoices", status="draft")
        ids = sandbox.control("POST", "records/stripe/invoice_lines?count=23", {"invoice": invoice})
        assert ids["count"] == 23
        lines = list(await bench.backfill(line))
        assert len(lines) == 23
        sandbox.control("DELETE", f"records/stripe/invoice_lines/{lines[0].partition('/')[2]}?hard=1")
        met = {each async for page in bench.reader.sweep(bench.collections[line], None) for each in page.ids}
        assert set(lines) - met == {lines[0]}
        (gone,) = [each for each in await bench.reader.read(bench.collections[line], [lines[0]]) if each.deleted]
        assert gone.upstream_id == lines[0]


async def test_events_that_show_late_and_out_of_order_are_not_missed(sandbox):
    import asyncio

    async with stripe(sandbox) as bench:
        cursor = await bench.start(CUSTOMER)
        sandbox.control("POST", "settings", {"events_delay_s": 1.0, "events_out_of_order": True})
        made = {create(sandbox, "customers", name=f"N{number}") for number in range(5)}
        seen: set[str] = set()
        deadline = asyncio.get_running_loop().time() + 15
        while not made <= seen and asyncio.get_running_loop().time() < deadline:
            records, cursor = await bench.look(cursor, CUSTOMER)
            seen |= set(records)
            await asyncio.sleep(0.2)
        assert made <= seen


async def test_a_wrong_clock_upstream_carries_the_cursor_over_nothing(sandbox):
    create(sandbox, "customers", name="Before")
    async with stripe(sandbox) as bench:
        cursor = await bench.start(CUSTOMER)
        sandbox.control("POST", "faults", {"provider": "stripe", "kind": "clock_skew", "seconds": 7_200})
        _, cursor = await bench.look(cursor, CUSTOMER)
        sandbox.control("DELETE", "faults")
        new = create(sandbox, "customers", name="After")
        records, _ = await bench.look(cursor, CUSTOMER)
        assert new in records


async def test_sweep_sees_every_id(planted):
    async with stripe(planted) as bench:
        pages = bench.reader.sweep(bench.collections["stripe:charge"], None)
        assert len({each async for page in pages for each in page.ids}) == 400


async def test_a_place_deleted_meanwhile_does_not_stop_the_backfill(sandbox):
    sandbox.control("POST", "records/stripe/customers?count=250", {})
    async with stripe(sandbox) as bench:
        walk = bench.reader.backfill(bench.collections[CUSTOMER], None)
        page = await anext(walk)
        await walk.aclose()
        delete(sandbox, "customers", page.cursor["after"])
        rest = await bench.backfill(CUSTOMER, page.cursor)
        assert len({record.upstream_id for record in page.records} | set(rest)) == 250


@pytest.mark.parametrize("kind", ["server_error", "unavailable", "drop", "truncated", "malformed", "lock_timeout"])
async def test_transient_faults_are_survived(planted, kind):
    async with stripe(planted) as bench:
        planted.control("POST", "faults", {"provider": "stripe", "kind": kind, "times": 2})
        assert len(await bench.backfill(CUSTOMER)) == 260
        planted.control("DELETE", "faults")


async def test_an_object_that_stripe_cannot_serve_is_set_aside(sandbox):
    async with stripe(sandbox) as bench:
        collection = bench.collections[CUSTOMER]
        cursor = await bench.start(CUSTOMER)
        sick, well = create(sandbox, "customers", name="Sick"), create(sandbox, "customers", name="Well")
        sandbox.control(
            "POST", "faults", {"provider": "stripe", "kind": "server_error", "path": f"/v1/customers/{sick}"}
        )
        pages = [page async for page in bench.reader.changes(collection.feed, [collection], cursor)]
        assert [record.upstream_id for page in pages for record in page.records] == [well]
        assert [each.upstream_id for page in pages for each in page.skipped] == [sick]
        assert pages[-1].done
        assert await bench.reader.read(collection, [sick]) == []
        sandbox.control("DELETE", "faults")
        assert [record.upstream_id for record in await bench.reader.read(collection, [sick])] == [sick]


async def test_an_outage_sets_nothing_aside(sandbox):
    async with stripe(sandbox) as bench:
        cursor = await bench.start(CUSTOMER)
        create(sandbox, "customers", name="Ada")
        for path in ("/v1/customers", "/v1/events?limit=1"):
            sandbox.control("POST", "faults", {"provider": "stripe", "kind": "server_error", "path": path})
        with pytest.raises(UpstreamFailed):
            await bench.look(cursor, CUSTOMER)


async def test_rate_limits_are_sat_out_or_told(planted):
    async with stripe(planted) as bench:
        planted.control("POST", "faults", {"provider": "stripe", "kind": "rate_limit", "times": 1})
        assert len(await bench.backfill(CUSTOMER)) == 260
        planted.control("POST", "faults", {"provider": "stripe", "kind": "rate_limit", "retry_after": 30, "times": 1})
        with pytest.raises(RateLimited) as caught:
            await bench.backfill(CUSTOMER)
        assert caught.value.retry_after_s == 30


async def test_lasting_trouble_is_raised_in_a_sentence(planted):
    async with stripe(planted) as bench:
        planted.control("POST", "faults", {"provider": "stripe", "kind": "unavailable"})
        with pytest.raises(UpstreamFailed):
            await bench.backfill(CUSTOMER)
        planted.control("DELETE", "faults")


async def test_a_missing_permission_names_itself(sandbox):
    key = sandbox.control("POST", "keys", {"provider": "stripe", "permissions": ["customers", "events"]})["secret"]
    async with stripe(sandbox, key) as bench:
        await bench.reader.check()
        await bench.reader.probe(bench.collections[CUSTOMER])
        with pytest.raises(PermissionMissing) as caught:
            await bench.reader.probe(bench.collections["stripe:charge"])
        assert "rak_charge_read" in caught.value.message


async def test_a_dropped_or_expired_key_is_told(sandbox):
    key = sandbox.control("POST", "keys", {"provider": "stripe"})["secret"]
    async with stripe(sandbox, key) as bench:
        await bench.reader.check()
        sandbox.control("POST", "revoke", {"provider": "stripe", "secret": key})
        with pytest.raises(CredentialsRefused) as caught:
            await bench.reader.check()
        assert key not in caught.value.detail + caught.value.message
