"""APIs that admins describe: by the API, through the engine, against the sandbox's nameless one."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from sequin_console.common.models import AuditEvent
from sequin_console.common.problems import Problem
from syncs import access, catalogue, connections, custom, custom_use, oauth, oauth_apps, private_apis, services, tasks
from syncs.models import Credential, CustomProvider, Feed, Record, Sync
from syncs.states import CredentialState, Phase
from tests.api_client import ApiClient, error_of
from tests.guards import proves
from tests.integration.provider_adapters.anyapi import KEY, PASSWORD, WAYS, collection, definition

pytestmark = pytest.mark.django_db(transaction=True)
CODE = {"type": "oauth_code", "scopes": ["read"]}
WAYS_IN: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "header": ({"type": "header", "name": "X-Api-Key"}, {"secret": KEY}),
    "query": ({"type": "query", "name": "api_key"}, {"secret": KEY}),
    "bearer": ({"type": "bearer"}, {"secret": KEY}),
    "basic": ({"type": "basic"}, {"user": "ada", "password": PASSWORD}),
}
APP = {"client_id": "sandbox-console", "client_secret": "sandbox-console-secret"}


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("anyapi")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: RunningSandbox, queued: Any) -> RunningSandbox:
    """Twelve contacts."""
    running_sandbox.control("POST", "reset", {"seed": "empty"})
    running_sandbox.control("DELETE", "faults")
    running_sandbox.control("POST", "records/anyapi/contacts?count=12&spread_s=7200", {})
    return running_sandbox


@pytest.fixture(autouse=True)
def no_open_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are looked at as we connect, and a connection lives on: each test opens its own."""
    monkeypatch.setattr(access, "_https", {})


@pytest.fixture
def api(db: None) -> ApiClient:
    return ApiClient("admin")


def auth_of(sandbox: RunningSandbox, way_in: str) -> dict[str, Any]:
    base = sandbox.side("anyapi")
    if way_in == "oauth_code":
        return CODE | {"authorize_url": f"{base}/oauth/authorize", "token_url": f"{base}/oauth/token"}
    if way_in == "client_credentials":
        return {"type": "client_credentials", "token_url": f"{base}/oauth/token"}
    return WAYS_IN[way_in][0]


def describe(sandbox: RunningSandbox, way_in: str = "header", *ways: str, **changed: Any) -> CustomProvider:
    place = way_in if way_in in WAYS_IN else "oauth"
    return custom.create(custom.parse(definition(sandbox, place, auth_of(sandbox, way_in), *ways, **changed)), by=None)


def connect(row: CustomProvider, **typed: str) -> Credential:
    kind = catalogue.PROVIDERS[row.key].kinds[0]
    return connections.create_credential(
        {"provider": row.key, "kind": kind.key, "secrets": {}, "settings": {}, "name": "Any"}
        | {"secrets": {f.key: typed[f.key] for f in kind.fields if f.secret}}
        | {"settings": {f.key: typed[f.key] for f in kind.fields if not f.secret}},
        by=None,
    )


def sync_of(credential: Credential, *ways: str) -> Sync:
    ids = [f"{credential.provider}:contacts-{way}" for way in ways]
    return services.create_sync({"name": "Any", "credential": credential, "collection_ids": ids, "poll_s": 2}, by=None)


def read(sync: Sync) -> None:
    for _ in range(6):
        Feed.objects.filter(sync=sync, looked_at__isnull=False).update(looked_at=timezone.now() - timedelta(days=1))
        Feed.objects.filter(sync=sync).update(queued_until=None)
        tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))
        if not sync.collections.filter(phase__in=[Phase.WAITING, Phase.BACKFILLING], retry_at=None).exists():
            return


def upstream(sandbox: RunningSandbox) -> dict[str, int]:
    found = sandbox.control("GET", "records/anyapi/contacts")["records"]
    return {key: each["version"] for key, each in found.items() if not each["deleted"]}


