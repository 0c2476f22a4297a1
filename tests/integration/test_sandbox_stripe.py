"""The sandbox's Stripe side, over real HTTP."""

import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.process import running
from sandbox.stripe.catalogue import KINDS

REDIRECT = "http://localhost:4567/oauth/callback"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("stripe"), seed="demo") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def no_faults(sandbox):
    yield
    sandbox.control("DELETE", "faults")
    sandbox.control("POST", "settings", {"events_delay_s": 0})


@pytest.fixture
def api(sandbox):
    headers = {"Authorization": "Bearer rk_test_sandbox_demo", "Stripe-Version": "2026-10-28.endive"}
    with httpx.Client(base_url=sandbox.stripe, headers=headers, timeout=20) as client:
        yield client


def walk(api, path, **params):
    """All objects of a list."""
    found, after = [], {}
    while True:
        page = api.get(path, params=params | {"limit": 100} | after).json()
        found += page["data"]
        if not page["has_more"]:
            return found
        after = {"starting_after": found[-1]["id"]}


def events(api, **params):
    return walk(api, "/v1/events", **params)


LISTED = [kind for kind in KINDS.values() if not kind.parent]


@pytest.mark.parametrize("kind", LISTED, ids=lambda kind: kind.name)
def test_every_list_is_newest_first_and_complete(api, sandbox, kind):
    params = {"status": "all"} if kind.name == "subscriptions" else {}
    found = walk(api, f"/v1/{kind.path}", **params)
    assert found
    assert [item["created"] for item in found] == sorted((item["created"] for item in found), reverse=True)
    assert len({item["id"] for item in found}) == len(found)
    assert all(item["object"] == kind.object and item["livemode"] is False for item in found)
    one = api.get(f"/v1/{kind.path}/{found[0]['id']}").json()
    assert one == found[0]
    if kind.name != "events":
        assert found[0]["metadata"]["sandbox_version"] == "1"


def test_modes_are_apart(sandbox, api):
    live = httpx.get(f"{sandbox.stripe}/v1/customers?limit=1", auth=("rk_live_sandbox_demo", "")).json()["data"][0]
    assert live["livemode"] is True
    assert api.get(f"/v1/customers/{live['id']}").status_code == 404


def test_answers_look_like_stripes(api):
    answer = api.get("/v1/customers?limit=1")
    assert answer.text.startswith('{\n  "object": "list"')
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"
    assert api.get("/v1/customers", headers={"Stripe-Version": "latest"}).status_code == 400


