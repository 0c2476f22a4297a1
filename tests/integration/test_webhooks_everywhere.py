"""Webhooks of all five providers over HTTP: registered at the sandbox, sent by it, proven, followed, taken back.

What the receiver does with hints is in test_webhooks.py; here each provider's own way of signing and naming is used.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import Client
from django.utils import timezone

from sandbox.github import hooks as github_hooks
from sandbox.hubspot import events as hubspot_events
from sandbox.jira import hooks as jira_hooks
from sandbox.kit.webhooks import Hook
from sandbox.process import RunningSandbox, running
from sandbox.stripe import webhooks as stripe_hooks
from sandbox.zendesk import hooks as zendesk_hooks
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem
from syncs import connections, disconnecting, oauth, oauth_apps, tasks, webhooks
from syncs.models import Credential, Feed, Hint, Record, RecordChange, SeenBy, Sync, Webhook
from syncs.services import create_sync
from syncs.views.hooks import hook as hook_view
from tests.integration.provider_adapters import ADAPTERS
from tests.integration.provider_adapters.adapter import Adapter

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
IN_TIME_S = 60
KEYS = ["stripe", "github", "jira", "zendesk", "hubspot"]
REGISTERED = [key for key in KEYS if key != "hubspot"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("hooks")) as started:
        yield started


@pytest.fixture
def sandbox(shared: RunningSandbox, live_server: Any, settings: Any) -> Iterator[RunningSandbox]:
    settings.PROVIDER_URLS = json.dumps({key: shared.side(key) for key in KEYS})
    settings.PUBLIC_URL = live_server.url
    settings.ALLOWED_HOSTS = ["*"]
    shared.control("POST", "settings", {"clock_skew_s": 0.0})
    yield shared
    wait_until(lambda: not under_way(shared), "nothing is sent to a test that is over")


def connect(sandbox: RunningSandbox, adapter: Adapter) -> Credential:
    """By a pasted key; to Jira by an OAuth app's grant, which alone may register."""
    if adapter.key != "jira":
        return connections.create_credential(adapter.connecting(sandbox), by=None)
    return connect_by_grant(sandbox, adapter)


def connect_by_grant(sandbox: RunningSandbox, adapter: Adapter, **asked: Any) -> Credential:
    made = sandbox.control("POST", "apps", {})
    named = {"provider": adapter.key, "name": "Ours", "properties": dict(adapter.app_properties), **made}
    app = oauth_apps.create(named, by=None)
    grant = sandbox.control("POST", "grants", {"provider": adapter.key, "client_id": app.client_id, **asked})
    secrets, typed = adapter.imports(grant)
    data = {"provider": adapter.key, "kind": adapter.oauth_kind, "oauth_app": app, "name": "Imported"}
    return connections.create_credential({**data, "secrets": secrets, "settings": typed}, by=None)


def begin(sandbox: RunningSandbox, key: str) -> tuple[Adapter, Sync, list[str]]:
    """Four records read, and a sync that does not look again by itself for an hour."""
    adapter = ADAPTERS[key]
    ids = adapter.prepare(sandbox, 4)
    credential = connect(sandbox, adapter)
    asked = {"name": key, "credential": credential, "collection_ids": [adapter.collection], "poll_s": 3600}
    sync = create_sync(asked, by=None)
    for _ in range(2):
        read(sync)
    assert set(sync.collections.values_list("phase", flat=True)) == {"live"}
    assert logged(sync, adapter) == adapter.current(sandbox)
    return adapter, sync, ids


def read(sync: Sync) -> None:
    Feed.objects.filter(sync=sync).update(queued_until=None)
    tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))


def logged(sync: Sync, adapter: Adapter) -> dict[str, int]:
    rows = Record.objects.filter(sync=sync, deleted=False)
    return {key: adapter.version_of(data) for key, data in rows.values_list("upstream_id", "data")}


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + IN_TIME_S
    while not holds():
        assert time.monotonic() < deadline, f"it does not come to hold: {what}"
        time.sleep(0.05)


def sent(sandbox: RunningSandbox, key: str) -> list[dict[str, Any]]:
    return sandbox.control("GET", f"webhooks/{key}")["sent"]


def hooks_of(sandbox: RunningSandbox, key: str) -> list[dict[str, Any]]:
    return sandbox.control("GET", f"webhooks/{key}")["hooks"]


def under_way(sandbox: RunningSandbox) -> int:
    return sandbox.control("GET", "webhooks/stripe")["under_way"]


