"""Salesforce's reader against the sandbox, over HTTP."""

import pytest

from syncs.providers.kit import raw
from syncs.providers.kit.errors import CollectionGone, CredentialsRefused, RateLimited, UpstreamFailed
from tests.integration.provider_bench import salesforce

CONTACT, INVOICE, ACCOUNT = "salesforce:contact", "salesforce:invoice__c", "salesforce:account"
QUERIES = "/query"


def held(sandbox, name: str) -> dict[str, bytes]:
    """What the sandbox holds of an object, by id, as raw fields."""
    ids = sandbox.control("GET", f"records/salesforce/{name}")["records"]
    return {each: sandbox_record(sandbox, name, each) for each in ids}


def sandbox_record(sandbox, name: str, record: str) -> dict[str, bytes]:
    import urllib.request

    with urllib.request.urlopen(f"{sandbox.url}/_control/records/salesforce/{name}/{record}") as response:
        shown = raw.split(response.read())
    return {key: bytes(value) for key, value in raw.split(shown["record"]).items()}


def create(sandbox, name: str, **fields) -> str:
    made = sandbox.control("POST", f"records/salesforce/{name}", [fields])
    return made["ids"][0]


def create_many(sandbox, name: str, count: int, same_stamp: bool = False) -> None:
    sandbox.control("POST", f"records/salesforce/{name}?count={count}{'&same_stamp=1' if same_stamp else ''}", {})


def change(sandbox, name: str, record: str, **fields) -> None:
    sandbox.control("PATCH", f"records/salesforce/{name}/{record}", fields)


def whole(value: bytes) -> bytes:
    return value.removesuffix(b".0") if value[:1] not in b'"{' else raw.plain_string(value)


async def test_check_discover_and_fields(planted):
    async with salesforce(planted) as bench:
        assert (await bench.reader.check()).name
        assert bench.collections[INVOICE].custom
        assert bench.collections[INVOICE].upstream == "Invoice__c"
        fields = {field.accessor: field for field in await bench.reader.fields(bench.collections[ACCOUNT])}
        assert fields["Id"].primary_key
        assert fields["Health_Score__c"].note
        assert "BillingAddress" not in fields
        assert bench.quotas[-1].allowed == 100_000
        for collection in bench.collections.values():
            await bench.reader.probe(collection)


async def test_backfill_brings_every_value_as_held(planted):
    async with salesforce(planted) as bench:
        for collection_id, name in ((INVOICE, "Invoice__c"), ("salesforce:lead", "Lead")):
            read = await bench.data(collection_id)
            expected = held(planted, name)
            assert set(read) == set(expected)
            for upstream_id, data in read.items():
                for field, value in raw.split(data).items():
                    assert bytes(value) == whole(expected[upstream_id].get(field, b"null")), (upstream_id, field)


@pytest.mark.parametrize("collection_id", [ACCOUNT, CONTACT, INVOICE, "salesforce:wide__c", "salesforce:user_role"])
async def test_rest_chunks_and_bulk_give_the_same_bytes(planted, collection_id):
    planted.control("POST", "settings", {"bulk_step_s": 0})
    async with salesforce(planted) as bench:
        rest = await bench.data(collection_id)
    async with salesforce(planted, field_budget=400, page_size=200) as bench:
        assert await bench.data(collection_id) == rest
    async with salesforce(planted, bulk_threshold=1, bulk_max_records=70, bulk_poll_s=0.02) as bench:
        assert await bench.data(collection_id) == rest


async def test_empty_text_is_null_by_every_route(sandbox):
    contact = create(sandbox, "Contact", LastName="Lee", Description="")
    for settings in ({}, {"bulk_threshold": 1, "bulk_poll_s": 0.05}, {"field_budget": 120}):
        async with salesforce(sandbox, **settings) as bench:
            assert b'"Description":null' in (await bench.data(CONTACT))[contact]


async def test_object_that_refuses_bulk_is_read_by_rest(planted):
    async with salesforce(planted, bulk_threshold=1) as bench:
        status = bench.collections["salesforce:casestatus"]
        assert len(await bench.backfill(status.id)) == 4


