"""Zendesk's webhooks: registered by an administrator, signed with a secret that is asked for afterwards.

Source: https://developer.zendesk.com/documentation/webhooks/verifying/, …/api-reference/webhooks/webhooks-api/webhooks/
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.kit.table import iso_z
from sandbox.kit.webhooks import ALL, Habits, Hook, Webhooks
from sandbox.rawjson import load
from sandbox.zendesk.errors import NO_ACCESS, NOT_FOUND, listed
from sandbox.zendesk.events import BY_TRIGGER, TYPES

if TYPE_CHECKING:
    from sandbox.zendesk.side import Zendesk

PATH = "/api/v2/webhooks"
REQUIRED = ("name", "endpoint", "http_method", "request_format", "status")
RETRIED = frozenset({0, 409, 429, 503})
HABITS = Habits(is_final=lambda status: status not in RETRIED)
Endpoint = Callable[["Zendesk", Request], Awaitable[Response]]


def routes(side: Zendesk) -> list[Route]:
    """Reading takes `read` or `webhooks:read`, the rest `write` or `webhooks:write`; and an administrator."""
    calls: tuple[tuple[str, str, Endpoint], ...] = (
        ("", "GET", all_of), ("", "POST", create), ("/{id}", "GET", one), ("/{id}", "PUT", change),
        ("/{id}", "PATCH", change), ("/{id}", "DELETE", remove), ("/{id}/signing_secret", "GET", secret),
        ("/{id}/signing_secret", "POST", new_secret),
    )  # fmt: skip
    found = []
    for path, method, endpoint in calls:
        right = "read" if method == "GET" else "write"
        call = _of_admins(side, endpoint)
        found.append(side.get(PATH + path, call, f"webhooks:{right}", right, methods=(method,)))
    return found


def _of_admins(side: Zendesk, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def entered(request: Request) -> Response:
        if side.role_of(request.state.caller) != "admin":
            raise NO_ACCESS
        return await endpoint(side, request)

    return entered


# ---- the calls


async def all_of(side: Zendesk, request: Request) -> Response:
    """All on one page, as long as they are few."""
    found = [shown(hook) for hook in _webhooks(side).all() if "asked" in hook.more]
    return JSONResponse({"webhooks": found, "meta": {"has_more": False, "after_cursor": None, "before_cursor": None},
                         "links": {"prev": None, "next": None}})  # fmt: skip


async def create(side: Zendesk, request: Request) -> Response:
    """`{"webhook": {"name", "status", "endpoint", "http_method", "request_format", "subscriptions"}}`."""
    asked = load(await request.body()).get("webhook") or {}
    _check(asked)
    try:
        now = iso_z(side.clock.now_ms())
        hook = _webhooks(side).register(asked["endpoint"], "", asked.get("subscriptions", ()), asked=asked, made=now)
    except ValueError as error:
        raise invalid(f"endpoint: {error}") from None
    return JSONResponse({"webhook": shown(hook)}, 201)


async def one(side: Zendesk, request: Request) -> Response:
    return JSONResponse({"webhook": shown(_find(side, request))})


async def change(side: Zendesk, request: Request) -> Response:
    """PUT takes a whole webhook, PATCH a part of one."""
    hook, given = _find(side, request), load(await request.body()).get("webhook") or {}
    asked = given if request.method == "PUT" else {**hook.more["asked"], **given}
    _check(asked)
    changed = replace(hook, url=asked["endpoint"], events=tuple(asked.get("subscriptions", ())),
                      more={**hook.more, "asked": asked})  # fmt: skip
    try:
        _webhooks(side).keep(changed)
    except ValueError as error:
        raise invalid(f"endpoint: {error}") from None
    return Response(status_code=204)


async def remove(side: Zendesk, request: Request) -> Response:
    _webhooks(side).drop(_find(side, request).id)
    return Response(status_code=204)


async def secret(side: Zendesk, request: Request) -> Response:
    return JSONResponse({"signing_secret": {"secret": _find(side, request).secret, "algorithm": "SHA256"}})


async def new_secret(side: Zendesk, request: Request) -> Response:
    """The old one is good no more, at once."""
    hook = _webhooks(side).keep(replace(_find(side, request), secret=secrets.token_hex(24)))
    return JSONResponse({"signing_secret": {"secret": hook.secret, "algorithm": "SHA256"}}, 201)


# ---- rows


def invalid(detail: str) -> Exception:
    return listed(400, "InvalidWebhook", "Invalid webhook", detail)


def _check(asked: Mapping[str, Any]) -> None:
    """What Zendesk does not take: events it does not know, and triggers' calls beside events."""
    if lacking := [name for name in REQUIRED if not asked.get(name)]:
        raise invalid(f"{', '.join(lacking)}: cannot be blank")
    wanted = set(asked.get("subscriptions") or ())
    if BY_TRIGGER in wanted and len(wanted) > 1:
        raise invalid(f"subscriptions: {BY_TRIGGER} cannot be combined with event types")
    if unknown := wanted - TYPES - {BY_TRIGGER}:
        raise invalid(f"subscriptions: unknown {', '.join(sorted(unknown))}")


def shown(hook: Hook) -> dict[str, Any]:
    """Without its secret, which has a path of its own."""
    return {**hook.more["asked"], "id": public_id(hook), "created_at": hook.more["made"],
            "updated_at": hook.more["made"], "created_by": "365000000001", "updated_by": "365000000001",
            "signing_secret": None}  # fmt: skip


def is_on(hook: Hook) -> bool:
    """Whether it hears: one made by hand always does."""
    return bool(hook.more.get("asked", {}).get("status", "active") == "active" or ALL in hook.events)


def sign(hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
    """base64 of HMAC-SHA256 over the stamp's text and the body, one after the other."""
    stamp = iso_z(now_ms)
    digest = hmac.digest(hook.secret.encode(), stamp.encode() + body, "sha256")
    return {"X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": stamp, "X-Zendesk-Webhook-Id": public_id(hook),
            "X-Zendesk-Account-Id": "20001234"}  # fmt: skip


def public_id(hook: Hook) -> str:
    return f"01JD4ZK8T0Q3M7V5{hook.id:010d}"


def _webhooks(side: Zendesk) -> Webhooks:
    assert side.webhooks is not None
    return side.webhooks


def _find(side: Zendesk, request: Request) -> Hook:
    for hook in _webhooks(side).all():
        if public_id(hook) == request.path_params["id"] and "asked" in hook.more:
            return hook
    raise NOT_FOUND
