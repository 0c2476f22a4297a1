"""The pages of connections, syncs and records, as a browser meets them. Upstream is the provider in memory."""

import json
import re
from collections.abc import Callable, Iterator
from html import escape
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sequin_console.common.models import AuditEvent
from syncs import connections, custom, log, oauth, oauth_apps
from syncs.models import (
    Credential,
    CustomProvider,
    Feed,
    OAuthApp,
    PendingConnection,
    Record,
    RecordChange,
    Sync,
    SyncCollection,
)
from syncs.providers.kit.auth import TokenGrant
from syncs.providers.kit.catalogue import Account
from syncs.providers.kit.errors import CredentialsRefused, PermissionMissing
from syncs.providers.kit.webhooks import Webhook
from syncs.states import CredentialState, Phase, SyncState
from syncs.urls import urlpatterns
from tests.fake_provider import FakeReader, Upstream, collection

pytestmark = pytest.mark.django_db
BrowserOf = Callable[..., Client]
HTMX = {"HX-Request": "true"}
NAMES = [pattern.name for pattern in urlpatterns]
DESCRIBED = {
    "key": "acme",
    "label": "Acme",
    "base_url": "http://127.0.0.1:1",
    "auth": {"type": "bearer"},
    "collections": [{"id": "things", "title": "Things", "path": "/things"}],
}
PUBLIC = {"oauth_callback", "oauth_start", "oauth_sites", "hook"}
SEEN_BY_ALL = {"connections", "connection", "webhook", "change_events", "list", "detail", "records", "record"}
FOR_ADMINS = {"oauth_app_create", "oauth_app_edit", "oauth_app_delete"} | {
    name for name in NAMES if name.startswith("custom_provider")
}
WAY = Webhook(verify=lambda *_: False, told=lambda _: [], steps=("Open it.", "Paste it."), tells="All.")
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(autouse=True)
def upstream() -> Iterator[Upstream]:
    kinds = (
        collection("thing"),
        collection("other"),
        collection("mine", custom=True),
        collection("seldom", shown=False),
    )
    world = Upstream(collections=kinds, way=WAY)
    with world.registered():
        yield world


@pytest.fixture
def sync(upstream: Upstream) -> Sync:
    return upstream.sync("thing", "other")


@pytest.fixture
def app(db: None) -> OAuthApp:
    return OAuthApp.objects.create(
        provider="salesforce", name="Our app", client_id="id-1", secrets={"client_secret": "s3cret-app"}, host="sandbox"
    )


def row_of(sync: Sync, name: str = "thing") -> SyncCollection:
    return sync.collections.get(collection_id=f"fake:{name}")


def make_record(sync: Sync, upstream_id: str, name: str = "thing", **content: object) -> Record:
    now = timezone.now()
    seq = log.advance_head(sync.pk, 1)
    return Record.objects.create(
        sync=sync,
        collection=row_of(sync, name),
        upstream_id=upstream_id,
        seq=seq,
        data=json.dumps({"id": upstream_id, **content}, separators=(",", ":")),
        digest=b"",
        operation="create",
        read_no=seq,
        first_seen_at=now,
        changed_at=now,
    )


def copy_of(sync: Sync, number: int) -> Sync:
    """One more sync with a connection, a feed and a collection of its own; nobody asked upstream."""
    fields = {"kind": "fake_key", "secrets": {"secret": "k"}}
    credential = Credential.objects.create(provider="fake", name=f"No. {number}", **fields)
    other = Sync.objects.create(name=f"No. {number}", provider="fake", credential=credential)
    feed = Feed.objects.create(sync=other, key="fake:thing", looked_at=timezone.now())
    row = row_of(sync)
    SyncCollection.objects.create(sync=other, feed=feed, collection_id=row.collection_id, title="Thing", spec=row.spec)
    return other


def described() -> CustomProvider:
    """An API that an admin described."""
    known = CustomProvider.objects.filter(key="custom-acme").first()
    return known or custom.create(custom.parse(DESCRIBED), by=None)


def path_of(name: str, sync: Sync, app: OAuthApp) -> str:
    """Any page's address, over what the fixtures made."""
    row = row_of(sync)
    values = {
        "provider_key": "salesforce",
        "token": "no-such-token",
        "path": "no-such-path",
        "credential_id": sync.credential_id,
        "collection_id": "fake:thing",
        "upstream_id": "thing-1",
        "sync_id": sync.pk,
        "row": row.pk,
        "pk": sync.pk,
    }
    of_connections = ("connection_", "oauth_again", "collection_fields", "webhook", "change_events")
    if name.startswith(of_connections) or name == "connection":
        values["pk"] = sync.credential_id
    if name.startswith("custom_provider"):
        values["pk"] = described().pk
    if name.startswith("oauth_app_"):
        values["pk"] = app.pk
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    return reverse(f"syncs:{name}", kwargs={key: values[key] for key in pattern.pattern.converters})


def changes_made() -> int:
    return AuditEvent.objects.exclude(action__startswith="user.").count()  # signing in is noted too


def text_of(answer) -> str:
    return answer.content.decode()


