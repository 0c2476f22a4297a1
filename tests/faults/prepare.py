"""Makes a world's workspace, through the services that pages and the API use: `python -m tests.faults.prepare < JSON`.

Takes `{"grant", "syncs": {name: [collection ids]}, "consumers": [create_consumer's data], "stripe_key"}`; prints their
ids as JSON. With `{"refused": [...]}` it tries what must be refused and prints what a person would be told.
"""

import json
import sys
from typing import Any

import django


def main() -> None:
    asked = json.load(sys.stdin)
    django.setup()
    made = refusals(**asked["refused"]) if "refused" in asked else prepare(**asked)
    json.dump(made, sys.stdout)


def prepare(
    grant: dict[str, str], syncs: dict[str, list[str]], consumers: list[dict[str, Any]], stripe_key: str
) -> dict[str, Any]:
    from consumers import services as consumer_services
    from syncs import connections, oauth_apps, services

    app = oauth_apps.create(
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
    if stripe_key:
        paid = {"provider": "stripe", "kind": "stripe_key", "secrets": {"secret": stripe_key}}
        customers = {"name": "Billing", "collection_ids": ["stripe:customer"], "poll_s": 2}
        customers["credential"] = connections.create_credential(paid, by=None)
        made.append(services.create_sync(customers, by=None))
    delivering = [consumer_services.create_consumer(data, by=None) for data in consumers]
    return {
        "credential": str(credential.pk),
        "syncs": [str(sync.pk) for sync in made],
        "consumers": {consumer.name: str(consumer.pk) for consumer in delivering},
        "promises": {consumer.name: consumer.promise for consumer in delivering},
    }


def refusals(
    oauth_app: dict[str, str], credentials: list[dict[str, Any]], consumers: list[dict[str, Any]]
) -> list[str]:
    """What is said of connections and consumers that must not be made. Raises AssertionError if one is."""
    from consumers import services as consumer_services
    from sequin_console.common.problems import Problem
    from syncs import connections, oauth_apps

    app = oauth_apps.create(oauth_app, by=None)
    tries = [(connections.create_credential, {"oauth_app": app, **data}) for data in credentials]
    tries += [(consumer_services.create_consumer, data) for data in consumers]
    told = []
    for make, data in tries:
        try:
            make(data, by=None)
        except Problem as problem:
            told.append(repr((problem, problem.fields, problem.next_step)))
        else:
            raise AssertionError(f"{make.__name__} should have been refused")
    return told


if __name__ == "__main__":
    main()
