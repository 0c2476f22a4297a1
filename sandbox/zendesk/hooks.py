"""Zendesk's webhooks: registered by an administrator, signed with a secret that is asked for afterwards.

Source: https://developer.zendesk.com/documentation/webhooks/verifying/, …/api-reference/webhooks/
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.kit.table import iso_z
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Hook, Webhooks
from sandbox.rawjson import dump, load
from sandbox.zendesk.errors import NO_ENDPOINT, NOT_FOUND, told

TICKETS = {"updated": "status_changed", "deleted": "soft_deleted", "restored": "undeleted"}


async def register(webhooks: Webhooks | None, request: Request) -> Response:
    """`{"webhook": {"name", "endpoint", "subscriptions"}}`; answers what was made, with a ULID."""
    asked = load(await request.body()).get("webhook", {})
    if webhooks is None:
        raise NO_ENDPOINT
    try:
        hook = webhooks.register(asked["endpoint"], "", asked["subscriptions"])
    except (KeyError, ValueError) as error:
        raise told(400, "InvalidValue", str(error)) from None
    return JSONResponse({"webhook": {**asked, "id": _public_id(hook), "created_by": "1"}}, 201)


def secret_of(webhooks: Webhooks | None, public_id: str) -> Response:
    for hook in webhooks.all() if webhooks else ():
        if _public_id(hook) == public_id:
            return JSONResponse({"signing_secret": {"secret": hook.secret, "algorithm": "SHA256"}})
    raise NOT_FOUND


def sign(hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
    """base64 of HMAC-SHA256 over the stamp's text and the body, one after the other."""
    stamp = iso_z(now_ms)
    digest = hmac.digest(hook.secret.encode(), stamp.encode() + body, "sha256")
    return {"X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": stamp, "X-Zendesk-Webhook-Id": _public_id(hook)}  # fmt: skip


def event_of(change: Change, now_ms: int) -> tuple[str, bytes] | None:
    """Tickets, users and organizations are told of, by their ids as text."""
    if change.table not in ("tickets", "users", "organizations"):
        return None
    kind, now = change.table.removesuffix("s"), iso_z(now_ms)
    what = TICKETS.get(change.what, change.what) if kind == "ticket" else change.what
    event = f"zen:event-type:{kind}.{what}"
    body = {"type": event, "account_id": 20001234, "id": f"{kind}-{change.row.id}-{change.row.version}", "time": now,
            "zendesk_event_version": "2022-11-06", "subject": f"zen:{kind}:{change.row.id}",
            "detail": {"id": change.row.id, "updated_at": now}, "event": {}}  # fmt: skip
    return event, dump(body)


def _public_id(hook: Hook) -> str:
    return f"01JD4ZK8T0Q3M7V5{hook.id:010d}"
