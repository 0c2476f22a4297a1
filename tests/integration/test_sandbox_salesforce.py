"""The sandbox's Salesforce side, over real HTTP: what a reader of the real one would meet."""

import base64
import csv
import hashlib
import io
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.process import running

DATA = "/services/data/v67.0"
REDIRECT = "http://127.0.0.1:4567/oauth/callback"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("salesforce"), seed="demo", settings={"bulk_step_s": 0.2}) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def no_faults(sandbox):
    yield
    sandbox.control("DELETE", "faults")
    sandbox.control(
        "POST",
        "settings",
        {"commit_delay_s": 0, "rotate_refresh_tokens": False, "token_ttl_s": 7200, "quota_max": 100_000,
         "limit_info_format": "short", "page_size_cap": 0},
    )  # fmt: skip


@pytest.fixture
def api(sandbox):
    grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
    headers = {"Authorization": f"Bearer {grant['access_token']}"}
    with httpx.Client(base_url=grant["instance_url"], headers=headers, timeout=20) as client:
        yield client


def query(api, soql, resource="query", **headers):
    return api.get(f"{DATA}/{resource}", params={"q": soql}, headers=headers)


def allowed(sandbox, **more):
    """Walk the consent page; the callback's parameters."""
    asked = {"response_type": "code", "client_id": "sandbox-console", "redirect_uri": REDIRECT, "state": "s1"} | more
    answer = asked.pop("answer", "allow")
    url = f"{sandbox.salesforce}/services/oauth2/authorize"
    page = httpx.get(url, params=asked)
    assert page.status_code == 200
    assert "Allow" in page.text
    back = httpx.post(url, data=asked | {"answer": answer})
    assert back.status_code == 303
    assert back.headers["location"].startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["location"]).query).items()}


def token(sandbox, **form):
    app = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}
    return httpx.post(f"{sandbox.salesforce}/services/oauth2/token", data=app | form)


class TestSignIn:
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    def code(self, sandbox):
        back = allowed(sandbox, code_challenge=self.challenge, code_challenge_method="S256", scope="api refresh_token")
        assert back["state"] == "s1"
        return {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}

    def test_code_with_its_verifier_becomes_a_session(self, sandbox):
        answer = token(sandbox, **self.code(sandbox), code_verifier=self.verifier).json()
        assert answer["instance_url"] == sandbox.salesforce
        assert answer["refresh_token"]
        assert "expires_in" not in answer
        assert answer["issued_at"].isdigit()
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert httpx.get(f"{answer['instance_url']}{DATA}/limits", headers=headers).status_code == 200
        who = httpx.get(f"{answer['instance_url']}/services/oauth2/userinfo", headers=headers).json()
        assert who["organization_id"] in answer["id"]

    def test_wrong_or_missing_verifier_and_used_codes_are_refused(self, sandbox):
        wrong = token(sandbox, **self.code(sandbox), code_verifier="w" * 64)
        assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_request")
        assert token(sandbox, **self.code(sandbox)).json()["error"] == "invalid_grant"
        code = self.code(sandbox)
        assert token(sandbox, **code, code_verifier=self.verifier).status_code == 200
        assert token(sandbox, **code, code_verifier=self.verifier).json()["error"] == "invalid_grant"

    def test_deny_comes_back_as_access_denied(self, sandbox):
        back = allowed(sandbox, answer="deny")
        assert back["error"] == "access_denied"
        assert back["state"] == "s1"

    def test_foreign_redirects_and_unknown_apps_stay_on_our_page(self, sandbox):
        url = f"{sandbox.salesforce}/services/oauth2/authorize"
        asked = {"response_type": "code", "client_id": "sandbox-console", "redirect_uri": "https://evil.example/cb"}
        assert httpx.get(url, params=asked).status_code == 400
        assert httpx.get(url, params=asked | {"client_id": "nobody", "redirect_uri": REDIRECT}).status_code == 400

    def test_wrong_secret_is_an_invalid_client(self, sandbox):
        answer = token(sandbox, grant_type="client_credentials", client_secret="wrong")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")

    def test_client_credentials_have_no_refresh_token(self, sandbox):
        answer = token(sandbox, grant_type="client_credentials").json()
        assert "refresh_token" not in answer

    def test_rotated_refresh_token_is_dead_at_once(self, sandbox):
        sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
        old = sandbox.control("POST", "grants", {"provider": "salesforce"})["refresh_token"]
        first = token(sandbox, grant_type="refresh_token", refresh_token=old).json()
        assert first["refresh_token"] != old
        again = token(sandbox, grant_type="refresh_token", refresh_token=old)
        assert again.json() == {"error": "invalid_grant", "error_description": "expired access/refresh token"}

    def test_sixth_grant_ends_the_oldest(self, sandbox):
        grants = [sandbox.control("POST", "grants", {"provider": "salesforce", "client_id": "six"}) for _ in range(6)]
        app = {"client_id": "six", "client_secret": grants[0]["client_secret"], "grant_type": "refresh_token"}
        answers = [token(sandbox, **app, refresh_token=grant["refresh_token"]).status_code for grant in grants]
        assert answers == [400, 200, 200, 200, 200, 200]

    def test_revoked_grant_takes_its_sessions_along(self, sandbox):
        grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
        gone = httpx.post(f"{sandbox.salesforce}/services/oauth2/revoke", data={"token": grant["refresh_token"]})
        assert gone.status_code == 200
        answer = httpx.get(
            f"{sandbox.salesforce}{DATA}/limits", headers={"Authorization": f"Bearer {grant['access_token']}"}
        )
        assert answer.json()[0]["errorCode"] == "INVALID_SESSION_ID"

    def test_access_token_dies_unused(self, sandbox):
        sandbox.control("POST", "settings", {"token_ttl_s": 0.3})
        grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
        time.sleep(0.5)
        headers = {"Authorization": f"Bearer {grant['access_token']}"}
        assert httpx.get(f"{sandbox.salesforce}{DATA}/limits", headers=headers).status_code == 401