# --- Who may see what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", NAMES)
def test_every_address_asks_who_is_there(name, method, sync, app, vera, ada, stan, browser_of: BrowserOf) -> None:
    """Stan is sent to sign in, Vera refused what changes or asks upstream, Ada what is an admin's."""
    make_record(sync, "thing-1")
    path, before = path_of(name, sync, app), changes_made()
    answer = getattr(browser_of(stan), method)(path)
    if name in PUBLIC:
        assert answer.status_code in (400, 404, 405)
    else:
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/sign-in/")
    for person, allowed in ((vera, SEEN_BY_ALL), (ada, set(NAMES) - FOR_ADMINS)):
        for headers in ({}, HTMX):
            if name not in allowed | PUBLIC:
                answer = getattr(browser_of(person), method)(path, headers=headers)
                assert answer.status_code in (403, 405), (person, headers)
    assert changes_made() == before


@pytest.mark.parametrize("name", sorted(set(NAMES) - PUBLIC))
def test_every_page_opens_for_an_admin(name, sync, app, root, browser_of: BrowserOf) -> None:
    make_record(sync, "thing-1")
    for headers in ({}, HTMX):
        answer = browser_of(root).get(path_of(name, sync, app), headers=headers)
        assert answer.status_code in (200, 302, 405)
        if answer.status_code == 200:
            assert ("<!doctype html>" in text_of(answer)) == (not headers) or name in WHOLE_PAGES


WHOLE_PAGES = {"connect", "create", "connection_delete", "oauth_app_delete"} | {
    "custom_providers",
    "custom_provider_delete",
    "custom_provider_export",
}  # links lead there; htmx never asks


@pytest.mark.parametrize("name", sorted(SEEN_BY_ALL))
def test_viewer_is_not_shown_what_she_may_not_press(name, sync, app, vera, browser_of: BrowserOf) -> None:
    make_record(sync, "thing-1")
    row = row_of(sync)
    SyncCollection.objects.filter(pk=row.pk).update(held_deletes=7, phase=Phase.LIVE)
    Credential.objects.update(state=CredentialState.RECONNECT)
    page = text_of(browser_of(vera).get(path_of(name, sync, app)))
    forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page)
    assert set(forms) <= {"/accounts/sign-out/"}
    for other in set(NAMES) - SEEN_BY_ALL - PUBLIC:
        assert f'"{path_of(other, sync, app)}"' not in page, other


# --- Lists cost the same however long ----------------------------------------------------------------------------


def queries_of(browser: Client, path: str) -> int:
    browser.get(path)  # the session is read and written once
    with CaptureQueriesContext(database) as queries:
        assert browser.get(path).status_code == 200
    return len(queries)


@pytest.mark.parametrize("name", ["list", "connections", "create"])
def test_lists_take_the_same_queries_for_one_row_and_for_fifty(name, upstream, root, browser_of: BrowserOf) -> None:
    first = upstream.sync("thing")
    browser, path = browser_of(root), reverse(f"syncs:{name}")
    one = queries_of(browser, path)
    for number in range(49):
        copy_of(first, number)
    assert queries_of(browser, path) == one


def test_records_take_the_same_queries_for_one_row_and_for_fifty(sync, vera, browser_of: BrowserOf) -> None:
    browser, path = browser_of(vera), reverse("syncs:records")
    make_record(sync, "thing-0")
    one = queries_of(browser, path)
    for number in range(1, 50):
        make_record(sync, f"thing-{number}", "other" if number % 2 else "thing")
    assert queries_of(browser, path) == one


def test_sync_page_takes_the_same_queries_for_one_collection_and_for_four(upstream, ada, browser_of: BrowserOf) -> None:
    browser = browser_of(ada)
    counts = {queries_of(browser, upstream.sync(*names).get_absolute_url()) for names in (("thing",), ())}
    assert len(counts) == 1


# --- Fragments -------------------------------------------------------------------------------------------------


def test_a_pace_that_uses_up_the_quota_says_so(sync, ada, browser_of: BrowserOf) -> None:
    words, page = "uses up the requests granted", sync.get_absolute_url()
    told = {"used": 5, "allowed": 300, "name": "day", "period_s": 86_400, "resets_in_s": None, "price": 1}
    Credential.objects.update(quotas=[{**told, "at": timezone.now().isoformat()}])
    assert words in text_of(browser_of(ada).get(page))
    Credential.objects.update(quotas=[{**told, "allowed": 1_000_000, "at": timezone.now().isoformat()}])
    assert words not in text_of(browser_of(ada).get(page))


@pytest.mark.parametrize(
    ("name", "root_id"),
    [
        ("connections", "connections"),
        ("connection", "connection-state"),
        ("webhook", "webhook-state"),
        ("change_events", "change-events"),
        ("list", "sync-rows"),
        ("detail", "sync-state"),
        ("records", "record-rows"),
        ("record", "record"),
        ("create_pick", "sync-form"),
        ("edit", "sync-form"),
        ("collection", "collection-form"),
        ("pick_fields", "fields-form"),
        ("delete", "delete-form"),
        ("connect_provider", "connect-form"),
        ("connection_reconnect", "reconnect-form"),
    ],
)
def test_fragment_has_one_root_and_the_page_includes_it(name, root_id, sync, app, root, browser_of: BrowserOf) -> None:
    make_record(sync, "thing-1")
    browser, path = browser_of(root), path_of(name, sync, app)
    page, fragment = browser.get(path), browser.get(path, headers=HTMX)
    assert f'id="{root_id}"' in re.findall(r"<\w+[^>]*>", text_of(fragment))[0]
    assert f'id="{root_id}"' in text_of(page)
    for answer in (page, fragment):
        assert "HX-Request" in answer["Vary"]


# --- Connections -----------------------------------------------------------------------------------------------


