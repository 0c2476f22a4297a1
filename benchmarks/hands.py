"""A person's hands at the console: makes connections, syncs and consumers by the services that pages and the API call.

`python -m benchmarks.hands` in a product's environment reads lines of JSON, `{"do": name, …}`, and answers each with a
line: `{"ok": …}` or `{"error": …}`. A process that stays, so that Django's start is not part of what is measured.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import django

KEY = "rk_test_benchmark"
COLLECTION = "stripe:customer"


def connect(secret: str = KEY) -> str:
    """A connection to the upstream; its id."""
    from syncs import connections

    data = {"provider": "stripe", "kind": "stripe_key", "name": "Benchmark", "secrets": {"secret": secret}}
    return str(connections.create_credential(data, by=None).pk)


def connect_salesforce(grant: dict[str, str]) -> str:
    """A connection to the sandbox's Salesforce, by what its control API granted; its id."""
    from syncs import connections, oauth_apps

    names = {"client_id": grant["client_id"], "client_secret": grant["client_secret"]}
    app = oauth_apps.create({"provider": "salesforce", "name": "Benchmark", **names}, by=None)
    data = {"provider": "salesforce", "kind": "salesforce", "name": "Benchmark", "oauth_app": app}
    secrets, place = {"refresh_token": grant["refresh_token"]}, {"instance_url": grant["instance_url"]}
    return str(connections.create_credential({**data, "secrets": secrets, "settings": place}, by=None).pk)


def create_sync(name: str, credential: str, poll_s: int = 86_400, collections: tuple[str, ...] = (COLLECTION,)) -> Any:
    """A sync; its id, and when its creation was asked for."""
    from syncs import services
    from syncs.models import Credential

    data = {"name": name, "collection_ids": list(collections), "poll_s": poll_s}
    asked_at = time.time()
    sync = services.create_sync({**data, "credential": Credential.objects.get(pk=credential)}, by=None)
    return {"id": str(sync.pk), "asked_at": asked_at}


def create_consumer(name: str, prefix: str, host: str, port: int, sync: str | None = None) -> Any:
    """A consumer, its stream made first by the console's own button; id, stream, promise, when it was asked for."""
    from consumers import services

    data = {"name": name, "subject_prefix": prefix, "sync_id": sync, "nats": {"host": host, "port": port}}
    asked_at = time.time()
    consumer = services.create_consumer(data, by=None)
    if not consumer.stream_name:
        services.create_stream(consumer, by=None)
        consumer.refresh_from_db()
    return {
        "id": str(consumer.pk),
        "stream": consumer.stream_name,
        "promise": consumer.promise,
        "asked_at": asked_at,
    }


def remove_consumer(consumer: str) -> None:
    """Take a consumer away at once; its messages stay."""
    from consumers import services
    from consumers.models import NatsConsumer

    services.remove(NatsConsumer.objects.get(pk=consumer), by=None)


def set_up_webhook(credential: str) -> bool:
    """Near real time for a connection; whether the provider took the registration."""
    from syncs import webhooks
    from syncs.models import Credential

    return webhooks.set_up(Credential.objects.get(pk=credential), by=None).is_registered


def resync(sync: str) -> float:
    """Read all of a sync's collections from their beginning again; when it was asked for."""
    from syncs import services
    from syncs.models import Sync

    asked_at = time.time()
    services.resync(Sync.objects.get(pk=sync), None, by=None)
    return asked_at


def read_only(credential: str) -> dict[str, float]:
    """Read a collection's whole history and do nothing with it: how many records, and this process's CPU seconds."""
    from syncs import connections
    from syncs.models import Credential

    stored = Credential.objects.get(pk=credential)
    [collection] = connections.collections_of(stored, [COLLECTION])

    async def walk(reader: Any) -> int:
        return sum([len(page.records) async for page in reader.backfill(collection, None)])

    began_s = time.process_time()
    records = connections.ask(stored, walk)
    return {"records": records, "cpu_s": time.process_time() - began_s}


def main(more: Iterable[Callable[..., Any]] = ()) -> None:
    """Serve until nobody asks any more. `more`: deeds besides those above."""
    deeds = {
        deed.__name__: deed
        for deed in (
            *(connect, connect_salesforce, create_sync, create_consumer, remove_consumer, set_up_webhook, resync),
            *(read_only, *more),
        )
    }
    django.setup()
    from sequin_console import demo

    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"ok": deeds[asked.pop("do")](**asked)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
    demo.close()


if __name__ == "__main__":
    main()