@pytest.mark.parametrize("settings", [{"page_size": 300}, {"bulk_threshold": 1, "bulk_max_records": 200}])
async def test_backfill_goes_on_from_any_page(planted, settings):
    planted.control("POST", "settings", {"bulk_step_s": 0})
    settings = {**settings, "bulk_poll_s": 0.02}
    async with salesforce(planted, **settings) as bench:
        collection, cursor, seen, done = bench.collections[ACCOUNT], None, set(), False
        while not done:  # a new walk for every page, as after a crash
            walk = bench.reader.backfill(collection, cursor)
            page = await anext(walk)
            await walk.aclose()
            assert not seen & {record.upstream_id for record in page.records}
            seen |= {record.upstream_id for record in page.records}
            cursor, done = page.cursor, page.done
        assert len(seen) == await bench.reader.count(collection) == 900


async def test_changes_bring_create_update_delete_and_undelete(sandbox):
    async with salesforce(sandbox) as bench:
        old = create(sandbox, "Contact", LastName="Old")
        cursor = await bench.start(CONTACT)
        new = create(sandbox, "Contact", LastName="New", Description='Zoë\n"quoted" \\ 😀')
        change(sandbox, "Contact", old, LastName="Changed")
        records, cursor = await bench.look(cursor, CONTACT)
        assert b'"LastName":"Changed"' in records[old].data
        assert 'Zoë\\n\\"quoted\\" \\\\ 😀'.encode() in records[new].data
        sandbox.control("DELETE", f"records/salesforce/Contact/{old}")
        records, cursor = await bench.look(cursor, CONTACT)
        assert records[old].deleted
        assert b'"IsDeleted":true' in records[old].data
        sandbox.control("POST", f"records/salesforce/Contact/{old}/undelete")
        records, _ = await bench.look(cursor, CONTACT)
        assert not records[old].deleted


async def test_numbers_arrive_digit_for_digit(sandbox):
    import urllib.request

    body = b'[{"Exact_Total__c":12345678901234567890.123,"Amount__c":1.10,"Line_Count__c":9007199254740993}]'
    request = urllib.request.Request(f"{sandbox.url}/_control/records/salesforce/Invoice__c", body, method="POST")
    urllib.request.urlopen(request).close()
    for settings in ({}, {"bulk_threshold": 1, "bulk_poll_s": 0.05}, {"field_budget": 120}):
        async with salesforce(sandbox, **settings) as bench:
            (data,) = (await bench.data(INVOICE)).values()
            assert b'"Exact_Total__c":12345678901234567890.123' in data
            assert b'"Amount__c":1.10,' in data
            assert b'"Line_Count__c":9007199254740993' in data


async def test_many_rows_of_one_stamp_are_all_read(sandbox):
    create_many(sandbox, "Contact", 1, same_stamp=True)
    async with salesforce(sandbox, page_size=200) as bench:
        cursor = await bench.start(CONTACT)
        create_many(sandbox, "Contact", 4500, same_stamp=True)
        records, _ = await bench.look(cursor, CONTACT)
        assert len(records) == 4501


async def test_a_row_that_shows_late_is_not_missed(sandbox):
    async with salesforce(sandbox) as bench:
        first = create(sandbox, "Contact", LastName="First")
        cursor = await bench.start(CONTACT)
        sandbox.control("POST", "settings", {"commit_delay_s": 1.5})
        late = create(sandbox, "Contact", LastName="Late")
        sandbox.control("POST", "settings", {"commit_delay_s": 0})
        newer = create(sandbox, "Contact", LastName="Newer")
        records, cursor = await bench.look(cursor, CONTACT)
        assert newer in records
        import asyncio

        deadline = asyncio.get_running_loop().time() + 10
        while late not in records and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)
            records, cursor = await bench.look(cursor, CONTACT)
        assert late in records
        assert first


async def test_a_wrong_clock_upstream_carries_the_cursor_over_nothing(sandbox):
    create(sandbox, "Contact", LastName="Before")
    async with salesforce(sandbox) as bench:
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "clock_skew", "seconds": 86_400})
        cursor = await bench.start(CONTACT)
        _, cursor = await bench.look(cursor, CONTACT)
        sandbox.control("DELETE", "faults")
        new = create(sandbox, "Contact", LastName="After")
        records, _ = await bench.look(cursor, CONTACT)
        assert new in records


