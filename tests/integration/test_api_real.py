"""The two bodies of the well-known guide, as they stand, against a sandbox and a real nats-server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from consumers.models import NatsConsumer
from sandbox.process import RunningSandbox, running
from syncs.models import Credential, OAuthApp, Record, Sync
from tests.api_client import ApiClient, error_of
from tests.nats_server import Creds, JwtServer, free_port, jwt_server

pytestmark = [pytest.mark.queue, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    with running(folder) as started:
        yield started


@pytest.fixture(scope="module")
def nats() -> Iterator[JwtServer]:
    with jwt_server() as started:
        yield started


@pytest.fixture
def api() -> ApiClient:
    return ApiClient("admin")


@pytest.fixture
def grant(sandbox: RunningSandbox, settings: Any) -> dict[str, str]:
    cache.clear()
    settings.PROVIDER_URLS = f'{{"salesforce": "{sandbox.salesforce}"}}'
    return sandbox.control("POST", "grants", {"provider": "salesforce"})


@pytest.fixture
def app_id(api: ApiClient, grant: dict[str, str]) -> str:
    body = {"provider": "salesforce", "client_id": grant["client_id"], "client_secret": grant["client_secret"]}
    made = api.post("oauth-apps", body)
    assert made.status_code == 201, made.content
    return made.json()["id"]


def sync_body(secret: str, app_id: str, **change: Any) -> dict[str, Any]:
    return {
        "provider": "salesforce",
        "name": "Salesforce contacts",
        "collection_ids": ["salesforce:contact"],
        "credential": {
            "properties": {"kind": "salesforce_oauth2", "secret": secret, "name": "Our Salesforce"},
            "oauth_app_id": app_id,
        },
    } | change


def consumer_body(nats: JwtServer, creds: Creds, **change: Any) -> dict[str, Any]:
    return {
        "name": "Contacts to NATS",
        "subject_prefix": "sequin-records",
        "nats": {
            "host": nats.host,
            "port": nats.port,
            "tls": False,
            "jwt": creds.jwt,
            "nkey_seed": creds.seed,
            **change,
        },
    }


def test_sync_body_of_the_guide(api: ApiClient, grant: dict[str, str], app_id: str) -> None:
    response = api.post("syncs", sync_body(grant["refresh_token"], app_id))
    body = response.json()
    assert response.status_code == 201, body
    assert (body["status"], body["collection_ids"]) == ("active", ["salesforce:contact"])
    assert body["credential"]["properties"]["secret"] == "********"
    assert grant["refresh_token"].encode() not in response.content
    fields = api.get(f"collections/{body['credential_id']}/salesforce:contact").json()["fields"]
    assert {"salesforce:contact:Id", "salesforce:contact:LastName"} <= {field["id"] for field in fields}
    assert api.post(f"credentials/{body['credential_id']}/test").json()["ok"] is True


def test_kind_with_an_instance_url_works_as_well(api: ApiClient, grant: dict[str, str], app_id: str) -> None:
    properties = {
        "kind": "salesforce",
        "instance_url": "https://acme.my.salesforce.com",
        "refresh_token": grant["refresh_token"],
        "name": "Imported",
    }
    made = api.post("credentials", {"properties": properties, "oauth_app_id": app_id})
    assert made.status_code == 201, made.content
    assert made.json()["properties"]["refresh_token"] == "********"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"collection_ids": ["salesforce:nothing"]}, "collection_ids"), ({}, "credential.properties.secret")],
)
def test_wrong_sync_leaves_nothing_behind(
    api: ApiClient, grant: dict[str, str], app_id: str, change: dict[str, Any], field: str
) -> None:
    secret = grant["refresh_token"] if change else "5Aep-wrong-token"
    error = error_of(api.post("syncs", sync_body(secret, app_id, **change)), 422)
    assert field in error["fields"], error
    assert not Sync.objects.exists()
    assert not Credential.objects.exists()
    assert OAuthApp.objects.count() == 1


def test_consumer_body_of_the_guide_and_its_stream(api: ApiClient, nats: JwtServer) -> None:
    creds = nats.make_user()
    response = api.post("nats_consumers", consumer_body(nats, creds))
    body = response.json()
    assert response.status_code == 201, body
    assert (body["status"], body["sync_id"], body["deliver_policy"]) == ("active", None, "all")
    assert body["nats"]["jwt"] == body["nats"]["nkey_seed"] == "********"
    assert creds.seed.encode() not in response.content
    assert creds.jwt.encode() not in response.content
    assert body["jwt_facts"]["account"] == creds.account
    path = f"nats_consumers/{body['id']}"
    checks = {check["key"]: check for check in api.post(f"{path}/preflight").json()["data"]}
    assert (checks["authenticate"]["state"], checks["stream"]["state"]) == ("ok", "failed")
    made = api.post(f"{path}/create-stream").json()
    assert (made["ok"], made["promise"]) == (True, "fenced"), made
    assert api.get(path).json()["stream"] == "SEQUIN-RECORDS"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"jwt": "not a jwt"}, "nats.jwt"),
        ({"nkey_seed": "SUAB"}, "nats.nkey_seed"),
        ({"host": "127.0.0.1", "port": free_port()}, "nats.host"),
        ({"host": "no-such-host.invalid"}, "nats.host"),
    ],
)
def test_wrong_consumer_names_the_field(api: ApiClient, nats: JwtServer, change: dict[str, Any], field: str) -> None:
    error = error_of(api.post("nats_consumers", consumer_body(nats, nats.make_user(), **change)), 422)
    assert field in error["fields"], error
    assert not NatsConsumer.objects.exists()


def test_jwt_of_another_seed_is_told(api: ApiClient, nats: JwtServer) -> None:
    change = {"nkey_seed": nats.make_user("other").seed}
    error = error_of(api.post("nats_consumers", consumer_body(nats, nats.make_user(), **change)), 422)
    assert error["fields"] == {"nats.jwt": ["The JWT and the nkey seed do not belong together."]}


def test_masked_secrets_of_a_consumer_stay(api: ApiClient, nats: JwtServer) -> None:
    creds = nats.make_user()
    made = api.post("nats_consumers", consumer_body(nats, creds)).json()
    response = api.patch(f"nats_consumers/{made['id']}", {"name": "New", "nats": made["nats"]})
    assert response.status_code == 200, response.content
    changed = response.json()
    assert (changed["name"], changed["nats"]) == ("New", made["nats"])
    stored = NatsConsumer.objects.get().secrets
    assert (stored["jwt"], stored["nkey_seed"]) == (creds.jwt, creds.seed)


def test_null_leaves_what_cannot_be_null(api: ApiClient, nats: JwtServer) -> None:
    made = api.post("nats_consumers", consumer_body(nats, nats.make_user()) | {"subject_prefix": "ours"}).json()
    body = {"subject_prefix": None, "deliver_policy": None, "collection_ids": None, "nats": None}
    changed = api.patch(f"nats_consumers/{made['id']}", body).json()
    assert (changed["subject_prefix"], changed["deliver_policy"], changed["collection_ids"]) == ("ours", "all", None)


def test_port_alone_holds_for_the_hosts_there_are(api: ApiClient, nats: JwtServer) -> None:
    made = api.post("nats_consumers", consumer_body(nats, nats.make_user())).json()
    error = error_of(api.patch(f"nats_consumers/{made['id']}", {"nats": {"port": free_port()}}), 422)
    assert "nats.host" in error["fields"]


def test_no_record_is_there_before_a_worker_reads(api: ApiClient, grant: dict[str, str], app_id: str) -> None:
    made = api.post("syncs", sync_body(grant["refresh_token"], app_id)).json()
    assert api.get("records", sync_id=made["id"]).json() == {"data": [], "next": None}
    assert not Record.objects.exists()