class TestQueries:
    def test_pages_hold_every_record_once(self, api):
        answer = query(api, "SELECT Id, Name FROM Contact", **{"Sforce-Query-Options": "batchSize=500"}).json()
        ids, pages = [], 0
        while True:
            pages += 1
            ids += [record["Id"] for record in answer["records"]]
            assert answer["totalSize"] >= 2_600
            if answer["done"]:
                break
            answer = api.get(answer["nextRecordsUrl"]).json()
        assert pages >= 6
        assert len(ids) == len(set(ids)) == answer["totalSize"]

    def test_keyset_on_stamp_and_id_walks_everything(self, api, sandbox):
        sandbox.control("POST", "records/salesforce/Lead?count=450&same_stamp=1")
        seen, stamp, last = [], "2000-01-01T00:00:00.000+0000", ""
        while True:
            at = stamp.replace("+0000", "Z")
            soql = (
                f"SELECT Id, SystemModstamp FROM Lead WHERE ((SystemModstamp = {at} AND Id > '{last}') OR "
                f"SystemModstamp > {at}) AND SystemModstamp <= 2100-01-01T00:00:00Z "
                "ORDER BY SystemModstamp ASC, Id ASC LIMIT 200"
            )
            records = query(api, soql, "queryAll").json()["records"]
            if not records:
                break
            seen += [record["Id"] for record in records]
            stamp, last = records[-1]["SystemModstamp"], records[-1]["Id"]
        everything = sandbox.control("GET", "records/salesforce/Lead")["records"]
        assert len(seen) == len(set(seen)) == len(everything)

    def test_values_come_as_they_were_stored(self, api):
        answer = query(
            api, "SELECT Exact_Total__c, Amount__c, Line_Count__c FROM Invoice__c ORDER BY CreatedDate LIMIT 3"
        )
        assert '"Exact_Total__c":12345678901234567890.123' in answer.text
        assert '"Amount__c":1.10' in answer.text
        assert '"Line_Count__c":9007199254740993' in answer.text

    def test_wrong_names_are_told_as_upstream_does(self, api):
        column = query(api, "SELECT Id, Nope FROM Account").json()[0]
        assert column["errorCode"] == "INVALID_FIELD"
        assert "No such column 'Nope' on entity 'Account'" in column["message"]
        assert query(api, "SELECT Id FROM Nope").json()[0]["errorCode"] == "INVALID_TYPE"
        assert query(api, "SELECT Id FRM Account").json()[0]["errorCode"] == "MALFORMED_QUERY"
        assert query(api, "SELECT IsDeleted FROM User LIMIT 1").json()[0]["errorCode"] == "INVALID_FIELD"

    def test_parent_and_compound_fields(self, api):
        record = query(api, "SELECT Id, Owner.Name, BillingAddress FROM Account LIMIT 1").json()["records"][0]
        assert record["Owner"]["attributes"]["type"] == "User"
        assert record["Owner"]["Name"]
        assert record["BillingAddress"]["city"]

    def test_wide_object_does_not_fit_one_request(self, api):
        fields = [field["name"] for field in api.get(f"{DATA}/sobjects/Wide__c/describe").json()["fields"]]
        assert len(fields) > 450
        assert query(api, f"SELECT {','.join(fields)} FROM Wide__c").status_code in (414, 431)
        half = query(api, f"SELECT {','.join(fields[:200])} FROM Wide__c")
        assert half.status_code == 200

    def test_describe_knows_formulas_compounds_and_types(self, api):
        fields = {field["name"]: field for field in api.get(f"{DATA}/sobjects/Account/describe").json()["fields"]}
        assert fields["Health_Score__c"]["calculated"]
        assert fields["BillingAddress"]["type"] == "address"
        assert fields["BillingCity"]["compoundFieldName"] == "BillingAddress"
        names = {sobject["name"]: sobject for sobject in api.get(f"{DATA}/sobjects").json()["sobjects"]}
        assert names["Invoice__c"]["custom"]
        assert not names["AccountChangeEvent"]["queryable"]

    def test_describe_is_told_once_while_unchanged(self, api, sandbox):
        url = f"{DATA}/sobjects/Account/describe"
        changed = api.get(url).headers["last-modified"]
        assert api.get(url, headers={"If-Modified-Since": changed}).status_code == 304
        sandbox.control("POST", "fields/Account", {"name": "Added_Later__c", "type": "string"})
        assert api.get(url, headers={"If-Modified-Since": changed}).status_code == 200
        assert query(api, "SELECT Added_Later__c FROM Account LIMIT 1").status_code == 200
        sandbox.control("DELETE", "fields/Account/Added_Later__c")
        assert query(api, "SELECT Added_Later__c FROM Account LIMIT 1").json()[0]["errorCode"] == "INVALID_FIELD"

    def test_batch_describes_several(self, api):
        parts = [{"method": "GET", "url": f"v67.0/sobjects/{name}/describe"} for name in ("Account", "Nope")]
        answer = api.post(f"{DATA}/composite/batch", json={"batchRequests": parts}).json()
        assert answer["hasErrors"]
        assert [result["statusCode"] for result in answer["results"]] == [200, 404]

    def test_old_versions_are_gone(self, api):
        assert api.get("/services/data/v30.0/limits").status_code == 410

    def test_large_collections_stay_quick(self, api, sandbox):
        sandbox.control("POST", "records/salesforce/Task?count=20000")
        stamp = "2026-01-01T00:00:00Z"
        soql = (
            f"SELECT Id, Subject, Status, Sandbox_Version__c FROM Task WHERE SystemModstamp > {stamp} AND Id > '00T'"
            " ORDER BY Id LIMIT 2000"
        )
        took_s = []
        for _ in range(5):  # the quickest counts: the machine may be busy with other things
            started = time.perf_counter()
            assert len(query(api, soql).json()["records"]) == 2_000
            took_s.append(time.perf_counter() - started)
        assert min(took_s) < 0.5


