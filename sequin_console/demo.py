"""The demo's workspace: a connected sandbox, a sync of four collections, a consumer on the embedded NATS server.

Made once, through the same services as a person's clicks. Each part is looked up by name first, so that a run that was
cut short goes on where it ended; when all are there a mark is left in the activity log, and what somebody deletes after
that stays deleted.
"""

import time
from collections.abc import Callable
from typing import Any

import httpx
from django.conf import settings

from consumers import services as consumers
from consumers.models import ConsumerCursor, NatsConsumer
from sequin_console.common import audit, runner
from sequin_console.common.models import AuditEvent
from syncs import connections, oauth_apps
from syncs import services as syncs
from syncs.access import shared_http
from syncs.hosts import DEMO
from syncs.models import Credential, OAuthApp, Sync

PROVIDER, KIND = "salesforce", "salesforce"
APP, CONNECTION, SYNC, CONSUMER = "Demo app", "Demo Salesforce", "Demo CRM", "Demo stream"
COLLECTIONS = tuple(f"{PROVIDER}:{name}" for name in ("contact", "account", "opportunity", "invoice__c"))
POLL_S = 3
MARK = "demo.prepared"
SANDBOX_WAIT_S, FIRST_RECORD_WAIT_S = 60.0, 120.0

Say = Callable[[str], object]


def prepare(say: Say) -> None:
    """Make the workspace ready if it never was. Raises Problem or httpx.HTTPError; calling again is safe."""
    if AuditEvent.objects.filter(action=MARK).exists():
        follow_nats()
        say("the workspace is there already")
        return
    say("waiting for the sandbox")
    grant = _grant()
    credential = _credential(_oauth_app(grant), grant)
    say(f"connected to {credential.account_name or credential.name}")
    consumer = _consumer()
    if not consumer.stream_name:
        consumers.create_stream(consumer, by=None)
    if not Sync.objects.filter(name=SYNC).exists():
        data = {"name": SYNC, "credential": credential, "collection_ids": list(COLLECTIONS), "poll_s": POLL_S}
        syncs.create_sync(data, by=None)
    audit.record(None, MARK)
    say("waiting for the first record on the stream")
    _wait_for_first_record(consumer)
    say(f"records flow from the sandbox to the stream {_stream_of(consumer)}")


def close() -> None:
    """Let go of what the services opened for a long-lived process; this one ends now."""
    runner.run(lambda _orm: shared_http().aclose(), timeout_s=5)


def follow_nats() -> None:
    """Point the demo's consumer at where the embedded server listens now; its port may have been taken meanwhile."""
    consumer, host = NatsConsumer.objects.filter(name=CONSUMER).first(), _nats_host()
    if consumer and host and consumer.metadata.get("demo") and consumer.hosts != [host]:
        consumers.update_consumer(consumer, {"nats": {"host": host}}, by=None)


def _grant() -> dict[str, Any]:
    """What a person's approval would have given us; the sandbox may still be planting its data."""
    give_up_s = time.monotonic() + SANDBOX_WAIT_S
    while True:
        try:
            answer = httpx.post(f"{settings.SANDBOX_URL}/_control/grants", json={"provider": PROVIDER}, timeout=30)
            return dict(answer.raise_for_status().json())
        except httpx.TransportError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.2)


def _oauth_app(grant: dict[str, Any]) -> OAuthApp:
    """Also what the Connect button uses: with it a person walks through the sandbox's own consent page."""
    data = {"provider": PROVIDER, "name": APP, "host": DEMO}
    data |= {key: grant[key] for key in ("client_id", "client_secret")}
    return OAuthApp.objects.filter(name=APP, host=DEMO).first() or oauth_apps.create(data, by=None)


def _credential(app: OAuthApp, grant: dict[str, Any]) -> Credential:
    data = {
        "provider": PROVIDER,
        "kind": KIND,
        "name": CONNECTION,
        "oauth_app": app,
        "secrets": {"refresh_token": grant["refresh_token"]},
        "settings": {"instance_url": grant["instance_url"], "host": DEMO},
    }
    found = Credential.objects.filter(name=CONNECTION, oauth_app=app).first()
    return found or connections.create_credential(data, by=None)


def _consumer() -> NatsConsumer:
    data = {"name": CONSUMER, "nats": {"host": _nats_host()}, "metadata": {"demo": True}}
    return NatsConsumer.objects.filter(name=CONSUMER).first() or consumers.create_consumer(data, by=None)


def _nats_host() -> str:
    return settings.EMBEDDED_NATS_URL.removeprefix("nats://")


def _stream_of(consumer: NatsConsumer) -> str:
    return NatsConsumer.objects.values_list("stream_name", flat=True).get(pk=consumer.pk)


def _wait_for_first_record(consumer: NatsConsumer) -> None:
    """Only so that `up` can say when; nothing depends on it. Raises TimeoutError."""
    give_up_s = time.monotonic() + FIRST_RECORD_WAIT_S
    while not ConsumerCursor.objects.filter(consumer=consumer, delivered__gt=0).exists():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"No record arrived within {FIRST_RECORD_WAIT_S:.0f} s; the sync's page says why.")
        time.sleep(0.2)
