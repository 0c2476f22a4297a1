"""The sandbox as a process: what outlives a restart, who may speak to it, its control API and pages."""

import signal
import subprocess
import sys
import time

import httpx
import pytest

from sandbox.process import running
from sandbox.sides import SIDES


def test_records_keys_and_grants_outlive_a_kill(tmp_path):
    with running(tmp_path) as sandbox:
        grant = sandbox.control("POST", "grants", {"provider": "salesforce"})
        secret = sandbox.control("POST", "keys", {"provider": "stripe", "mode": "live"})["secret"]
        record = sandbox.control("POST", "records/salesforce/Account", {"Name": "Stays"})["id"]
        sandbox.control("POST", "settings", {"token_ttl_s": 55})
        sandbox.kill()
    with running(tmp_path) as sandbox:
        headers = {"Authorization": f"Bearer {grant['access_token']}"}
        soql = {"q": f"SELECT Name FROM Account WHERE Id = '{record}'"}
        found = httpx.get(f"{sandbox.salesforce}/services/data/v67.0/query", params=soql, headers=headers)
        assert found.json()["records"][0]["Name"] == "Stays"
        assert httpx.get(f"{sandbox.stripe}/v1/customers", auth=(secret, "")).status_code == 200
        assert sandbox.control("GET", "settings")["token_ttl_s"] == 55


def test_churn_changes_all_providers_in_order(tmp_path):
    with running(tmp_path, seed="demo") as sandbox:
        done = sandbox.control("POST", "churn", {"now": 120})["changed"]
        assert {item["provider"] for item in done} == {side.key for side in SIDES}
        assert {item["what"] for item in done} == {"create", "update", "delete"}
        versions = sandbox.control("GET", "versions/salesforce/Contact")["versions"]
        by_record: dict[str, list[int]] = {}
        for version in versions:
            by_record.setdefault(version["id"], []).append(version["version"])
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_record.values())


def test_reset_begins_anew(tmp_path):
    with running(tmp_path) as sandbox:
        sandbox.control("POST", "records/stripe/customers?count=30")
        assert sandbox.control("GET", "state")["counts"]["stripe"]["test/customers"] == 30
        sandbox.control("POST", "reset")
        assert "test/customers" not in sandbox.control("GET", "state")["counts"]["stripe"]
        assert httpx.get(f"{sandbox.stripe}/v1/customers", auth=("rk_test_sandbox_demo", "")).status_code == 200


def test_values_given_to_the_control_api_stay_byte_true(tmp_path):
    body = b'{"Name": "x", "Exact_Total__c": 12345678901234567890.1230, "Amount__c": 1e2}'
    with running(tmp_path) as sandbox:
        url = f"{sandbox.url}/_control/records/salesforce/Invoice__c"
        record = httpx.post(url, content=body).json()["id"]
        text = httpx.get(f"{url}/{record}").text
        assert '"Exact_Total__c":12345678901234567890.1230' in text
        assert '"Amount__c":1e2' in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
     ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Referer": "http://127.0.0.1:1/x"}, 403), ({}, 200)],
)  # fmt: skip
def test_only_our_own_pages_may_change_something(tmp_path, headers, status):
    with running(tmp_path) as sandbox:
        assert httpx.post(f"{sandbox.url}/_control/churn", json={}, headers=headers).status_code == status


def test_mistakes_are_told_in_a_sentence(tmp_path):
    with running(tmp_path) as sandbox:
        for path, body in (
            ("faults", {"provider": "nobody", "kind": "slow"}),
            ("faults", {"provider": "stripe", "kind": "gremlins"}),
            ("settings", {"no_such": 1}),
            ("settings", {"token_ttl_s": "long"}),
            ("records/salesforce/Nope", {}),
            ("records/salesforce/Account", {"Nope": 1}),
        ):
            with pytest.raises(RuntimeError, match="400"):
                sandbox.control("POST", path, body)


def test_pages_show_collections_records_and_faults(tmp_path):
    with (
        running(tmp_path, seed="demo") as sandbox,
        httpx.Client(base_url=sandbox.url, follow_redirects=True) as browser,
    ):
        assert "stand in for the real Salesforce:" in browser.get("/").text
        assert "Müller" in browser.get("/browse/salesforce/Contact?q=Müller").text
        assert browser.get("/browse/salesforce/Nope").status_code == 404
        assert browser.get("/browse/stripe/customers/cus_nobody").status_code == 404
        record = sandbox.control("POST", "records/salesforce/Account", {"Name": "Old"})["id"]
        url = f"/browse/salesforce/Account/{record}"
        assert "Record saved." in browser.post(url, data={"field.Name": "New & <b>bold</b>"}).text
        assert "New &amp; &lt;b&gt;bold&lt;/b&gt;" in browser.get(url).text
        assert browser.post(url, data={"raw": "{"}).status_code == 422
        assert "Undelete record" in browser.post(url, data={"action": "delete"}).text
        assert "Record brought back." in browser.post(url, data={"action": "undelete"}).text
        browser.post("/faults", data={"provider": "stripe", "kind": "rate_limit", "times": "2"})
        assert sandbox.control("GET", "faults")["faults"][0]["times"] == 2
        assert "None: all APIs behave." in browser.post("/faults", data={"action": "clear"}).text


def test_sigterm_ends_it_cleanly_and_an_orphan_ends_itself(tmp_path):
    with running(tmp_path) as sandbox:
        sandbox.process.terminate()
        assert sandbox.process.wait(10) in (0, -signal.SIGTERM)
    starter = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'sandbox', '--data-dir', sys.argv[1], "
        "'--parent-dies'], stdout=subprocess.PIPE, text=True); print(p.stdout.readline(), end='')"
    )
    ready = subprocess.run([sys.executable, "-c", starter, str(tmp_path)], capture_output=True, text=True, check=True)
    url = ready.stdout.removeprefix("SANDBOX READY ").strip()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/_control/state")
        except httpx.TransportError:
            return
        time.sleep(0.1)
    pytest.fail("the sandbox outlived the process that started it")