async def test_a_field_added_meanwhile_arrives(sandbox):
    async with salesforce(sandbox) as bench:
        contact = create(sandbox, "Contact", LastName="Lee")
        cursor = await bench.start(CONTACT)
        sandbox.control("POST", "fields/Contact", {"name": "Shoe_Size__c", "type": "double"})
        change(sandbox, "Contact", contact, Shoe_Size__c=42)
        records, _ = await bench.look(cursor, CONTACT)
        assert b'"Shoe_Size__c":42' in records[contact].data


async def test_sweep_sees_what_a_hard_delete_took(sandbox):
    create_many(sandbox, "Contact", 450)
    async with salesforce(sandbox, page_size=200) as bench:
        collection = bench.collections[CONTACT]
        ids = [each async for page in bench.reader.sweep(collection, None) for each in page.ids]
        sandbox.control("DELETE", f"records/salesforce/Contact/{ids[7]}?hard=1")
        left = [each async for page in bench.reader.sweep(collection, None) for each in page.ids]
        assert set(ids) - set(left) == {ids[7]}
        read = {record.upstream_id: record for record in await bench.reader.read(collection, ids[5:9])}
        assert [read[each].deleted for each in ids[5:9]] == [False, False, True, False]


async def test_objects_without_marks_are_read(sandbox):
    create_many(sandbox, "OpportunityHistory", 3)
    create_many(sandbox, "UserRole", 2)
    async with salesforce(sandbox) as bench:
        for collection_id, count in (("salesforce:opportunity_history", 3), ("salesforce:user_role", 2)):
            records = await bench.backfill(collection_id)
            assert len(records) == count
            changed, _ = await bench.look(await bench.start(collection_id), collection_id)
            assert set(changed) <= set(records)


FAULTS = ["server_error", "unavailable", "drop", "truncated", "malformed"]


@pytest.mark.parametrize("kind", FAULTS)
async def test_transient_faults_are_survived(planted, kind):
    async with salesforce(planted, page_size=500) as bench:
        planted.control("POST", "faults", {"provider": "salesforce", "kind": kind, "path": QUERIES, "times": 2})
        assert len(await bench.backfill(ACCOUNT)) == 900
        planted.control("DELETE", "faults")


async def test_lasting_trouble_is_raised_in_a_sentence(planted):
    async with salesforce(planted) as bench:
        planted.control("POST", "faults", {"provider": "salesforce", "kind": "unavailable"})
        with pytest.raises(UpstreamFailed):
            await bench.backfill(ACCOUNT)
        planted.control("DELETE", "faults")


async def test_an_expired_token_is_renewed(planted):
    async with salesforce(planted) as bench:
        planted.control(
            "POST", "faults", {"provider": "salesforce", "kind": "expired_token", "path": QUERIES, "times": 1}
        )
        assert len(await bench.backfill(ACCOUNT)) == 900
        assert bench.source.renewals == 1


async def test_a_rotated_refresh_token_is_used_next_time(sandbox):
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    async with salesforce(sandbox) as bench:
        for _ in range(3):
            sandbox.control("POST", "expire", {"provider": "salesforce"})
            await bench.reader.check()
        assert bench.source.renewals == 3


async def test_a_revoked_grant_asks_to_reconnect(sandbox):
    async with salesforce(sandbox) as bench:
        sandbox.control("POST", "revoke", {"provider": "salesforce"})
        with pytest.raises(CredentialsRefused) as caught:
            await bench.reader.check()
        assert "econnect" in caught.value.next_step
        assert bench.source.grant["refresh_token"] not in caught.value.detail


async def test_used_up_quota_waits(planted):
    async with salesforce(planted) as bench:
        planted.control("POST", "faults", {"provider": "salesforce", "kind": "quota", "times": 1})
        with pytest.raises(RateLimited) as caught:
            await bench.reader.check()
        assert caught.value.retry_after_s >= 60


