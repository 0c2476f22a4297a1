"""Zendesk's webhooks: its own events of tickets, users and organizations; each names a record, which is read again.

Docs    https://developer.zendesk.com/api-reference/webhooks/introduction/, …/documentation/webhooks/verifying/
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.kit.catalogue import SetupField
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape
from syncs.providers.kit.webhooks import (
    LOOK,
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
from syncs.providers.zendesk.errors import ObjectGone
from syncs.providers.zendesk.resource import API, PREFIX

PATH = f"{API}/webhooks"
SIGNATURE, STAMP = "x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp"
NAMED = {"ticket": "ticket", "user": "user", "organization": "organization"}
EVENT = "zen:event-type:"
SUBSCRIPTIONS = tuple(
    EVENT + name
    for name in (
        "ticket.created", "ticket.status_changed", "ticket.custom_status_changed", "ticket.priority_changed",
        "ticket.type_changed", "ticket.subject_changed", "ticket.description_changed", "ticket.tags_changed",
        "ticket.custom_field_changed", "ticket.comment_added", "ticket.comment_made_private", "ticket.comment_redacted",
        "ticket.agent_assignment_changed", "ticket.group_assignment_changed", "ticket.organization_changed",
        "ticket.requester_changed", "ticket.submitter_changed", "ticket.brand_changed", "ticket.form_changed",
        "ticket.external_id_changed", "ticket.problem_link_changed", "ticket.task_due_at_changed",
        "ticket.email_ccs_changed", "ticket.followers_changed", "ticket.merged", "ticket.marked_as_spam",
        "ticket.soft_deleted", "ticket.permanently_deleted", "ticket.undeleted",
        "user.created", "user.deleted", "user.name_changed", "user.role_changed", "user.tags_changed",
        "user.custom_field_changed", "user.external_id_changed", "user.merged",
        "organization.created", "organization.deleted", "organization.name_changed", "organization.tags_changed",
        "organization.custom_field_changed", "organization.external_id_changed",
    )
)  # fmt: skip


class _Event(msgspec.Struct):
    type: str
    detail: dict[str, Any]


def verify(delivery: Delivery, secrets: Mapping[str, str]) -> bool:
    """Base64 of the HMAC over the time's text and the raw body; the time is one of our own rules, five minutes."""
    stamp = delivery.headers.get(STAMP, "")
    try:
        sent_at = datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return False
    if not secrets.get("secret") or not stamp.isascii():
        return False
    ours = signature(secrets["secret"], stamp.encode() + delivery.body, "base64")
    return is_same(ours, delivery.headers.get(SIGNATURE, "")) and is_recent(sent_at, delivery.now)


def told(delivery: Delivery) -> list[Told]:
    """The record an event names; of a ticket also that its comments and audits may have grown."""
    try:
        event = msgspec.json.decode(delivery.body, type=_Event)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("Zendesk sent an event in a form we do not know.", detail=str(error)[:200]) from None
    return list(_named(event))


def _named(event: _Event) -> Iterator[Told]:
    kind = event.type.removeprefix(EVENT).partition(".")[0]
    record = event.detail.get("id")
    if kind not in NAMED or not isinstance(record, str | int) or not str(record):
        return
    yield Told(PREFIX + NAMED[kind], str(record))
    if kind == "ticket":
        yield Told(PREFIX + "ticket_comment")
        yield Told(PREFIX + "ticket_audit")


async def register(client: Client, wanted: Wanted) -> Registered:
    """One webhook for all events we know, found again by its address; its secret is Zendesk's and can be asked for.

    One that is known and tells another address, or fewer events, is changed to what is wanted.
    """
    asked = {"name": "Sequin Console", "status": "active", "endpoint": wanted.url, "http_method": "POST",
             "request_format": "json", "subscriptions": list(SUBSCRIPTIONS)}  # fmt: skip
    listed = msgspec.json.decode((await client.get(PATH, {"page[size]": 100})).body)["webhooks"]
    known = wanted.known.get("webhook")
    row = next((each for each in listed if each["id"] == known or each["endpoint"] == wanted.url), None)
    if row is None:
        row = msgspec.json.decode((await client.post(PATH, {"webhook": asked})).body)["webhook"]
    elif any(row.get(name) != asked[name] for name in ("endpoint", "status", "subscriptions")):
        await client.send("PUT", f"{PATH}/{row['id']}", json={"webhook": asked}, is_json=False)
    found = str(row["id"])
    answer = await client.get(f"{PATH}/{found}/signing_secret")
    secret = msgspec.json.decode(answer.body)["signing_secret"]["secret"]
    return Registered({"webhook": found}, secret=str(secret))


async def remove(client: Client, known: Mapping[str, Any]) -> None:
    """Take the webhook away; one that is gone, or that we may not touch, is no matter."""
    try:
        await client.send("DELETE", f"{PATH}/{known['webhook']}", is_json=False)
    except (ObjectGone, CollectionGone, PermissionMissing):
        return


WEBHOOK = Webhook(
    verify=verify,
    told=told,
    steps=(
        "In Zendesk’s Admin Center, open Apps and integrations, Webhooks, and press Create webhook.",
        "Choose Zendesk events, and select the events of tickets, users and organizations.",
        "Paste the address shown here as the endpoint URL. Request method POST, format JSON, no authentication.",
        "Open the new webhook, press Show signing secret, and paste it here.",
    ),
    secret=SetupField("secret", "Signing secret", "On the webhook’s page in Zendesk’s Admin Center.", secret=True),
    register=register,
    remove=remove,
    kinds=("zendesk_api_token",),  # of OAuth we ask for nothing but reading
    rights="the API token of an administrator",
    tells="Tickets with their comments and audits, users and organizations. The rest is found by looking.",
    about={PREFIX + name: RECORD for name in NAMED.values()}
    | dict.fromkeys((PREFIX + "ticket_comment", PREFIX + "ticket_audit"), LOOK),
)
