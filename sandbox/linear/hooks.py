"""Linear's webhooks: made through the API by admins, one event a change, signed.

Source: https://linear.app/developers/webhooks; `WebhookCreateInput` of the schema
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.kit.tables import Change
from sandbox.linear import errors
from sandbox.linear.schema import LISTS
from sandbox.rawjson import dump, load

if TYPE_CHECKING:
    from sandbox.kit.webhooks import Hook
    from sandbox.linear.side import Linear

SILENT = ("teams", "workflowStates", "projectMilestones")
ACTIONS = {"created": "create", "updated": "update", "deleted": "remove", "restored": "update"}


def event_of(change: Change, now_ms: int, organization: str) -> tuple[str, bytes] | None:
    """The event of a change; it holds the time it is sent at, which the signature covers."""
    if change.table in SILENT:
        return None
    kind, data = LISTS[change.table]["type"], load(change.row.body)
    event = {"action": ACTIONS[change.what], "type": kind, "createdAt": data["updatedAt"], "data": data,
             "url": data.get("url"), "organizationId": organization, "webhookTimestamp": now_ms,
             "webhookId": "8f7d2f2c-3b1a-4c58-9a11-5d9d2d1c7b01"}  # fmt: skip
    if change.what == "updated":
        event["updatedFrom"] = {"updatedAt": load(change.before.body)["updatedAt"] if change.before else None}
    return kind, dump(event)


def _found(side: Linear, public_id: str) -> Hook | None:
    hooks = side.webhooks.all() if side.webhooks else ()
    return next((hook for hook in hooks if hook.more.get("public_id") == public_id), None)


def _create(side: Linear, asked: Mapping[str, Any]) -> bytes:
    given = asked["input"]
    if side.webhooks is None or _found(side, given["id"]) is not None:
        raise errors.bad_input("Argument Validation Error: id is taken")
    try:
        side.webhooks.register(given["url"], given["secret"], given["resourceTypes"], public_id=given["id"])
    except ValueError as error:
        raise errors.bad_input(str(error)) from None
    return dump({"success": True, "webhook": {"id": given["id"]}})


def _update(side: Linear, asked: Mapping[str, Any]) -> bytes:
    hook, given = _found(side, asked["id"]), asked["input"]
    if side.webhooks is None or hook is None:
        raise errors.not_found("Webhook")
    known = {"url": given.get("url", hook.url), "secret": given.get("secret", hook.secret)}
    side.webhooks.keep(replace(hook, **known, events=tuple(given.get("resourceTypes", hook.events))))
    return dump({"success": True})


def _delete(side: Linear, asked: Mapping[str, Any]) -> bytes:
    hook = _found(side, asked["id"])
    if side.webhooks is None or hook is None:
        raise errors.not_found("Webhook")
    side.webhooks.drop(hook.id)
    return dump({"success": True})


def _one(side: Linear, asked: Mapping[str, Any]) -> bytes:
    if _found(side, asked["id"]) is None:
        raise errors.not_found("Webhook")
    return dump({"id": asked["id"]})


FIELDS: dict[str, Callable[[Linear, Mapping[str, Any]], bytes]] = {
    "webhookCreate": _create,
    "webhookUpdate": _update,
    "webhookDelete": _delete,
    "webhook": _one,
}