def test_windows_and_both_directions(api):
    found = walk(api, "/v1/charges")
    middle = found[len(found) // 2]
    older = walk(api, "/v1/charges", **{"created[lt]": middle["created"]})
    newer = walk(api, "/v1/charges", **{"created[gte]": middle["created"]})
    assert [item["id"] for item in newer + older] == [item["id"] for item in found]
    before = api.get("/v1/charges", params={"ending_before": found[5]["id"], "limit": 3}).json()
    assert [item["id"] for item in before["data"]] == [item["id"] for item in found[2:5]]
    assert before["has_more"]


def test_subscriptions_hide_canceled_unless_asked(api):
    usual, everything = walk(api, "/v1/subscriptions"), walk(api, "/v1/subscriptions", status="all")
    assert len(usual) < len(everything)
    assert all(item["status"] != "canceled" for item in usual)


def test_nested_lists_are_cut_at_ten(api):
    crowded = [item for item in walk(api, "/v1/invoices") if item["lines"]["has_more"]]
    assert crowded
    lines = crowded[0]["lines"]
    assert len(lines["data"]) == 10
    everything = walk(api, lines["url"])
    assert len(everything) > 10
    assert [item["id"] for item in everything[:10]] == [item["id"] for item in lines["data"]]
    items = api.get("/v1/subscription_items").json()
    assert items["error"]["param"] == "subscription"


def test_errors_name_their_cause(api, sandbox):
    assert api.get("/v1/customers?color=red").json()["error"]["code"] == "parameter_unknown"
    assert api.get("/v1/customers?limit=101").status_code == 400
    assert api.get("/v1/charges?starting_after=ch_gone").json()["error"]["param"] == "starting_after"
    bad = httpx.get(f"{sandbox.stripe}/v1/customers", headers={"Authorization": "Bearer rk_test_nope_at_all"})
    assert bad.status_code == 401
    assert bad.json()["error"]["message"].startswith("Invalid API Key provided: rk_test_*")
    public = httpx.get(f"{sandbox.stripe}/v1/customers", headers={"Authorization": "Bearer pk_test_x"})
    assert public.json()["error"]["code"] == "secret_key_required"


def test_narrow_key_is_told_what_it_lacks(sandbox):
    secret = sandbox.control("POST", "keys", {"provider": "stripe", "mode": "test", "permissions": ["customers"]})
    with httpx.Client(base_url=sandbox.stripe, auth=(secret["secret"], "")) as narrow:
        assert narrow.get("/v1/customers").status_code == 200
        refused = narrow.get("/v1/charges")
        assert refused.status_code == 403
        assert "'rak_charge_read'" in refused.json()["error"]["message"]
        assert "acct_" in narrow.get("/v1/account").json()["error"]["message"]


def test_deleted_customer_leaves_a_tombstone_and_others_do_not(api, sandbox):
    customer = sandbox.control("POST", "records/stripe/customers", {"name": "Bye"})["id"]
    coupon = sandbox.control("POST", "records/stripe/coupons", {})["id"]
    sandbox.control("DELETE", f"records/stripe/customers/{customer}")
    sandbox.control("DELETE", f"records/stripe/coupons/{coupon}")
    assert api.get(f"/v1/customers/{customer}").json() == {"id": customer, "object": "customer", "deleted": True}
    gone = api.get(f"/v1/coupons/{coupon}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "resource_missing")
    assert api.get("/v1/customers", params={"starting_after": customer}).status_code == 400
    types = [event["type"] for event in events(api, **{"types[]": "customer.deleted"})]
    assert types


def test_events_tell_of_changes_in_the_accounts_old_version(api, sandbox):
    subscription = sandbox.control("POST", "records/stripe/subscriptions", {})["id"]
    sandbox.control("POST", "records/stripe/subscription_items", {"subscription": subscription})
    sandbox.control("PATCH", f"records/stripe/subscriptions/{subscription}", {"cancel_at_period_end": True})
    mine = [
        event for event in events(api, type="customer.subscription.*") if event["data"]["object"]["id"] == subscription
    ]
    assert mine[0]["type"] == "customer.subscription.updated"
    assert mine[0]["api_version"] == "2020-08-27"
    assert "current_period_end" in mine[0]["data"]["object"]
    assert mine[0]["data"]["previous_attributes"] == {"cancel_at_period_end": False}
    assert "current_period_end" not in api.get(f"/v1/subscriptions/{subscription}").json()
    assert mine[-1]["type"] == "customer.subscription.created"


def test_canceling_keeps_the_subscription(api, sandbox):
    subscription = sandbox.control("POST", "records/stripe/subscriptions", {"status": "active"})["id"]
    sandbox.control("DELETE", f"records/stripe/subscriptions/{subscription}")
    assert api.get(f"/v1/subscriptions/{subscription}").json()["status"] == "canceled"
    with pytest.raises(RuntimeError, match="cannot be deleted"):
        sandbox.control("DELETE", f"records/stripe/charges/{walk(api, '/v1/charges')[0]['id']}")


def test_events_come_late_when_asked(api, sandbox):
    sandbox.control("POST", "settings", {"events_delay_s": 0.8})
    customer = sandbox.control("POST", "records/stripe/customers", {})["id"]
    assert api.get(f"/v1/customers/{customer}").status_code == 200

    def told():
        return any(event["data"]["object"]["id"] == customer for event in events(api, type="customer.created"))

    assert not told()
    time.sleep(1)
    assert told()


def test_old_events_are_out_of_reach(api, sandbox):
    sandbox.control("POST", "settings", {"clock_skew_s": 40 * 86_400})
    try:
        assert api.get("/v1/events").json()["data"] == []
    finally:
        sandbox.control("POST", "settings", {"clock_skew_s": 0})
    assert api.get("/v1/events").json()["data"]


def test_rate_limit_and_lock_timeout(api, sandbox):
    sandbox.control("POST", "faults", {"provider": "stripe", "kind": "rate_limit", "times": 1})
    limited = api.get("/v1/customers")
    assert limited.status_code == 429
    assert limited.headers["stripe-rate-limited-reason"] == "global-rate"
    assert "retry-after" not in limited.headers
    sandbox.control("POST", "faults", {"provider": "stripe", "kind": "lock_timeout", "times": 1})
    locked = api.get("/v1/customers")
    assert locked.headers["stripe-should-retry"] == "true"
    assert locked.json()["error"]["code"] == "lock_timeout"
    sandbox.control("POST", "faults", {"provider": "stripe", "kind": "forbidden", "path": "/v1/charges"})
    assert "rak_charge_read" in api.get("/v1/charges").text
    assert api.get("/v1/customers").status_code == 200


def test_stripe_app_sign_in_rotates_refresh_tokens(sandbox):
    asked = {"client_id": "sandbox-console", "redirect_uri": REDIRECT, "state": "x"}
    back = httpx.post(f"{sandbox.stripe}/oauth/v2/authorize", data=asked | {"answer": "allow", "mode": "live"})
    code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    url = f"{sandbox.stripe}/v1/oauth/token"
    form = {"grant_type": "authorization_code", "code": code}
    other_mode = httpx.post(url, data=form, auth=("sk_test_sandbox_console", ""))
    assert other_mode.json()["error"] == "invalid_grant"
    tokens = httpx.post(url, data=form, auth=("sk_live_sandbox_console", "")).json()
    assert tokens["livemode"] is True
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert httpx.get(f"{sandbox.stripe}/v1/account", headers=headers).json()["id"] == tokens["stripe_user_id"]
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert httpx.post(url, data=form, auth=("sk_live_sandbox_console", "")).status_code == 200
    assert httpx.post(url, data=form, auth=("sk_live_sandbox_console", "")).json()["error"] == "invalid_grant"
