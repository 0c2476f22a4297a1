"""HubSpot's reader against the sandbox, over HTTP. What every provider must survive is in test_provider_contract.py."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.utils import timezone

from syncs import connections, oauth, oauth_apps
from syncs.models import Credential
from syncs.providers.hubspot.catalogue import BY_ID, COLLECTIONS, Found
from syncs.providers.kit.access import Access
from syncs.providers.kit.errors import CredentialsRefused, PermissionMissing, RateLimited, UpstreamFailed
from syncs.providers.kit.http import make_http
from tests.integration.provider_bench import Bench, Pasted

CONTACT, DEAL, LINKS = "hubspot:contact", "hubspot:deal", "hubspot:contact_to_companies"
CAR = "hubspot:custom:machine"
DEMO_KEY = "pat-na1-sandbox-demo"


@asynccontextmanager
async def hubspot(sandbox, key=DEMO_KEY, **settings):
    access = Access(sandbox.side("hubspot"), {"Authorization": f"Bearer {key}"})
    async with make_http() as http:
        yield await Bench("hubspot", http, Pasted(access), settings).open()


def create(sandbox, kind, /, **properties):
    return sandbox.control("POST", f"records/hubspot/{kind}", [{"properties": properties}])["ids"][0]


def change(sandbox, kind, record, /, **properties):
    sandbox.control("PATCH", f"records/hubspot/{kind}/{record}", {"properties": properties})


def delete(sandbox, kind, record, how=""):
    sandbox.control("DELETE", f"records/hubspot/{kind}/{record}{how}")


def link(sandbox, contact, company):
    one = {"from": f"contacts:{contact}", "to": f"companies:{company}", "category": "HUBSPOT_DEFINED", "typeId": 279}
    return sandbox.control("POST", "records/hubspot/associations", [one])["ids"][0]


def bin_is_due(cursor):
    """The cursor as a quarter of an hour later finds it."""
    return cursor | {"bin_at": "2026-01-01T00:00:00.000Z"}


async def test_check_tells_the_account(planted):
    async with hubspot(planted) as bench:
        account = await bench.reader.check()
        assert (account.id, account.live) == ("4242424", False)


async def test_every_collection_is_read_and_described(planted):
    async with hubspot(planted) as bench:
        assert set(bench.collections) == {*BY_ID, CAR, f"{CAR}_to_companies"}
        for collection_id, collection in bench.collections.items():
            records = await bench.backfill(collection_id)
            assert any(not record.deleted for record in records.values()), collection_id
            assert await bench.reader.fields(collection), collection_id
            await bench.reader.probe(collection)
            swept = {each async for page in bench.reader.sweep(collection, None) for each in page.ids}
            assert swept == {key for key, record in records.items() if not record.deleted}, collection_id


@pytest.mark.parametrize(("collection_id", "kind"), [(CONTACT, "contacts"), (DEAL, "deals"), (CAR, "machines")])
async def test_records_hold_all_properties_as_they_are_upstream(planted, collection_id, kind):
    upstream = planted.control("GET", f"records/hubspot/{kind}?bodies=1")["records"]
    async with hubspot(planted) as bench:
        records = await bench.data(collection_id)
        assert set(records) == set(upstream)
        for record_id, data in records.items():
            found = json.loads(data)
            assert found == upstream[record_id]
            assert list(found["properties"]) == sorted(found["properties"])
        assert await bench.reader.count(bench.collections[collection_id]) == len(upstream)


async def test_hundreds_of_properties_are_read_by_id_with_the_same_bytes(sandbox):
    sandbox.control("POST", "settings", {"hubspot_extra_properties": 400})
    sandbox.control("POST", "records/hubspot/contacts?count=230", {})
    async with hubspot(sandbox) as bench, hubspot(sandbox, longest_names=1_000_000) as wide:
        records = await bench.backfill(CONTACT)
        assert len(records) == 230
        assert len(json.loads(records["501"].data)["properties"]) > 400
        by_list = (await wide.backfill(CONTACT)).values()
        assert {record.upstream_id: record.data for record in by_list} == {
            record.upstream_id: record.data for record in records.values()
        }
        again = await bench.reader.read(bench.collections[CONTACT], list(records))
        assert {record.upstream_id: record.data for record in again} == {
            record.upstream_id: record.data for record in records.values()
        }


async def test_changes_bring_create_update_archive_restore_and_merge(sandbox):
    async with hubspot(sandbox) as bench:
        cursor = await bench.start(CONTACT)
        one, other = create(sandbox, "contacts", email="zoë@ex.test"), create(sandbox, "contacts", email="b@ex.test")
        records, cursor = await bench.look(cursor, CONTACT)
        assert json.loads(records[one].data)["properties"]["email"] == "zoë@ex.test"
        change(sandbox, "contacts", one, email="new@ex.test")
        records, cursor = await bench.look(cursor, CONTACT)
        assert json.loads(records[one].data)["properties"]["email"] == "new@ex.test"
        delete(sandbox, "contacts", one)
        records, cursor = await bench.look(bin_is_due(cursor), CONTACT)
        assert records[one].deleted
        sandbox.control("POST", f"records/hubspot/contacts/{one}/undelete")
        records, cursor = await bench.look(bin_is_due(cursor), CONTACT)
        assert not records[one].deleted
        sandbox.control("POST", f"records/hubspot/contacts/{one}/merge", {"losers": [other]})
        records, cursor = await bench.look(cursor, CONTACT)
        assert (records[one].deleted, records[other].deleted) == (False, True)


async def test_what_is_erased_for_good_is_found_by_the_sweep_and_by_reading(sandbox):
    kept, erased = create(sandbox, "contacts", email="a@ex.test"), create(sandbox, "contacts", email="b@ex.test")
    async with hubspot(sandbox) as bench:
        delete(sandbox, "contacts", erased, "?hard=1")
        collection = bench.collections[CONTACT]
        assert [each async for page in bench.reader.sweep(collection, None) for each in page.ids] == [kept]
        read = {record.upstream_id: record.deleted for record in await bench.reader.read(collection, [kept, erased])}
        assert read == {kept: False, erased: True}


async def test_an_index_that_runs_late_hides_nothing(sandbox):
    async with hubspot(sandbox) as bench:
        create(sandbox, "contacts", email="first@ex.test")
        cursor = await bench.start(CONTACT)
        sandbox.control("POST", "settings", {"hubspot_index_delay_s": 1.0})
        made = {create(sandbox, "contacts", email=f"n{number}@ex.test") for number in range(5)}
        seen: set[str] = set()
        deadline = asyncio.get_running_loop().time() + 60
        while not made <= seen and asyncio.get_running_loop().time() < deadline:
            records, cursor = await bench.look(cursor, CONTACT)
            seen |= set(records)
            await asyncio.sleep(0.2)
        assert made <= seen


async def test_associations_follow_their_record_and_end_with_it(sandbox):
    contact = create(sandbox, "contacts", email="a@ex.test")
    companies = [create(sandbox, "companies", name=f"C{number}") for number in range(5)]
    sandbox.control("POST", "settings", {"hubspot_associations_page": 2})
    for company in companies[:-1]:
        link(sandbox, contact, company)
    async with hubspot(sandbox) as bench:
        cursor = await bench.start(LINKS)
        records = await bench.backfill(LINKS)
        assert [each["toObjectId"] for each in json.loads(records[contact].data)["to"]] == [
            int(c) for c in companies[:4]
        ]
        link(sandbox, contact, companies[4])
        change(sandbox, "contacts", contact, email="b@ex.test")
        records, cursor = await bench.look(cursor, LINKS)
        assert len(json.loads(records[contact].data)["to"]) == 5
        delete(sandbox, "companies", companies[0])
        (now,) = await bench.reader.read(bench.collections[LINKS], [contact])
        assert len(json.loads(now.data)["to"]) == 4
        delete(sandbox, "contacts", contact)
        records, cursor = await bench.look(bin_is_due(cursor), LINKS)
        assert records[contact].deleted


async def test_an_archived_owner_arrives_as_deleted(sandbox):
    owner = sandbox.control("POST", "records/hubspot/owners", [{}])["ids"][0]
    async with hubspot(sandbox, page_size=1) as bench:
        assert not (await bench.backfill("hubspot:owner"))[owner].deleted
        sandbox.control("DELETE", f"records/hubspot/owners/{owner}")
        records, _ = await bench.look({}, "hubspot:owner")
        assert records[owner].deleted
        assert json.loads(records[owner].data)["userId"] is None


@pytest.mark.parametrize(
    "kind", ["server_error", "unavailable", "drop", "truncated", "malformed", "lock_timeout", "search_limit"]
)
async def test_transient_faults_are_survived(planted, kind):
    async with hubspot(planted) as bench:
        planted.control("POST", "faults", {"provider": "hubspot", "kind": kind, "times": 2})
        assert len(await bench.backfill(CONTACT)) == 260
        planted.control("DELETE", "faults")


@pytest.mark.parametrize(("kind", "wait_s"), [("moving", 600), ("quota", 3600)])
async def test_long_waits_are_told(planted, kind, wait_s):
    async with hubspot(planted) as bench:
        planted.control("POST", "faults", {"provider": "hubspot", "kind": kind, "times": 1})
        with pytest.raises(RateLimited) as caught:
            await bench.reader.probe(bench.collections[CONTACT])
        assert caught.value.retry_after_s == wait_s


async def test_reading_pauses_before_the_day_is_used_up(sandbox):
    sandbox.control("POST", "settings", {"hubspot_daily_calls": 1000, "hubspot_daily_used": 940})
    async with hubspot(sandbox) as bench:
        probes = (bench.reader.probe(bench.collections[CONTACT]) for _ in range(20))
        with pytest.raises(RateLimited) as caught:
            [await probe for probe in probes]
        assert "95%" in caught.value.message
        assert {quota.name: quota.allowed for quota in bench.quotas}["day"] == 1000


async def test_searches_keep_to_what_hubspot_allows(sandbox):
    sandbox.control("POST", "records/hubspot/contacts?count=400&same_stamp=1", {})
    async with hubspot(sandbox, page_size=20) as bench:
        records, _ = await bench.look({"t": "2020-01-01T00:00:00.000Z"}, CONTACT)
        assert len(records) == 400


async def test_a_missing_scope_names_itself(sandbox):
    scopes = {"scopes": ["crm.objects.contacts.read"]}
    key = sandbox.control("POST", "keys", {"provider": "hubspot", **scopes})["secret"]
    async with hubspot(sandbox, key) as bench:
        assert set(bench.collections) == set(BY_ID), "no right to schemas: no custom objects"
        assert (await bench.reader.check()).id == ""
        await bench.reader.probe(bench.collections[CONTACT])
        for collection_id, scope in (("hubspot:ticket", "tickets"), ("hubspot:email", "sales-email-read"),
                                     (LINKS, "crm.objects.companies.read")):  # fmt: skip
            with pytest.raises(PermissionMissing) as caught:
                await bench.reader.probe(bench.collections[collection_id])
            assert scope in caught.value.message


async def test_a_dropped_key_is_told(sandbox):
    key = sandbox.control("POST", "keys", {"provider": "hubspot"})["secret"]
    async with hubspot(sandbox, key) as bench:
        await bench.reader.check()
        sandbox.control("POST", "revoke", {"provider": "hubspot", "secret": key})
        with pytest.raises(CredentialsRefused) as caught:
            await bench.reader.check()
        assert key not in caught.value.detail + caught.value.message


async def test_lasting_trouble_is_raised_in_a_sentence(planted):
    async with hubspot(planted) as bench:
        planted.control("POST", "faults", {"provider": "hubspot", "kind": "unavailable"})
        with pytest.raises(UpstreamFailed):
            await bench.backfill(CONTACT)
        planted.control("DELETE", "faults")


def test_all_that_issue_and_fact_sheet_name_is_there():
    named = {
        "contact",
        "company",
        "deal",
        "ticket",
        "product",
        "line_item",
        "owner",
        "call",
        "email",
        "meeting",
        "note",
        "task",
    }
    assert {f"hubspot:{name}" for name in named} <= {each.id for each in COLLECTIONS if each.shown}
    assert sum(each.found is Found.LINKS for each in BY_ID.values()) >= 10


# --- Through the console's own sign-in --------------------------------------------------------------------------------


def installed(app):
    """A connection as somebody makes it who presses Allow; and what was asked for."""
    url = oauth.begin(app, "hubspot_oauth2", by=None, session_key="s")
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', httpx.get(url).text))
    target = httpx.post(url, data={**form, "answer": "allow"}).headers["Location"]
    brought = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    names = ("state", "code", "error", "error_description")
    made = oauth.finish(session_key="s", **{name: brought.get(name, "") for name in names})
    return made.credential, {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def ask(credential):
    return connections.ask(Credential.objects.get(pk=credential.pk), lambda reader: reader.check())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rotates", [False, True])
def test_signing_in_asks_for_optional_scopes_and_access_is_renewed(sandbox, settings, rotates):
    lacking = "crm.objects.quotes.read"
    sandbox.control("POST", "settings", {"hubspot_rotate_refresh_tokens": rotates, "hubspot_lacking_scopes": lacking})
    settings.PROVIDER_URLS = json.dumps({"hubspot": sandbox.side("hubspot")})
    data = {"provider": "hubspot", "client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
    app = oauth_apps.create(data, by=None)
    credential, asked = installed(app)
    assert asked["scope"] == "oauth"
    assert {"tickets", "sales-email-read", lacking} <= set(asked["optional_scope"].split())
    assert (credential.kind, credential.account_id) == ("hubspot_oauth2", "4242424")
    first = credential.secrets["refresh_token"]
    Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    assert ask(credential).id == "4242424"
    assert (Credential.objects.get().secrets["refresh_token"] != first) is rotates
    sandbox.control("POST", "revoke", {"provider": "hubspot"})
    with pytest.raises(CredentialsRefused):
        ask(credential)
    credential.refresh_from_db()
    assert credential.state == "reconnect"
    again, _ = installed(app)
    assert (again.pk, again.state) == (credential.pk, "ok")