def set_up(sandbox: RunningSandbox, sync: Sync) -> Webhook:
    """Registered where the API lets us; for HubSpot by hand, as the steps say."""
    row = webhooks.set_up(sync.credential, by=None)
    key = sync.credential.provider
    if key == "hubspot":
        assert not webhooks.may_register(sync.credential)
        asked = {"provider": key, "url": webhooks.url_of(row), "secret": "the-apps-client-secret"}
        sandbox.control("POST", "webhooks", asked)
        webhooks.keep_secret(row, asked["secret"], by=None)
    else:
        assert (row.is_registered, row.error) == (True, ""), row.error
    return row


# --- The whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_changes_arrive_by_webhook_alone_and_the_registration_is_taken_back(sandbox, key) -> None:
    adapter, sync, ids = begin(sandbox, key)
    row = set_up(sandbox, sync)
    looked_at = list(sync.feeds.values_list("looked_at", flat=True))
    adapter.change(sandbox, ids[0], 11)
    adapter.delete(sandbox, ids[1])
    made = adapter.create(sandbox, 12)
    adapter.change(sandbox, made, 13)
    wanted = adapter.current(sandbox)

    def has_followed() -> bool:
        read(sync)
        return logged(sync, adapter) == wanted

    wait_until(lambda: not under_way(sandbox), "all is sent")
    wait_until(has_followed, f"the log equals {wanted}; sent were {sent(sandbox, key)}")
    assert Record.objects.get(sync=sync, upstream_id=ids[1]).deleted
    assert list(sync.feeds.values_list("looked_at", flat=True)) == looked_at  # no look brought it
    assert set(RecordChange.objects.values_list("seen_by", flat=True)) == {SeenBy.WEBHOOK}
    assert {item["outcome"] for item in sent(sandbox, key)} == {"204"}
    row.refresh_from_db()
    assert (row.refused, row.received > 0) == (0, True)
    assert not Hint.objects.exists()

    webhooks.remove(row, by=None)
    assert key == "hubspot" or hooks_of(sandbox, key) == []


@pytest.mark.parametrize("key", REGISTERED)
def test_registering_again_finds_what_is_there_and_moves_it_to_a_new_address(sandbox, key, settings) -> None:
    adapter = ADAPTERS[key]
    adapter.prepare(sandbox)
    row = webhooks.set_up(connect(sandbox, adapter), by=None)
    assert row.is_registered, row.error
    before, secret = hooks_of(sandbox, key), row.secrets.get("secret")
    Webhook.objects.update(tend_at=timezone.now())
    tasks.tend_webhooks(webhooks.to_tend())
    assert [hook["id"] for hook in hooks_of(sandbox, key)] == [hook["id"] for hook in before]

    if webhooks.way_of(row.credential).secret is not None:  # upstream's own, which the lost answer would have told
        row.secrets = Secrets({"path": row.secrets["path"]})
        row.save()
    Webhook.objects.update(upstream={})  # as when the answer to the first registration was lost
    row.refresh_from_db()
    assert webhooks.register(row)
    assert [hook["id"] for hook in hooks_of(sandbox, key)] == [hook["id"] for hook in before]
    assert row.secrets.get("secret") == secret

    settings.PUBLIC_URL = settings.PUBLIC_URL.replace("localhost", "127.0.0.1") + "/console"
    assert webhooks.register(row)
    moved = hooks_of(sandbox, key)
    assert {hook["url"] for hook in moved} == {webhooks.url_of(row)}
    assert len(moved) == len(before)
    row.refresh_from_db()
    assert key != "zendesk" or row.secrets["secret"] == moved[0]["secret"]
    webhooks.remove(row, by=None)
    assert hooks_of(sandbox, key) == []


@pytest.mark.parametrize("key", REGISTERED)
def test_a_hook_taken_away_upstream_is_made_again(sandbox, key) -> None:
    adapter = ADAPTERS[key]
    adapter.prepare(sandbox)
    row = webhooks.set_up(connect(sandbox, adapter), by=None)
    assert hooks_of(sandbox, key)
    adapter.prepare(sandbox)  # everything upstream is as new; so are its apps and grants, but pasted keys go on
    if key == "jira":
        Webhook.objects.all().delete()
        row = webhooks.set_up(connect(sandbox, adapter), by=None)
        sandbox.control("POST", "settings", {"clock_skew_s": 31 * 86_400.0})  # Jira has ended it
    webhooks.tend([row.pk])
    row.refresh_from_db()
    assert (row.is_registered, row.error) == (True, "")
    assert [hook for hook in hooks_of(sandbox, key) if hook["url"] == webhooks.url_of(row)]


