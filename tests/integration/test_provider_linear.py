"""Linear's reader against the sandbox, over HTTP."""

import hashlib
import hmac
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sandbox.process import running
from syncs import connections, oauth_apps
from syncs.models import Credential
from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access
from syncs.providers.kit.errors import CredentialsRefused, PermissionMissing, RateLimited
from syncs.providers.kit.http import make_http
from syncs.providers.kit.webhooks import Delivery, Wanted
from syncs.providers.linear.catalogue import BY_ID, COLLECTIONS
from syncs.providers.linear.webhooks import WEBHOOK
from tests.integration.provider_bench import Bench, Pasted

ISSUE, COMMENT = "linear:issue", "linear:comment"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("linear"), seed="demo") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def as_new(sandbox):
    yield
    sandbox.control("DELETE", "faults")
    sandbox.control("POST", "settings", {"linear_budget_calls": 0})


class opened:
    """A bench by a pasted key."""

    def __init__(self, sandbox, key="lin_api_sandbox_demo", **settings):
        self.sandbox, self.key, self.settings = sandbox, key, settings

    async def __aenter__(self):
        self.http = await make_http().__aenter__()
        headers = PROVIDERS["linear"].kind("linear_key").request_headers({"secret": self.key}, {})
        access = Access(self.sandbox.side("linear"), headers)
        return await Bench("linear", self.http, Pasted(access), self.settings).open()

    async def __aexit__(self, *error):
        await self.http.__aexit__(*error)


def create(sandbox, table, **fields):
    return sandbox.control("POST", f"records/linear/{table}", [fields])["ids"][0]


async def test_check_names_the_workspace(sandbox):
    async with opened(sandbox) as bench:
        account = await bench.reader.check()
        assert (account.name, account.live) == ("Sandbox Coffee Works", True)


async def test_every_collection_is_read_and_each_record_has_all_its_fields(sandbox):
    async with opened(sandbox, page_size=40) as bench:
        assert len(bench.collections) == len(COLLECTIONS) >= 13
        for collection_id, collection in bench.collections.items():
            resource = BY_ID[collection_id]
            held = sandbox.control("GET", f"records/linear/{resource.list}")["records"]
            records = await bench.backfill(collection_id)
            assert set(records) == {key for key, each in held.items() if not each["deleted"]}, collection_id
            for record in records.values():
                parts = json.loads(record.data)
                assert tuple(parts) == resource.names
                assert record.updated_at.isoformat(timespec="milliseconds")[:-6] + "Z" == parts["updatedAt"]
            assert [each.accessor for each in await bench.reader.fields(collection)] == list(resource.names)


async def test_reach_is_the_teams_and_none_for_what_hangs_on_no_team(sandbox):
    async with opened(sandbox) as bench:
        teams = sandbox.control("GET", "records/linear/teams")["records"]
        assert set(await bench.reader.reach(bench.collections[ISSUE])) == set(teams)
        assert await bench.reader.reach(bench.collections["linear:user"]) == {}


async def test_issues_are_counted_by_team(sandbox):
    async with opened(sandbox) as bench:
        held = sandbox.control("GET", "records/linear/issues")["records"]
        live = sum(not each["deleted"] for each in held.values())
        assert await bench.reader.count(bench.collections[ISSUE]) == live
        assert await bench.reader.count(bench.collections[COMMENT]) is None


async def test_trash_is_deletion_restoring_brings_back_and_archiving_is_neither(sandbox):
    async with opened(sandbox) as bench:
        issue = create(sandbox, "issues", title="Bin me")
        records, cursor = await bench.look(await bench.start(ISSUE), ISSUE)
        assert not records[issue].deleted
        sandbox.control("DELETE", f"records/linear/issues/{issue}")
        records, cursor = await bench.look(cursor, ISSUE)
        assert records[issue].deleted
        assert json.loads(records[issue].data)["archivedAt"]
        (read,) = await bench.reader.read(bench.collections[ISSUE], [issue])
        assert read.deleted
        assert issue not in {e async for p in bench.reader.sweep(bench.collections[ISSUE], None) for e in p.ids}
        sandbox.control("POST", f"records/linear/issues/{issue}/undelete")
        archived = {"archivedAt": "2026-11-26T09:00:00.000Z"}
        sandbox.control("PATCH", f"records/linear/issues/{issue}", archived)
        records, _ = await bench.look(cursor, ISSUE)
        assert not records[issue].deleted
        assert issue in await bench.backfill(ISSUE)


async def test_what_has_no_trash_is_missing_and_said_to_be_gone(sandbox):
    async with opened(sandbox) as bench:
        comment = create(sandbox, "comments", body="Oops")
        sandbox.control("DELETE", f"records/linear/comments/{comment}")
        assert comment not in {e async for p in bench.reader.sweep(bench.collections[COMMENT], None) for e in p.ids}
        (read,) = await bench.reader.read(bench.collections[COMMENT], [comment])
        assert (read.deleted, read.data) == (True, None)


async def test_a_settled_cursor_reads_nothing_twice_and_misses_nothing(sandbox):
    async with opened(sandbox) as bench:
        newest = max(json.loads(r.data)["updatedAt"] for r in (await bench.backfill(ISSUE)).values())
        settled = {"t": newest, "settled": True}
        records, after = await bench.look(settled, ISSUE)
        assert (records, after["t"]) == ({}, newest)
        issue = create(sandbox, "issues", title="New")
        records, after = await bench.look(settled, ISSUE)
        assert set(records) == {issue}
        assert after["t"] >= newest
        assert after["settled"] is False
        records, _ = await bench.look(after, ISSUE)
        assert issue in records  # fresh changes are read again for two minutes: others may show late beside them


