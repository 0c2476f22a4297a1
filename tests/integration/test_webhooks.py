"""Webhooks from the sandbox to the log: hints only, so duplicates, disorder, gaps and lies change nothing."""

import hmac
import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from sequin_console.common.models import AuditEvent
from syncs import connections, hints, tasks, webhooks
from syncs.models import Credential, Feed, Hint, OAuthApp, Record, RecordChange, SeenBy, Sync, Webhook
from syncs.providers.kit.errors import PermissionMissing, UpstreamFailed
from syncs.providers.kit.webhooks import Registered, Told
from syncs.providers.kit.webhooks import Webhook as Way
from syncs.services import create_sync
from tests.api_client import ApiClient
from tests.fake_provider import Upstream, collection

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
SECRET = "fake-signing-secret"


# --- An upstream in memory ---------------------------------------------------------------------------------------


def fake_way(**more: Any) -> Way:
    def told(delivery: Any) -> list[Told]:
        return [Told(f"fake:{name}", *rest) for name, *rest in json.loads(delivery.body)]

    def verify(delivery: Any, secrets: Any) -> bool:
        return delivery.headers.get("x-signed") == secrets.get("secret")

    return Way(verify=verify, told=told, steps=("Do it.", "Done."), tells="All.", **more)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream(collections=(collection("thing", "fake:all"), collection("other", "fake:all")), way=fake_way())
    with world.registered():
        yield world


def read(sync: Sync) -> None:
    tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))


def in_log(sync: Sync) -> dict[str, Any]:
    rows = Record.objects.filter(sync=sync, deleted=False)
    return {upstream_id: json.loads(data) for upstream_id, data in rows.values_list("upstream_id", "data")}


@pytest.fixture
def sync(upstream: Upstream) -> Sync:
    upstream.fill(5)
    made = upstream.sync(poll_s=3600)
    read(made)
    read(made)
    assert set(made.collections.values_list("phase", flat=True)) == {"live"}
    return made


@pytest.fixture
def hook(sync: Sync) -> Webhook:
    return webhooks.set_up(sync.credential, by=None)


def deliver(hook: Webhook, *named: tuple[str, str], signed: str = "") -> int:
    body = json.dumps(named).encode()
    headers = {"X-Signed": signed or hook.secrets["secret"]}
    path = webhooks.url_of(hook).partition("://")[2].partition("/")[2]
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/{path}", body, content_type="application/json", headers=headers).status_code


def test_named_record_is_read_again_without_a_look(upstream, sync, hook, queued) -> None:
    upstream.write("thing-0002", n="changed")
    upstream.journal.clear()  # no look could tell of it
    queued.clear()
    assert deliver(hook, ("thing", "thing-0002")) == 204
    assert [call[:2] for call in queued] == [("syncs.tasks.read_feeds", [sync.feeds.get().pk])]
    looked_at = sync.feeds.get().looked_at
    Feed.objects.update(queued_until=None)
    read(sync)
    assert in_log(sync)["thing-0002"] == {"id": "thing-0002", "n": "changed"}
    assert RecordChange.objects.latest("pk").seen_by == SeenBy.WEBHOOK
    assert sync.feeds.get().looked_at == looked_at
    assert not Hint.objects.exists()


def test_deleted_and_new_records_are_read_as_they_are(upstream, sync, hook) -> None:
    upstream.delete("thing-0001", quietly=True)
    upstream.write("brand-new", n=1)
    upstream.journal.clear()
    deliver(hook, ("thing", "thing-0001"), ("thing", "brand-new"), ("thing", "never-was"))
    read(sync)
    assert "thing-0001" not in in_log(sync)
    assert Record.objects.get(upstream_id="thing-0001").deleted
    assert in_log(sync)["brand-new"] == {"id": "brand-new", "n": 1}
    assert not Record.objects.filter(upstream_id="never-was").exists()


