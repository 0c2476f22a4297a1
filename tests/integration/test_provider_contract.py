"""What every provider's reader must survive, over its side of the sandbox, and through the console's own engine.

An adapter in `provider_adapters/` says how each side is driven. What only one provider has is tested beside it.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from syncs import connections, oauth_apps, services, tasks
from syncs.models import Credential, Feed, Record, Sync
from syncs.providers.kit.errors import CursorLost, RateLimited
from syncs.providers.kit.records import RawRecord
from tests.integration.provider_adapters import ADAPTERS
from tests.integration.provider_adapters.adapter import Adapter
from tests.integration.provider_bench import Bench
from tests.integration.test_access import in_threads

EVERY = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())
GRANTED = pytest.mark.parametrize(
    "adapter", [each for each in ADAPTERS.values() if each.oauth_kind], ids=lambda each: each.key
)
ROTATING = pytest.mark.parametrize(
    "adapter", [each for each in ADAPTERS.values() if each.rotating is not None], ids=lambda each: each.key
)
TOKENS = pytest.mark.parametrize(
    "adapter", [each for each in ADAPTERS.values() if each.page_tokens], ids=lambda each: each.key
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("contract")) as sandbox:
        yield sandbox


class Held:
    """What a reader has brought so far: the last version of each record, as the log would have it."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.records: dict[str, RawRecord] = {}

    def take(self, records: list[RawRecord] | dict[str, RawRecord]) -> None:
        for record in records.values() if isinstance(records, dict) else records:
            old = self.records.get(record.upstream_id)
            if record.deleted or record.data is None or old is None or old.deleted or self._is_newer(record, old):
                self.records[record.upstream_id] = record

    def _is_newer(self, record: RawRecord, old: RawRecord) -> bool:
        version = self.adapter.version_of
        return version(record.data or b"") >= version(old.data or b"")

    def live(self) -> dict[str, int]:
        """Id -> version."""
        found = {key: each for key, each in self.records.items() if not each.deleted}
        return {key: self.adapter.version_of(each.data or b"") for key, each in found.items()}


async def history(bench: Bench, adapter: Adapter, held: Held, between: Any = None) -> int:
    """The whole history; `between` is called once, after the first page. Returns how many pages there were."""
    collection, count, lost, cursor = bench.collections[adapter.collection], 0, 0, None
    while True:
        try:
            async for page in bench.reader.backfill(collection, cursor):
                held.take(page.records)
                cursor, count = page.cursor, count + 1
                if count == 1 and between is not None:
                    between(page)
            return count
        except CursorLost:  # the engine begins such a walk anew
            lost, cursor = lost + 1, None
            assert lost < 3


async def swept(bench: Bench, adapter: Adapter) -> set[str]:
    return {each async for page in bench.reader.sweep(bench.collections[adapter.collection], None) for each in page.ids}


async def look(bench: Bench, adapter: Adapter, held: Held, cursor: dict) -> dict:
    records, cursor = await bench.look(cursor, adapter.collection)
    held.take(records)
    return cursor


# --- Walks ------------------------------------------------------------------------------------------------------------


@EVERY
async def test_10001_records_of_one_stamp_are_read_once_and_whole(sandbox, adapter):
    adapter.prepare(sandbox)
    async with adapter.bench(sandbox) as bench:
        held, cursor = Held(adapter), await bench.start(adapter.collection)
        sandbox.control("POST", f"records/{adapter.key}/{adapter.table}?count=10001&same_stamp=1", {})
        wanted = adapter.current(sandbox)
        assert len(wanted) == 10_001
        await history(bench, adapter, held)
        assert held.live() == wanted
        assert await swept(bench, adapter) == set(wanted)
        if adapter.tells_bulk:
            told = Held(adapter)
            await look(bench, adapter, told, cursor)
            assert told.live() == wanted


@EVERY
async def test_a_record_changed_between_two_pages_arrives_as_it_is_now(sandbox, adapter):
    ids = adapter.prepare(sandbox, 23, small=True)
    async with adapter.bench(sandbox, **adapter.small) as bench:
        held, cursor = Held(adapter), await bench.start(adapter.collection)

        def change(page: Any) -> None:
            read = {record.upstream_id for record in page.records}
            adapter.change(sandbox, next(each for each in ids if each in read))
            adapter.change(sandbox, next(each for each in ids if each not in read))

        assert await history(bench, adapter, held, change) > 1
        await look(bench, adapter, held, cursor)
        assert held.live() == adapter.current(sandbox)