async def test_both_budgets_are_told_and_no_query_comes_near_the_dearest(sandbox):
    async with opened(sandbox) as bench:
        for collection in bench.collections.values():
            await anext(bench.reader.backfill(collection, None))
        told = {quota.name: quota for quota in bench.quotas}
        assert (told["requests"].allowed, told["complexity"].allowed) == (2_500, 3_000_000)
        assert all(0 < quota.resets_in_s <= 3_600 for quota in told.values())
        spent = [quota.used for quota in bench.quotas if quota.name == "complexity"]
        dearest = max(later - earlier for earlier, later in itertools.pairwise(spent))
        assert 0 < dearest <= told["complexity"].price < 10_000


async def test_a_spent_budget_is_told_with_its_time(sandbox):
    sandbox.control("POST", "settings", {"linear_budget_calls": 1})
    async with opened(sandbox, sandbox.control("POST", "keys", {"provider": "linear"})["secret"]) as bench:
        await bench.reader.check()
        with pytest.raises(RateLimited) as caught:
            await bench.reader.check()
        assert 0 < caught.value.retry_after_s <= 3_601


async def test_refusals_that_come_with_200_are_refusals(sandbox):
    async with opened(sandbox) as bench:
        sandbox.control("POST", "faults", {"provider": "linear", "kind": "forbidden", "path": "documents"})
        with pytest.raises(PermissionMissing):
            await bench.reader.probe(bench.collections["linear:document"])
        await bench.reader.probe(bench.collections[ISSUE])
    async with opened(sandbox, "lin_api_nobody") as bench:
        with pytest.raises(CredentialsRefused) as caught:
            await bench.reader.check()
        assert "lin_api_nobody" not in caught.value.detail


async def test_a_forgotten_cursor_costs_a_look_alone(sandbox):
    async with opened(sandbox, page_size=5) as bench:
        collection, cursor = bench.collections[ISSUE], {"t": "2020-01-01T00:00:00.000Z", "settled": False}
        walk = bench.reader.changes(collection.feed, [collection], cursor)
        page = await anext(walk)
        await walk.aclose()
        sandbox.control("DELETE", "page-tokens/linear")
        records, after = await bench.look(page.cursor, ISSUE)
        assert set(await bench.backfill(ISSUE)) <= set(records)
        assert set(after) == {"t", "settled"}


async def test_a_webhook_is_made_once_tells_and_is_taken_away(sandbox):
    async with opened(sandbox) as bench:
        wanted = Wanted("http://127.0.0.1:9/hooks/x", "", (bench.collections[ISSUE], bench.collections["linear:team"]))
        made = await WEBHOOK.register(bench.reader.client, wanted)
        assert "teams" in made.lacking
        (hook,) = sandbox.control("GET", "webhooks/linear")["hooks"]
        assert (hook["secret"], hook["events"]) == (made.secret, ["Issue"])
        more = replace(wanted, secret=made.secret, known=made.upstream, collections=tuple(bench.collections.values()))
        again = await WEBHOOK.register(bench.reader.client, more)
        assert (again.upstream, again.secret) == (made.upstream, made.secret)
        (hook,) = sandbox.control("GET", "webhooks/linear")["hooks"]
        assert (hook["secret"], "Comment" in hook["events"]) == (made.secret, True)
        await WEBHOOK.remove(bench.reader.client, made.upstream)
        await WEBHOOK.remove(bench.reader.client, made.upstream)
        assert sandbox.control("GET", "webhooks/linear")["hooks"] == []


@pytest.mark.django_db(transaction=True)
def test_each_way_in_leads_to_the_same_workspace_and_is_renewed(sandbox, settings, queued):
    settings.PROVIDER_URLS = json.dumps({"linear": sandbox.side("linear")})
    app = sandbox.control("POST", "apps", {})
    ours = oauth_apps.create({"provider": "linear", "name": "Ours", **app}, by=None)
    grant = sandbox.control("POST", "grants", {"provider": "linear", "client_id": ours.client_id})
    ways = (
        {"kind": "linear_key", "secrets": {"secret": "lin_api_sandbox_demo"}, "settings": {}},
        {"kind": "linear_oauth2", "secrets": {"refresh_token": grant["refresh_token"]}, "settings": {},
         "oauth_app": ours},
        {"kind": "linear_client_credentials", "secrets": {"client_secret": app["client_secret"]},
         "settings": {"client_id": app["client_id"]}},
    )  # fmt: skip
    for way in ways:
        credential = connections.create_credential({"provider": "linear", **way}, by=None)
        assert credential.account_name == "Sandbox Coffee Works"
        sandbox.control("POST", "expire", {"provider": "linear"})
        row = Credential.objects.get(pk=credential.pk)
        assert connections.ask(row, lambda reader: reader.check()).name == "Sandbox Coffee Works"


def test_deliveries_are_proven_by_body_and_time():
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def proven(event, secret="s", at=now):
        body = json.dumps(event).encode()
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return WEBHOOK.verify(Delivery({"linear-signature": signed}, body, "", at), {"secret": "s"})

    event = {"action": "remove", "type": "Comment", "data": {"id": "c1"}, "webhookTimestamp": now.timestamp() * 1000}
    event["webhookTimestamp"] = int(event["webhookTimestamp"])
    assert proven(event)
    assert not proven(event, secret="other")
    assert not proven(event | {"webhookTimestamp": event["webhookTimestamp"] - 301_000})
    assert not proven([])
    told = WEBHOOK.told(Delivery({}, json.dumps(event).encode(), "", now))
    assert [(each.collection_id, each.upstream_id) for each in told] == [(COMMENT, "c1")]
    assert list(WEBHOOK.told(Delivery({}, b'{"type":"Reaction","data":{"id":"r1"}}', "", now))) == []