def held(sync: Sync, way: str) -> dict[str, int]:
    rows = Record.objects.filter(sync=sync, collection__collection_id__endswith=f":contacts-{way}", deleted=False)
    return {key: json.loads(data)["sandbox_version"] for key, data in rows.values_list("upstream_id", "data")}


# --- Through the engine ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_every_way_of_paging_brings_all_records_changes_and_deletions(sandbox: RunningSandbox, way_in: str) -> None:
    sandbox.control("POST", "settings", {"page_size_cap": 5})
    sync = sync_of(connect(describe(sandbox, way_in), **WAYS_IN[way_in][1]), *WAYS)
    read(sync)
    ids = list(upstream(sandbox))
    for way in WAYS:
        assert held(sync, way) == upstream(sandbox), way
    sandbox.control("PATCH", f"records/anyapi/contacts/{ids[3]}", {"score": 7})
    sandbox.control("POST", "records/anyapi/contacts", {})
    sandbox.control("DELETE", f"records/anyapi/contacts/{ids[5]}")
    sync.collections.update(sweep_due_at=timezone.now())
    read(sync)
    for way in WAYS:
        assert held(sync, way) == upstream(sandbox), way
    stored = json.dumps([list(Feed.objects.values()), list(sync.collections.values())], default=str)
    assert not any(secret in stored for secret in (KEY, PASSWORD))


def test_key_in_the_query_is_in_no_cursor_though_upstream_repeats_it(sandbox: RunningSandbox) -> None:
    sandbox.control("POST", "settings", {"page_size_cap": 5})
    credential = connect(describe(sandbox, "query", "next", "link"), secret=KEY)

    async def cursors(reader: Any) -> list[Any]:
        offered = await reader.discover()
        return [page.cursor for each in offered async for page in reader.backfill(each, None)]

    found = json.dumps(connections.ask(credential, cursors))
    assert "cursor=" in found
    assert KEY not in found


def test_client_credentials_are_renewed_by_themselves(sandbox: RunningSandbox) -> None:
    credential = connect(describe(sandbox, "client_credentials", "token"), **APP)
    sync = sync_of(credential, "token")
    sandbox.control("POST", "expire", {"provider": "anyapi"})
    read(sync)
    assert held(sync, "token") == upstream(sandbox)


def test_person_signs_in_and_a_rotating_grant_lives_on(sandbox: RunningSandbox) -> None:
    row = describe(sandbox, "oauth_code", "token")
    app = oauth_apps.create({"provider": row.key, **APP}, by=None)
    url = oauth.begin(app, f"{row.key}_oauth2", by=None, session_key="ada")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    address = url.partition("?")[0]
    assert address == f"{sandbox.side('anyapi')}/oauth/authorize"
    went = httpx.post(address, data=asked | {"answer": "allow"}, trust_env=False)
    code = parse_qs(urlsplit(went.headers["location"]).query)["code"][0]
    done = oauth.finish(state=asked["state"], code=code, error="", error_description="", session_key="ada")
    sandbox.control("POST", "expire", {"provider": "anyapi"})
    sync = sync_of(done.credential, "token")
    read(sync)
    assert held(sync, "token") == upstream(sandbox)
    assert Credential.objects.get().state == CredentialState.OK


def test_refused_key_is_said_at_its_field(sandbox: RunningSandbox) -> None:
    with pytest.raises(Problem) as refused:
        connect(describe(sandbox, "header", "token"), secret="wrong-key")
    assert refused.value.kind == "credentials"
    assert not Credential.objects.exists()