@EVERY
async def test_a_record_deleted_between_two_pages_hides_no_other(sandbox, adapter):
    ids = adapter.prepare(sandbox, 23, small=True)
    async with adapter.bench(sandbox, **adapter.small) as bench:
        held, cursor, gone = Held(adapter), await bench.start(adapter.collection), []

        def delete(page: Any) -> None:
            read = [record.upstream_id for record in page.records]
            gone.extend([read[0], read[-1], next(each for each in ids if each not in read)])
            for each in gone:
                adapter.delete(sandbox, each)

        await history(bench, adapter, held, delete)
        await look(bench, adapter, held, cursor)
        left = adapter.current(sandbox)
        assert set(left) == set(ids) - set(gone)
        assert set(left) <= set(held.live())
        assert await swept(bench, adapter) == set(left)
        held.take(await bench.reader.read(bench.collections[adapter.collection], gone))
        assert held.live() == left


@TOKENS
async def test_a_page_token_that_expires_costs_nothing_but_time(sandbox, adapter):
    adapter.prepare(sandbox, 23, small=True)
    async with adapter.bench(sandbox, **adapter.small) as bench:
        held = Held(adapter)
        await history(bench, adapter, held, lambda _: sandbox.control("DELETE", f"page-tokens/{adapter.key}"))
        assert held.live() == adapter.current(sandbox)


@EVERY
async def test_a_walk_cut_short_anywhere_goes_on_from_its_cursor(sandbox, adapter):
    adapter.prepare(sandbox, 23, small=True)
    async with adapter.bench(sandbox, **adapter.small) as bench:
        held, cursor, done, collection = Held(adapter), None, False, bench.collections[adapter.collection]
        for _ in range(40):
            walk = bench.reader.backfill(collection, cursor)
            page = await anext(walk)
            await walk.aclose()
            held.take(page.records)
            cursor, done = page.cursor, page.done
            if done:
                break
        assert done
        assert held.live() == adapter.current(sandbox)


# --- Clocks, limits, tokens -------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("skew_s", [600.0, -600.0])
async def test_ten_minutes_between_the_clocks_lose_nothing(sandbox, adapter, skew_s):
    adapter.prepare(sandbox, 5)
    async with adapter.bench(sandbox) as bench:
        held = Held(adapter)
        cursor = await bench.start(adapter.collection)
        await history(bench, adapter, held)
        for skew in (skew_s, 0.0):  # their clock is wrong; then somebody puts it right
            sandbox.control("POST", "settings", {"clock_skew_s": skew})
            adapter.change(sandbox, adapter.create(sandbox), 3)
            cursor = await look(bench, adapter, held, cursor)
            assert held.live() == adapter.current(sandbox), skew


@EVERY
@pytest.mark.parametrize("retry_after", [{"retry_after": 1}, {}], ids=["told", "untold"])
async def test_429_is_sat_out_with_and_without_a_time(sandbox, adapter, retry_after):
    """A pause that nobody names may be a long one: then it is told, and the engine comes again."""
    adapter.prepare(sandbox, 12, small=True)
    held = Held(adapter)

    def strike(_: Any) -> None:
        adapter.fault(sandbox, "rate_limit", times=1, **retry_after)

    told: list[RateLimited] = []
    async with adapter.bench(sandbox, **adapter.small) as bench:
        try:
            await history(bench, adapter, held, strike)
        except RateLimited as limited:
            told.append(limited)
    if told:
        assert not retry_after
        assert (told[0].retry_after_s or 0) > 3
        async with adapter.bench(sandbox, **adapter.small) as later:
            await history(later, adapter, held)
    assert held.live() == adapter.current(sandbox)
    assert sandbox.control("GET", "faults")["faults"] == []


@EVERY
async def test_a_long_429_is_told_with_its_time(sandbox, adapter):
    adapter.prepare(sandbox)
    async with adapter.bench(sandbox) as bench:
        adapter.fault(sandbox, "rate_limit", times=1, retry_after=400)
        with pytest.raises(RateLimited) as caught:
            await bench.reader.probe(bench.collections[adapter.collection])
        assert caught.value.retry_after_s == pytest.approx(400, abs=5)


@GRANTED
async def test_access_that_ends_between_two_pages_is_renewed(sandbox, adapter):
    adapter.prepare(sandbox, 23, small=True)
    async with adapter.granted(sandbox, **adapter.small) as bench:
        held = Held(adapter)
        await history(bench, adapter, held, lambda _: sandbox.control("POST", "expire", {"provider": adapter.key}))
        assert held.live() == adapter.current(sandbox)
        assert bench.source.renewals == 1