def test_pasted_key_is_checked_and_never_shown_again(ada, browser_of: BrowserOf) -> None:
    path = reverse("syncs:connect_provider", args=["fake"])
    answer = browser_of(ada).post(path, {"name": "Mine", "secret": "key-123456"})
    credential = Credential.objects.get()
    assert (credential.name, credential.account_name) == ("Mine", "Fake Inc.")
    assert answer["Location"] == reverse("syncs:connection", args=[credential.pk])
    for page in ("connections", "connection", "connection_reconnect"):
        args = [] if page == "connections" else [credential.pk]
        assert "key-123456" not in text_of(browser_of(ada).get(reverse(f"syncs:{page}", args=args)))


def test_refused_key_is_said_at_its_field_and_not_sent_back(ada, browser_of: BrowserOf, monkeypatch) -> None:
    async def refuse(self: FakeReader) -> Account:
        raise CredentialsRefused("The provider refused the key.", next_step="Create a new key and paste it in.")

    monkeypatch.setattr(FakeReader, "check", refuse)
    path = reverse("syncs:connect_provider", args=["fake"])
    for headers in ({}, HTMX):
        answer = browser_of(ada).post(path, {"name": "", "secret": "key-123456"}, headers=headers)
        assert answer.status_code == 422
        said = ["The provider refused the key.", "Create a new key and paste it in."]
        assert answer.context["form"].errors == {"secret": said}
        assert "key-123456" not in text_of(answer)
    assert not Credential.objects.exists()


def test_missing_key_is_said_at_its_field(ada, browser_of: BrowserOf) -> None:
    answer = browser_of(ada).post(reverse("syncs:connect_provider", args=["fake"]), {"name": "Mine"})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["secret"]


def test_connecting_for_a_sync_goes_on_to_its_collections(ada, browser_of: BrowserOf) -> None:
    path = reverse("syncs:connect_provider", args=["fake"]) + "?for=sync"
    answer = browser_of(ada).post(path, {"secret": "key-123456"})
    assert answer["Location"] == reverse("syncs:create_pick", args=[Credential.objects.get().pk])


def test_unknown_provider_is_not_found(ada, browser_of: BrowserOf) -> None:
    assert browser_of(ada).get(reverse("syncs:connect_provider", args=["nowhere"])).status_code == 404


def test_test_connection_shows_each_result(sync, ada, browser_of: BrowserOf, upstream) -> None:
    def refuse(walk: str, collection_id: str) -> None:
        if collection_id == "fake:thing":
            raise PermissionMissing("Things may not be read.", next_step="Allow it.")

    upstream.before_page = refuse
    answer = browser_of(ada).post(reverse("syncs:connection_test", args=[sync.credential_id]), headers=HTMX)
    assert {result.label: result.ok for result in answer.context["results"]} == {
        "Sign in": True,
        "Read Thing": False,
        "Read Other": True,
    }
    assert "Connected to Fake Inc." in text_of(answer)
    assert "Things may not be read." in text_of(answer)
    assert "Allow it." in text_of(answer)


def test_new_key_reconnects(sync, ada, browser_of: BrowserOf) -> None:
    Credential.objects.update(state=CredentialState.RECONNECT, error="Refused.", account_id="acct-1")
    path = reverse("syncs:connection_reconnect", args=[sync.credential_id])
    assert browser_of(ada).post(path, {"secret": "key-2"}).status_code == 303
    credential = Credential.objects.get()
    assert (credential.state, credential.error, credential.secrets["secret"]) == (CredentialState.OK, "", "key-2")


def test_key_of_another_account_is_refused(sync, ada, browser_of: BrowserOf) -> None:
    Credential.objects.update(account_id="acct-9")
    path = reverse("syncs:connection_reconnect", args=[sync.credential_id])
    answer = browser_of(ada).post(path, {"secret": "key-2"})
    assert answer.status_code == 422
    assert "another account" in answer.context["form"].errors["secret"][0]


def test_connection_is_renamed_and_an_empty_name_is_refused(sync, ada, browser_of: BrowserOf) -> None:
    path = reverse("syncs:connection_rename", args=[sync.credential_id])
    assert browser_of(ada).post(path, {"name": ""}, headers=HTMX).status_code == 422
    assert browser_of(ada).post(path, {"name": "Renamed"}).status_code == 303
    assert Credential.objects.get().name == "Renamed"


def test_connection_in_use_is_kept_and_says_why(sync, ada, browser_of: BrowserOf) -> None:
    path = reverse("syncs:connection_delete", args=[sync.credential_id])
    assert sync.name in text_of(browser_of(ada).get(path))
    assert browser_of(ada).post(path).status_code == 409
    Sync.objects.all().delete()
    assert browser_of(ada).post(path)["Location"] == reverse("syncs:connections")
    assert not Credential.objects.exists()


def test_fields_open_as_a_dialog(sync, ada, browser_of: BrowserOf) -> None:
    path = reverse("syncs:collection_fields", args=[sync.credential_id, "fake:thing"])
    assert "<dialog" in text_of(browser_of(ada).get(path, headers=HTMX))
    assert "<h1" in text_of(browser_of(ada).get(path))


# --- OAuth apps and the redirect ----------------------------------------------------------------------------------