def test_duplicates_disorder_and_gaps_leave_the_log_equal_to_upstream(upstream, sync, hook) -> None:
    dice = random.Random(7)
    for round_no in range(12):
        told = []
        for key in (f"thing-{dice.randrange(8):04}" for _ in range(10)):
            if dice.random() < 0.2 and key in upstream.things["fake:thing"]:
                upstream.delete(key)
            else:
                upstream.write(key, n=f"{round_no}-{dice.random()}")
            told += [("thing", key)] * dice.choice((0, 1, 2))
        dice.shuffle(told)
        for each in told:
            assert deliver(hook, each) == 204
        if round_no % 3 == 2:
            read(sync)
    Feed.objects.update(looked_at=timezone.now() - timedelta(days=1))
    read(sync)
    assert in_log(sync) == upstream.things["fake:thing"]


def test_one_record_named_ten_thousand_times_is_read_once(upstream, sync, hook) -> None:
    credential = sync.credential_id
    for _ in range(10):
        hints.note([credential], [Told("fake:thing", "thing-0003")])
    Hint.objects.bulk_create(  # the same as a burst leaves behind, without its ten thousand requests
        [
            Hint(
                feed=row.feed, collection=row, upstream_id="thing-0003", due_at=timezone.now(), noted_at=timezone.now()
            )
            for row in [sync.collections.get(collection_id="fake:thing")]
            for _ in range(10_000)
        ]
    )
    reads = []
    upstream.before_page = lambda walk, collection_id: reads.append(walk)
    upstream.things["fake:thing"]["thing-0003"]["n"] = "burst"
    read(sync)
    assert not Hint.objects.exists()
    assert reads.count("read") <= 1 + 10_010 // hints.MERGED
    assert in_log(sync)["thing-0003"]["n"] == "burst"
    assert RecordChange.objects.filter(seen_by=SeenBy.WEBHOOK).count() == 1


def test_ten_thousand_records_named_are_all_read(upstream, sync, hook) -> None:
    upstream.fill(10_000)
    upstream.journal.clear()
    for start in range(0, 10_000, 500):
        deliver(hook, *[("thing", f"thing-{number:04}") for number in range(start, start + 500)])
    for _ in range(10):
        if not Hint.objects.exists():
            break
        read(sync)
    assert in_log(sync) == upstream.things["fake:thing"]


def test_wrong_signature_is_refused_counted_and_stores_nothing(sync, hook, queued) -> None:
    queued.clear()
    for _ in range(3):
        assert deliver(hook, ("thing", "thing-0001"), signed="guessed") == 400
    hook.refresh_from_db()
    assert (hook.refused, hook.received, hook.last_event_at) == (3, 0, None)
    assert not Hint.objects.exists()
    assert not queued
    assert deliver(hook, ("thing", "thing-0001")) == 204
    hook.refresh_from_db()
    assert (hook.refused, hook.received) == (0, 1)


def test_unknown_address_and_other_methods_are_refused(sync, hook, browser_of) -> None:
    client = browser_of(None)
    assert client.post("/hooks/fake/guessed/", b"[]", content_type="application/json").status_code == 404
    path = webhooks.url_of(hook).partition("://")[2].partition("/")[2]
    assert client.post(f"/{path}".replace("fake", "stripe"), b"[]", content_type="application/json").status_code == 404
    assert client.get(f"/{path}").status_code == 405


def test_a_body_too_long_is_refused_unread(sync, hook) -> None:
    path = webhooks.url_of(hook).partition("://")[2].partition("/")[2]
    body = b"x" * (webhooks.MOST_BYTES + 1)
    assert Client().post(f"/{path}", body, content_type="application/json").status_code == 413
    hook.refresh_from_db()
    assert hook.refused == 0


def test_a_delivery_costs_few_statements(sync, hook) -> None:
    deliver(hook, ("thing", "thing-0001"))
    with CaptureQueriesContext(connection) as queries:
        deliver(hook, *[("thing", f"thing-{number:04}") for number in range(400)])
    assert len(queries) <= 16, [query["sql"][:90] for query in queries]


def test_what_is_named_while_the_feed_is_being_read_is_queued_afterwards(sync, hook, queued, monkeypatch) -> None:
    told: list[int] = []
    real = hints.take

    def take(feed_id: int) -> hints.Taken:
        found = real(feed_id)
        if not found:  # the run goes past its hints, and only then one comes
            told.append(deliver(hook, ("thing", "thing-0004")))
        return found

    monkeypatch.setattr(hints, "take", take)
    hints.note([sync.credential_id], [Told("fake:thing", "thing-0000")])
    queued.clear()
    read(sync)
    assert told == [204]
    assert [call[0] for call in queued] == ["syncs.tasks.read_feeds"]
    assert Hint.objects.get().upstream_id == "thing-0004"