# --- Through the console's own engine ---------------------------------------------------------------------------------


@pytest.fixture
def console(sandbox: RunningSandbox, settings: Any, queued: Any) -> None:
    urls = ", ".join(f'"{key}": "{sandbox.side(key)}"' for key in ADAPTERS)
    settings.PROVIDER_URLS = f"{{{urls}}}"


def connect(sandbox: RunningSandbox, adapter: Adapter) -> Credential:
    """A connection by the pasted kind, else by importing a grant."""
    if adapter.kind:
        return connections.create_credential(adapter.connecting(sandbox), by=None)
    return import_grant(sandbox, adapter)


def import_grant(sandbox: RunningSandbox, adapter: Adapter) -> Credential:
    made = sandbox.control("POST", "apps", {})
    asked = {"provider": adapter.key, "name": "Ours", "properties": dict(adapter.app_properties), **made}
    app = oauth_apps.create(asked, by=None)
    grant = sandbox.control("POST", "grants", {"provider": adapter.key, "client_id": app.client_id})
    secrets, typed = adapter.imports(grant)
    data = {"provider": adapter.key, "kind": adapter.oauth_kind, "oauth_app": app, "name": "Imported"}
    return connections.create_credential(data | {"secrets": secrets, "settings": typed}, by=None)


def sync_of(credential: Credential, *collections: str) -> Sync:
    data = {"name": "All", "credential": credential, "collection_ids": list(collections), "poll_s": 2}
    return services.create_sync(data, by=None)


def read(sync: Sync, rounds: int = 8) -> None:
    """Look now, whatever the interval says, and carry on until no history is left to read."""
    for _ in range(rounds):
        Feed.objects.filter(sync=sync, looked_at__isnull=False).update(looked_at=timezone.now() - timedelta(days=1))
        Feed.objects.filter(sync=sync).update(queued_until=None)
        tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))
        if not sync.collections.filter(phase__in=["waiting", "backfilling"], retry_at=None).exists():
            return


def logged(sync: Sync, adapter: Adapter) -> dict[str, int]:
    """Id -> version of what the log holds live of the adapter's collection."""
    rows = Record.objects.filter(sync=sync, collection__collection_id=adapter.collection, deleted=False)
    return {key: adapter.version_of(data) for key, data in rows.values_list("upstream_id", "data")}


@EVERY
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("console")
def test_the_log_holds_what_the_provider_holds(sandbox, adapter):
    """Connect, read history, follow a change, find a deletion; no right to one of six collections stops it alone."""
    ids = adapter.prepare(sandbox, 12)
    closed, path = adapter.closed
    sync = sync_of(connect(sandbox, adapter), adapter.collection, closed, *adapter.four)
    adapter.fault(sandbox, "forbidden", path=path)
    read(sync)
    phases = dict(sync.collections.values_list("collection_id", "phase"))
    assert phases == {each: "error" if each == closed else "live" for each in phases}
    assert len(phases) == 6
    stopped = sync.collections.get(collection_id=closed)
    assert (stopped.error_kind, bool(stopped.next_step)) == ("permission", True)
    assert logged(sync, adapter) == adapter.current(sandbox)
    adapter.change(sandbox, ids[0])
    adapter.create(sandbox)
    adapter.delete(sandbox, ids[1])
    sync.collections.filter(collection_id=adapter.collection).update(sweep_due_at=timezone.now())
    read(sync)
    assert logged(sync, adapter) == adapter.current(sandbox)
    own = Record.objects.filter(sync=sync, collection__collection_id=adapter.collection)  # ids may be another's, too
    assert own.get(upstream_id=ids[1]).deleted


@ROTATING
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("console")
def test_two_workers_that_renew_at_once_keep_a_rotating_grant_alive(sandbox, adapter):
    adapter.prepare(sandbox, 3)
    sandbox.control("POST", "settings", dict(adapter.rotating))
    credential = import_grant(sandbox, adapter)
    for _ in range(2):
        sandbox.control("POST", "expire", {"provider": adapter.key})

        def ask() -> Any:
            row = Credential.objects.get(pk=credential.pk)
            return connections.ask(row, lambda reader: reader.check())

        found = in_threads(ask, ask)
        assert [each.name for each in found] == [credential.account_name] * 2, found
        credential.refresh_from_db()
        assert credential.state == "ok"
