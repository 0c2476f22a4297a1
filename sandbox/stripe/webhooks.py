"""Stripe's webhook endpoints: registered through the API or by hand, told of events, signed.

Source: https://docs.stripe.com/api/webhook_endpoints, https://docs.stripe.com/webhooks/signature
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from sandbox.clock import SECOND_MS
from sandbox.kit.webhooks import Hook, Webhooks
from sandbox.rawjson import dump
from sandbox.stripe.errors import StripeError, no_such
from sandbox.stripe.keys import WEBHOOK_READ, WEBHOOK_WRITE, Key

if TYPE_CHECKING:
    from sandbox.stripe.side import Stripe

PREFIX = "we_"
Endpoint = Callable[[Request, str, Key], Awaitable[bytes]]


def sign(hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
    """`t=<unix>,v1=<hex>`: HMAC-SHA256 of `<t>.<body>` with the whole `whsec_…` as the key."""
    stamp = str(now_ms // SECOND_MS)
    made = hmac.digest(hook.secret.encode(), stamp.encode() + b"." + body, "sha256").hex()
    return {"Stripe-Signature": f"t={stamp},v1={made}"}


def tell(webhooks: Webhooks, mode: str, event: str, body: bytes) -> None:
    """Send an event to the endpoints of its mode; one registered by hand belongs to test mode."""
    webhooks.tell(event, body, among=lambda hook: hook.more.get("mode", "test") == mode and not hook.more.get("is_off"))


async def create(request: Request, secret: str, key: Key) -> bytes:
    """A new endpoint. Its secret is told in this answer and never again; the same idempotency key gives the same."""
    stripe: Stripe = request.scope["side"]
    stripe.keys.check_right(secret, key, WEBHOOK_WRITE)
    form = parse_qsl((await request.body()).decode())
    sent = dict(form)
    events = [value for name, value in form if name.startswith("enabled_events")]
    once = request.headers.get("idempotency-key", "")
    known = next((hook for hook in stripe.endpoints.all() if once and hook.more.get("once") == once), None)
    if known is None:
        if not sent.get("url") or not events:
            raise StripeError(400, "Missing required param: url.", code="parameter_missing")
        try:
            made = f"whsec_{secrets.token_hex(16)}"
            known = stripe.endpoints.register(sent["url"], made, events, mode=key.mode, once=once)
        except ValueError:
            raise StripeError(400, "Invalid URL: the sandbox sends to loopback addresses only.") from None
    return dump(shown(known) | {"secret": known.secret})


async def one(request: Request, secret: str, key: Key) -> bytes:
    stripe: Stripe = request.scope["side"]
    stripe.keys.check_right(secret, key, WEBHOOK_READ)
    return dump(shown(find(stripe, key, request.path_params["id"])))


async def change(request: Request, secret: str, key: Key) -> bytes:
    """Another address, other events, switched off or on. The secret stays, and is not told again."""
    stripe: Stripe = request.scope["side"]
    stripe.keys.check_right(secret, key, WEBHOOK_WRITE)
    hook = find(stripe, key, request.path_params["id"])
    form = parse_qsl((await request.body()).decode())
    sent = dict(form)
    events = tuple(value for name, value in form if name.startswith("enabled_events")) or hook.events
    is_off = sent.get("disabled", "true" if hook.more.get("is_off") else "false") == "true"
    changed = replace(hook, url=sent.get("url", hook.url), events=events, more={**hook.more, "is_off": is_off})
    try:
        return dump(shown(stripe.endpoints.keep(changed)))
    except ValueError:
        raise StripeError(400, "Invalid URL: the sandbox sends to loopback addresses only.") from None


async def listed(request: Request, secret: str, key: Key) -> bytes:
    stripe: Stripe = request.scope["side"]
    stripe.keys.check_right(secret, key, WEBHOOK_READ)
    found = [shown(hook) for hook in stripe.endpoints.all() if hook.more.get("mode", "test") == key.mode]
    return dump({"object": "list", "url": "/v1/webhook_endpoints", "has_more": False, "data": found})


async def remove(request: Request, secret: str, key: Key) -> bytes:
    stripe: Stripe = request.scope["side"]
    stripe.keys.check_right(secret, key, WEBHOOK_WRITE)
    hook = find(stripe, key, request.path_params["id"])
    stripe.endpoints.drop(hook.id)
    return dump({"id": f"{PREFIX}{hook.id:024d}", "object": "webhook_endpoint", "deleted": True})


def find(stripe: Stripe, key: Key, endpoint: str) -> Hook:
    """The endpoint of that id in the key's mode. Raises resource_missing."""
    for hook in stripe.endpoints.all():
        if f"{PREFIX}{hook.id:024d}" == endpoint and hook.more.get("mode", "test") == key.mode:
            return hook
    raise no_such("webhook_endpoint", endpoint)


def shown(hook: Hook) -> dict[str, Any]:
    status = "disabled" if hook.more.get("is_off") else "enabled"
    return {"id": f"{PREFIX}{hook.id:024d}", "object": "webhook_endpoint", "url": hook.url, "status": status,
            "enabled_events": list(hook.events), "livemode": hook.more.get("mode") == "live", "metadata": {},
            "api_version": None, "description": None}  # fmt: skip
