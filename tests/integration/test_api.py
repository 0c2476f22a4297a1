"""Every route of /v1 by every role, what answers hold and what they never hold. Upstream is the provider in memory."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.api import api as mounted
from sequin_console.common.models import AuditEvent
from syncs import budget, custom, log, oauth, oauth_apps, webhooks
from syncs.models import NO_SYNC, Credential, OAuthApp, PendingConnection, Record, Sync, SyncCollection
from syncs.providers.kit.catalogue import Account, SetupField
from syncs.providers.kit.errors import CredentialsRefused
from syncs.providers.kit.webhooks import Webhook
from syncs.states import CredentialState, Phase, SyncState
from tests.api_client import ApiClient, error_of
from tests.fake_provider import FakeReader, Upstream, collection, make_log

pytestmark = pytest.mark.django_db
MARKER = "M4RK3R-of-a-secret"
NOWHERE = "127.0.0.1"
CLOSED_PORT = 1
ROLES = (None, "viewer", "operator", "admin")
RANK = {None: 0, "viewer": 1, "operator": 2, "admin": 3}


@pytest.fixture(autouse=True)
def upstream() -> Iterator[Upstream]:
    cache.clear()
    signed = SetupField("secret", "Signing secret", secret=True)
    way = Webhook(verify=lambda *_: False, told=lambda _: [], steps=("Open it.", "Paste it."), secret=signed)
    world = Upstream(collections=(collection("thing"), collection("other"), collection("mine", custom=True)), way=way)
    with world.registered():
        yield world


@pytest.fixture
def api() -> ApiClient:
    return ApiClient("admin")


@pytest.fixture
def app() -> OAuthApp:
    return OAuthApp.objects.create(
        provider="salesforce", name="Our app", client_id="id-1", secrets={"client_secret": MARKER}, host="production"
    )


@pytest.fixture
def sync(upstream: Upstream) -> Sync:
    made = upstream.sync("thing", "other")
    Credential.objects.filter(pk=made.credential_id).update(account_id="acct-1", account_name="Fake Inc.")
    return made


@pytest.fixture
def consumer(sync: Sync) -> NatsConsumer:
    made = NatsConsumer.objects.create(
        name="All of it",
        hosts=[f"{NOWHERE}:{CLOSED_PORT}"],
        port=CLOSED_PORT,
        secrets={"user": MARKER, "password": MARKER, "token": MARKER, "client_key_pem": MARKER},
    )
    ConsumerCursor.objects.create(consumer=made, sync=sync)
    return made


def make_record(sync: Sync, upstream_id: str, data: str = '{"a":1}', name: str = "thing", **fields: Any) -> Record:
    now, seq = timezone.now(), log.advance_head(sync.pk, 1)
    return Record.objects.create(
        sync=sync,
        collection=sync.collections.get(collection_id=f"fake:{name}"),
        upstream_id=upstream_id,
        seq=seq,
        data=data,
        digest=b"",
        operation="create",
        read_no=seq,
        first_seen_at=now,
        **{"changed_at": now, **fields},
    )


def new_sync(**fields: Any) -> dict[str, Any]:
    return {
        "provider": "fake",
        "name": "Things",
        "collection_ids": ["fake:thing"],
        "credential": {"properties": {"kind": "fake_key", "secret": MARKER, "name": "Key"}},
        **fields,
    }


NATS = {"host": NOWHERE, "port": CLOSED_PORT}
DESCRIBED = {
    "key": "acme",
    "label": "Acme",
    "base_url": f"http://{NOWHERE}:{CLOSED_PORT}",
    "auth": {"type": "bearer"},
    "collections": [{"id": "things", "title": "Things", "path": "/things"}],
}
TRIED = {"definition": DESCRIBED, "collection": "things", "secrets": {"secret": MARKER}}
# Every operation: method, path, body, and the least role. `{…}` are filled in by `address`.
ROUTES: list[tuple[str, str, Any, str | None]] = [
    ("POST", "syncs", new_sync(), "operator"),
    ("POST", "syncs/estimate", {"credential_id": "{credential_id}", "collection_ids": ["fake:thing"]}, "operator"),
    ("GET", "syncs", None, "viewer"),
    ("GET", "syncs/{sync_id}", None, "viewer"),
    ("PATCH", "syncs/{sync_id}", {"name": "New"}, "operator"),
    ("DELETE", "syncs/{sync_id}", None, "operator"),
    ("POST", "syncs/{sync_id}/pause", None, "operator"),
    ("POST", "syncs/{sync_id}/resume", None, "operator"),
    ("POST", "syncs/{sync_id}/resync", None, "operator"),
    ("POST", "syncs/{sync_id}/look-now", None, "operator"),
    ("POST", "syncs/{sync_id}/collections/{collection_id}/deletes", {"decision": "release"}, "operator"),
    ("PATCH", "syncs/{sync_id}/collections/{collection_id}", {"sweep_every_h": 24}, "operator"),
    ("GET", "syncs/{sync_id}/schema-changes", None, "viewer"),
    ("POST", "syncs/{sync_id}/collections/{collection_id}/accept-schema", None, "operator"),
    ("POST", "nats_consumers", {"name": "C", "nats": NATS}, "operator"),
    ("GET", "nats_consumers", None, "viewer"),
    ("GET", "nats_consumers/{consumer_id}", None, "viewer"),
    ("PATCH", "nats_consumers/{consumer_id}", {"name": "New"}, "operator"),
    ("DELETE", "nats_consumers/{consumer_id}", None, "operator"),
    ("POST", "nats_consumers/{consumer_id}/pause", None, "operator"),
    ("POST", "nats_consumers/{consumer_id}/resume", None, "operator"),
    ("POST", "nats_consumers/{consumer_id}/replay", None, "operator"),
    ("POST", "nats_consumers/{consumer_id}/preflight", None, "operator"),
    ("POST", "nats_consumers/{consumer_id}/create-stream", None, "operator"),
    ("POST", "nats_consumers/{consumer_id}/allow-atomic", None, "operator"),
    ("POST", "credentials", {"properties": {"kind": "fake_key", "secret": MARKER}}, "operator"),
    ("GET", "credentials", None, "viewer"),
    ("GET", "credentials/{credential_id}", None, "viewer"),
    ("PATCH", "credentials/{credential_id}", {"name": "New"}, "operator"),
    ("DELETE", "credentials/{credential_id}", None, "operator"),
    ("POST", "credentials/{credential_id}/test", None, "operator"),
    ("POST", "credentials/start-auth", {"oauth_app_id": "{app_id}", "credential_kind": "salesforce_oauth2",
                                        "redirect_url": "https://app.example.com/back"}, "operator"),
    ("POST", "webhooks/{credential_id}", None, "operator"),
    ("GET", "webhooks/{credential_id}", None, "viewer"),
    ("PATCH", "webhooks/{credential_id}", {"secret": MARKER}, "operator"),
    ("DELETE", "webhooks/{credential_id}", None, "operator"),
    ("POST", "oauth-apps", {"provider": "salesforce", "client_id": "x", "client_secret": MARKER}, "admin"),
    ("GET", "oauth-apps", None, "viewer"),
    ("GET", "oauth-apps/{app_id}", None, "viewer"),
    ("PATCH", "oauth-apps/{app_id}", {"client_secret": MARKER}, "admin"),
    ("DELETE", "oauth-apps/{app_id}", None, "admin"),
    ("POST", "link/oauth2/token", {"code": "x", "client_id": "{app_id}", "client_secret": MARKER}, None),
    ("GET", "providers", None, "viewer"),
    ("POST", "custom-providers", DESCRIBED | {"key": "other"}, "admin"),
    ("GET", "custom-providers", None, "admin"),
    ("POST", "custom-providers/try", TRIED, "admin"),
    ("POST", "custom-providers/import", DESCRIBED, "admin"),
    ("GET", "custom-providers/{custom_provider_id}", None, "admin"),
    ("PUT", "custom-providers/{custom_provider_id}", DESCRIBED, "admin"),
    ("GET", "custom-providers/{custom_provider_id}/export", None, "admin"),
    ("DELETE", "custom-providers/{custom_provider_id}", None, "admin"),
    ("GET", "collections/{credential_id}", None, "viewer"),
    ("GET", "collections/{credential_id}/{collection_id}", None, "viewer"),
    ("GET", "records", None, "viewer"),
    ("GET", "records/{record_id}", None, "viewer"),
    ("GET", "records/{sync_id}/{collection_id}/{upstream_id}", None, "viewer"),
]  # fmt: skip


@pytest.fixture
def ids(sync: Sync, consumer: NatsConsumer, app: OAuthApp) -> dict[str, str]:
    make_record(sync, "a/b c")
    webhooks.set_up(sync.credential, by=None)
    return {
        "sync_id": str(sync.pk),
        "credential_id": str(sync.credential_id),
        "consumer_id": str(consumer.pk),
        "app_id": str(app.pk),
        "custom_provider_id": str(custom.create(custom.parse(DESCRIBED), by=None).pk),
        "collection_id": "fake:thing",
        "upstream_id": "a/b%20c",
        "record_id": str(log.public_id(sync.pk, "fake:thing", "a/b c")),
    }


def filled(body: Any, ids: dict[str, str]) -> Any:
    text = json.dumps(body)
    for name in ("app_id", "credential_id"):
        text = text.replace(f"{{{name}}}", ids[name])
    return json.loads(text)


def test_this_table_names_every_operation() -> None:
    document = mounted.get_openapi_schema(path_prefix="v1/")
    written = {(method, f"/v1/{path}") for method, path, _, _ in ROUTES}
    assert written == {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path", "body", "least"), ROUTES)
def test_every_route_by_every_role(
    method: str, path: str, body: Any, least: str | None, role: str | None, ids: dict[str, str]
) -> None:
    response = ApiClient(role).call(method, path.format(**ids), filled(body, ids))
    if role is None and least is not None:
        error_of(response, 401)
    elif RANK[role] < RANK[least]:
        error_of(response, 403)
    else:
        assert response.status_code not in (401, 403, 404, 405, 500) or path.startswith("link/"), response.content


def test_secrets_are_in_no_answer(api: ApiClient, ids: dict[str, str]) -> None:
    Credential.objects.update(secrets={"secret": MARKER, "access_token": MARKER, "refresh_token": MARKER})
    bodies = [(method, path.format(**ids), filled(body, ids)) for method, path, body, _ in ROUTES]
    wrong = [
        ("POST", "syncs", new_sync(collection_ids=["fake:nothing"])),
        ("POST", "syncs", new_sync(credential={"properties": {"kind": "fake_key", "sercet": MARKER}})),
        ("POST", "credentials", {"properties": {"kind": "nothing", "secret": MARKER}}),
        ("POST", "credentials", {"properties": {"kind": "stripe_key", "secret": MARKER}}),
        ("POST", "credentials", {"properties": {"kind": "fake_key", "secret": {"deep": MARKER}}}),
        ("POST", "nats_consumers", {"name": "C", "nats": {**NATS, "jwt": MARKER, "nkey_seed": MARKER}}),
        ("POST", "nats_consumers", {"name": "C", "nats": {**NATS, "creds": MARKER}}),
        ("POST", "nats_consumers", {"name": "C", "nats": {**NATS, "password": [MARKER]}}),
        ("POST", "nats_consumers", {"name": "C", "nats": {**NATS, "ca": MARKER, "client_key": MARKER}}),
        ("PATCH", f"nats_consumers/{ids['consumer_id']}", {"nats": {"jwt": MARKER}}),
        ("POST", "oauth-apps", {"provider": "salesforce", "client_secret": [MARKER]}),
        ("POST", "link/oauth2/token", {"code": MARKER, "client_id": ids["app_id"], "client_secret": MARKER + "!"}),
    ]
    deletes = [each for each in bodies if each[0] == "DELETE"]
    for method, path, body in [each for each in bodies if each[0] != "DELETE"] + wrong + deletes:
        response = api.call(method, path, body)
        assert MARKER.encode() not in response.content, (method, path)
        assert MARKER not in str(response.headers)
    assert MARKER not in str(list(AuditEvent.objects.values()))


# --- Syncs -----------------------------------------------------------------------------------------------------------


def test_sync_with_its_own_credential(api: ApiClient, upstream: Upstream) -> None:
    response = api.post("syncs", new_sync(external_id="ours-1", metadata={"team": "sales"}, poll_s=7))
    body = response.json()
    assert response.status_code == 201, body
    assert (body["status"], body["provider"], body["poll_s"]) == ("active", "fake", 7)
    assert (body["external_id"], body["metadata"]) == ("ours-1", {"team": "sales"})
    assert body["collection_ids"] == ["fake:thing"]
    assert body["collections"][0]["phase"] == "waiting"
    assert body["health"] == {"status": "healthy", "notes": []}
    assert body["initial_backfill_completed_at"] is None
    assert body["credential"]["properties"] == {"kind": "fake_key", "name": "Key", "secret": "********"}
    assert body["credential_id"] == body["credential"]["id"]
    assert body["created_at"].endswith("Z")
    assert datetime.fromisoformat(body["created_at"]) <= timezone.now()
    assert Credential.objects.get().secrets["secret"] == MARKER
    assert api.get(f"syncs/{body['id']}").json() == body


def test_sync_with_a_credential_there_is(api: ApiClient, sync: Sync) -> None:
    body = {"name": "Second", "collection_ids": ["fake:mine"], "credential_id": str(sync.credential_id)}
    response = api.post("syncs", body)
    assert response.status_code == 201, response.content
    assert response.json()["credential_id"] == str(sync.credential_id)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"collection_ids": ["fake:nothing"]}, "collection_ids"),
        ({"collection_ids": []}, "collection_ids"),
        ({"name": "  "}, "name"),
        ({"provider": "stripe"}, "credential.properties.kind"),
        ({"credential": None}, "credential_id"),
        ({"credential": None, "credential_id": "00000000-0000-4000-8000-000000000000"}, "credential_id"),
        ({"credential": {"properties": {}}}, "credential.properties.kind"),
        ({"credential": {"properties": {"kind": "fake_key"}}}, "credential.properties.secret"),
        ({"credential": {"properties": {"kind": "fake_key", "secret": "********"}}}, "credential.properties.secret"),
        ({"credential": {"properties": {"kind": "fake_key", "secret": ["x"]}}}, "credential.properties.secret"),
        ({"credential": {"properties": {"kind": "fake_key", "sercet": "x"}}}, "credential.properties.sercet"),
        ({"credential": {"properties": {"kind": "fake_key", "secret": "a…b"}}}, "credential.properties.secret"),
        ({"credential": {"properties": {"kind": "fake_key", "host": "y"}}}, "credential.properties.host"),
        ({"credential": {"properties": {"kind": "salesforce_oauth2", "secret": "x"}}, "provider": "salesforce"},
         "credential.oauth_app_id"),
        ({"credential": {"properties": {"kind": "salesforce", "instance_url": "http://evil.example",
          "refresh_token": "x"}}, "provider": ""}, "credential.properties.instance_url"),
        ({"credential": {"properties": {"kind": "stripe_key", "secret_key": "pk_live_x"}}, "provider": "stripe"},
         "credential.properties.secret_key"),
        ({"credential": {"properties": {"kind": "fake_key", "secret": "x"},
                         "oauth_app_id": "00000000-0000-4000-8000-000000000000"}}, "credential.oauth_app_id"),
    ],
)  # fmt: skip
def test_wrong_sync_names_the_field_and_leaves_nothing_behind(
    api: ApiClient, change: dict[str, Any], field: str
) -> None:
    error = error_of(api.post("syncs", new_sync(**change)), 422)
    assert set(error["fields"]) == {field}
    assert not Sync.objects.exists()
    assert not Credential.objects.exists()


def test_refused_secret_is_422_and_leaves_nothing_behind(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_reader: FakeReader) -> Account:
        raise CredentialsRefused("Fake refused the key.")

    monkeypatch.setattr(FakeReader, "check", refuse)
    error = error_of(api.post("syncs", new_sync()), 422)
    assert error["kind"] == "credentials"
    assert error["fields"] == {"credential.properties.secret": ["Fake refused the key."]}
    assert not Credential.objects.exists()


def test_failed_sync_keeps_the_credential_that_was_there(api: ApiClient) -> None:
    first = api.post("credentials", {"properties": {"kind": "fake_key", "secret": "old"}}).json()
    error_of(api.post("syncs", new_sync(collection_ids=["fake:nothing"])), 422)
    assert [str(pk) for pk in Credential.objects.values_list("pk", flat=True)] == [first["id"]]


def test_both_or_no_credential_is_422(api: ApiClient, sync: Sync) -> None:
    error = error_of(api.post("syncs", new_sync(credential_id=str(sync.credential_id))), 422)
    assert set(error["fields"]) == {"credential_id"}


def test_change_of_a_sync(api: ApiClient, sync: Sync) -> None:
    body = {"name": "Renamed", "poll_s": 9, "collection_ids": ["fake:thing", "fake:mine"], "metadata": {"a": [1]}}
    changed = api.patch(f"syncs/{sync.pk}", body).json()
    assert (changed["name"], changed["poll_s"], changed["metadata"]) == ("Renamed", 9, {"a": [1]})
    assert sorted(changed["collection_ids"]) == ["fake:mine", "fake:thing"]
    assert sync.collections.get(collection_id="fake:other").removal == "leave"


@pytest.mark.parametrize("in_body", [True, False])
def test_dropped_collection_says_what_becomes_of_its_messages(api: ApiClient, sync: Sync, in_body: bool) -> None:
    body = {"collection_ids": ["fake:thing"]} | ({"messages": "tombstones"} if in_body else {})
    query = {} if in_body else {"messages": "tombstones"}
    assert api.call("PATCH", f"syncs/{sync.pk}", body, **query).status_code == 200
    row = sync.collections.get(collection_id="fake:other")
    assert (row.phase, row.removal) == (Phase.REMOVING, "tombstones")


@pytest.mark.parametrize(("body", "query", "removal"), [
    (None, {}, "leave"), (None, {"messages": "purge"}, "purge"), ({"messages": "tombstones"}, {}, "tombstones"),
])  # fmt: skip
def test_deleted_sync_is_removing(api: ApiClient, sync: Sync, body: Any, query: dict[str, str], removal: str) -> None:
    response = api.delete(f"syncs/{sync.pk}", body, **query)
    assert (response.status_code, response.json()["status"]) == (202, "removing")
    sync.refresh_from_db()
    assert (sync.state, sync.removal) == (SyncState.REMOVING, removal)
    error_of(api.post(f"syncs/{sync.pk}/pause"), 409)


def test_pause_resume_and_look(api: ApiClient, sync: Sync) -> None:
    assert api.post(f"syncs/{sync.pk}/pause").json()["status"] == "paused"
    assert error_of(api.post(f"syncs/{sync.pk}/look-now"), 409)["kind"] == "conflict"
    assert api.post(f"syncs/{sync.pk}/resume").json()["status"] == "active"
    assert api.post(f"syncs/{sync.pk}/look-now").status_code == 200


def test_resync_of_some_collections(api: ApiClient, sync: Sync) -> None:
    sync.collections.update(phase=Phase.LIVE)
    body = api.post(f"syncs/{sync.pk}/resync", {"collection_ids": ["fake:thing"]}).json()
    assert {each["id"]: each["phase"] for each in body["collections"]} == {
        "fake:thing": "waiting",
        "fake:other": "live",
    }
    error_of(api.post(f"syncs/{sync.pk}/resync", {"collection_ids": ["fake:nothing"]}), 422)


def test_decision_on_held_deletes(api: ApiClient, sync: Sync) -> None:
    sync.collections.filter(collection_id="fake:thing").update(held_deletes=7)
    path = f"syncs/{sync.pk}/collections/fake:thing/deletes"
    assert api.get(f"syncs/{sync.pk}").json()["health"]["status"] == "warn"
    error_of(api.post(path, {"decision": "perhaps"}), 422)
    assert api.post(path, {"decision": "drop"}).status_code == 200
    assert sync.collections.get(collection_id="fake:thing").held_decision == "drop"
    error_of(api.post(path.replace("thing", "other"), {"decision": "drop"}), 409)
    error_of(api.post(path.replace("thing", "nothing"), {"decision": "drop"}), 404)


def test_health_tells_what_is_wrong(api: ApiClient, sync: Sync) -> None:
    Credential.objects.update(state=CredentialState.RECONNECT, error="The key is gone.", failed_at=timezone.now())
    body = api.get(f"syncs/{sync.pk}").json()
    assert body["health"]["status"] == "error"
    assert "The key is gone." in body["health"]["notes"][0]
    assert body["credential"]["status"] == "reconnect"


def test_finished_backfill_is_told(api: ApiClient, sync: Sync) -> None:
    now = timezone.now()
    sync.collections.update(phase=Phase.LIVE, backfilled_at=now)
    told = api.get(f"syncs/{sync.pk}").json()["initial_backfill_completed_at"]
    assert datetime.fromisoformat(told) - now < timedelta(milliseconds=1)


# --- Lists -----------------------------------------------------------------------------------------------------------


def test_pages_bring_everything_once_newest_first(api: ApiClient, sync: Sync) -> None:
    for number in range(6):
        Sync.objects.create(name=f"s{number}", provider="fake", credential=sync.credential)
    Sync.objects.update(created_at=timezone.now())  # the same moment: the id decides
    seen: list[str] = []
    cursor = ""
    while True:
        page = api.get("syncs", limit=3, cursor=cursor).json()
        seen += [each["id"] for each in page["data"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)


def test_filters(api: ApiClient, sync: Sync) -> None:
    Sync.objects.create(
        name="Other", provider="stripe", credential=sync.credential, state=SyncState.PAUSED, external_id="x",
        metadata={"team": "sales", "tags": ["a", "b"]},
    )  # fmt: skip
    for query in ({"provider": "stripe"}, {"name": "Other"}, {"status": "paused"}, {"external_id": "x"},
                  {"metadata": '{"team":"sales"}'}, {"metadata": '{"tags":["b"]}'}):  # fmt: skip
        assert [each["name"] for each in api.get("syncs", **query).json()["data"]] == ["Other"], query
    assert api.get("syncs", metadata='{"team":"support"}').json() == {"data": [], "next": None}


@pytest.mark.parametrize("path", ["syncs", "nats_consumers", "credentials", "oauth-apps", "records"])
def test_lists_take_as_many_queries_for_50_rows_as_for_1(
    api: ApiClient, sync: Sync, consumer: NatsConsumer, app: OAuthApp, upstream: Upstream, path: str
) -> None:
    make_record(sync, "first")
    api.get(path)  # notes the token's use
    with CaptureQueriesContext(database) as one:
        assert len(api.get(path).json()["data"]) == 1
    for number in range(49):
        other, _, rows = make_log("thing")
        SyncCollection.objects.filter(pk=rows["fake:thing"].pk).update(spec=asdict(collection("thing")))
        made = NatsConsumer.objects.create(name=f"c{number}", hosts=["h:1"], subject_prefix=f"p{number}")
        ConsumerCursor.objects.create(consumer=made, sync=other)
        OAuthApp.objects.create(provider="salesforce", name=f"a{number}", client_id="x", host="production")
        make_record(other, f"r{number}")
    with CaptureQueriesContext(database) as fifty:
        assert len(api.get(path).json()["data"]) == 50
    assert len(one) == len(fifty), [query["sql"][:120] for query in fifty.captured_queries]


# --- Credentials and OAuth apps --------------------------------------------------------------------------------------


def test_importing_twice_keeps_one_credential(api: ApiClient) -> None:
    first = api.post("credentials", {"name": "A", "properties": {"kind": "fake_key", "secret": "one"}})
    second = api.post("credentials", {"name": "B", "properties": {"kind": "fake_key", "secret": "two"}})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["account"] == {"id": "acct-1", "name": "Fake Inc."}
    assert Credential.objects.get().secrets["secret"] == "two"


@pytest.mark.parametrize("properties", [{"secret": "********"}, {"kind": "fake_key", "secret": "********"}, {}])
def test_masked_secret_stays(api: ApiClient, sync: Sync, properties: dict[str, str]) -> None:
    response = api.patch(f"credentials/{sync.credential_id}", {"name": "New", "properties": properties})
    assert response.json()["name"] == "New"
    sync.credential.refresh_from_db()
    assert sync.credential.secrets["secret"] == "fake-key"


def test_new_secret_is_stored_and_unknown_property_refused(api: ApiClient, sync: Sync) -> None:
    path = f"credentials/{sync.credential_id}"
    assert api.patch(path, {"properties": {"secret": "fresh"}}).status_code == 200
    sync.credential.refresh_from_db()
    assert sync.credential.secrets == {"secret": "fresh"}
    assert set(error_of(api.patch(path, {"properties": {"sercet": "x"}}), 422)["fields"]) == {"properties.sercet"}
    assert set(error_of(api.patch(path, {"properties": {"kind": "other"}}), 422)["fields"]) == {"properties.kind"}


def test_used_credential_and_app_are_kept(api: ApiClient, sync: Sync, app: OAuthApp) -> None:
    error_of(api.delete(f"credentials/{sync.credential_id}"), 409)
    sync.credential.oauth_app = app
    sync.credential.save()
    error_of(api.delete(f"oauth-apps/{app.pk}"), 409)


def test_test_of_a_credential(api: ApiClient, sync: Sync) -> None:
    body = api.post(f"credentials/{sync.credential_id}/test").json()
    assert body["ok"] is True
    assert len(body["data"]) == 3


def test_oauth_app_is_masked_and_keeps_a_masked_secret(api: ApiClient) -> None:
    body = {"provider": "salesforce", "client_id": "c", "client_secret": "s3cret", "name": "App", "metadata": {"a": 1}}
    made = api.post("oauth-apps", body)
    assert made.status_code == 201, made.content
    app = made.json()
    assert (app["client_secret"], app["host"], app["metadata"]) == ("********", "production", {"a": 1})
    assert app["redirect_url"] == oauth_apps.redirect_uri("salesforce")
    assert api.patch(f"oauth-apps/{app['id']}", {**body, "provider": None}).status_code == 422
    changed = api.patch(f"oauth-apps/{app['id']}", {"client_secret": "********", "name": "New"}).json()
    assert changed["name"] == "New"
    assert OAuthApp.objects.get().secrets["client_secret"] == "s3cret"
    assert api.delete(f"oauth-apps/{app['id']}").status_code == 204


@pytest.mark.parametrize(
    ("change", "field"),
    [({"provider": "nothing"}, "provider"), ({"provider": "fake"}, "provider"),
     ({"client_secret": ""}, "client_secret"),
     ({"client_id": " "}, "client_id"), ({"host": "moon"}, "host"), ({"client_secret": "********"}, "client_secret"),
     ({"host": "my_domain", "login_url": "http://x"}, "login_url")],
)  # fmt: skip
def test_wrong_oauth_app_names_the_field(api: ApiClient, change: dict[str, str], field: str) -> None:
    body = {"provider": "salesforce", "client_id": "c", "client_secret": "s", **change}
    assert field in error_of(api.post("oauth-apps", body), 422)["fields"]


STATES = [None, "customer-42", " spaced", "", {"deep": [1, None]}, 7]


@pytest.mark.parametrize("state", STATES)
def test_sign_in_begun_here_ends_with_the_credential_and_the_state(
    api: ApiClient, app: OAuthApp, sync: Sync, state: Any
) -> None:
    body = {
        "oauth_app_id": str(app.pk),
        "credential_kind": "salesforce_oauth2",
        "redirect_url": "https://app.example.com/back",
        "state": state,
    }
    started = api.post("credentials/start-auth", body)
    assert started.status_code == 201, started.content
    assert "/connections/start/" in started.json()["start_url"]
    code = oauth.hand_over(sync.credential_id, PendingConnection.objects.get())  # the redirect in between has tests
    stranger = ApiClient(None)
    wrong = {"code": code, "client_id": str(app.pk), "client_secret": "wrong"}
    assert error_of(stranger.post("link/oauth2/token", wrong), 401)["kind"] == "credentials"
    error_of(stranger.post("link/oauth2/token", {**wrong, "client_id": str(sync.pk)}), 401)
    right = {**wrong, "client_secret": MARKER}
    answer = stranger.post("link/oauth2/token", right)
    assert answer.status_code == 200, answer.content
    assert (answer.json()["credential"]["id"], answer.json()["state"]) == (str(sync.credential_id), state)
    error_of(stranger.post("link/oauth2/token", right), 400)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://app.example.com", "//x", "https://", "http://[", "ftp://a"]
)
def test_people_are_sent_back_to_web_addresses_only(api: ApiClient, app: OAuthApp, url: str) -> None:
    body = {"oauth_app_id": str(app.pk), "credential_kind": "salesforce_oauth2", "redirect_url": url}
    assert set(error_of(api.post("credentials/start-auth", body), 422)["fields"]) == {"redirect_url"}


def test_kind_without_a_redirect_cannot_be_started(api: ApiClient, app: OAuthApp) -> None:
    body = {"oauth_app_id": str(app.pk), "credential_kind": "nothing", "redirect_url": "https://a.example"}
    assert "credential_kind" in error_of(api.post("credentials/start-auth", body), 422)["fields"]


# --- Providers, collections, records ---------------------------------------------------------------------------------


def test_providers_tell_how_to_connect(api: ApiClient) -> None:
    found = {each["id"]: each for each in api.get("providers").json()["data"]}
    assert set(found) >= {"salesforce", "stripe", "fake"}
    kinds = {kind["kind"] for each in found.values() for kind in each["credential_kinds"]}
    assert kinds >= {"salesforce_oauth2", "salesforce", "stripe_key"}
    assert "stripe:customer" in {each["id"] for each in found["stripe"]["collections"]}


def test_collections_and_their_fields(api: ApiClient, sync: Sync) -> None:
    listed = api.get(f"collections/{sync.credential_id}").json()["data"]
    assert [(each["id"], each["custom"]) for each in listed][-1] == ("fake:mine", True)
    detail = api.get(f"collections/{sync.credential_id}/fake:thing").json()
    assert detail["fields"][0]["id"] == "fake:thing:id"
    assert detail["fields"][0]["primary_key"] is True
    error_of(api.get(f"collections/{sync.credential_id}/fake:nothing"), 404)


def test_record_is_given_in_the_providers_own_bytes(api: ApiClient, sync: Sync) -> None:
    data = '{"big":123456789012345678901234567890,"dec":1.10,"u":"é\\u0000","n":null}'
    make_record(sync, "a/b c", data, upstream_updated_at=datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC))
    public_id = log.public_id(sync.pk, "fake:thing", "a/b c")
    one = api.get(f"records/{sync.pk}/fake:thing/a/b%20c")
    assert f'"data":{data},'.encode() in one.content
    assert f'"data":{data},'.encode() in api.get("records").content
    assert api.get(f"records/{public_id}").content == one.content
    body = one.json()
    assert (body["id"], body["provider"], body["upstream_id"]) == (str(public_id), "fake", "a/b c")
    assert body["seq"] == body["updated_idx"] == 1
    assert body["upstream_updated_at"] == "2026-11-23T01:02:03Z"
    assert body["upstream_created_at"] is None
    assert set(body) == {
        "id", "sync_id", "collection_id", "provider", "upstream_id", "data", "deleted", "seq", "updated_idx",
        "inserted_at", "upstream_created_at", "upstream_updated_at",
    }  # fmt: skip


@pytest.mark.parametrize(
    "chosen", [{}, {"collection_id": "fake:thing"}, {"changed_since": "2026-01-01T00:00:00Z"}, {"deleted": "false"}]
)
def test_records_by_pages_over_all_syncs(
    chosen: dict[str, str], api: ApiClient, sync: Sync, upstream: Upstream
) -> None:
    other = upstream.sync("thing", name="Second")
    for number in range(5):
        make_record(sync, f"a{number}")
        make_record(other, f"b{number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get("records", limit=3, cursor=cursor, **chosen).json()
        seen += [(each["sync_id"], each["seq"]) for each in page["data"]]
        cursor = page["next"]
    assert len(seen) == 10
    assert seen == sorted(seen)


def test_record_filters(api: ApiClient, sync: Sync) -> None:
    old = timezone.now() - timedelta(days=1)
    make_record(sync, "old", changed_at=old)
    make_record(sync, "gone", deleted=True)
    make_record(sync, "other", name="other")

    def found(**query: Any) -> list[str]:
        return [each["upstream_id"] for each in api.get("records", **query).json()["data"]]

    assert found(sync_id=sync.pk) == ["old", "gone", "other"]
    assert found(sync_id=sync.pk, collection_id="fake:other") == ["other"]
    assert found(collection_id="fake:thing", deleted="true") == ["gone"]
    assert found(deleted="false") == ["old", "other"]
    assert found(upstream_id="old") == ["old"]
    assert found(changed_since=(old + timedelta(seconds=1)).isoformat()) == ["gone", "other"]
    assert found(sync_id="00000000-0000-4000-8000-000000000000") == []


# --- Consumers without a server --------------------------------------------------------------------------------------


def test_consumer_shows_masks_and_lag(api: ApiClient, sync: Sync, consumer: NatsConsumer) -> None:
    make_record(sync, "waiting")
    body = api.get(f"nats_consumers/{consumer.pk}").json()
    assert body["nats"]["host"] == NOWHERE
    assert body["nats"]["password"] == body["nats"]["client_key"] == "********"
    assert body["nats"]["jwt"] is None
    assert (body["lag"]["records"], body["cursors"][0]["head_seq"]) == (1, 1)
    assert api.get(f"nats-consumers/{consumer.pk}").json()["id"] == body["id"]


@pytest.mark.parametrize(
    ("nats", "field"),
    [
        ({}, "nats.host"),
        ({"host": NOWHERE, "port": 70000}, "nats.port"),
        ({"host": NOWHERE, "port": CLOSED_PORT}, "nats.host"),
        ({"host": "a b:c:d", "port": 1}, "nats.host"),
        ({"host": NOWHERE, "jwt": "x", "nkey_seed": "y"}, "nats.jwt"),
        ({"host": NOWHERE, "nkey_seed": "SUAB"}, "nats.jwt"),
        ({"host": NOWHERE, "creds": "nothing"}, "nats.creds"),
        ({"host": NOWHERE, "inbox_prefix": "sequin-records.inbox"}, "nats.inbox_prefix"),
        ({"host": NOWHERE, "ca": "no pem"}, "nats.ca"),
        ({"host": NOWHERE, "client_key": "no pem"}, "nats.client_cert"),
    ],
)
def test_wrong_nats_settings_name_the_field(api: ApiClient, nats: dict[str, Any], field: str) -> None:
    error = error_of(api.post("nats_consumers", {"name": "C", "nats": nats}), 422)
    assert field in error["fields"], error
    assert not NatsConsumer.objects.exists()


def test_pause_resume_replay_and_delete(api: ApiClient, consumer: NatsConsumer) -> None:
    path = f"nats_consumers/{consumer.pk}"
    assert api.post(f"{path}/pause").json()["status"] == "paused"
    assert api.post(f"{path}/resume").json()["status"] == "active"
    assert api.post(f"{path}/replay").json()["cursors"][0]["run"] == 2
    assert api.delete(path).status_code == 202
    error_of(api.get(path), 404)


def test_checks_of_an_unreachable_server_say_so(api: ApiClient, consumer: NatsConsumer) -> None:
    body = api.post(f"nats_consumers/{consumer.pk}/preflight").json()
    assert (body["ok"], body["promise"]) == (False, "")
    states = {check["key"]: check["state"] for check in body["data"]}
    assert (states["resolve"], states["connect"], states["stream"]) == ("ok", "failed", "not_tried")
    assert error_of(api.post(f"nats_consumers/{consumer.pk}/create-stream"), 409)["kind"] == "broker"


def test_wrong_names_of_streams_are_refused(api: ApiClient, consumer: NatsConsumer) -> None:
    error = error_of(api.post(f"nats_consumers/{consumer.pk}/create-stream", {"name": "a.b"}), 422)
    assert set(error["fields"]) == {"name"}


def test_inline_credential_goes_when_the_sync_fails_and_says_so_in_the_log(api: ApiClient) -> None:
    error_of(api.post("syncs", new_sync(collection_ids=["fake:nothing"])), 422)
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-2:] == ["connection.created", "connection.deleted"]


# --- Quota as a budget ------------------------------------------------------------------------------------------------


def test_an_estimate_tells_records_requests_share_and_time(api: ApiClient, sync: Sync, upstream: Upstream) -> None:
    upstream.fill(250)
    told = {"used": 5, "allowed": 300, "name": "day", "period_s": 86_400, "resets_in_s": None, "price": 1}
    Credential.objects.update(quotas=[{**told, "at": timezone.now().isoformat()}])
    body = {"credential_id": str(sync.credential_id), "collection_ids": ["fake:thing"], "quota_percent": 50}
    answer = api.post("syncs/estimate", body).json()
    assert (answer["records"], answer["requests"], answer["percent_of_allowance"]) == (250, 3, 1.0)
    assert answer["words"].startswith("About 250 records to read first: about 3 requests, 1 % of what is allowed a day")


def test_a_credential_tells_its_budgets_and_what_was_spent(api: ApiClient, sync: Sync) -> None:
    told = {"used": 5, "allowed": 300, "name": "core", "period_s": 3600, "resets_in_s": 600.0, "price": 1}
    Credential.objects.update(quotas=[{**told, "at": timezone.now().isoformat()}])
    budget.add_counts(sync.credential_id, {sync.pk: {"backfill": 7, "polling": 2}, NO_SYNC: {"asking": 1}})
    budget.add_counts(sync.credential_id, {sync.pk: {"polling": 1}})
    answer = api.get(f"credentials/{sync.credential_id}").json()
    (core,) = answer["quota"]["budgets"]
    assert (core["name"], core["used"], core["left"]) == ("core", 5, 295)
    counts = {"backfill": 7, "polling": 3, "webhooks": 0, "sweep": 0, "asking": 1}
    assert answer["requests"] == {**counts, "by_sync": {str(sync.pk): 10}}


def test_a_sync_tells_its_share_its_pause_and_its_forecast(api: ApiClient, sync: Sync) -> None:
    assert api.patch(f"syncs/{sync.pk}", {"quota_percent": 0}).status_code == 422
    until = timezone.now() + timedelta(minutes=5)
    answer = api.patch(f"syncs/{sync.pk}", {"quota_percent": 20}).json()
    assert (answer["quota_percent"], answer["waits_until"]) == (20, None)
    Sync.objects.update(not_before=until)
    answer = api.get(f"syncs/{sync.pk}").json()
    assert datetime.fromisoformat(answer["waits_until"]) == until.replace(microsecond=until.microsecond // 1000 * 1000)
    assert answer["forecast"]["worst_lag_s"] == sync.poll_s
    assert "can be told once" in answer["forecast"]["history"]