async def test_reading_pauses_before_the_quota_is_used_up(sandbox):
    sandbox.control("POST", "settings", {"quota_max": 1000, "quota_used": 790})
    async with salesforce(sandbox) as bench:
        probes = (bench.reader.probe(bench.collections[CONTACT]) for _ in range(20))
        with pytest.raises(RateLimited) as caught:
            [await probe for probe in probes]
        assert "80%" in caught.value.message
        assert 600 <= caught.value.retry_after_s <= 7200
        assert bench.quotas[-1].used == 800


async def test_a_row_that_salesforce_cannot_serve_is_set_aside(sandbox):
    create_many(sandbox, "Contact", 12)
    ids = sorted(sandbox.control("GET", "records/salesforce/Contact")["records"])
    sick, where = ids[5], {"provider": "salesforce", "kind": "server_error"}
    async with salesforce(sandbox) as bench:
        collection = bench.collections[CONTACT]
        cursor = await bench.start(CONTACT)
        sandbox.control("POST", "faults", {**where, "path": "LIMIT 20000"})  # every query that lists whole rows
        sandbox.control("POST", "faults", {**where, "path": sick})
        walks = (bench.reader.backfill(collection, None), bench.reader.changes(collection.feed, [collection], cursor))
        for walk in walks:
            pages = [page async for page in walk]
            came = {record.upstream_id for page in pages for record in page.records}
            assert {each.upstream_id for page in pages for each in page.skipped} == {sick}
            assert came == set(ids) - {sick}
        assert [each.upstream_id for each in await bench.reader.read(collection, ids[4:7])] == [ids[4], ids[6]]
        sandbox.control("DELETE", "faults")
        assert len(await bench.reader.read(collection, [sick])) == 1


async def test_an_outage_sets_nothing_aside(sandbox):
    create_many(sandbox, "Contact", 3)
    async with salesforce(sandbox) as bench:
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "server_error", "path": "FROM Contact"})
        with pytest.raises(UpstreamFailed):
            await bench.backfill(CONTACT)


async def test_a_bulk_page_that_does_not_come_is_read_by_rest(sandbox):
    create_many(sandbox, "Contact", 12)
    sandbox.control("POST", "settings", {"bulk_step_s": 0})
    async with salesforce(sandbox, bulk_threshold=1, bulk_poll_s=0.02) as bench:
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "server_error", "path": "/results"})
        assert len(await bench.backfill(CONTACT)) == 12


async def test_a_formula_that_changed_without_a_stamp_is_told_apart_and_read_again(sandbox):
    account = create(sandbox, "Account", Name="Acme")
    async with salesforce(sandbox) as bench:
        cursor = await bench.start(ACCOUNT)
        _, cursor = await bench.look(cursor, ACCOUNT)
        before = (await bench.data(ACCOUNT))[account]
        sandbox.control("PATCH", f"records/salesforce/Account/{account}?keep_stamp=1", {"Health_Score__c": 99})
        assert await bench.reader.changes_silently(bench.collections[ACCOUNT])
        assert not await bench.reader.changes_silently(bench.collections["salesforce:user_role"])
        after = await bench.backfill(ACCOUNT)
        assert b'"Health_Score__c":99' in after[account].data
        assert after[account].data != before


async def test_a_lost_page_token_goes_on_by_id(planted):
    planted.control("POST", "settings", {"page_size_cap": 200})
    async with salesforce(planted, page_size=200) as bench:
        planted.control("POST", "faults", {"provider": "salesforce", "kind": "lost_page_token", "times": 2})
        assert len(await bench.backfill(ACCOUNT)) == 900
    planted.control("POST", "settings", {"page_size_cap": 0})


async def test_a_query_too_big_is_asked_in_smaller_bites(planted):
    async with salesforce(planted) as bench:
        planted.control(
            "POST", "faults", {"provider": "salesforce", "kind": "lock_timeout", "path": "ORDER BY Id", "times": 2}
        )
        assert len(await bench.backfill(ACCOUNT)) == 900


async def test_an_object_one_may_not_read_is_told_apart(planted):
    async with salesforce(planted) as bench:
        planted.control("POST", "faults", {"provider": "salesforce", "kind": "no_read_right", "path": "FROM Account"})
        with pytest.raises(CollectionGone):
            await bench.reader.probe(bench.collections[ACCOUNT])
        await bench.reader.probe(bench.collections[CONTACT])
        planted.control("DELETE", "faults")
