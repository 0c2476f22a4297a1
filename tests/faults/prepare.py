"""Makes a world's workspace, through the services that pages and the API use: `python -m tests.faults.prepare < JSON`.

Takes `{"grant", "syncs": {name: [collection ids]}, "consumers": [create_consumer's data]}`; prints their ids as JSON.
"""

import json
import sys
from typing import Any

import django


def main() -> None:
    asked = json.load(sys.stdin)
    django.setup()
    json.dump(prepare(asked["grant"], asked["syncs"], asked["consumers"]), sys.stdout)


def prepare(grant: dict[str, str], syncs: dict[str, list[str]], consumers: list[dict[str, Any]]) -> dict[str, Any]:
    from consumers import services as consumer_services
    from syncs import connections, services

    app = connections.create_oauth_app(
        {"provider": "salesforce", "client_id": grant["client_id"], "client_secret": grant["client_secret"]}, by=None
    )
    credential = connections.create_credential(
        {
            "provider": "salesforce",
            "kind": "salesforce",
            "oauth_app": app,
            "secrets": {"refresh_token": grant["refresh_token"]},
            "settings": {"instance_url": grant["instance_url"]},
        },
        by=None,
    )
    made = [
        services.create_sync({"name": name, "credential": credential, "collection_ids": ids, "poll_s": 2}, by=None)
        for name, ids in syncs.items()
    ]
    delivering = [consumer_services.create_consumer(data, by=None) for data in consumers]
    return {
        "credential": str(credential.pk),
        "syncs": [str(sync.pk) for sync in made],
        "consumers": {consumer.name: str(consumer.pk) for consumer in delivering},
        "promises": {consumer.name: consumer.promise for consumer in delivering},
    }


if __name__ == "__main__":
    main()
