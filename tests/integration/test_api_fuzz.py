"""Whatever is sent, no route answers 5xx, and what it answers is what the OpenAPI document says.

Upstream is the provider in memory; NATS is a closed port of loopback, so that every try fails at once.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.api import api as mounted
from sequin_console.common import rest
from syncs import log
from syncs.models import OAuthApp, Record
from tests.api_client import ApiClient
from tests.fake_provider import Upstream, collection

pytestmark = pytest.mark.django_db
EXAMPLES = 20
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(mounted.get_openapi_schema(path_prefix="v1/"))
SCHEMA.app = WSGIHandler()
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}
CLOSED = {"host": "127.0.0.1", "port": 1}
KEY = {"kind": "fake_key", "secret": "k"}


@pytest.fixture(autouse=True)
def _one_transaction() -> Iterator[None]:
    """Requests must not close the connection that holds the test's transaction, as Django's own test client sees to."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """One of everything, and its ids."""
    cache.clear()
    monkeypatch.setattr(rest, "FAILURES_A_MINUTE", 10**9)
    world = Upstream(collections=(collection("thing"),))
    with world.registered():
        sync = world.sync()
        consumer = NatsConsumer.objects.create(name="c", hosts=["127.0.0.1:1"], port=1)
        ConsumerCursor.objects.create(consumer=consumer, sync=sync)
        app = OAuthApp.objects.create(
            provider="salesforce", name="a", client_id="x", secrets={"client_secret": "s"}, host="production"
        )
        row = sync.collections.get()
        Record.objects.create(
            sync=sync, collection=row, upstream_id="r", seq=log.advance_head(sync.pk, 1), data='{"n":1}', digest=b"",
            operation="create", read_no=1, first_seen_at=sync.created_at, changed_at=sync.created_at,
        )  # fmt: skip
        yield {
            "sync_id": str(sync.pk),
            "credential_id": str(sync.credential_id),
            "consumer_id": str(consumer.pk),
            "app_id": str(app.pk),
            "oauth_app_id": str(app.pk),
            "client_id": str(app.pk),
            "collection_id": "fake:thing",
            "upstream_id": "r",
            "record_id": str(log.public_id(sync.pk, "fake:thing", "r")),
        }


def steer(case: Any, ids: dict[str, str]) -> None:
    """Bring a case to things that exist, and away from the network."""
    case.path_parameters.update({name: ids[name] for name in case.path_parameters if name in ids})
    if not isinstance(case.body, dict):
        return
    case.body.update({name: ids[name] for name in ("oauth_app_id", "client_id") if name in case.body})
    if isinstance(case.body.get("nats"), dict):
        case.body["nats"] = {key: value for key, value in case.body["nats"].items() if key != "hosts"} | CLOSED
    for owner in (case.body, case.body.get("credential")):
        if isinstance(owner, dict) and isinstance(owner.get("properties"), dict):
            owner["properties"] = {**owner["properties"], **KEY}


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_request_breaks_a_route(label: str, ids: dict[str, str]) -> None:
    client = ApiClient("admin")

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(), is_steered=st.booleans())
    def run(case: Any, is_steered: bool) -> None:
        if is_steered or "nats" in str(case.body):
            steer(case, ids)
        case.call_and_validate(headers=client.headers, checks=CHECKS)

    run()