class TestLifeOfARecord:
    def test_delete_undelete_and_hard_delete(self, api, sandbox):
        made = sandbox.control("POST", "records/salesforce/Contact", {"LastName": "Brandt", "FirstName": "Elif"})
        record = made["id"]
        where = f"FROM Contact WHERE Id = '{record}'"
        assert query(api, f"SELECT Name {where}").json()["records"][0]["Name"] == "Elif Brandt"
        sandbox.control("DELETE", f"records/salesforce/Contact/{record}")
        assert query(api, f"SELECT Id {where}").json()["records"] == []
        binned = query(api, f"SELECT IsDeleted, Sandbox_Version__c {where}", "queryAll").json()["records"][0]
        assert (binned["IsDeleted"], binned["Sandbox_Version__c"]) == (True, 2)
        sandbox.control("POST", f"records/salesforce/Contact/{record}/undelete")
        assert query(api, f"SELECT IsDeleted {where}").json()["records"][0]["IsDeleted"] is False
        sandbox.control("DELETE", f"records/salesforce/Contact/{record}?hard=1")
        assert query(api, f"SELECT Id {where}", "queryAll").json()["records"] == []
        told = [v for v in sandbox.control("GET", "versions/salesforce/Contact")["versions"] if v["id"] == record]
        assert [(v["version"], v["deleted"]) for v in told] == [(1, 0), (2, 1), (3, 0), (4, 2)]

    def test_merge_moves_children_and_names_the_winner(self, api, sandbox):
        winner, loser = (sandbox.control("POST", "records/salesforce/Account", {"Name": name})["id"] for name in "AB")
        child = sandbox.control("POST", "records/salesforce/Contact", {"LastName": "Kind", "AccountId": loser})["id"]
        sandbox.control("POST", f"records/salesforce/Account/{winner}/merge", {"losers": [loser]})
        gone = query(api, f"SELECT MasterRecordId, IsDeleted FROM Account WHERE Id = '{loser}'", "queryAll").json()
        assert gone["records"][0]["MasterRecordId"] == winner
        moved = query(api, f"SELECT AccountId FROM Contact WHERE Id = '{child}'").json()["records"][0]
        assert moved["AccountId"] == winner

    def test_row_shows_only_after_its_commit(self, api, sandbox):
        record = sandbox.control("POST", "records/salesforce/Lead", {"LastName": "Spät"})["id"]
        sandbox.control("POST", "settings", {"commit_delay_s": 0.8})
        sandbox.control("PATCH", f"records/salesforce/Lead/{record}", {"LastName": "Später"})
        soql = f"SELECT LastName, SystemModstamp FROM Lead WHERE Id = '{record}'"
        assert query(api, soql).json()["records"][0]["LastName"] == "Spät"
        time.sleep(1)
        assert query(api, soql).json()["records"][0]["LastName"] == "Später"

    def test_formula_moves_without_a_stamp(self, api, sandbox):
        record = sandbox.control("POST", "records/salesforce/Account", {"Health_Score__c": 1})["id"]
        soql = f"SELECT Health_Score__c, SystemModstamp FROM Account WHERE Id = '{record}'"
        before = query(api, soql).json()["records"][0]
        time.sleep(1.1)
        sandbox.control("PATCH", f"records/salesforce/Account/{record}?keep_stamp=1", {"Health_Score__c": 2})
        after = query(api, soql).json()["records"][0]
        assert after["SystemModstamp"] == before["SystemModstamp"]
        assert after["Health_Score__c"] == 2

    def test_deleted_feed_tells_ids_in_their_span(self, api, sandbox):
        record = sandbox.control("POST", "records/salesforce/Case", {})["id"]
        sandbox.control("DELETE", f"records/salesforce/Case/{record}")
        now = time.time()
        span = {
            name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + shift))
            for name, shift in (("start", -3600), ("end", 120))
        }
        answer = api.get(f"{DATA}/sobjects/Case/deleted/", params=span).json()
        assert record in [row["id"] for row in answer["deletedRecords"]]
        old = api.get(f"{DATA}/sobjects/Case/deleted/", params=span | {"start": "2020-01-01T00:00:00Z"})
        assert old.json()[0]["errorCode"] == "INVALID_REPLICATION_DATE"