def test_oauth_app_is_made_and_its_secret_never_comes_back(root, browser_of: BrowserOf) -> None:
    browser, path = browser_of(root), reverse("syncs:oauth_app_create", args=["salesforce"])
    assert oauth_apps.redirect_uri("salesforce") in text_of(browser.get(path))
    wanted = {"name": "Our app", "client_id": "id-1", "client_secret": "s3cret-app", "host": "my_domain"}
    answer = browser.post(path, wanted | {"login_url": "https://evil.example"})
    assert answer.status_code == 422
    assert "login_url" in answer.context["form"].errors
    assert "s3cret-app" not in text_of(answer)
    browser.post(path, wanted | {"login_url": "acme.my.salesforce.com"})
    app = OAuthApp.objects.get()
    assert (app.host, app.login_url) == ("my_domain", "https://acme.my.salesforce.com")
    edit = reverse("syncs:oauth_app_edit", args=[app.pk])
    assert "s3cret-app" not in text_of(browser.get(edit))
    browser.post(edit, wanted | {"client_secret": "", "host": "sandbox", "client_id": "id-2"})
    app.refresh_from_db()
    assert (app.client_id, app.host, app.secrets["client_secret"]) == ("id-2", "sandbox", "s3cret-app")


def test_without_an_oauth_app_the_page_says_what_is_missing(ada, root, browser_of: BrowserOf) -> None:
    path = reverse("syncs:connect_provider", args=["salesforce"])
    assert "Ask an admin" in text_of(browser_of(ada).get(path))
    assert reverse("syncs:oauth_app_create", args=["salesforce"]) in text_of(browser_of(root).get(path))


def test_redirect_leaves_by_htmx_or_by_a_page_of_ours(app, ada, browser_of: BrowserOf) -> None:
    """No form may post to a redirect to another site: `form-action 'self'` would stop it."""
    path, browser = reverse("syncs:oauth_begin", args=["salesforce"]), browser_of(ada)
    answer = browser.post(path, {"app": app.pk}, headers=HTMX)
    assert (answer.status_code, answer["HX-Redirect"].split("?")[0]) == (
        204,
        "https://test.salesforce.com/services/oauth2/authorize",
    )
    answer = browser.post(path, {"app": app.pk})
    assert answer.status_code == 200
    assert 'href="https://test.salesforce.com/services/oauth2/authorize?' in text_of(answer)


@pytest.fixture
def granted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def grant(*_args: object) -> TokenGrant:
        return TokenGrant(access_token="at-1", refresh_token="rt-1", api_url="https://acme.example", account_id="00D1")

    monkeypatch.setattr("syncs.access.request_grant", grant)
    monkeypatch.setattr(connections, "check", lambda credential: Account("00D1", "Acme"))


def state_of(answer) -> str:
    return re.search(r"[?&]state=([^&]+)", answer["HX-Redirect"])[1]


@pytest.mark.parametrize(("query", "page"), [("", "connection"), ("?for=sync", "create_pick")])
def test_person_comes_back_connected(query, page, app, ada, browser_of: BrowserOf, granted) -> None:
    browser = browser_of(ada)
    begun = browser.post(
        reverse("syncs:oauth_begin", args=["salesforce"]) + query, {"app": app.pk, "name": "Acme"}, headers=HTMX
    )
    callback = reverse("syncs:oauth_callback", args=["salesforce"])
    answer = browser.get(callback, {"state": state_of(begun), "code": "c-1"})
    credential = Credential.objects.get()
    assert answer["Location"] == reverse(f"syncs:{page}", args=[credential.pk])
    assert (credential.name, credential.secrets["refresh_token"]) == ("Acme", "rt-1")
    assert browser.get(callback, {"state": state_of(begun), "code": "c-1"}).status_code == 400


def test_redirect_begun_in_another_browser_is_refused(app, ada, root, browser_of: BrowserOf, granted) -> None:
    begun = browser_of(ada).post(reverse("syncs:oauth_begin", args=["salesforce"]), {"app": app.pk}, headers=HTMX)
    callback = reverse("syncs:oauth_callback", args=["salesforce"])
    assert browser_of(root).get(callback, {"state": state_of(begun), "code": "c-1"}).status_code == 400
    assert not Credential.objects.exists()


def test_refusal_at_the_provider_is_said_in_words(app, ada, browser_of: BrowserOf) -> None:
    browser = browser_of(ada)
    begun = browser.post(reverse("syncs:oauth_begin", args=["salesforce"]), {"app": app.pk}, headers=HTMX)
    answer = browser.get(
        reverse("syncs:oauth_callback", args=["salesforce"]),
        {"state": state_of(begun), "error": "access_denied", "error_description": HOSTILE},
    )
    assert answer.status_code == 400
    assert "choose Allow" in text_of(answer)
    assert HOSTILE not in text_of(answer)


def test_link_of_the_api_hands_the_connection_to_its_caller(app, stan, ada, browser_of: BrowserOf, granted) -> None:
    caller = {"return_url": "https://caller.example/back?a=1", "return_state": "s&1"}
    link = oauth.start_link(app, "salesforce_oauth2", by=ada, **caller)
    browser = browser_of(stan)
    begun = browser.get(reverse("syncs:oauth_start", args=[link.rstrip("/").rpartition("/")[2]]))
    state = re.search(r"[?&]state=([^&]+)", begun["Location"])[1]
    answer = browser.get(reverse("syncs:oauth_callback", args=["salesforce"]), {"state": state, "code": "c-1"})
    assert re.fullmatch(r"https://caller\.example/back\?a=1&code=[\w-]+&state=s%261", answer["Location"])
    assert PendingConnection.objects.filter(code_hash__gt="").count() == 1


