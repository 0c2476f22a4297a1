"""Linear's webhooks: one record each, signed with the webhook's secret.

Docs    https://linear.app/developers/webhooks; header and field by github.com/linear/linear packages/sdk/src/webhooks
        (`linear-signature`: hex HMAC-SHA256 of the body; `webhookTimestamp`, ms, inside it), read 2026-11-26
Rights  only workspace admins, or OAuth apps with the scope `admin`, make webhooks
"""

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from syncs.providers.kit import graphql, raw
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
from syncs.providers.linear.catalogue import BY_ID, BY_TYPE
from syncs.providers.linear.errors import Misunderstood, ObjectGone
from syncs.providers.linear.lists import PATH

HEADER = "linear-signature"
CREATE = "mutation($input: WebhookCreateInput!) { webhookCreate(input: $input) { success webhook { id } } }"
UPDATE = "mutation($id: String!, $input: WebhookUpdateInput!) { webhookUpdate(id: $id, input: $input) { success } }"
DELETE = "mutation($id: String!) { webhookDelete(id: $id) { success } }"
FIND = "query($id: String!) { webhook(id: $id) { id } }"


class _Named(msgspec.Struct):
    id: str = ""


class _Event(msgspec.Struct):
    type: str = ""
    webhookTimestamp: int = 0
    data: _Named = msgspec.field(default_factory=_Named)


def verify(delivery: Delivery, held: Mapping[str, str]) -> bool:
    """The signature covers the body, and the body holds the time it was sent."""
    if not held.get("secret"):
        return False
    if not is_same(signature(held["secret"], delivery.body), delivery.headers.get(HEADER, "")):
        return False
    try:
        return is_recent(_event(delivery).webhookTimestamp / 1000, delivery.now)
    except UnexpectedShape:
        return False


def told(delivery: Delivery) -> list[Told]:
    """The record an event is about. Of types that we read none of, nothing."""
    event = _event(delivery)
    resource = BY_TYPE.get(event.type)
    return [Told(resource.id, event.data.id)] if resource is not None and event.data.id else []


def _event(delivery: Delivery) -> _Event:
    try:
        return msgspec.json.decode(delivery.body, type=_Event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape("Linear sent an event in a form we do not know.", detail=str(error)[:200]) from None


async def register(client: Client, wanted: Wanted) -> Registered:
    """A webhook for all public teams, or the one that is there, brought up to date.

    Its id is made of the address, so asking twice makes one and not two. Linear takes our secret: the
    first is made here.
    """
    secret = wanted.secret or secrets.token_hex(24)
    made = uuid.UUID(bytes=hashlib.sha256(wanted.url.encode()).digest()[:16], version=4)
    hook_id = str(wanted.known.get("webhook") or made)
    ours = [BY_ID[each.id] for each in wanted.collections if each.id in BY_ID]
    types = sorted({resource.type for resource in ours if resource.hooked})
    asked: dict[str, Any] = {"url": wanted.url, "secret": secret, "label": "Sequin Console", "resourceTypes": types}
    if await _is_there(client, hook_id):
        done = await _do(client, "webhookUpdate", UPDATE, {"id": hook_id, "input": {**asked, "enabled": True}})
    else:
        done = await _do(client, "webhookCreate", CREATE, {"input": {**asked, "id": hook_id, "allPublicTeams": True}})
    if not done:
        raise UnexpectedShape("Linear did not make the webhook.")
    silent = ", ".join(resource.title for resource in ours if not resource.hooked).lower()
    lacking = f"Linear tells nothing of {silent}: they are looked for." if silent else ""
    return Registered({"webhook": hook_id}, secret=secret, lacking=lacking)


async def _do(client: Client, name: str, mutation: str, variables: Mapping[str, Any]) -> bool:
    answer = await client.post(PATH, graphql.asked(mutation, variables))
    return raw.scalar(raw.find(answer.body, f"data.{name}.success")) is True


async def _is_there(client: Client, hook_id: str) -> bool:
    try:
        answer = await client.post(PATH, graphql.asked(FIND, {"id": hook_id}))
    except (ObjectGone, Misunderstood):
        return False
    return raw.text_of(raw.find(answer.body, "data.webhook.id")) == hook_id


async def remove(client: Client, known: Mapping[str, Any]) -> None:
    """Take the webhook away; one that somebody took away already is no matter."""
    if await _is_there(client, str(known["webhook"])):
        await _do(client, "webhookDelete", DELETE, {"id": str(known["webhook"])})


WEBHOOK = Webhook(
    verify=verify,
    told=told,
    steps=(
        "In Linear, as a workspace admin, open Settings, API, and press New webhook.",
        "Paste the address shown here as the URL.",
        "Choose all public teams, and under Data change events what you sync: issues, comments, projects and so on.",
        "Create it, copy its signing secret, and paste it here.",
    ),
    secret=SetupField("secret", "Signing secret", "On the webhook’s page in Linear.", secret=True, example="lin_wh_…"),
    register=register,
    remove=remove,
    kinds=("linear_key",),
    rights="a key of a workspace admin, with access to all of it",
    about={resource.id: RECORD for resource in BY_TYPE.values()},
    tells="Issues, comments, projects, updates, cycles, documents, initiatives, labels, attachments and users.",
)
