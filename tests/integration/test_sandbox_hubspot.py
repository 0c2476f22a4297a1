"""HubSpot as the sandbox plays it, against what HubSpot's documentation says; no reader of ours takes part."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.app import create_app
from sandbox.kit.webhooks import Hook
from sandbox.process import running

KEY = {"Authorization": "Bearer pat-na1-sandbox-demo"}
OBJECTS = "/crm/objects/2026-09"
BACK = "http://127.0.0.1/back"
APP = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    with running(tmp_path_factory.mktemp("hubspot"), seed="demo", settings={"hubspot_searches_per_s": 0}) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(tmp_path):
    with running(tmp_path, settings={"hubspot_searches_per_s": 0}) as sandbox:
        yield sandbox


def call(sandbox, method, path, body=None, headers=KEY, **params):
    return httpx.request(method, sandbox.side("hubspot") + path, json=body, headers=headers, params=params or None,
                         trust_env=False)  # fmt: skip


def search(sandbox, kind, /, **body):
    return call(sandbox, "POST", f"{OBJECTS}/{kind}/search", body)


def create(sandbox, kind, /, **properties):
    return sandbox.control("POST", f"records/hubspot/{kind}", [{"properties": properties}])["ids"][0]


def test_lists_go_on_from_the_id_of_the_next_record(planted):
    page = call(planted, "GET", f"{OBJECTS}/contacts", limit=3).json()
    ids = [each["id"] for each in page["results"]]
    assert page["paging"]["next"]["after"] == str(int(ids[-1]) + 1)
    following = call(planted, "GET", f"{OBJECTS}/contacts", limit=3, after=page["paging"]["next"]["after"]).json()
    assert following["results"][0]["id"] == page["paging"]["next"]["after"]
    assert len(call(planted, "GET", f"{OBJECTS}/contacts").json()["results"]) == 10
    assert call(planted, "GET", f"{OBJECTS}/contacts", limit=101).json()["category"] == "VALIDATION_ERROR"
    one = page["results"][0]
    assert all(value is None or isinstance(value, str) for value in one["properties"].values())
    assert one["properties"]["hs_object_id"] == one["id"]
    assert one["properties"]["lastmodifieddate"] == one["updatedAt"]
    assert "url" in one


def test_only_named_properties_come_and_types_have_several_names(planted):
    (deal,) = call(planted, "GET", f"{OBJECTS}/0-3", limit=1, properties="amount,nonsense").json()["results"]
    assert set(deal["properties"]) == {"amount", "createdate", "hs_lastmodifieddate", "hs_object_id"}
    for name in ("machines", "2-7700001", "p4242424_machine"):
        assert call(planted, "GET", f"{OBJECTS}/{name}").json()["results"]
    assert "Unable to infer object type" in call(planted, "GET", f"{OBJECTS}/unicorns").json()["message"]


def test_a_batch_says_what_it_lacks_in_a_good_answer(planted):
    listed = call(planted, "GET", f"{OBJECTS}/contacts", limit=2).json()["results"]
    inputs = [{"id": each["id"]} for each in reversed(listed)] + [{"id": "999999"}]
    answer = call(planted, "POST", f"{OBJECTS}/contacts/batch/read", {"inputs": inputs, "properties": ["email"]})
    assert answer.status_code == 200
    found = answer.json()
    assert [each["id"] for each in found["results"]] == [each["id"] for each in listed]
    assert (found["numErrors"], found["errors"][0]["context"]) == (1, {"ids": ["999999"]})
    too_many = call(planted, "POST", f"{OBJECTS}/contacts/batch/read", {"inputs": [{"id": "1"}] * 101})
    assert too_many.status_code == 400


def test_search_filters_sorts_and_ends_at_ten_thousand(sandbox):
    sandbox.control("POST", "records/hubspot/contacts?count=10001&same_stamp=1", {})
    page = search(sandbox, "contacts", limit=200).json()
    assert page["total"] == 10_001
    assert page["paging"]["next"]["after"] == "200"
    stamp = page["results"][0]["properties"]["lastmodifieddate"]
    assert {each["properties"]["lastmodifieddate"] for each in page["results"]} == {stamp}
    assert search(sandbox, "contacts", limit=200, after="9800").status_code == 200
    assert search(sandbox, "contacts", limit=200, after="9801").json()["category"] == "VALIDATION_ERROR"
    last = page["results"][-1]["id"]
    filters = [{"propertyName": "hs_object_id", "operator": "GT", "value": last},
               {"propertyName": "lastmodifieddate", "operator": "GTE", "value": stamp}]  # fmt: skip
    sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    rest = search(sandbox, "contacts", filterGroups=[{"filters": filters}], sorts=sorts, limit=1).json()
    assert rest["total"] == 9_801
    assert int(rest["results"][0]["id"]) == int(last) + 1
    assert search(sandbox, "contacts", limit=201).status_code == 400
    assert search(sandbox, "contacts", properties=["x" * 3_000]).status_code == 400


def test_the_index_runs_late_and_knows_nothing_archived(sandbox):
    sandbox.control("POST", "settings", {"hubspot_index_delay_s": 3600.0})
    made = create(sandbox, "deals", dealname="New")
    assert search(sandbox, "deals").json()["total"] == 0
    assert call(sandbox, "GET", f"{OBJECTS}/deals").json()["results"][0]["id"] == made
    sandbox.control("POST", "settings", {"hubspot_index_delay_s": 0.0})
    assert search(sandbox, "deals").json()["total"] == 1
    sandbox.control("DELETE", f"records/hubspot/deals/{made}")
    assert search(sandbox, "deals").json()["total"] == 0


def test_searches_are_five_a_second_and_have_no_rate_headers(sandbox):
    sandbox.control("POST", "settings", {"hubspot_searches_per_s": 5})
    answers = [search(sandbox, "deals") for _ in range(40)]
    busy = [each for each in answers if each.status_code == 429]
    assert busy
    assert busy[0].json()["message"] == "You have reached your secondly limit."
    assert not any(name.startswith("x-hubspot-ratelimit") for each in answers for name in each.headers)


def test_archived_records_lie_in_the_bin_and_come_back(sandbox):
    one, other = create(sandbox, "contacts", email="a@ex.test"), create(sandbox, "contacts", email="b@ex.test")
    sandbox.control("DELETE", f"records/hubspot/contacts/{one}")
    assert [each["id"] for each in call(sandbox, "GET", f"{OBJECTS}/contacts").json()["results"]] == [other]
    (binned,) = call(sandbox, "GET", f"{OBJECTS}/contacts", archived="true").json()["results"]
    assert (binned["id"], binned["archived"], bool(binned["archivedAt"])) == (one, True, True)
    assert call(sandbox, "GET", f"{OBJECTS}/contacts/{one}").json()["category"] == "OBJECT_NOT_FOUND"
    assert call(sandbox, "GET", f"{OBJECTS}/contacts/{one}", archived="true").status_code == 200
    sandbox.control("POST", f"records/hubspot/contacts/{one}/undelete")
    back = call(sandbox, "GET", f"{OBJECTS}/contacts/{one}").json()
    assert (back["archived"], "archivedAt" in back) == (False, False)
    sandbox.control("DELETE", f"records/hubspot/contacts/{one}?hard=1")
    assert call(sandbox, "GET", f"{OBJECTS}/contacts", archived="true").json()["results"] == []


def test_the_loser_of_a_merge_vanishes_and_the_winner_names_it(sandbox):
    one, other = create(sandbox, "contacts", email="a@ex.test"), create(sandbox, "contacts", email="b@ex.test")
    sandbox.control("POST", f"records/hubspot/contacts/{one}/merge", {"losers": [other]})
    asked = {"properties": "hs_merged_object_ids,email"}
    found = call(sandbox, "GET", f"{OBJECTS}/contacts/{one}", **asked).json()["properties"]
    assert (found["hs_merged_object_ids"], found["email"]) == (other, "a@ex.test")
    assert call(sandbox, "GET", f"{OBJECTS}/contacts", archived="true").json()["results"] == []


def test_associations_are_seen_from_both_sides_page_by_page(sandbox):
    contact = create(sandbox, "contacts", email="a@ex.test")
    companies = [create(sandbox, "companies", name=f"C{number}") for number in range(3)]
    made = [
        {"from": f"contacts:{contact}", "to": f"companies:{each}", "typeId": 279, "label": None} for each in companies
    ]
    sandbox.control("POST", "records/hubspot/associations", made)
    sandbox.control("POST", "settings", {"hubspot_associations_page": 2})
    path = "/crm/associations/2026-09/{}/{}/batch/read"
    first = call(
        sandbox, "POST", path.format("contacts", "companies"), {"inputs": [{"id": contact}, {"id": "9"}]}
    ).json()
    (result,) = first["results"]
    assert [each["toObjectId"] for each in result["to"]] == [int(each) for each in companies[:2]]
    assert first["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    more = {"inputs": [{"id": contact, "after": result["paging"]["next"]["after"]}]}
    (rest,) = call(sandbox, "POST", path.format("contacts", "companies"), more).json()["results"]
    assert ([each["toObjectId"] for each in rest["to"]], "paging" in rest) == ([int(companies[2])], False)
    back = call(sandbox, "POST", path.format("companies", "contacts"), {"inputs": [{"id": companies[0]}]}).json()
    assert back["results"][0]["to"][0]["associationTypes"] == [
        {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}
    ]


def test_owners_pipelines_schemas_and_the_account_are_there(planted):
    page = call(planted, "GET", "/crm/owners/2026-09", limit=5).json()
    token = page["paging"]["next"]["after"]
    assert len(call(planted, "GET", "/crm/owners/2026-09", limit=5, after=token).json()["results"]) == 4
    assert call(planted, "GET", "/crm/owners/2026-09", after="x").status_code == 400
    assert call(planted, "GET", "/crm/pipelines/2026-09/deals").json()["results"][0]["id"] == "default"
    (schema,) = call(planted, "GET", "/crm-object-schemas/2026-09/schemas").json()["results"]
    assert schema["objectTypeId"] == "2-7700001"
    assert call(planted, "GET", "/account-info/2026-09/details").json()["portalId"] == 4242424
    names = {each["name"] for each in call(planted, "GET", "/crm/properties/2026-09/contacts").json()["results"]}
    assert {"lastmodifieddate", "email", "sandbox_version"} <= names
    assert "hs_lastmodifieddate" not in names


def test_keys_have_scopes_and_a_day(sandbox):
    secret = sandbox.control("POST", "keys", {"provider": "hubspot", "scopes": ["tickets"]})["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    assert call(sandbox, "GET", f"{OBJECTS}/tickets", headers=headers).status_code == 200
    refused = call(sandbox, "GET", f"{OBJECTS}/emails", headers=headers)
    assert refused.status_code == 403
    scopes = refused.json()["errors"][0]["context"]["requiredGranularScopes"]
    assert scopes == ["crm.objects.contacts.read", "sales-email-read"]
    unknown = call(sandbox, "GET", f"{OBJECTS}/tickets", headers={"Authorization": "Bearer nope"})
    assert (unknown.status_code, unknown.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    sandbox.control("POST", "settings", {"hubspot_daily_calls": 1000, "hubspot_daily_used": 900})
    told = call(sandbox, "GET", f"{OBJECTS}/tickets").headers
    assert (told["x-hubspot-ratelimit-daily"], int(told["x-hubspot-ratelimit-daily-remaining"]) < 100) == ("1000", True)
    sandbox.control("POST", "settings", {"hubspot_daily_used": 1000})
    assert call(sandbox, "GET", f"{OBJECTS}/tickets").json()["policyName"] == "DAILY"


def test_oauth_leaves_out_what_the_account_lacks(sandbox):
    sandbox.control("POST", "settings", {"hubspot_lacking_scopes": "crm.objects.quotes.read"})
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"client_id": APP["client_id"], "redirect_uri": BACK, "scope": "oauth", "response_type": "code",
             "optional_scope": "tickets crm.objects.quotes.read", "code_challenge": challenge,
             "code_challenge_method": "S256"}  # fmt: skip
    base = sandbox.side("hubspot")
    page = httpx.get(f"{base}/oauth/authorize", params=asked, trust_env=False)
    assert "Read tickets" in page.text
    assert "Read quotes" not in page.text
    went = httpx.post(f"{base}/oauth/authorize", data={**asked, "answer": "allow"}, trust_env=False)
    code = parse_qs(urlsplit(went.headers["location"]).query)["code"][0]
    form = {**APP, "grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": verifier}
    tokens = httpx.post(f"{base}/oauth/2026-09/token", data=form, trust_env=False).json()
    assert (tokens["hub_id"], tokens["expires_in"], tokens["scopes"]) == (4242424, 1800, ["oauth", "tickets"])
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert call(sandbox, "GET", f"{OBJECTS}/tickets", headers=bearer).status_code == 200
    assert "x-hubspot-ratelimit-daily" not in call(sandbox, "GET", f"{OBJECTS}/tickets", headers=bearer).headers
    again = httpx.post(f"{base}/oauth/2026-09/token", data=form, trust_env=False)
    assert (again.status_code, again.json()["status"]) == (400, "BAD_AUTH_CODE")
    sandbox.control("POST", "expire", {"provider": "hubspot"})
    expired = call(sandbox, "GET", f"{OBJECTS}/tickets", headers=bearer)
    assert expired.json()["category"] == "EXPIRED_AUTHENTICATION"
    renew = {**APP, "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    renewed = httpx.post(f"{base}/oauth/2026-09/token", data=renew, trust_env=False).json()
    assert renewed["refresh_token"] == tokens["refresh_token"]
    sandbox.control("POST", "revoke", {"provider": "hubspot"})
    dead = httpx.post(f"{base}/oauth/2026-09/token", data=renew, trust_env=False).json()
    assert (dead["error"], dead["status"]) == ("invalid_grant", "BAD_REFRESH_TOKEN")


@pytest.mark.parametrize(("kind", "status"), [("search_limit", 429), ("moving", 477), ("lock_timeout", 423)])
def test_faults_of_its_own_are_worded(sandbox, kind, status):
    sandbox.control("POST", "faults", {"provider": "hubspot", "kind": kind, "times": 1})
    answer = call(sandbox, "GET", f"{OBJECTS}/tickets")
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (kind == "moving")


def test_webhooks_are_signed_as_hubspot_s_own_example(tmp_path):
    """Source: the worked example in HubSpot's page on validating requests."""
    side = create_app(tmp_path).state.sandbox.side("hubspot")
    hook = Hook(1, "https://www.example.com/webhook_uri", "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy")
    signed = side.sign(hook, b"{'example_field':'example_value'}", 1693657560000)
    assert signed["X-HubSpot-Signature-v3"] == "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="