def test_the_scheduler_finds_hints_whose_task_was_lost(sync, hook, queued) -> None:
    deliver(hook, ("thing", "thing-0001"))
    Feed.objects.update(queued_until=None)
    queued.clear()
    assert tasks.enqueue_due() == 1
    assert queued[0][0] == "syncs.tasks.read_feeds"


def test_a_failing_reading_puts_its_hints_off_and_the_others_go_on(upstream, sync, hook) -> None:
    def fail(walk: str, collection_id: str) -> None:
        if collection_id == "fake:other":
            raise PermissionMissing("Not these.")

    upstream.before_page = fail
    upstream.write("thing-0000", n="new")
    deliver(hook, ("other", "other-1"), ("thing", "thing-0000"))
    Feed.objects.update(queued_until=None)
    read(sync)
    assert in_log(sync)["thing-0000"]["n"] == "new"
    assert Hint.objects.get().upstream_id == "other-1"
    assert not hints.feeds_due(timezone.now())
    assert sync.collections.get(collection_id="fake:other").phase == "error"
    deliver(hook, ("other", "other-2"))  # a collection that rests is left alone: nothing is kept for it
    assert Hint.objects.count() == 1


def test_an_outage_puts_hints_off(upstream, sync, hook) -> None:
    def fail(walk: str, collection_id: str) -> None:
        raise UpstreamFailed("Down.")

    upstream.before_page = fail
    deliver(hook, ("thing", "thing-0000"))
    Feed.objects.update(queued_until=None)
    read(sync)
    assert Hint.objects.get().due_at > timezone.now() + timedelta(seconds=30)


def test_hints_nobody_could_follow_are_dropped_after_an_hour(sync, hook) -> None:
    deliver(hook, ("thing", "thing-0000"), ("thing", "thing-0001"))
    Hint.objects.filter(upstream_id="thing-0000").update(noted_at=timezone.now() - timedelta(hours=2))
    hints.prune()
    assert Hint.objects.get().upstream_id == "thing-0001"


def test_a_hint_without_an_id_asks_for_a_look(upstream, sync, hook) -> None:
    Feed.objects.update(looked_at=timezone.now() - timedelta(seconds=60))
    upstream.write("thing-0001", n="by a look")
    deliver(hook, ("thing", ""))
    read(sync)
    assert in_log(sync)["thing-0001"]["n"] == "by a look"
    assert not Hint.objects.exists()


def test_looks_that_hints_ask_for_keep_their_distance(upstream, sync, hook) -> None:
    for _ in range(5):
        deliver(hook, ("thing", ""))
    looked_at = sync.feeds.get().looked_at
    read(sync)
    assert sync.feeds.get().looked_at == looked_at  # it was a moment ago
    assert Hint.objects.get().due_at == looked_at + timedelta(seconds=hints.LOOKS_APART_S)
    assert hints.feeds_due(timezone.now()) == []


def test_an_event_of_another_account_goes_to_the_connection_of_that_account(upstream, sync, hook) -> None:
    """One address for all accounts of an app: as HubSpot has it."""
    app = OAuthApp.objects.create(
        provider="fake", name="App", client_id="x", secrets={"client_secret": "y"}, host="main"
    )
    Credential.objects.update(oauth_app=app, account_id="1")
    other = upstream.sync(poll_s=3600)
    Credential.objects.filter(pk=other.credential_id).update(oauth_app=app, account_id="2")
    read(other)
    read(other)
    body = json.dumps([["thing", "thing-0001", "2"], ["thing", "thing-0002", "1"], ["thing", "thing-0003", "9"]])
    path = webhooks.url_of(hook).partition("://")[2].partition("/")[2]
    headers = {"X-Signed": hook.secrets["secret"]}
    assert Client().post(f"/{path}", body, content_type="application/json", headers=headers).status_code == 204
    told = {(row.feed.sync_id, row.upstream_id) for row in Hint.objects.select_related("feed")}
    assert told == {(other.pk, "thing-0001"), (sync.pk, "thing-0002")}