def test_jiras_are_renewed_before_their_thirty_days_are_over(sandbox) -> None:
    adapter, sync, ids = begin(sandbox, "jira")
    row = set_up(sandbox, sync)
    assert timedelta(days=29) < row.expires_at - timezone.now() < timedelta(days=31)
    assert row.tend_at < row.expires_at - timedelta(days=7)
    [before] = hooks_of(sandbox, "jira")
    sandbox.control("POST", "settings", {"clock_skew_s": 25 * 86_400.0})
    Webhook.objects.update(tend_at=timezone.now())
    tasks.tend_webhooks(webhooks.to_tend())
    row.refresh_from_db()
    assert row.error == ""
    assert row.expires_at > timezone.now() + timedelta(days=54)  # thirty more, by Jira's clock
    [after] = hooks_of(sandbox, "jira")
    assert after["id"] == before["id"]
    assert after["more"]["ends_ms"] > before["more"]["ends_ms"] + 24 * 86_400_000
    sandbox.control("POST", "settings", {"clock_skew_s": 0.0})
    adapter.change(sandbox, ids[0], 21)
    wait_until(lambda: Hint.objects.exists(), "the renewed webhook tells")


def test_deleting_a_connection_takes_its_registration_back(sandbox) -> None:
    _, sync, _ = begin(sandbox, "github")
    set_up(sandbox, sync)
    credential = sync.credential
    with pytest.raises(Problem, match="still use"):
        disconnecting.delete_credential(credential, by=None)
    assert hooks_of(sandbox, "github")
    Sync.objects.all().delete()
    disconnecting.delete_credential(credential, by=None)
    assert hooks_of(sandbox, "github") == []
    assert not Credential.objects.exists()


# --- Refusals --------------------------------------------------------------------------------------------------------


def test_github_without_the_right_to_webhooks_leads_to_steps(sandbox) -> None:
    ADAPTERS["github"].prepare(sandbox)
    scopes = ["metadata", "issues"]
    key = sandbox.control("POST", "keys", {"provider": "github", "scopes": scopes})["secret"]
    asked = {**ADAPTERS["github"].connecting(sandbox), "secrets": {"secret": key}}
    row = webhooks.set_up(connections.create_credential(asked, by=None), by=None)
    assert not row.is_registered
    assert row.error == "GitHub did not let us add webhooks."
    assert hooks_of(sandbox, "github") == []


def test_githubs_own_words_for_a_webhook_it_does_not_make_are_shown(sandbox, settings) -> None:
    ADAPTERS["github"].prepare(sandbox)
    settings.PUBLIC_URL = "https://console.example"  # the sandbox sends to this machine alone
    row = webhooks.set_up(connect(sandbox, ADAPTERS["github"]), by=None)
    assert not row.is_registered
    assert row.error.startswith("GitHub did not let us add webhooks: url is not supported")


def test_github_stopping_in_the_middle_keeps_what_was_made(sandbox) -> None:
    adapter = ADAPTERS["github"]
    adapter.prepare(sandbox)
    sandbox.control("POST", "faults", {"provider": "github", "kind": "server_error", "path": "sandbox-roastery/hooks"})
    sandbox.control("POST", "records/github/repositories?count=4", {})
    row = webhooks.set_up(connect(sandbox, adapter), by=None)
    assert row.is_registered
    assert "Not all webhooks could be added yet" in row.lacking
    assert {hook["more"]["place"] for hook in hooks_of(sandbox, "github")} == {"orgs/sandbox-coffee"}
    sandbox.control("DELETE", "faults")
    assert webhooks.register(row)
    assert row.lacking == ""
    assert {hook["more"]["place"] for hook in hooks_of(sandbox, "github")} == {
        "orgs/sandbox-coffee", "orgs/sandbox-roastery"}  # fmt: skip


def test_jira_without_the_scope_is_asked_for_it_at_the_next_sign_in(sandbox) -> None:
    adapter = ADAPTERS["jira"]
    adapter.prepare(sandbox)
    scopes = ["read:jira-work", "read:jira-user", "offline_access"]
    credential = connect_by_grant(sandbox, adapter, scopes=scopes)

    def asked() -> list[str]:
        fresh = Credential.objects.select_related("oauth_app").get(pk=credential.pk)
        url = oauth.begin(fresh.oauth_app, fresh.kind, by=None, session_key="s", credential=fresh)
        return parse_qs(urlsplit(url).query)["scope"][0].split()

    assert "manage:jira-webhook" not in asked()
    row = webhooks.set_up(credential, by=None)
    assert not row.is_registered
    assert "Reconnect" in row.next_step
    assert "manage:jira-webhook" in asked()
    Webhook.objects.update(last_event_at=timezone.now())  # a webhook of an admin does it: nothing more is asked for
    assert "manage:jira-webhook" not in asked()


