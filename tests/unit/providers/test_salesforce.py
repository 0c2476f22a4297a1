"""Salesforce, without a network: ids, fields, shape, queries, refusals, hosts, grants."""

import csv
import io
import json
import re
import tracemalloc
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.catalogue import Deletes
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    HostGone,
    PermissionMissing,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.hosts import BadHost
from syncs.providers.kit.quota import DAY_S, Quota
from syncs.providers.salesforce import PROVIDER, catalogue, read_quota, soql, spare_quota
from syncs.providers.salesforce.bulk import Results, parse_csv
from syncs.providers.salesforce.errors import BulkRefused, FieldGone, LocatorGone, RecordGone, TooBig, classify
from syncs.providers.salesforce.schema import Schema, SField, parse_describe
from syncs.providers.salesforce.signin import check_host, token_error, token_grant
from tests.unit.providers.fakes import answer, client_for

SCHEMA = Schema(
    "Thing__c",
    (
        SField("Id", "id"),
        SField("IsDeleted", "boolean"),
        SField("SystemModstamp", "datetime"),
        SField("Text__c", "string"),
        SField("Number__c", "double"),
        SField("Count__c", "int"),
    ),
)


def refused(status: int, code: str = "", message: str = "") -> Answer:
    body = json.dumps([{"errorCode": code, "message": message}]).encode() if code else b"<html>sorry</html>"
    return Answer(status, httpx.Headers(), body)


def test_ids_follow_the_table_and_custom_objects_keep_their_suffix():
    assert catalogue.collection_id("Product2") == "salesforce:product"
    assert catalogue.collection_id("OpportunityLineItem") == "salesforce:opportunity_line_item"
    assert catalogue.collection_id("Invoice__c") == "salesforce:invoice__c"
    assert catalogue.collection_id("AccountHistory") == "salesforce:accounthistory"


def test_discovery_keeps_what_can_be_listed():
    def entry(name, **more):
        return {"name": name, "labelPlural": name + "s", "queryable": True, "custom": name.endswith("__c"), **more}

    found = catalogue.from_global_describe([
        entry("Invoice__c"), entry("Zebra"), entry("Contact"), entry("Account"), entry("FieldDefinition"),
        entry("Order_Event__e"), entry("AccountChangeEvent"), entry("Old", deprecatedAndHidden=True),
        entry("Mute", queryable=False), entry("Huge__b"),
    ])  # fmt: skip
    assert [(each.id, each.custom, each.shown) for each in found] == [
        ("salesforce:account", False, True),
        ("salesforce:contact", False, True),
        ("salesforce:invoice__c", True, True),
        ("salesforce:zebra", False, False),
    ]
    assert {each.id: each.deletes for each in catalogue.STANDARD}["salesforce:user"] is Deletes.NONE


def test_compound_and_file_fields_are_not_selected():
    fields = [{"name": "Id", "type": "id"}, {"name": "MailingAddress", "type": "address"},
              {"name": "Site__c", "type": "location"}, {"name": "VersionData", "type": "base64"},
              {"name": "Name", "type": "string", "calculated": True}]  # fmt: skip
    schema = parse_describe(json.dumps({"name": "Contact", "fields": fields}).encode())
    assert schema.names == ("Id", "Name")
    with pytest.raises(UnexpectedShape):
        parse_describe(b'{"name":"X","fields":[]}')


def test_change_field_is_the_best_that_can_be_filtered():
    assert SCHEMA.change_field == "SystemModstamp"
    assert Schema("H", (SField("Id"), SField("CreatedDate"))).change_field == "CreatedDate"
    assert Schema("H", (SField("Id"), SField("SystemModstamp", filterable=False))).change_field is None


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(80, 500))
def test_field_chunks_fit_and_hold_every_field_once(lengths, budget):
    fields = tuple(SField(f"F{place}_{'x' * length}") for place, length in enumerate(lengths))
    chunks = Schema("X", (SField("Id"), SField("SystemModstamp"), *fields)).chunks(budget)
    assert [name for chunk in chunks for name in chunk[2:]] == [field.name for field in fields]
    for chunk in chunks:
        assert chunk[:2] == ("Id", "SystemModstamp")
        assert len(",".join(chunk)) <= budget or len(chunk) == 3