# --- The wizard ------------------------------------------------------------------------------------------------


def test_wizard_leads_to_a_running_sync_without_javascript(upstream, ada, browser_of: BrowserOf) -> None:
    credential = upstream.sync("thing").credential
    Sync.objects.all().delete()
    browser, pick = browser_of(ada), reverse("syncs:create_pick", args=[credential.pk])
    assert pick in text_of(browser.get(reverse("syncs:create")))
    page = text_of(browser.get(pick))
    offered = re.findall(r'name="collection_ids" value="([^"]+)"', page)
    assert offered == ["fake:thing", "fake:other", "fake:mine", "fake:seldom"]
    assert "Custom" in page
    step = browser.post(pick, {"collection_ids": ["fake:thing", "fake:mine"]})
    assert step.context["picked"] == [("fake:thing", "Thing"), ("fake:mine", "Mine")]
    start = reverse("syncs:create_start", args=[credential.pk])
    answer = browser.post(start, {"collection_ids": ["fake:thing", "fake:mine"], "name": "Sales", "poll_s": "30"})
    sync = Sync.objects.get()
    assert answer["Location"] == sync.get_absolute_url()
    assert (sync.name, sync.poll_s, sync.collections.count()) == ("Sales", 30, 2)


def test_picking_nothing_is_refused(sync, ada, browser_of: BrowserOf) -> None:
    answer = browser_of(ada).post(reverse("syncs:create_pick", args=[sync.credential_id]), headers=HTMX)
    assert answer.status_code == 422
    assert "Pick at least one collection." in text_of(answer)


def test_going_back_keeps_the_picks(sync, ada, browser_of: BrowserOf) -> None:
    path = reverse("syncs:create_pick", args=[sync.credential_id])
    page = text_of(browser_of(ada).post(path, {"collection_ids": ["fake:seldom"], "again": "1"}))
    assert re.findall(r'value="([^"]+)" checked', page) == ["fake:seldom"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"name": ""}, "name"), ({"poll_s": "7"}, "poll_s"), ({"collection_ids": ["fake:gone"]}, "__all__")],
)
def test_errors_of_the_last_step_stand_at_their_fields(changed, field, sync, ada, browser_of: BrowserOf) -> None:
    wanted = {"name": "Sales", "poll_s": "60", "collection_ids": ["fake:thing"]} | changed
    answer = browser_of(ada).post(reverse("syncs:create_start", args=[sync.credential_id]), wanted, headers=HTMX)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert Sync.objects.count() == 1


def test_sizes_come_later_and_only_for_what_is_shown(upstream, sync, ada, browser_of: BrowserOf) -> None:
    upstream.fill(5)
    path, browser = reverse("syncs:create_sizes", args=[sync.credential_id]), browser_of(ada)
    page = text_of(browser.get(path, headers=HTMX))
    assert 'id="size-fake-thing" hx-swap-oob="true">5 records' in page
    assert "size-fake-seldom" not in page
    total = text_of(browser.post(path, {"collection_ids": ["fake:thing", "fake:other"]}, headers=HTMX))
    assert "About 5 records" in total


def test_provider_that_does_not_answer_is_said_on_the_page(sync, ada, browser_of: BrowserOf, monkeypatch) -> None:
    async def refuse(self: FakeReader) -> None:
        raise CredentialsRefused("The provider refused the key.", next_step="Reconnect.")

    monkeypatch.setattr(FakeReader, "discover", refuse)
    connections.cache.clear()
    for name, args in (("create_pick", [sync.credential_id]), ("edit", [sync.pk])):
        answer = browser_of(ada).get(reverse(f"syncs:{name}", args=args))
        assert answer.status_code == 200
        assert "The provider refused the key." in text_of(answer)
    wanted = {"name": "New", "poll_s": "60", "removal": "leave"}
    saved = browser_of(ada).post(reverse("syncs:edit", args=[sync.pk]), wanted)
    assert saved.status_code == 303
    sync.refresh_from_db()
    assert (sync.name, sync.collections.exclude(phase=Phase.REMOVING).count()) == ("New", 2)


# --- One sync --------------------------------------------------------------------------------------------------


def test_sync_is_paused_and_resumed_in_place(sync, ada, browser_of: BrowserOf) -> None:
    browser = browser_of(ada)
    answer = browser.post(reverse("syncs:pause", args=[sync.pk]), headers=HTMX)
    assert 'data-state="paused"' in text_of(answer)
    assert json.loads(answer["HX-Trigger"]) == {"toast": {"text": "Sync paused.", "level": "success"}}
    assert browser.post(reverse("syncs:resume", args=[sync.pk]))["Location"] == sync.get_absolute_url()
    sync.refresh_from_db()
    assert sync.state == SyncState.ACTIVE


def test_looking_now_at_a_paused_sync_is_refused_in_words(sync, ada, browser_of: BrowserOf) -> None:
    Sync.objects.update(state=SyncState.PAUSED)
    answer = browser_of(ada).post(reverse("syncs:look", args=[sync.pk]), headers=HTMX)
    assert answer.status_code == 422
    assert "Resume it first." in json.loads(answer["HX-Trigger"])["toast"]["text"]


