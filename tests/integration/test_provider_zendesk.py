"""Zendesk's reader against the sandbox: its exports and their bucket, parts of tickets, deletions, all ways in."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from sequin_console.common.problems import Problem
from syncs import connections, oauth_apps, services, tasks
from syncs.models import Credential, Feed, Record, Sync
from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access, CannotRenew
from syncs.providers.kit.errors import CredentialsRefused, CursorLost, PermissionMissing, RateLimited, UpstreamFailed
from syncs.providers.kit.http import make_http
from syncs.providers.zendesk.catalogue import COLLECTIONS
from syncs.providers.zendesk.errors import ExportsBusy
from tests.integration.provider_bench import Bench

TICKET, METRIC, COMMENT, AUDIT, USER, ORGANIZATION = (
    f"zendesk:{name}" for name in ("ticket", "ticket_metric", "ticket_comment", "ticket_audit", "user", "organization")
)
OWN = "zendesk:custom_object:coffee_machine"
ADA, TOKEN = "ada@sandbox.example", "sandbox-zendesk-token"
AT_EASE = {"zendesk_hold_s": 0.0, "zendesk_export_calls": 100_000, "zendesk_budget_calls": 0}
CLIENT = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("zendesk")) as sandbox:
        yield sandbox


def prepare(sandbox: RunningSandbox, seed: str = "empty", **settings: Any) -> RunningSandbox:
    sandbox.control("POST", "reset", {"seed": seed})
    sandbox.control("DELETE", "faults")
    sandbox.control("POST", "settings", {**AT_EASE, **settings})
    return sandbox


@pytest.fixture
def sandbox(shared: RunningSandbox) -> RunningSandbox:
    """An empty account, as new for each test."""
    return prepare(shared)


class Pasted:
    """An API token, which cannot be renewed."""

    def __init__(self, sandbox: RunningSandbox, token: str = TOKEN, email: str = ADA) -> None:
        named = PROVIDERS["zendesk"].kind("zendesk_api_token").request_headers
        self.held = Access(sandbox.side("zendesk"), named({"api_token": token}, {"email": email}))

    async def access(self) -> Access:
        return self.held

    async def renew(self, refused: Access) -> Access:
        raise CannotRenew("Zendesk refused the token.")


@asynccontextmanager
async def bench(sandbox: RunningSandbox, source: Any = None, **settings: Any) -> AsyncIterator[Bench]:
    async with make_http() as http:
        yield await Bench("zendesk", http, source or Pasted(sandbox), settings).open()


def make(sandbox: RunningSandbox, table: str = "tickets", count: int = 0, **fields: Any) -> Any:
    path = f"records/zendesk/{table}"
    if count:
        return sandbox.control("POST", f"{path}?count={count}&spread_s=7200", fields)
    return sandbox.control("POST", path, [fields])["ids"][0]


def live(sandbox: RunningSandbox, table: str) -> set[str]:
    found = sandbox.control("GET", f"records/zendesk/{table}")["records"]
    return {key for key, each in found.items() if not each["deleted"]}


# --- Reading what there is


async def test_every_collection_of_a_demo_account_is_read_whole(shared):
    prepare(shared, "demo")
    tables = {
        "ticket": "tickets", "ticket_comment": "comments", "ticket_audit": "audits", "user": "users",
        "organization": "organizations", "custom_status": "custom_statuses", "sla_policy": "sla_policies",
        "ticket_metric": "ticket_metrics",
    }  # fmt: skip
    elsewhere = {"ticket_event": "audits", "deleted_ticket": "", "ticket_skip": "skips"}
    async with bench(shared) as zendesk:
        assert set(zendesk.collections) == {each.id for each in COLLECTIONS} | {OWN}
        for collection in [*COLLECTIONS, zendesk.collections[OWN]]:
            name = collection.id.partition(":")[2]
            table = tables.get(name) or elsewhere.get(
                name, f"{name}s" if collection.id != OWN else "custom_object_records"
            )
            found = await zendesk.backfill(collection.id)
            assert set(found) == (live(shared, table) if table else set()), collection.id
            assert all(record.data for record in found.values())
            await zendesk.reader.probe(collection)
            fields = await zendesk.reader.fields(collection)
            assert fields or not found or name == "side_conversation", "the sample's ticket may have none"
            swept = {each async for page in zendesk.reader.sweep(collection, None) for each in page.ids}
            assert swept == set(found), collection.id


async def test_tickets_and_metrics_come_by_one_export(sandbox):
    made = make(sandbox)
    async with bench(sandbox) as zendesk:
        cursor = await zendesk.start(TICKET, METRIC)
        asked = sandbox.control("GET", "state")["requests"]["zendesk"]
        records, _ = await zendesk.look(cursor, TICKET, METRIC)
        assert sandbox.control("GET", "state")["requests"]["zendesk"] == asked + 1
        assert {each.collection_id for each in records.values()} == {TICKET, METRIC}
        assert json.loads(records[made].data)["custom_fields"]


async def test_comments_and_audits_follow_their_tickets(sandbox):
    made = make(sandbox)
    async with bench(sandbox) as zendesk:
        _, cursor = await zendesk.look(await zendesk.start(COMMENT, AUDIT), COMMENT, AUDIT)
        assert (await zendesk.look(cursor, COMMENT, AUDIT))[0] == {}
        make(sandbox, "comments", ticket_id=int(made), body="Any news?")
        records, cursor = await zendesk.look(cursor, COMMENT, AUDIT)
        bodies = [json.loads(each.data) for each in records.values() if each.collection_id == COMMENT]
        assert [each["ticket_id"] for each in bodies] == [int(made)] * 2
        assert "Any news?" in [each["body"] for each in bodies]
        kinds = [event["type"] for each in records.values() if each.collection_id == AUDIT
                 for event in json.loads(each.data)["events"]]  # fmt: skip
        assert sorted(kinds) == ["Comment", "Create"]


async def test_fields_of_an_account_have_their_names(shared):
    prepare(shared, "demo")
    async with bench(shared) as zendesk:
        fields = {field.accessor: field for field in await zendesk.reader.fields(zendesk.collections[TICKET])}
        assert (fields["custom_fields.360000902"].label, fields["custom_fields.360000902"].type) == ("Price", "decimal")
        own = {field.accessor: field.label for field in await zendesk.reader.fields(zendesk.collections[OWN])}
        assert own["custom_object_fields.serial"] == "Serial number"
        assert await zendesk.reader.count(zendesk.collections[TICKET]) == len(live(shared, "tickets"))


# --- Exports


async def test_last_minute_comes_a_minute_later(sandbox):
    async with bench(sandbox) as zendesk:
        sandbox.control("POST", "settings", {"zendesk_hold_s": 60.0})
        cursor = await zendesk.start(TICKET)
        made = make(sandbox)
        records, cursor = await zendesk.look(cursor, TICKET)
        assert records == {}
        sandbox.control("POST", "settings", {"clock_skew_s": 61.0})
        assert set((await zendesk.look(cursor, TICKET))[0]) == {made}


async def test_system_update_is_a_newer_version_of_the_same_content(sandbox):
    made = make(sandbox)
    sandbox.control("POST", "settings", {"clock_skew_s": 5.0})
    async with bench(sandbox) as zendesk:
        first, cursor = await zendesk.look(await zendesk.start(TICKET), TICKET)
        sandbox.control("POST", f"zendesk/tickets/{made}/system_update")
        second, _ = await zendesk.look(cursor, TICKET)
        assert second[made].updated_at > first[made].updated_at
        assert json.loads(second[made].data)["updated_at"] == json.loads(first[made].data)["updated_at"]


async def test_empty_page_is_no_end(sandbox):
    sandbox.control("POST", "settings", {"zendesk_empty_pages": True})
    make(sandbox, count=23)
    async with bench(sandbox, page_size=10) as zendesk:
        assert set(await zendesk.backfill(TICKET)) == live(sandbox, "tickets")


async def test_exports_leave_some_of_the_minute_to_others_and_lists_go_on(sandbox):
    sandbox.control("POST", "settings", {"zendesk_export_calls": 6})
    make(sandbox, count=30)
    make(sandbox, "macros", count=3)
    async with bench(sandbox, page_size=2) as zendesk:
        cursor: dict | None = None
        seen: set[str] = set()

        async def go_on() -> None:
            nonlocal cursor
            async for page in zendesk.reader.backfill(zendesk.collections[TICKET], cursor):
                seen.update(record.upstream_id for record in page.records)
                cursor = page.cursor

        with pytest.raises(ExportsBusy) as caught:  # 15 pages; even where a new minute begins, twelve are too many
            await go_on()
        assert 1 <= caught.value.retry_after_s <= 60
        assert len(seen) < 30
        assert len(await zendesk.backfill("zendesk:macro")) == 6
        sandbox.control("POST", "settings", {"zendesk_export_calls": 100_000})
        await go_on()
        assert seen == live(sandbox, "tickets")


async def test_429_of_exports_concerns_exports_alone(sandbox):
    sandbox.control("POST", "settings", {"zendesk_export_calls": 1})
    make(sandbox)
    async with bench(sandbox) as zendesk:
        with pytest.raises(ExportsBusy):
            [await zendesk.reader.probe(zendesk.collections[USER]) for _ in range(3)]
        await zendesk.reader.probe(zendesk.collections["zendesk:group"])


async def test_reading_pauses_before_the_minute_is_used_up(sandbox):
    sandbox.control("POST", "settings", {"zendesk_budget_calls": 20})
    async with bench(sandbox) as zendesk:
        with pytest.raises(RateLimited) as caught:
            [await zendesk.reader.probe(zendesk.collections["zendesk:group"]) for _ in range(40)]
        assert "16 of the 20" in caught.value.message


async def test_heavy_pages_are_halved(sandbox):
    make(sandbox, count=3)
    fault = {"provider": "zendesk", "kind": "gateway_timeout", "path": "per_page=1000"}
    async with bench(sandbox) as zendesk:
        sandbox.control("POST", "faults", fault)
        assert len(await zendesk.backfill(TICKET)) == 3


async def test_organizations_of_one_second_are_read_whole(sandbox):
    sandbox.control("POST", "records/zendesk/organizations?count=2500&same_stamp=1", {})
    async with bench(sandbox) as zendesk:
        wanted = live(sandbox, "organizations")
        assert set(await zendesk.backfill(ORGANIZATION)) == wanted
        cursor = {"t": int(datetime.now(UTC).timestamp()) - 3600}
        assert set((await zendesk.look(cursor, ORGANIZATION))[0]) == wanted
        sandbox.control("POST", "settings", {"zendesk_export_stretch": False})
        with pytest.raises(CursorLost):
            await zendesk.look(cursor, ORGANIZATION)


async def test_what_was_written_before_a_look_is_in_it(sandbox):
    """An export tells what is older than its millisecond: a quick machine writes and asks within the same one."""
    async with bench(sandbox) as zendesk:
        cursor = await zendesk.start(USER)
        for _ in range(50):
            made = make(sandbox, "users")
            records, cursor = await zendesk.look(cursor, USER)
            assert made in records


# --- Deletions


async def test_deletions_are_told_each_in_its_way(sandbox):
    tables = {"tickets": TICKET, "users": USER, "organizations": ORGANIZATION, "custom_object_records": OWN}
    made = {table: make(sandbox, table) for table in tables}
    async with bench(sandbox) as zendesk:
        for table, collection in tables.items():
            _, cursor = await zendesk.look(await zendesk.start(collection), collection)
            sandbox.control("DELETE", f"records/zendesk/{table}/{made[table]}")
            records, cursor = await zendesk.look(cursor, collection)
            assert records[made[table]].deleted, table
            assert (await zendesk.reader.read(zendesk.collections[collection], [made[table]]))[0].deleted
            swept = {e async for page in zendesk.reader.sweep(zendesk.collections[collection], None) for e in page.ids}
            assert made[table] not in swept
        sandbox.control("POST", f"records/zendesk/tickets/{made['tickets']}/undelete")
        _, cursor = await zendesk.look(await zendesk.start(TICKET), TICKET)
        assert not (await zendesk.backfill(TICKET))[made["tickets"]].deleted


async def test_parts_of_a_deleted_ticket_are_found_by_comparing(sandbox):
    kept, gone = make(sandbox), make(sandbox)
    async with bench(sandbox) as zendesk:
        before = set(await zendesk.backfill(COMMENT))
        sandbox.control("DELETE", f"records/zendesk/tickets/{gone}")
        swept = {e async for page in zendesk.reader.sweep(zendesk.collections[COMMENT], None) for e in page.ids}
        lost = before - swept
        assert (len(lost), len(swept)) == (1, 1)
        assert [each.deleted for each in await zendesk.reader.read(zendesk.collections[COMMENT], list(lost))] == [True]
        assert kept in await zendesk.backfill(TICKET)


async def test_deleted_tickets_are_a_list_of_their_own(sandbox):
    gone = make(sandbox)
    sandbox.control("DELETE", f"records/zendesk/tickets/{gone}")
    async with bench(sandbox) as zendesk:
        assert set(await zendesk.backfill("zendesk:deleted_ticket")) == {gone}


# --- Rights


async def test_an_agent_reads_lists_and_is_refused_exports(sandbox):
    source = Pasted(sandbox, "sandbox-zendesk-agent-token", "vera@sandbox.example")
    async with bench(sandbox, source) as zendesk:
        await zendesk.reader.probe(zendesk.collections["zendesk:group"])
        for probe in (zendesk.reader.probe(zendesk.collections[TICKET]), zendesk.reader.check()):
            with pytest.raises(PermissionMissing):
                await probe


@pytest.mark.parametrize("kind", ["forbidden", "no_page", "not_in_plan"])
async def test_a_closed_collection_stops_alone(sandbox, kind):
    make(sandbox)
    sandbox.control("POST", "faults", {"provider": "zendesk", "kind": kind, "path": "/audits"})
    async with bench(sandbox) as zendesk:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - two kinds, told apart below
            await zendesk.look(await zendesk.start(COMMENT, AUDIT), COMMENT, AUDIT)
        assert (caught.value.kind, caught.value.collection_id) == ("permission", AUDIT)
        assert (await zendesk.look(await zendesk.start(COMMENT), COMMENT))[0]


async def test_a_sick_ticket_is_set_aside(sandbox):
    tickets = [make(sandbox) for _ in range(3)]
    where = {"provider": "zendesk", "kind": "server_error", "path": f"/tickets/{tickets[1]}/comments"}
    sandbox.control("POST", "faults", where)
    async with bench(sandbox) as zendesk:
        pages = [page async for page in zendesk.reader.backfill(zendesk.collections[COMMENT], None)]
        owners = {json.loads(record.data)["ticket_id"] for page in pages for record in page.records}
        assert owners == {int(tickets[0]), int(tickets[2])}
        assert [tickets[1] in each.reason for page in pages for each in page.skipped] == [True]
        sandbox.control("DELETE", "faults")
        sandbox.control("POST", "faults", {**where, "path": "/comments"})
        with pytest.raises(UpstreamFailed):
            await zendesk.backfill(COMMENT)


# --- Through the console


@pytest.fixture
def console(sandbox: RunningSandbox, settings: Any, queued: Any) -> RunningSandbox:
    settings.PROVIDER_URLS = json.dumps({"zendesk": sandbox.side("zendesk")})
    return sandbox


def connect(kind: str, secrets: dict, **settings: str) -> Credential:
    data = {"provider": "zendesk", "kind": kind, "secrets": secrets, "settings": {"subdomain": "sandbox", **settings}}
    return connections.create_credential(data, by=None)


def import_grant(sandbox: RunningSandbox, **settings: Any) -> Credential:
    app = oauth_apps.create(
        {"provider": "zendesk", "name": "Ours", **CLIENT, "properties": {"subdomain": "sandbox"}}, by=None
    )
    grant = sandbox.control("POST", "grants", {"provider": "zendesk", **settings})
    data = {"provider": "zendesk", "kind": "zendesk_oauth2", "oauth_app": app, "settings": {}}
    return connections.create_credential(data | {"secrets": {"secret": grant["refresh_token"]}}, by=None)


def read(sync: Sync, rounds: int = 8) -> None:
    """Look now, whatever the interval says, and carry on until no history is left to read."""
    for _ in range(rounds):
        Feed.objects.filter(sync=sync, looked_at__isnull=False).update(looked_at=timezone.now() - timedelta(days=1))
        Feed.objects.filter(sync=sync).update(queued_until=None)
        tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))
        if not sync.collections.filter(phase__in=["waiting", "backfilling"], retry_at=None).exists():
            return


@pytest.mark.django_db(transaction=True)
def test_each_way_in_leads_to_the_same_account(console):
    token = connect("zendesk_api_token", {"api_token": TOKEN}, email=ADA)
    minted = connect("zendesk_client_credentials", {"client_secret": CLIENT["client_secret"]},
                     client_id=CLIENT["client_id"])  # fmt: skip
    granted = import_grant(console)
    assert {each.account_id for each in (token, minted, granted)} == {"sandbox"}
    for credential in (minted, granted):
        console.control("POST", "expire", {"provider": "zendesk"})
        row = Credential.objects.get(pk=credential.pk)
        assert connections.ask(row, lambda reader: reader.check()).id == "sandbox"
    console.control("POST", "revoke", {"provider": "zendesk"})
    with pytest.raises(CredentialsRefused):
        connections.ask(Credential.objects.get(pk=granted.pk), lambda reader: reader.check())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("token", "email"), [("wrong", ADA), (TOKEN, "eve@sandbox.example")])
def test_wrong_token_is_told_though_zendesk_answers_everybody(console, token, email):
    with pytest.raises(Problem) as caught:
        connect("zendesk_api_token", {"api_token": token}, email=email)
    assert caught.value.kind == "credentials"


@pytest.mark.django_db(transaction=True)
def test_secrets_go_to_the_accounts_own_host_alone(console):
    with pytest.raises(Problem) as caught:
        connect("zendesk_api_token", {"api_token": TOKEN}, email=ADA, subdomain="acme.zendesk.com.evil.test")
    assert list(caught.value.fields) == ["subdomain"]


@pytest.mark.django_db(transaction=True)
def test_log_holds_tickets_with_all_that_belongs_to_them(console):
    made = [make(console) for _ in range(4)]
    credential = connect("zendesk_api_token", {"api_token": TOKEN}, email=ADA)
    wanted = {TICKET: "tickets", METRIC: "ticket_metrics", COMMENT: "comments", AUDIT: "audits", USER: "users",
              ORGANIZATION: "organizations", OWN: "custom_object_records"}  # fmt: skip
    make(console, "custom_object_records")
    data = {"name": "All", "credential": credential, "collection_ids": list(wanted), "poll_s": 2}
    sync = services.create_sync(data, by=None)
    read(sync)

    def held(collection: str) -> set[str]:
        rows = Record.objects.filter(sync=sync, collection__collection_id=collection, deleted=False)
        return set(rows.values_list("upstream_id", flat=True))

    assert {collection: held(collection) for collection in wanted} == {
        collection: live(console, table) for collection, table in wanted.items()
    }
    console.control("PATCH", f"records/zendesk/tickets/{made[0]}", {"subject": "Louder"})
    console.control("DELETE", f"records/zendesk/tickets/{made[1]}")
    make(console)
    sync.collections.filter(collection_id=COMMENT).update(sweep_due_at=timezone.now())
    read(sync)
    kept = {collection: held(collection) for collection in wanted if collection != AUDIT}
    assert kept == {collection: live(console, table) for collection, table in wanted.items() if collection != AUDIT}
    assert held(AUDIT) > live(console, "audits"), "audits of a deleted ticket stay"
    assert "Louder" in Record.objects.get(sync=sync, collection__collection_id=TICKET, upstream_id=made[0]).data


@pytest.mark.django_db(transaction=True)
def test_exports_in_want_of_calls_hold_back_no_list(console):
    for _ in range(3):
        make(console)
    make(console, "macros", count=5)
    credential = connect("zendesk_api_token", {"api_token": TOKEN}, email=ADA)
    data = {"name": "All", "credential": credential, "collection_ids": [TICKET, "zendesk:macro"], "poll_s": 2}
    sync = services.create_sync(data, by=None)
    console.control("POST", "settings", {"zendesk_export_calls": 0})
    read(sync, rounds=2)
    macro, ticket = (sync.collections.get(collection_id=each) for each in ("zendesk:macro", TICKET))
    assert (macro.phase, ticket.phase) == ("live", "backfilling")
    assert ticket.retry_at > timezone.now()
    credential.refresh_from_db()
    assert credential.not_before is None, "only exports wait"