def test_shape_keeps_values_as_sent():
    row = raw.split(
        b'{"attributes":{"type":"Thing__c"},"Number__c":1.10,"Id":"a01","Count__c":9007199254740993,"Text__c":"",'
        b'"IsDeleted":false,"SystemModstamp":null}'
    )
    assert SCHEMA.shape(row) == (
        b'{"Id":"a01","IsDeleted":false,"SystemModstamp":null,"Text__c":"","Number__c":1.10,"Count__c":9007199254740993}'
    )


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1)
decimals = st.sampled_from(["1.10", "12", "-0.5", "12345678901234567890", "1.0E7", "9007199254740993", "0.001"])


@given(texts | st.none(), decimals | st.none(), st.booleans())
def test_bulk_gives_the_same_bytes_as_rest(text, number, deleted):
    rest = {
        "Id": b'"a01"',
        "IsDeleted": b"true" if deleted else b"false",
        "SystemModstamp": b'"2026-11-20T08:15:00.000+0000"',
        "Text__c": b"null" if text is None else json.dumps(text).encode(),
        "Number__c": (number or "null").encode(),
        "Count__c": b"12",
    }
    number_cell = f"{number}.0" if number is not None and number.lstrip("-").isdigit() else number or ""
    line = ["a01", str(deleted).lower(), "2026-11-20T08:15:00.000Z", text or "", number_cell, "12.0"]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([SCHEMA.names, line])
    (row,) = parse_csv(out.getvalue().encode(), SCHEMA)
    assert SCHEMA.shape(row) == SCHEMA.shape(raw.split(raw.join(rest.items())))


values = (
    texts.map(json.dumps)
    | decimals
    | st.sampled_from(
        [
            "null",
            "12.0",
            "-0.0",
            '"1.0"',
            r'"a\/b"',
            r'"\u00e9"',
            '{"attributes":{"type":"X"},"Name":"n"}',
            '[1.0,"x"]',
            '"}"',
        ]
    )
)


@given(st.dictionaries(st.sampled_from(SCHEMA.names), values.map(str.encode)))
def test_shape_by_the_short_way_gives_the_same_bytes(row):
    assert SCHEMA.shape(row) == SCHEMA._shape_slowly(row)


def test_escapes_and_attributes_are_tidied_wherever_they_are():
    row = {"Id": b'"a01"', "Text__c": rb'"a\/b"', "Number__c": b"7.0"}
    assert SCHEMA.shape(row).endswith(b'"Text__c":"a/b","Number__c":7,"Count__c":null}')
    assert SCHEMA.shape({"Text__c": b'{"attributes":{},"n":1}'}).count(b"attributes") == 0


def test_cut_csv_is_noticed():
    with pytest.raises(UpstreamFailed):
        list(parse_csv(b'"Id","Text__c"\n"a01"\n', SCHEMA))
    with pytest.raises(UpstreamFailed):
        list(parse_csv(b'"Id","Text__c"\n"a01","oh', SCHEMA))
    assert list(parse_csv(b"", SCHEMA)) == []


def test_a_page_of_a_bulk_job_takes_little_more_than_its_bytes():
    """A page of 25,000 rows, held as values, brought a worker to 478 MB where 200 are allowed."""
    lines = [
        SCHEMA.names,
        *(["a01", "false", "2026-11-20T08:15:00.000Z", f"text {n}" * 9, "1", "2"] for n in range(9_999)),
    ]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(lines)
    results = Results(out.getvalue().encode(), None)
    tracemalloc.start()
    seen = sum(len(block) for block in results.blocks(SCHEMA, skip=9))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 9_990
    assert most < 3 * len(results.body)