@pytest.mark.parametrize(
    ("posted", "again"),
    [({"collection_id": "fake:thing"}, {"fake:thing"}), ({}, {"fake:thing", "fake:other"})],
)
def test_collections_are_read_again_one_or_all(posted, again, sync, ada, browser_of: BrowserOf) -> None:
    sync.collections.update(phase=Phase.LIVE)
    browser_of(ada).post(reverse("syncs:read_again", args=[sync.pk]), posted)
    waiting = sync.collections.filter(phase=Phase.WAITING).values_list("collection_id", flat=True)
    assert set(waiting) == again


@pytest.mark.parametrize("decision", ["release", "drop"])
def test_held_deletes_are_asked_about_and_decided(decision, sync, ada, browser_of: BrowserOf) -> None:
    row, browser = row_of(sync), browser_of(ada)
    SyncCollection.objects.filter(pk=row.pk).update(held_deletes=71, phase=Phase.LIVE)
    page = text_of(browser.get(sync.get_absolute_url()))
    assert "71 records can no longer be found at the provider." in page
    path = reverse("syncs:decide_deletes", args=[sync.pk, row.pk])
    assert path in page
    assert browser.post(path, {"decision": "perhaps"}, headers=HTMX).status_code == 422
    assert browser.post(path, {"decision": decision}, headers=HTMX).status_code == 200
    row.refresh_from_db()
    assert row.held_decision == decision


def test_trouble_is_shown_with_its_next_step(sync, vera, browser_of: BrowserOf) -> None:
    sync.collections.filter(collection_id="fake:thing").update(
        phase=Phase.ERROR, error=f"May not read {HOSTILE}.", next_step="Allow it.", failed_at=timezone.now()
    )
    page = text_of(browser_of(vera).get(sync.get_absolute_url()))
    assert escape(f"May not read {HOSTILE}.") in page
    assert "Allow it." in page
    assert HOSTILE not in page


def test_edit_changes_name_interval_and_picks(sync, ada, browser_of: BrowserOf) -> None:
    wanted = {
        "name": "Renamed",
        "poll_s": "300",
        "has_picker": "1",
        "collection_ids": ["fake:thing", "fake:mine"],
        "removal": "tombstones",
    }
    answer = browser_of(ada).post(reverse("syncs:edit", args=[sync.pk]), wanted)
    assert answer["Location"] == sync.get_absolute_url()
    sync.refresh_from_db()
    assert (sync.name, sync.poll_s) == ("Renamed", 300)
    gone = sync.collections.get(phase=Phase.REMOVING)
    assert (gone.collection_id, gone.removal) == ("fake:other", "tombstones")
    assert sync.collections.filter(collection_id="fake:mine").exists()


def test_edit_without_any_collection_is_refused(sync, ada, browser_of: BrowserOf) -> None:
    wanted = {"name": "S", "poll_s": "60", "has_picker": "1", "removal": "leave"}
    answer = browser_of(ada).post(reverse("syncs:edit", args=[sync.pk]), wanted, headers=HTMX)
    assert answer.status_code == 422
    assert "A sync needs a collection." in text_of(answer)


@pytest.mark.parametrize("removal", ["leave", "tombstones", "purge"])
def test_delete_asks_what_becomes_of_the_messages(removal, sync, ada, browser_of: BrowserOf) -> None:
    path, browser = reverse("syncs:delete", args=[sync.pk]), browser_of(ada)
    assert text_of(browser.get(path)).count('name="removal"') == 3
    assert browser.post(path, {"removal": "whatever"}, headers=HTMX).status_code == 422
    assert browser.post(path, {"removal": removal})["Location"] == reverse("syncs:list")
    sync.refresh_from_db()
    assert (sync.state, sync.removal) == (SyncState.REMOVING, removal)
    page = text_of(browser.get(sync.get_absolute_url()))
    assert "being removed" in page
    assert reverse("syncs:edit", args=[sync.pk]) not in page


# --- Records ---------------------------------------------------------------------------------------------------


def test_hostile_text_is_escaped_in_list_and_page(sync, vera, browser_of: BrowserOf) -> None:
    record = make_record(sync, HOSTILE, name_of_it=HOSTILE)
    previous = json.dumps({HOSTILE: 1})
    RecordChange.objects.create(
        record=record, seq=record.seq, kind="update", seen_by="feed", at=timezone.now(), previous=previous
    )
    for path in (reverse("syncs:records"), reverse("syncs:record", args=[sync.pk, "fake:thing", HOSTILE])):
        page = text_of(browser_of(vera).get(path))
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    "upstream_id", ["a/b", "a//b/", "x y+z%2F?#&", "Ünï çödé 漢字", "q\"uote'", "two\nlines", "{}", "é" * 300]
)
def test_record_of_any_id_has_a_page(upstream_id, sync, vera, browser_of: BrowserOf) -> None:
    make_record(sync, upstream_id)
    browser = browser_of(vera)
    path = reverse("syncs:record", args=[sync.pk, "fake:thing", upstream_id])
    assert escape(path) in text_of(browser.get(reverse("syncs:records"))).replace("&#39;", "&#x27;")
    answer = browser.get(path)
    assert answer.context["record"].upstream_id == upstream_id
    assert str(log.public_id(sync.pk, "fake:thing", upstream_id)) in text_of(answer)