class TestBulk:
    def job(self, api, soql, **more):
        body = {"operation": "queryAll", "query": soql} | more
        return api.post(f"{DATA}/jobs/query", json=body)

    def finished(self, api, soql):
        job = self.job(api, soql).json()
        assert job["state"] == "UploadComplete"
        deadline = time.monotonic() + 10
        while api.get(f"{DATA}/jobs/query/{job['id']}").json()["state"] != "JobComplete":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return f"{DATA}/jobs/query/{job['id']}"

    def test_pages_end_with_the_word_null(self, api):
        url = self.finished(api, "SELECT Id, Name, Description, CreatedDate FROM Account")
        rows, locator = [], ""
        while locator != "null":
            params = {"maxRecords": 400} | ({"locator": locator} if locator else {})
            answer = api.get(f"{url}/results", params=params)
            page = list(csv.DictReader(io.StringIO(answer.text, newline="")))
            assert len(page) == int(answer.headers["sforce-numberofrecords"])
            rows += page
            locator = answer.headers["sforce-locator"]
        assert len({row["Id"] for row in rows}) == len(rows) >= 900
        odd = next(row for row in rows if row["Name"].startswith("شركة"))
        assert odd["Description"].startswith('Zeile 1\nZeile 2\r\nTab\there, "quoted"')
        assert odd["CreatedDate"].endswith("Z")
        assert api.delete(url).status_code == 204
        assert api.get(url).status_code == 404

    def test_results_asked_too_early_and_unsuitable_queries(self, api):
        job = self.job(api, "SELECT Id FROM Account").json()
        early = api.get(f"{DATA}/jobs/query/{job['id']}/results")
        assert early.json()[0]["errorCode"] == "JOB_NOT_COMPLETE"
        aborted = api.patch(f"{DATA}/jobs/query/{job['id']}", json={"state": "Aborted"}).json()
        assert aborted["state"] == "Aborted"
        compound = self.job(api, "SELECT Id, BillingAddress FROM Account")
        assert compound.json()[0]["message"] == "Selecting compound data not supported in Bulk Query"
        assert self.job(api, "SELECT Id FROM CaseStatus").json()[0]["errorCode"] == "INVALIDENTITY"