# --- Private addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way_in", ["header", "client_credentials"])
def test_private_address_is_not_connected_to_unless_the_operator_says_so(
    sandbox: RunningSandbox, settings: Any, way_in: str
) -> None:
    typed = APP if way_in == "client_credentials" else {"secret": KEY}
    row = describe(sandbox, way_in, "token")
    before = sandbox.control("GET", "state")["requests"]
    settings.PRIVATE_APIS = "10.0.0.0/8"
    with pytest.raises(Problem) as refused:
        connect(row, **typed)
    assert "private network" in refused.value.message
    assert "SEQUIN_PRIVATE_APIS" in refused.value.next_step
    assert sandbox.control("GET", "state")["requests"].get("anyapi") == before.get("anyapi")
    settings.PRIVATE_APIS = "10.0.0.0/8, 127.0.0.1"
    assert connect(row, **typed).state == CredentialState.OK


def test_demo_is_open_at_its_own_port_alone(settings: Any) -> None:
    settings.PRIVATE_APIS, settings.SANDBOX_URL = "", "http://127.0.0.1:9000"
    assert private_apis.allows("127.0.0.1", 9000)
    assert not private_apis.allows("127.0.0.1", 5432)
    settings.PRIVATE_APIS = "all"
    assert private_apis.allows("fd00::1", 5432)
    settings.PRIVATE_APIS = "nonsense"
    assert "SEQUIN_PRIVATE_APIS" in private_apis.problems()[0]


# --- Changes of a definition in use ----------------------------------------------------------------------------------


def changed(row: CustomProvider, place: int = 0, **parts: Any) -> Any:
    data = json.loads(json.dumps(row.definition))
    data["collections"][place] |= parts
    return custom.parse(data)