def test_what_changed_last_is_marked(sync, vera, browser_of: BrowserOf) -> None:
    record = make_record(sync, "thing-1", stage="won", amount=12345678901234567890123)
    RecordChange.objects.create(
        record=record,
        seq=record.seq,
        kind="update",
        seen_by="feed",
        at=timezone.now(),
        previous='{"id":"thing-1","stage":"open","amount":12345678901234567890123,"old":1.10}',
    )
    answer = browser_of(vera).get(reverse("syncs:record", args=[sync.pk, "fake:thing", "thing-1"]))
    assert answer.context["changed_keys"] == ["stage", "old"]
    page = text_of(answer)
    assert page.count("json-changed") == 1
    assert "12345678901234567890123" in page
    assert "1.10" in page


def test_records_are_found_by_sync_collection_id_text_and_deletion(upstream, sync, vera, browser_of: BrowserOf) -> None:
    make_record(sync, "thing-1", city="Oslo")
    make_record(sync, "other-1", "other", city="Rome")
    Record.objects.filter(upstream_id="other-1").update(deleted=True)
    make_record(upstream.sync("thing"), "thing-9")
    browser = browser_of(vera)

    def found(**query: str) -> set[str]:
        return {line.record.upstream_id for line in browser.get(reverse("syncs:records"), query).context["lines"]}

    assert found() == {"thing-1", "other-1", "thing-9"}
    assert found(sync=str(sync.pk)) == {"thing-1", "other-1"}
    assert found(collection="fake:other") == {"other-1"}
    assert found(q="Oslo") == {"thing-1"}
    assert found(q="thing-9") == {"thing-9"}
    assert found(deleted="yes") == {"other-1"}
    assert found(deleted="no", sync=str(sync.pk)) == {"thing-1"}
    assert found(sync="nonsense", before="x") == {"thing-1", "other-1", "thing-9"}


@pytest.mark.parametrize("in_one_sync", [True, False])
def test_records_are_paged_without_gaps(in_one_sync, sync, vera, browser_of: BrowserOf) -> None:
    for number in range(120):
        make_record(sync, f"thing-{number}")
    browser, query, seen = browser_of(vera), {"sync": str(sync.pk)} if in_one_sync else {}, []
    while True:
        answer = browser.get(reverse("syncs:records"), query)
        seen += [line.record.upstream_id for line in answer.context["lines"]]
        if answer.context["older"] is None:
            break
        assert f"before={answer.context['older']}" in text_of(answer)
        query["before"] = str(answer.context["older"])
    assert seen == [f"thing-{number}" for number in reversed(range(120))]


@pytest.mark.parametrize("in_one_sync", [True, False])
def test_text_is_looked_for_in_the_newest_records_first_and_further_back_on_demand(
    in_one_sync, sync, vera, browser_of: BrowserOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncs.browsing.SEARCHED", 10)
    for number in range(25):
        make_record(sync, f"thing-{number:02}", note="needle" if number == 3 else "hay")
    browser, steps = browser_of(vera), 0
    query = {"q": "needle", **({"sync": str(sync.pk)} if in_one_sync else {})}
    answer = browser.get(reverse("syncs:records"), query)
    assert "Nothing matches in the newest 10 records" in text_of(answer)
    while not answer.context["lines"]:
        assert "Look further back" in text_of(answer)
        query["before"], steps = str(answer.context["older"]), steps + 1
        answer = browser.get(reverse("syncs:records"), query)
    assert [line.record.upstream_id for line in answer.context["lines"]] == ["thing-03"]
    assert (steps, answer.context["older"]) == (2, None)


def test_records_are_found_by_the_beginning_of_their_id_however_old(
    sync, vera, browser_of: BrowserOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncs.browsing.SEARCHED", 10)
    make_record(sync, "thing_%", note="wild cards mean themselves")
    for number in range(25):
        make_record(sync, f"thing-{number:02}")
        make_record(sync, f"other-{number:02}", "other", seen="thing-00" if number == 24 else "")
    browser = browser_of(vera)

    def found(text: str, **query: str) -> list[str]:
        answer = browser.get(reverse("syncs:records"), {"q": text, **query})
        assert "Looked through the newest 10 records. Ids that begin so are found among all." in text_of(answer)
        return [line.record.upstream_id for line in answer.context["lines"]]

    assert found("thing-0") == [*(f"thing-{number:02}" for number in range(10)), "other-24"]
    assert found("thing-0", sync=str(sync.pk)) == found("thing-0")
    assert found("thing-0", collection="fake:other") == ["other-24"]
    assert found("thing_") == ["thing_%"]
    assert found("thing-01", deleted="no") == ["thing-01"]


def test_record_that_is_not_there_is_not_found(sync, vera, browser_of: BrowserOf) -> None:
    path = f"/records/{sync.pk}/{quote('fake:thing')}/nobody/"
    assert browser_of(vera).get(path).status_code == 404


# --- First steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "next_page"), [("connections", "connect"), ("list", "create"), ("records", "create")])
def test_empty_pages_tell_the_next_step(name, next_page, ada, vera, browser_of: BrowserOf) -> None:
    path, step = reverse(f"syncs:{name}"), f'href="{reverse(f"syncs:{next_page}")}"'
    assert step in text_of(browser_of(ada).get(path))
    page = text_of(browser_of(vera).get(path))
    assert step not in page
    assert "An operator or admin can" in page


# --- Described APIs ----------------------------------------------------------------------------------------------


def typed(**changed: str) -> dict[str, str]:
    """A filled-in form of one list."""
    filled = {"label": "Acme", "key": "acme", "base_url": "http://127.0.0.1:1", "auth": "header",
              "header_name": "X-Key", "key_prefix": "Token ", "per_s": "5", "client_auth": "body",
              "count": "1", "c0-title": "Things",
              "c0-id": "things", "c0-path": "/things", "c0-params": "sort=changed\nkind=all",
              "c0-list_at": "data.items",
              "c0-id_at": "id", "c0-updated_at": "changed", "c0-paging": "offset", "c0-offset_param": "skip",
              "c0-total": "count", "c0-size": "50", "c0-size_param": "limit", "c0-since": "unix_s",
              "c0-since_param": "since", "c0-overlap_s": "30", "c0-whole_every_s": "600", "c0-page_first": "1",
              "c0-record_path": "/things/{id}", "c0-sweep_every_h": "24"}  # fmt: skip
    return filled | changed


def test_what_is_typed_is_stored_and_comes_back_into_the_form(root, browser_of: BrowserOf) -> None:
    browser = browser_of(root)
    answer = browser.post(reverse("syncs:custom_provider_create"), typed())
    assert (answer.status_code, answer["Location"]) == (303, reverse("syncs:custom_providers"))
    row = CustomProvider.objects.get()
    made = row.definition
    assert made["auth"] == {"type": "header", "name": "X-Key", "prefix": "Token "}
    assert made["collections"][0]["params"] == {"sort": "changed", "kind": "all"}
    assert made["collections"][0]["paging"] == {"type": "offset", "param": "skip", "total": "count"}
    assert made["collections"][0]["incremental"] == {"param": "since", "format": "unix_s", "overlap_s": 30}
    path = reverse("syncs:custom_provider_edit", args=[row.pk])
    page = browser.get(path)
    again = {form.add_prefix(name): form[name].value() for form in (page.context["form"], *page.context["collections"])
             for name in form.fields}  # fmt: skip
    assert browser.post(path, {k: v for k, v in again.items() if v is not None} | {"count": "1"}).status_code == 303
    row.refresh_from_db()
    assert (row.definition, row.version) == (made, 2)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"base_url": "http://crm.example.com"}, ("form", "base_url")),
        ({"c0-path": "things"}, ("collections", "path")),
        ({"c0-offset_param": "a b"}, ("collections", "offset_param")),
        ({"c0-since_param": ""}, ("collections", "since_param")),
        ({"c0-record_path": ""}, ("collections", "__all__")),
        ({"auth": "query", "query_name": ""}, None),
        ({"label": ""}, ("form", "label")),
    ],
)
def test_mistakes_stand_at_their_fields(root, browser_of: BrowserOf, changed, place) -> None:
    for headers in ({}, HTMX):
        answer = browser_of(root).post(reverse("syncs:custom_provider_create"), typed(**changed), headers=headers)
        if place is None:  # a field left empty takes what is usual
            assert answer.status_code in (303, 204)
            CustomProvider.objects.all().delete()
            continue
        assert answer.status_code == 422
        form = answer.context["form"] if place[0] == "form" else answer.context["collections"][0]
        assert list(form.errors) == [place[1]]
        assert not CustomProvider.objects.exists()