def test_a_paused_sync_keeps_no_hints(sync, hook) -> None:
    Sync.objects.update(state="paused")
    assert deliver(hook, ("thing", "thing-0001")) == 204
    assert not Hint.objects.exists()


def test_secrets_of_a_webhook_are_ciphertext(sync, hook) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets, path_hash, upstream FROM syncs_webhook")
        stored = str(cursor.fetchone())
    for secret in hook.secrets.values():
        assert len(secret) > 20
        assert secret not in stored


# --- Pages and API ---------------------------------------------------------------------------------------------------


def test_who_sees_and_does_what(sync, ada, vera, stan, browser_of) -> None:
    """Ada sets it up and is shown address and steps; Vera sees how it is doing; Stan nothing."""
    card, state = f"/connections/{sync.credential_id}/", f"/connections/{sync.credential_id}/webhook/"
    for person, status in ((stan, 302), (vera, 403)):
        assert browser_of(person).post(f"{state}set-up/").status_code == status
        assert not Webhook.objects.exists()
    assert "Set up webhook" in browser_of(ada).get(card).content.decode()
    assert "Set up webhook" not in browser_of(vera).get(card).content.decode()
    assert browser_of(ada).post(f"{state}set-up/").status_code == 303
    row = Webhook.objects.get()
    private = (webhooks.url_of(row), row.secrets["secret"], "Do it.")
    page = browser_of(ada).get(card).content.decode()
    assert [text for text in private if text not in page] == []
    for path in (card, state):
        page = browser_of(vera).get(path).content.decode()
        assert "Waiting for its first event" in page
        assert [text for text in private if text in page] == []
    assert browser_of(stan).get(state).status_code == 302
    for person in (stan, vera):
        browser_of(person).post(f"{state}remove/")
        assert Webhook.objects.exists()
    assert browser_of(ada).post(f"{state}remove/").status_code == 303
    assert not Webhook.objects.exists()
    assert set(AuditEvent.objects.filter(action__startswith="webhook").values_list("actor_name", flat=True)) == {"ada"}


def test_status_and_next_step_are_said_on_both_pages(sync, hook, vera, browser_of) -> None:
    browser = browser_of(vera)
    for _ in range(3):
        deliver(hook, ("thing", "thing-0001"), signed="guessed")
    for path in (f"/connections/{sync.credential_id}/", sync.get_absolute_url()):
        page = browser.get(path).content.decode()
        assert "3 deliveries with a wrong signature." in page, path
    deliver(hook, ("thing", "thing-0001"))
    assert "Receiving" in browser.get(sync.get_absolute_url()).content.decode()
    Webhook.objects.update(last_event_at=timezone.now() - timedelta(hours=3))
    sync.collections.update(changed_at=timezone.now())
    assert "Silent" in browser.get(sync.get_absolute_url()).content.decode()


def test_the_api_sets_up_tells_and_removes(sync) -> None:
    path = f"webhooks/{sync.credential_id}"
    admin, viewer = ApiClient("operator"), ApiClient("viewer")
    assert admin.get(path).status_code == 404
    assert viewer.post(path).status_code == 403
    made = admin.post(path).json()
    row = Webhook.objects.get()
    assert (made["url"], made["signing_secret"]) == (webhooks.url_of(row), row.secrets["secret"])
    assert (made["status"], made["registered"], made["steps"]) == ("waiting", False, ["Do it.", "Done."])
    seen = viewer.get(path).json()
    assert (seen["url"], seen["signing_secret"]) == ("********", "********")
    assert admin.call("PATCH", path, {"secret": "mine"}).status_code == 409  # ours to make, here
    deliver(row, ("thing", "thing-0001"))
    assert admin.get(f"syncs/{sync.pk}").json()["webhook"]["status"] == "receiving"
    assert viewer.call("DELETE", path).status_code == 403
    assert admin.call("DELETE", path).status_code == 204
    assert admin.get(f"syncs/{sync.pk}").json()["webhook"] is None


# --- Registering -----------------------------------------------------------------------------------------------------