def test_an_app_of_jira_has_one_address_and_another_connection_is_told_so(sandbox) -> None:
    adapter = ADAPTERS["jira"]
    adapter.prepare(sandbox)
    first = webhooks.set_up(connect(sandbox, adapter), by=None)
    assert first.is_registered
    Webhook.objects.all().delete()  # so it is another console's, of the same app
    second = webhooks.set_up(Credential.objects.select_related("oauth_app").get(), by=None)
    assert not second.is_registered
    assert "Only a single URL per app" in second.error
    assert len(hooks_of(sandbox, "jira")) == 1


def test_who_signed_in_to_zendesk_for_reading_is_shown_the_steps(sandbox) -> None:
    ADAPTERS["zendesk"].prepare(sandbox)
    credential = connect_by_grant(sandbox, ADAPTERS["zendesk"], scopes=["read"])
    row = webhooks.set_up(credential, by=None)
    assert (webhooks.may_register(credential), row.is_registered, row.error) == (False, False, "")
    assert hooks_of(sandbox, "zendesk") == []


# --- Guards, for each provider by its own rules ----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """How one provider's deliveries are made, by the sandbox's own signing.

    body     (record's id) -> an event that names it
    sign     (hook, body, time in ms) -> the headers that prove it
    headers  others that belong to it
    is_timed the signature says when it was made
    """

    body: Callable[[str], Any]
    sign: Callable[[Hook, bytes, int], Mapping[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_timed: bool = True


APP = SimpleNamespace(sandbox=SimpleNamespace(apps=SimpleNamespace(secret=lambda client: client)))
CASES = {
    "stripe": Case(
        lambda record: {"id": "evt_1", "object": "event", "type": "customer.updated", "created": 1,
                        "data": {"object": {"id": record, "object": "customer"}}},
        stripe_hooks.sign,
    ),
    "github": Case(
        lambda record: {"action": "edited", "repository": {"id": int(record.partition("/")[0])},
                        "issue": {"number": int(record.partition("/")[2])}},
        lambda hook, body, now_ms: github_hooks.sign(hook, body),
        {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}, is_timed=False,
    ),
    "jira": Case(  # an app's: of an admin's, which GitHub's way signs, the unit tests tell
        lambda record: {"webhookEvent": "jira:issue_updated", "issue": {"id": record}},
        lambda hook, body, now_ms: jira_hooks.sign(APP, hook, body, now_ms),
    ),
    "zendesk": Case(
        lambda record: {"type": "zen:event-type:ticket.status_changed", "detail": {"id": record}, "event": {}},
        zendesk_hooks.sign,
    ),
    "hubspot": Case(
        lambda record: [{"subscriptionType": "contact.propertyChange", "portalId": 4242424, "objectId": int(record)}],
        hubspot_events.sign,
    ),
}  # fmt: skip
MS = 1_000


@dataclass
class Sender:
    """Sends deliveries to a webhook's address, as its provider would or as somebody else might."""

    case: Case
    row: Webhook
    secret: str

    def send(self, record: str, *, secret: str = "", ago_s: float = 0, more: bytes = b"", after: bytes = b"",
             url: str = "") -> int:  # fmt: skip
        """The answer's status. `more` is added before signing, `after` behind the signature's back."""
        url = url or webhooks.url_of(self.row)
        body = json.dumps(self.case.body(record)).encode() + more
        hook = Hook(1, url, secret or self.secret, more={"client": secret or self.secret, "place": "repos/1"})
        headers = {**self.case.headers, **self.case.sign(hook, body, int((time.time() - ago_s) * MS))}
        path = "/" + url.partition("://")[2].partition("/")[2]
        client = Client(enforce_csrf_checks=True)
        return client.post(path, body + after, content_type="application/json", headers=headers).status_code


@pytest.fixture(params=KEYS)
def sender(request: Any, sandbox: RunningSandbox) -> tuple[Sender, Sync, list[str]]:
    """A webhook that is told of by the test alone: what the sandbox would send by itself is dropped."""
    key = request.param
    _, sync, ids = begin(sandbox, key)
    sandbox.control("POST", "faults", {"provider": key, "kind": "webhook_drop"})
    row = webhooks.set_up(sync.credential, by=None)
    secret = row.secrets.get("secret", "")
    if key == "jira":
        secret = sync.credential.oauth_app.secrets["client_secret"]
    elif key == "hubspot":
        secret = "the-apps-client-secret"
        webhooks.keep_secret(row, secret, by=None)
    return Sender(CASES[key], row, secret), sync, ids


def test_what_is_not_proven_is_harmless_and_what_is_proven_is_taken(sender, queued) -> None:
    """Wrong secret, changed after signing, replayed outside the window, too long, to an unknown address."""
    ours, sync, ids = sender
    adapter, row, before = ADAPTERS[sync.credential.provider], ours.row, Record.objects.count()
    queued.clear()
    long = b" " * webhooks.MOST_BYTES
    outside, ahead = 301.0, -240.0
    unknown = webhooks.url_of(row).rpartition("/hooks/")[0] + f"/hooks/{adapter.key}/{hashlib.sha256().hexdigest()}/"
    signs_body = adapter.key != "jira"  # the JWT of an app's webhook says nothing of the body; hints are all it gives
    stale = 400 if ours.case.is_timed else 204  # GitHub signs no time: an old one has us read once more
    stale_s = outside + (180 if adapter.key == "jira" else 0)  # a JWT is good until it ends
    table = [
        ("another's secret", {"secret": "b" * 64}, 400),
        *([("changed after signing", {"after": b" "}, 400)] if signs_body else []),
        ("too long", {"more": long}, 413),
        ("unknown address", {"url": unknown}, 404),
    ]
    refused = 0
    for what, how, status in table:
        assert ours.send(ids[0], **how) == status, what
        refused += status == 400
        row.refresh_from_db()
        assert (row.refused, row.received, row.last_event_at) == (refused, 0, None), what
    assert not Hint.objects.exists()
    assert queued == []
    assert Record.objects.count() == before

    assert ours.send(ids[0], ago_s=stale_s) == stale
    row.refresh_from_db()
    assert row.received == (0 if ours.case.is_timed else 1)
    assert Hint.objects.exists() is not ours.case.is_timed
    for ago_s in (0, 240.0, ahead):
        assert ours.send(ids[0], ago_s=ago_s) == 204, ago_s
    row.refresh_from_db()
    assert row.refused == 0
    assert set(Hint.objects.exclude(upstream_id="").values_list("upstream_id", flat=True)) == {ids[0]}
    assert {call[0] for call in queued} == {"syncs.tasks.read_feeds"}


def test_duplicates_disorder_and_lost_events_end_equal_to_the_provider(sandbox, sender) -> None:
    """The event of one change comes twice, of another after its successor, of a third never: a look finds that."""
    ours, sync, ids = sender
    adapter = ADAPTERS[sync.credential.provider]
    for number, key in enumerate(ids):
        adapter.change(sandbox, key, 100 + number)
    adapter.change(sandbox, ids[0], 200)
    adapter.delete(sandbox, ids[2])
    for record in (ids[2], ids[0], ids[1], ids[0], ids[2], ids[0]):  # of ids[3] nobody tells
        assert ours.send(record) == 204
    read(sync)
    wanted = adapter.current(sandbox)
    found = logged(sync, adapter)
    assert {key: found.get(key) for key in ids[:3]} == {key: wanted.get(key) for key in ids[:3]}
    assert found[ids[3]] != wanted[ids[3]]  # what was lost is not known yet
    assert not Hint.objects.exclude(upstream_id="").exists()
    Feed.objects.update(looked_at=timezone.now() - timedelta(days=1))
    read(sync)
    assert logged(sync, adapter) == wanted


def test_a_body_of_untold_length_is_read_no_further_than_we_take() -> None:
    """A sender need not say how long its body is: what is behind the limit is never in memory."""

    class Endless(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0, "asked for all there is"
            self.taken += size
            return b"x" * size

    row = Webhook.objects.create(
        credential=Credential.objects.create(provider="stripe", kind="stripe_key", name="Shop"),
        path_hash=webhooks.digest("path"), secrets={"path": "path", "secret": "whsec_1"},
    )  # fmt: skip
    body = Endless()
    request = ASGIRequest({"type": "http", "method": "POST", "path": "/hooks/stripe/path/", "headers": []}, body)
    assert hook_view(request, "stripe", "path").status_code == 413
    assert body.taken <= webhooks.MOST_BYTES + 1
    row.refresh_from_db()
    assert (row.refused, row.received) == (0, 0)