def test_lists_are_added_and_taken_away_and_what_was_typed_stays(root, browser_of: BrowserOf) -> None:
    browser, path = browser_of(root), reverse("syncs:custom_provider_create")
    more = browser.post(path, typed(add="1"), headers=HTMX)
    assert [form["title"].value() for form in more.context["collections"]] == ["Things", None]
    assert "is-invalid" not in text_of(more)
    less = browser.post(path, typed(count="2", remove="0", **{"c1-title": "Others"}), headers=HTMX)
    assert [form["title"].value() for form in less.context["collections"]] == ["Others"]
    assert less.context["form"]["base_url"].value() == "http://127.0.0.1:1"


def test_trial_of_a_form_with_mistakes_says_them_and_no_secret_comes_back(root, browser_of: BrowserOf) -> None:
    browser, path = browser_of(root), reverse("syncs:custom_provider_try")
    wrong = browser.post(path, typed(base_url="http://crm.example.com", **{"trial-secret": "key-123456"}), headers=HTMX)
    assert wrong.status_code == 422
    assert "Base URL" in text_of(wrong)
    closed = browser.post(path, typed(**{"trial-secret": "key-123456"}), headers=HTMX)
    assert closed.status_code == 200
    assert "did not answer" in text_of(closed)
    none = browser.post(path, typed(), headers=HTMX)
    assert none.status_code == 422
    assert not any("key-123456" in text_of(each) for each in (wrong, closed, none))


def test_file_of_one_is_imported_as_another(root, browser_of: BrowserOf) -> None:
    browser, path = browser_of(root), reverse("syncs:custom_provider_import")
    file = browser.get(reverse("syncs:custom_provider_export", args=[described().pk]))
    assert file["Content-Disposition"] == 'attachment; filename="custom-acme.json"'
    copy = json.dumps(json.loads(file.content) | {"key": "acme-2", "label": HOSTILE})
    assert browser.post(path, {"file": SimpleUploadedFile("a.json", copy.encode())}).status_code == 303
    assert set(CustomProvider.objects.values_list("key", flat=True)) == {"custom-acme", "custom-acme-2"}
    for name in ("custom_providers", "connect", "connections"):
        assert HOSTILE not in text_of(browser.get(reverse(f"syncs:{name}")))
    for bad in (b"[]", b"{", b'{"key":1}', copy.encode()):
        assert browser.post(path, {"file": SimpleUploadedFile("a.json", bad)}).status_code in (409, 422)
    assert browser.post(path).status_code == 422