def test_queries_are_readable_and_fit_a_url():
    where = soql.changed_after("SystemModstamp", "2026-11-20T08:15:00.000Z", "001'x")
    query = soql.select(["Id", "Name"], "Account", where, order=["SystemModstamp", "Id"], limit=2000)
    assert query == (
        "SELECT Id,Name FROM Account WHERE ((SystemModstamp = 2026-11-20T08:15:00.000Z AND Id > '001\\'x') "
        "OR SystemModstamp > 2026-11-20T08:15:00.000Z) ORDER BY SystemModstamp,Id LIMIT 2000"
    )
    url = urlsplit(soql.url(query))
    assert url.path == "/services/data/v67.0/queryAll"
    assert parse_qs(url.query)["q"] == [query]
    assert soql.url(query, deleted=False).startswith("/services/data/v67.0/query?")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(401, "INVALID_SESSION_ID"), CredentialsRefused),
        (refused(302), HostGone),
        (refused(403, "REQUEST_LIMIT_EXCEEDED"), RateLimited),
        (refused(403, "API_DISABLED_FOR_ORG"), PermissionMissing),
        (refused(403, "API_CURRENTLY_DISABLED"), PermissionMissing),
        (refused(403, "INSUFFICIENT_ACCESS_OR_READONLY"), PermissionMissing),
        (refused(403, "TXN_SECURITY_METERING_ERROR"), PermissionMissing),
        (refused(403), PermissionMissing),
        (refused(400, "INVALID_TYPE"), CollectionGone),
        (refused(404, "NOT_FOUND"), RecordGone),
        (refused(404, "ENTITY_IS_DELETED"), RecordGone),
        (refused(400, "INVALID_FIELD"), FieldGone),
        (refused(400, "MALFORMED_QUERY"), UnexpectedShape),
        (refused(400, "QUERY_TIMEOUT"), TooBig),
        (refused(400, "OPERATION_TOO_LARGE"), TooBig),
        (refused(400, "QUERY_TOO_COMPLICATED"), TooBig),
        (refused(400, "INVALID_QUERY_LOCATOR"), LocatorGone),
        (refused(410), UnexpectedShape),
        (refused(400, "INVALIDENTITY", "Entity 'X' is not supported by the Bulk API."), BulkRefused),
        (refused(400, "LIMIT_EXCEEDED"), BulkRefused),
        (refused(500, "UNKNOWN_EXCEPTION"), UpstreamFailed),
        (refused(503), UpstreamFailed),
        (refused(420), UpstreamFailed),
    ],
)
def test_refusals_are_told_apart_with_a_next_step(answer, kind):
    error = classify(answer)
    assert type(error) is kind
    assert error.message.endswith(".")
    assert error.next_step


def test_good_answer_is_no_error():
    assert classify(Answer(200, httpx.Headers(), b"[]")) is None


@pytest.mark.parametrize(
    ("header", "quota"),
    [
        ("api-usage=10018/100000", Quota(10018, 100000, "day", DAY_S)),
        ("api-usage=25/5000; api-bursts=1/750", Quota(25, 5000, "day", DAY_S)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=X)", Quota(25, 5000, "day", DAY_S)),
        ("nonsense", None),
        (None, None),
    ],
)
def test_quota_is_read_in_every_form(header, quota):
    told = read_quota({"Sforce-Limit-Info": header} if header else {})
    assert told == ((quota,) if quota else ())


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme--uat.sandbox.my.salesforce.com/home", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://acme.lightning.force.com/lightning/page", "https://acme.my.salesforce.com"),
        ("https://acme--uat.sandbox.lightning.force.com", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://login.salesforce.com/", "https://login.salesforce.com"),
        ("http://127.0.0.1:8090/salesforce", "http://127.0.0.1:8090/salesforce"),
    ],
)
def test_login_hosts_are_put_right(typed, host):
    assert check_host(typed) == host


@pytest.mark.parametrize(
    "typed",
    ["https://evil.com", "https://salesforce.com.evil.com", "https://evilsalesforce.com", "http://acme.my.salesforce.com",
     "https://acme.my.salesforce.com:8443", "https://evil.com/acme.my.salesforce.com", "https://u@acme.my.salesforce.com"],
)  # fmt: skip
def test_secrets_go_to_no_other_host(typed):
    with pytest.raises(BadHost):
        check_host(typed)
    assert PROVIDER.kind("salesforce").problems({"instance_url": typed})