class Registrar:
    """A provider's registration, in memory."""

    def __init__(self) -> None:
        self.refuse: Exception | None = None
        self.asked: list[Any] = []
        self.removed: list[Any] = []
        self.expires_at: Any = None

    async def register(self, client: Any, wanted: Any) -> Registered:
        self.asked.append(wanted)
        if self.refuse:
            raise self.refuse
        return Registered({"id": len(self.asked)}, expires_at=self.expires_at)

    async def remove(self, client: Any, known: Any) -> None:
        self.removed.append(known)


@pytest.fixture
def registrar(upstream: Upstream) -> Registrar:
    from syncs.providers import PROVIDERS

    made = Registrar()
    way = fake_way(register=made.register, remove=made.remove, kinds=("fake_key",), rights="a right")
    PROVIDERS["fake"] = PROVIDERS["fake"].__class__(**{**vars(PROVIDERS["fake"]), "webhook": way})
    return made


def test_registered_by_the_api_renewed_and_removed(registrar, sync) -> None:
    registrar.expires_at = timezone.now() + timedelta(days=30)
    row = webhooks.set_up(sync.credential, by=None)
    assert row.is_registered
    assert row.upstream == {"id": 1}
    assert registrar.asked[0].url == webhooks.url_of(row)
    assert {each.id for each in registrar.asked[0].collections} == {"fake:thing", "fake:other"}
    assert webhooks.to_tend() == []
    Webhook.objects.update(tend_at=timezone.now())
    assert webhooks.to_tend() == [row.pk]
    assert webhooks.to_tend() == []  # marked: nobody else takes it
    tasks.tend_webhooks([row.pk])
    assert registrar.asked[1].known == {"id": 1}
    row.refresh_from_db()
    assert row.tend_at > timezone.now()
    webhooks.remove(row, by=None)
    assert registrar.removed == [{"id": 2}]
    assert not Webhook.objects.exists()
    actions = list(AuditEvent.objects.filter(action__startswith="webhook").values_list("action", flat=True))
    assert sorted(actions) == ["webhook.removed", "webhook.set_up"]


def test_a_failed_renewal_is_told_and_tried_again_within_an_hour(registrar, sync) -> None:
    row = webhooks.set_up(sync.credential, by=None)
    registrar.refuse = UpstreamFailed("Down.")
    webhooks.tend([row.pk])
    row.refresh_from_db()
    assert (row.is_registered, row.error, row.failures) == (True, "Down.", 1)
    assert row.tend_at < timezone.now() + timedelta(hours=1, seconds=1)


def test_where_the_api_refuses_steps_are_shown_with_the_reason(registrar, sync, ada, browser_of) -> None:
    registrar.refuse = PermissionMissing("The key may not register.", next_step="Give it the right.")
    browser = browser_of(ada)
    answer = browser.post(f"/connections/{sync.credential_id}/webhook/set-up/")
    assert answer.status_code == 303
    row = Webhook.objects.get()
    page = browser.get(f"/connections/{sync.credential_id}/").content.decode()
    for text in ("The key may not register.", "Give it the right.", "Do it.", webhooks.url_of(row)):
        assert text in page
    assert row.secrets["secret"] in page  # ours, to be pasted at the provider


# --- The sandbox's Stripe --------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox(tmp_path: Any, settings: Any) -> Iterator[RunningSandbox]:
    with running(tmp_path) as started:
        settings.PROVIDER_URLS = f'{{"stripe": "{started.stripe}"}}'
        yield started


def stripe_sync(key: str = "rk_test_sandbox_demo") -> Sync:
    data = {"provider": "stripe", "kind": "stripe_key", "secrets": {"secret": key}}
    credential = connections.create_credential({"name": "Shop", **data}, by=None)
    picked = ["stripe:customer", "stripe:product"]
    made = create_sync({"name": "Shop", "credential": credential, "collection_ids": picked, "poll_s": 3600}, by=None)
    read(made)
    return made


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.05)


def upstream_state(sandbox: RunningSandbox, name: str) -> dict[str, str]:
    answer = sandbox.control("GET", f"records/stripe/{name}")
    return {key: str(row["version"]) for key, row in answer["records"].items() if not row["deleted"]}