def test_workers_see_a_change_with_their_next_look(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    row = describe(sandbox, "header", "token")
    sync = sync_of(connect(row, secret=KEY), "token")
    read(sync)
    custom.update(row, changed(row, size=3), by=None)
    other = catalogue.Catalogue()  # another process, whose last look is old
    monkeypatch.setattr(catalogue.PROVIDERS, "_described", other._described)
    sandbox.control("POST", "records/anyapi/contacts", {})
    read(sync)
    assert held(sync, "token") == upstream(sandbox)
    assert catalogue.PROVIDERS[row.key].collections[0].sweep_page == 3
    assert sync.collections.get().spec["sweep_page"] == 3


def test_other_ids_are_read_from_the_beginning_once_that_is_consented_to(sandbox: RunningSandbox) -> None:
    row = describe(sandbox, "header", "token", "keyset")
    sync = sync_of(connect(row, secret=KEY), "token", "keyset")
    read(sync)
    other = changed(row, id_at="email")
    with pytest.raises(Problem, match="read from the beginning") as asked:
        custom.update(row, other, by=None)
    assert (asked.value.status, list(asked.value.fields)) == (409, ["read_again"])
    custom.update(row, other, by=None, read_again=True)
    phases = dict(sync.collections.values_list("collection_id", "phase"))
    assert phases == {f"{row.key}:contacts-token": Phase.WAITING, f"{row.key}:contacts-keyset": Phase.LIVE}
    read(sync)
    emails = [json.loads(each)["email"] for each in Record.objects.values_list("data", flat=True)]
    assert {key for key in held(sync, "token") if "@" in key} == set(emails)


def test_collection_that_is_read_cannot_be_left_out(sandbox: RunningSandbox) -> None:
    row = describe(sandbox, "header", "token", "keyset")
    sync_of(connect(row, secret=KEY), "token")
    data = row.definition | {"collections": row.definition["collections"][1:]}
    with pytest.raises(Problem, match="reads “Contacts by token”"):
        custom.update(row, custom.parse(data), by=None)
    kept = row.definition | {"collections": row.definition["collections"][:1]}
    custom.update(row, custom.parse(kept), by=None)


def test_stored_secrets_do_not_follow_to_another_address(sandbox: RunningSandbox) -> None:
    def scenario() -> None:
        CustomProvider.objects.filter(key="custom-any").delete()
        Credential.objects.all().delete()
        row = describe(sandbox, "header", "token")
        connect(row, secret=KEY)
        moved = custom.parse(row.definition | {"base_url": "http://127.0.0.1:1/anyapi/header"})
        custom.update(row, moved, by=None)
        credential = Credential.objects.get()
        assert (credential.state, dict(credential.secrets)) == (CredentialState.RECONNECT, {})

    proves(scenario, without=lambda: mock.patch.object(custom_use, "_unpin"))


def test_another_way_in_is_refused_while_connections_exist(sandbox: RunningSandbox) -> None:
    row = describe(sandbox, "header", "token")
    connect(row, secret=KEY)
    with pytest.raises(Problem, match="made the other way"):
        custom.update(row, custom.parse(row.definition | {"auth": {"type": "basic"}}), by=None)
    bearer = row.definition | {"auth": {"type": "bearer"}, "base_url": f"{sandbox.side('anyapi')}/bearer"}
    custom.update(row, custom.parse(bearer), by=None)
    assert all(result.ok for result in connections.test_credential(Credential.objects.get()))


def test_what_is_in_use_is_kept(sandbox: RunningSandbox) -> None:
    row = describe(sandbox, "header", "token")
    credential = connect(row, secret=KEY)
    with pytest.raises(Problem, match="in use: connection “Any”") as refused:
        custom.delete(row, by=None)
    assert refused.value.status == 409
    credential.delete()
    custom.delete(row, by=None)
    assert row.key not in catalogue.PROVIDERS


# --- Try it ----------------------------------------------------------------------------------------------------------


def trying(api: ApiClient, sandbox: RunningSandbox, way_in: str = "header", **parts: Any) -> Any:
    data = definition(sandbox, way_in, auth_of(sandbox, way_in), "token")
    data["collections"][0] |= parts
    body = {"definition": data, "collection": "contacts-token", "secrets": WAYS_IN[way_in][1]}
    answer = api.post("custom-providers/try", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_trial_shows_the_first_page_and_no_secret(api: ApiClient, sandbox: RunningSandbox, way_in: str) -> None:
    sandbox.control("POST", "settings", {"page_size_cap": 5})
    tried = trying(api, sandbox, way_in)
    assert (tried["ok"], tried["status"], tried["total"], tried["findings"]) == (True, 200, 5, [])
    assert tried["further"] == "The next page has 5 more, and was read too."
    assert {row["id"] for row in tried["records"]} <= set(upstream(sandbox))
    assert all(row["updated_at"] and row["created_at"] for row in tried["records"])
    assert tried["request"].startswith("GET http://127.0.0.1:")
    assert "***" in tried["request"]
    assert not any(secret in json.dumps(tried) for secret in (KEY, PASSWORD))
    assert not Credential.objects.exists()
    assert not CustomProvider.objects.exists()


@pytest.mark.parametrize(
    ("parts", "field", "said"),
    [
        ({"list_at": "data"}, "list_at", "Lists in this answer: “data.items” (12 records)."),
        ({"id_at": "uuid"}, "id_at", "The first record’s keys: "),
        ({"id_at": "sandbox_version"}, "id_at", "unique"),
        ({"updated_at": "changed"}, "updated_at", "The first record’s keys: "),
        ({"path": "/token/nothing"}, "", "Check base URL, path and parameters."),
        ({"paging": WAYS["next"] | {"path": "data.items"}}, "", ""),
        ({"paging": {"type": "page_number", "param": "seite"}, "size": 3}, "paging", "choose another"),
    ],
)
def test_trial_says_what_is_odd_and_what_to_do(
    api: ApiClient, sandbox: RunningSandbox, parts: Any, field: str, said: str
) -> None:
    findings = trying(api, sandbox, **parts)["findings"]
    if not said:
        assert findings == []
        return
    assert [(each["field"], said in each["next_step"]) for each in findings] == [(field, True)], findings


def test_trial_with_a_connection_goes_only_where_that_was_made_for(api: ApiClient, sandbox: RunningSandbox) -> None:
    row = describe(sandbox, "header", "token")
    body = {
        "definition": row.definition,
        "collection": "contacts-token",
        "credential_id": str(connect(row, secret=KEY).pk),
    }
    assert api.post("custom-providers/try", body).json()["ok"]
    body["definition"] = row.definition | {"base_url": "http://127.0.0.1:1/catch"}
    assert "base_url" in error_of(api.post("custom-providers/try", body), 422)["fields"]


def test_trial_of_a_private_address_is_refused_in_words(api: ApiClient, sandbox: RunningSandbox, settings: Any) -> None:
    settings.PRIVATE_APIS = ""
    tried = trying(api, sandbox)
    assert (tried["ok"], tried["status"]) == (False, None)
    assert "private network" in tried["findings"][0]["message"]


# --- The API ---------------------------------------------------------------------------------------------------------


def test_described_by_the_api_exported_and_imported(api: ApiClient, sandbox: RunningSandbox) -> None:
    made = api.post("custom-providers", definition(sandbox, "header", None, "token")).json()
    assert (made["provider"], made["version"], made["name"]) == ("custom-any", 1, "Any API")
    assert "custom-any" in [each["id"] for each in api.get("providers").json()["data"]]
    path = f"custom-providers/{made['id']}"
    file = api.get(f"{path}/export")
    assert 'filename="custom-any.json"' in file["Content-Disposition"]
    assert error_of(api.post("custom-providers/import", file.json()), 409)["fields"] == {"key": ["This key is taken."]}
    changed = file.json() | {"label": "Renamed"}
    answer = api.post("custom-providers/import?replace=true", changed).json()
    assert (answer["id"], answer["version"], answer["name"]) == (made["id"], 2, "Renamed")
    assert api.put(path, changed | {"label": "Again"}).json()["version"] == 3
    assert [each["name"] for each in api.get("custom-providers").json()["data"]] == ["Again"]
    assert api.delete(path).status_code == 204
    error_of(api.get(path), 404)
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-4:] == ["custom_provider.created", *["custom_provider.changed"] * 2, "custom_provider.deleted"]


def test_mistakes_are_said_at_their_place(api: ApiClient, sandbox: RunningSandbox) -> None:
    data = definition(sandbox, "header", None, "token")
    data["collections"][0]["paging"] = {"type": "offset", "param": "a b"}
    data["base_url"] = "http://crm.example.com"
    fields = error_of(api.post("custom-providers", data), 422)["fields"]
    assert {"base_url", "collections.0.paging.param"} <= set(fields) | {
        name.replace("paging.offset", "paging") for name in fields
    }
    assert error_of(api.post("custom-providers", data | {"auth": {"type": "magic"}}), 422)["fields"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_describe(sandbox: RunningSandbox, role: str) -> None:
    row = describe(sandbox, "header", "token")
    api, path = ApiClient(role), f"custom-providers/{row.pk}"
    body = definition(sandbox, "header", None, "token")
    calls: list[Callable[[], Any]] = [
        lambda: api.get("custom-providers"), lambda: api.get(path), lambda: api.get(f"{path}/export"),
        lambda: api.post("custom-providers", body), lambda: api.put(path, body), lambda: api.delete(path),
        lambda: api.post("custom-providers/import", body),
        lambda: api.post("custom-providers/try", {"definition": body, "collection": "contacts-token"}),
    ]  # fmt: skip
    for call in calls:
        error_of(call(), 403)


def test_unreadable_description_hides_no_other(sandbox: RunningSandbox) -> None:
    describe(sandbox, "header", "token")
    CustomProvider.objects.create(key="custom-old", label="Old", definition={"schema": "sequin-custom-provider/0"})
    catalogue.PROVIDERS.look()
    assert "custom-any" in catalogue.PROVIDERS
    assert "custom-old" not in catalogue.PROVIDERS
    assert collection("token")["id"] == "contacts-token"
