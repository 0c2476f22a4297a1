"""Stripe's webhooks: events, signed with the endpoint's secret; each names an object, which is then read again.

Docs    https://docs.stripe.com/webhooks, https://docs.stripe.com/webhooks/signature, read 2026-11-23
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from syncs.providers.kit.catalogue import SetupField
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.webhooks import (
    RECORD,
    Delivery,
    Registered,
    Told,
    Wanted,
    Webhook,
    is_recent,
    is_same,
    signature,
)
from syncs.providers.stripe.catalogue import LISTS
from syncs.providers.stripe.errors import ObjectGone
from syncs.providers.stripe.hints import DROPPED, Event, named_objects, told_as
from syncs.providers.stripe.resource import PREFIX

PATH = "/v1/webhook_endpoints"
HEADER = "stripe-signature"
_BY_OBJECT = {name: [each for each in LISTS if told_as(each) == name] for name in map(told_as, LISTS) if name}


def verify(delivery: Delivery, secrets: Mapping[str, str]) -> bool:
    """`Stripe-Signature: t=<unix>,v1=<hex>[,v1=…]`: the secret's HMAC of `<t>.<body>`; several while it is rolled."""
    parts = [part.strip().partition("=") for part in delivery.headers.get(HEADER, "").split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    if not secrets.get("secret") or not (stamp.isascii() and stamp.isdigit()):
        return False
    ours = signature(secrets["secret"], stamp.encode() + b"." + delivery.body)
    matches = [is_same(ours, value) for name, _, value in parts if name == "v1"]
    return any(matches) and is_recent(int(stamp), delivery.now)


def told(delivery: Delivery) -> list[Told]:
    """The objects an event names, also as owners of lists, and the event itself for those who collect events."""
    try:
        event = msgspec.json.decode(delivery.body, type=Event)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Stripe sent an event in a form we do not know.", detail=str(error)[:200]) from None
    names = [] if event.type in DROPPED else named_objects(event)
    about = [Told(each.id, object_id) for name, object_id in names for each in _BY_OBJECT.get(name, ())]
    return [*about, Told(PREFIX + "event", event.id)]


async def register(client: Client, wanted: Wanted) -> Registered:
    """Make an endpoint for all events. Its secret is told only now, so one that is known is kept and mended."""
    if endpoint := wanted.known.get("endpoint"):
        try:
            there: dict[str, Any] = msgspec.json.decode((await client.get(f"{PATH}/{endpoint}")).body)
            if there.get("url") != wanted.url or there.get("status") == "disabled":  # Stripe ends what fails for days
                mended = {"url": wanted.url, "disabled": "false"}
                await client.send("POST", f"{PATH}/{endpoint}", data=mended)
            return Registered(wanted.known)
        except ObjectGone:
            pass
    form = {"url": wanted.url, "enabled_events[]": "*", "description": "Sequin Console"}
    headers = {"Idempotency-Key": f"console-{signature(wanted.secret, wanted.url.encode())[:32]}"}
    answer = await client.send("POST", PATH, data=form, headers=headers)
    made: dict[str, Any] = msgspec.json.decode(answer.body)
    return Registered({"endpoint": str(made["id"])}, secret=str(made["secret"]))


async def remove(client: Client, known: Mapping[str, Any]) -> None:
    """Take the endpoint away; one that somebody took away already is no matter."""
    try:
        await client.send("DELETE", f"{PATH}/{known['endpoint']}")
    except ObjectGone:
        return


WEBHOOK = Webhook(
    verify=verify,
    told=told,
    steps=(
        "In Stripe, open Developers, Webhooks, and press Add destination.",
        "Choose events on Your account, and Select all events; or only those of what you sync.",
        "Choose Webhook endpoint, and paste the address shown here as the endpoint URL.",
        "Open the new endpoint, reveal its signing secret (whsec_…), and paste it here.",
    ),
    secret=SetupField("secret", "Signing secret", "On the endpoint’s page in Stripe.", secret=True, example="whsec_…"),
    register=register,
    remove=remove,
    kinds=("stripe_key", "stripe_app"),
    rights="a key with Write on Webhook Endpoints",
    tells="Everything that Stripe has events for, deletions included.",
    about={each.id: RECORD for lists in _BY_OBJECT.values() for each in lists} | {PREFIX + "event": RECORD},
)