def test_grant_is_read_as_salesforce_writes_it():
    grant = token_grant({
        "access_token": "00DXX!AQ", "instance_url": "https://acme.my.salesforce.com", "token_type": "Bearer",
        "id": "https://login.salesforce.com/id/00DXX0000001aBCUAY/005XX000001xyzAAA", "issued_at": "1795430400123",
        "scope": "refresh_token api",
    })  # fmt: skip
    assert grant.account_id == "00DXX0000001aBCUAY"
    assert grant.api_url == "https://acme.my.salesforce.com"
    assert grant.refresh_token is None
    assert grant.lifetime_s is None
    assert grant.issued_at.year == 2026
    with pytest.raises(UnexpectedShape):
        token_grant({"access_token": "00D", "instance_url": "http://evil.com"})


@pytest.mark.parametrize(
    ("code", "description", "word"),
    [
        ("invalid_grant", "expired access/refresh token", "Reconnect"),
        ("invalid_grant", "inactive user", "Reactivate"),
        ("invalid_grant", "ip restricted", "IP address"),
        ("invalid_grant", "something new", "Reconnect"),
        ("invalid_client", "invalid client credentials", "consumer key"),
        ("invalid_app_access", "user is not admin approved to access this app", "administrator"),
        ("unsupported_grant_type", "grant type not supported", "OAuth settings"),
    ],
)
def test_refused_sign_in_says_what_to_do(code, description, word):
    error = token_error(400, json.dumps({"error": code, "error_description": description}).encode())
    assert type(error) is CredentialsRefused
    assert word in error.next_step


@pytest.mark.parametrize(("used", "stops"), [(0, False), (79_999, False), (80_000, True), (120_000, True)])
def test_reading_stops_at_four_fifths_of_the_quota(used, stops):
    stop = spare_quota(Quota(used, 100_000, "day"))
    assert bool(stop) is stops
    if stop:
        assert "80%" in stop.message
        assert stop.next_step


def rows_upstream(sick: set[str], ids: list[str], *, outage: bool = False):
    """An org with these rows; a query that would answer a sick one fails, unless it asks for ids alone."""

    def upstream(request):
        path, query = request.url.path, request.url.params.get("q", "")
        if path.endswith("/describe"):
            fields = [{"name": "Id", "type": "id"}, {"name": "SystemModstamp", "type": "datetime"}, {"name": "Name"}]
            return answer({"name": "Contact", "fields": fields})
        if "COUNT()" in query:
            return answer({"totalSize": len(ids), "records": []})
        after = re.search(r"Id > '(\w+)'", query)
        named = re.search(r"Id IN \(([^)]*)\)", query)
        limit = re.search(r"LIMIT (\d+)", query)
        found = [each for each in ids if not after or each > after[1]]
        if named:
            found = [each for each in ids if f"'{each}'" in named[1]]
        found = found[: int(limit[1]) if limit else None]
        if outage or ("Name" in query and sick & set(found)):
            return answer([{"errorCode": "UNKNOWN_EXCEPTION", "message": "sick"}], 500)
        stamp = "2026-11-23T08:00:00.000+0000"
        return answer(
            {"done": True, "records": [{"Id": each, "SystemModstamp": stamp, "Name": each} for each in found]}
        )

    return upstream


IDS = [f"003{number:015d}" for number in range(450)]


async def backfilled(upstream):
    reader = PROVIDER.reader(client_for(upstream, PROVIDER))
    contact = next(each for each in PROVIDER.collections if each.id == "salesforce:contact")
    return [page async for page in reader.backfill(contact, None)]


async def test_rows_that_cannot_be_served_are_set_aside_and_all_others_come():
    sick = {IDS[0], IDS[199], IDS[200], IDS[449]}
    pages = await backfilled(rows_upstream(sick, IDS))
    assert {record.upstream_id for page in pages for record in page.records} == set(IDS) - sick
    assert {each.upstream_id for page in pages for each in page.skipped} == sick
    assert pages[-1].done


@pytest.mark.parametrize("upstream", [rows_upstream(set(), IDS, outage=True), rows_upstream(set(IDS[:60]), IDS)])
async def test_an_outage_sets_nothing_aside(upstream):
    with pytest.raises(UpstreamFailed):
        await backfilled(upstream)