class TestLimitsAndFaults:
    def test_usage_is_told_in_each_format(self, api, sandbox):
        assert api.get(f"{DATA}/limits").headers["sforce-limit-info"].startswith("api-usage=")
        sandbox.control("POST", "settings", {"limit_info_format": "long"})
        assert "; api-bursts=" in api.get(f"{DATA}/limits").headers["sforce-limit-info"]

    def test_used_up_quota_refuses(self, api, sandbox):
        sandbox.control("POST", "settings", {"quota_max": 1})
        answer = api.get(f"{DATA}/limits")
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")

    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [("quota", 403, "REQUEST_LIMIT_EXCEEDED"), ("rate_limit", 429, "REQUEST_LIMIT_EXCEEDED"),
         ("server_error", 500, "UNKNOWN_EXCEPTION"), ("forbidden", 403, "INSUFFICIENT_ACCESS"),
         ("no_read_right", 400, "INVALID_TYPE"), ("expired_token", 401, "INVALID_SESSION_ID")],
    )  # fmt: skip
    def test_fault_strikes_as_often_as_asked(self, api, sandbox, kind, status, code):
        asked = {"provider": "salesforce", "kind": kind, "path": "FROM Lead", "times": 1, "retry_after": 3}
        sandbox.control("POST", "faults", asked)
        assert query(api, "SELECT Id FROM Account LIMIT 1").status_code == 200
        answer = query(api, "SELECT Id FROM Lead LIMIT 1")
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)
        if kind != "expired_token":
            assert query(api, "SELECT Id FROM Lead LIMIT 1").status_code == 200
        assert sandbox.control("GET", "faults")["faults"] == []

    def test_edge_page_is_html(self, api, sandbox):
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "unavailable", "times": 1})
        answer = api.get(f"{DATA}/limits")
        assert answer.status_code == 503
        assert "text/html" in answer.headers["content-type"]

    def test_lost_page_token(self, api, sandbox):
        first = query(api, "SELECT Id FROM Contact").json()
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "lost_page_token", "times": 1})
        assert api.get(first["nextRecordsUrl"]).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"

    def test_broken_bodies(self, api, sandbox):
        for kind in ("truncated", "malformed"):
            sandbox.control("POST", "faults", {"provider": "salesforce", "kind": kind, "times": 1})
            answer = api.get(f"{DATA}/sobjects")
            assert answer.status_code == 200
            with pytest.raises(ValueError):  # noqa: PT011 - decoding errors differ
                answer.json()
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "drop", "times": 1})
        with pytest.raises(httpx.RemoteProtocolError):
            api.get(f"{DATA}/sobjects")
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "reset", "times": 1})
        with pytest.raises(httpx.ReadError, match="reset by peer"):
            api.get(f"{DATA}/sobjects")
        assert api.get(f"{DATA}/sobjects").status_code == 200

    def test_slow_hanging_and_misdated_answers(self, api, sandbox):
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "slow", "seconds": 0.5, "times": 1})
        started = time.perf_counter()
        api.get(f"{DATA}/limits")
        assert time.perf_counter() - started > 0.5
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "hang", "times": 1})
        with pytest.raises(httpx.ReadTimeout):
            api.get(f"{DATA}/limits", timeout=0.5)
        plain = api.get(f"{DATA}/limits").headers["date"]
        sandbox.control(
            "POST", "faults", {"provider": "salesforce", "kind": "clock_skew", "seconds": 86_400, "times": 1}
        )
        assert api.get(f"{DATA}/limits").headers["date"] != plain

    def test_revoked_grant_needs_a_new_approval(self, sandbox):
        grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
        sandbox.control("POST", "faults", {"provider": "salesforce", "kind": "revoked_grant", "times": 1})
        headers = {"Authorization": f"Bearer {grant['access_token']}"}
        assert httpx.get(f"{sandbox.salesforce}{DATA}/limits", headers=headers).status_code == 401
        again = token(sandbox, grant_type="refresh_token", refresh_token=grant["refresh_token"])
        assert again.json()["error"] == "invalid_grant"