def log_state(sync: Sync, collection_id: str) -> dict[str, str]:
    rows = Record.objects.filter(sync=sync, collection__collection_id=collection_id, deleted=False)
    return {row.upstream_id: json.loads(row.data)["metadata"]["sandbox_version"] for row in rows}


@pytest.fixture
def server(live_server: Any, settings: Any) -> Any:
    settings.PUBLIC_URL = live_server.url
    settings.ALLOWED_HOSTS = ["*"]
    return live_server


def test_stripe_is_registered_by_the_api_and_tells_of_everything(sandbox, server) -> None:
    sync = stripe_sync()
    hook = webhooks.set_up(sync.credential, by=None)
    assert (hook.is_registered, hook.error) == (True, "")
    assert hook.secrets["secret"].startswith("whsec_")
    ids = [sandbox.control("POST", "records/stripe/customers", {"name": f"n{n}"})["id"] for n in range(5)]
    sandbox.control("PATCH", f"records/stripe/customers/{ids[0]}", {"name": "Ada"})
    sandbox.control("DELETE", f"records/stripe/customers/{ids[1]}")
    product = sandbox.control("POST", "records/stripe/products", {"name": "Cup"})["id"]

    def is_told() -> bool:
        hook.refresh_from_db()
        return hook.received >= 8

    wait_until(is_told)
    read(sync)
    assert log_state(sync, "stripe:customer") == upstream_state(sandbox, "customers")
    assert set(log_state(sync, "stripe:product")) == {product}
    assert set(RecordChange.objects.values_list("seen_by", flat=True)) == {SeenBy.WEBHOOK}
    webhooks.remove(hook, by=None)
    assert sandbox.control("GET", "webhooks/stripe")["hooks"] == []


def test_stripe_sent_twice_late_or_never_ends_equal_to_the_sandbox(sandbox, server) -> None:
    sync = stripe_sync()
    hook = webhooks.set_up(sync.credential, by=None)
    for kind, share in (("webhook_drop", 0.2), ("webhook_duplicate", 0.3), ("webhook_out_of_order", 0.3)):
        sandbox.control("POST", "faults", {"provider": "stripe", "kind": kind, "share": share})
    ids = [sandbox.control("POST", "records/stripe/customers", {"name": f"n{n}"})["id"] for n in range(12)]
    for number, key in enumerate(ids):
        sandbox.control("PATCH", f"records/stripe/customers/{key}", {"name": f"again {number}"})
        if number % 4 == 0:
            sandbox.control("DELETE", f"records/stripe/customers/{key}")
            read(sync)
    sent = lambda: sandbox.control("GET", "webhooks/stripe")["sent"]  # noqa: E731
    wait_until(lambda: len({item["event"] for item in sent()}) >= 2 and len(sent()) >= 27)
    read(sync)
    Feed.objects.update(looked_at=timezone.now() - timedelta(days=1))
    read(sync)  # the look finds what was dropped
    assert log_state(sync, "stripe:customer") == upstream_state(sandbox, "customers")
    hook.refresh_from_db()
    assert hook.received > 0


def test_a_stripe_key_that_may_not_register_leads_to_steps(sandbox, server) -> None:
    rights = ["customers", "products", "events"]
    key = sandbox.control("POST", "keys", {"provider": "stripe", "permissions": rights})["secret"]
    sync = stripe_sync(key)
    hook = webhooks.set_up(sync.credential, by=None)
    assert not hook.is_registered
    assert "webhook" in (hook.error + hook.next_step).lower()
    made = sandbox.control(
        "POST", "webhooks", {"provider": "stripe", "url": webhooks.url_of(hook), "secret": "whsec_x"}
    )
    sandbox.control("POST", "records/stripe/customers", {"name": "unsigned yet"})

    def is_refused() -> bool:
        hook.refresh_from_db()
        return hook.refused > 0

    wait_until(is_refused)
    webhooks.keep_secret(hook, made["secret"], by=None)

    def is_told() -> bool:
        hook.refresh_from_db()
        return hook.received > 0

    wait_until(is_told)  # the sandbox tries again, as upstream does
    read(sync)
    assert log_state(sync, "stripe:customer") == upstream_state(sandbox, "customers")
    assert hmac.compare_digest(Credential.objects.get().webhook.secrets["secret"], "whsec_x")
