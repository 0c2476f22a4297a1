"""The control API under `/_control`: what tests and the sandbox's own pages do to the other side. See README.md.

Plain JSON, no authentication: the sandbox listens on loopback only. A mistake answers 400 `{"error": "a sentence"}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.apps import DEFAULT_CLIENT_ID
from sandbox.rawjson import load
from sandbox.refusals import Refusal
from sandbox.side import Side

Endpoint = Callable[[Request], Awaitable[Any]]


def plain(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Turn what an endpoint returns into JSON, and its refusals into 400."""

    async def answered(request: Request) -> Response:
        try:
            answer = await endpoint(request)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except Refusal as error:
            return JSONResponse({"error": error.message}, error.status)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return answered


async def body_of(request: Request) -> dict[str, Any]:
    raw = await request.body()
    return load(raw) if raw else {}


def side_of(request: Request, asked: Mapping[str, Any]) -> Side:
    """The side that `provider` names. Raises ValueError."""
    return request.app.state.sandbox.side(asked.get("provider", ""))


@plain
async def state(request: Request) -> Any:
    """Counts per provider and collection, requests served, faults lying in wait, settings."""
    sandbox = request.app.state.sandbox
    counts = {
        provider: {shelf.split("/", 1)[1]: count for shelf, count in sandbox.store.counts(f"{provider}/").items()}
        for provider in sandbox.sides
    }
    requests = {name or "/": count for name, count in sandbox.requests.items()}
    return {"counts": counts, "requests": requests, "faults": sandbox.faults.active(),
            "settings": sandbox.settings.as_dict(), "now": sandbox.clock.http_date(),
            "seed": sandbox.seed_name}  # fmt: skip


@plain
async def add_fault(request: Request) -> Any:
    return request.app.state.sandbox.faults.add(await body_of(request)).as_dict()


@plain
async def faults(request: Request) -> Any:
    """GET lists, DELETE takes all away."""
    registry = request.app.state.sandbox.faults
    return {"removed": registry.clear()} if request.method == "DELETE" else {"faults": registry.active()}


@plain
async def remove_fault(request: Request) -> Any:
    return {"removed": int(request.app.state.sandbox.faults.remove(request.path_params["id"]))}


@plain
async def make_grant(request: Request) -> Any:
    """What a user's approval would have given an app, which is registered unless it is known."""
    sandbox, asked = request.app.state.sandbox, await body_of(request)
    side = side_of(request, asked)
    client_id = asked.get("client_id", DEFAULT_CLIENT_ID)
    client_secret = sandbox.apps.secret(client_id)
    if client_secret is None:
        client_id, client_secret = sandbox.apps.add(client_id, asked.get("client_secret", ""))
    base = f"{request.url.scheme}://{request.headers['host']}/{side.key}"
    return {"client_id": client_id, "client_secret": client_secret} | side.grant(client_id, asked, base)


@plain
async def make_app(request: Request) -> Any:
    """Register an OAuth app; what is left out is made up."""
    asked = await body_of(request)
    client_id, secret = request.app.state.sandbox.apps.add(asked.get("client_id", ""), asked.get("client_secret", ""))
    return {"client_id": client_id, "client_secret": secret}


@plain
async def make_key(request: Request) -> Any:
    """A key that somebody makes by hand at the provider; what may be asked for is the side's."""
    asked = await body_of(request)
    return side_of(request, asked).make_key(asked)


@plain
async def revoke(request: Request) -> Any:
    """`{"provider", "client_id"?, "token"?, "secret"?}`: end grants, one token, or a key."""
    asked = await body_of(request)
    return {"revoked": side_of(request, asked).revoke(asked)}


@plain
async def expire(request: Request) -> Any:
    """`{"provider", "token"?}`: access tokens die, grants live on."""
    asked = await body_of(request)
    return {"expired": side_of(request, asked).expire(asked)}


@plain
async def forget_page_tokens(request: Request) -> Any:
    """All page tokens that a provider gave out become invalid."""
    side_of(request, request.path_params).forget_page_tokens()
    return {"forgotten": True}


@plain
async def settings(request: Request) -> Any:
    """GET shows, POST changes; the names are in settings.py."""
    sandbox = request.app.state.sandbox
    if request.method == "POST":
        sandbox.change_settings(await body_of(request))
    return sandbox.settings.as_dict()


@plain
async def churn(request: Request) -> Any:
    """`{"every_s": n}` sets the pace (0: none); `{"now": n}` makes n changes at once."""
    sandbox, asked = request.app.state.sandbox, await body_of(request)
    if "every_s" in asked:
        sandbox.change_settings({"churn_s": asked["every_s"]})
    made = sandbox.churn.change(int(asked.get("now", 0)))
    return {"every_s": sandbox.settings.churn_s, "changed": made}


@plain
async def reset(request: Request) -> Any:
    """Everything as new; `{"seed": "demo"|"empty"}` chooses what is planted."""
    request.app.state.sandbox.reset((await body_of(request)).get("seed"))
    return {"reset": True}


@plain
async def webhooks(request: Request) -> Any:
    """POST registers a receiver: `{"provider", "url", "secret"?, "events"?}`; GET shows them, and what was sent."""
    asked = await body_of(request) if request.method == "POST" else request.path_params
    side = side_of(request, asked)
    if side.webhooks is None:
        raise ValueError(f"{side.label} sends no webhooks")
    if request.method == "POST":
        return asdict(side.webhooks.register(asked["url"], asked.get("secret", ""), asked.get("events", ["*"])))
    courier = request.app.state.sandbox.courier
    sent = [item for item in courier.sent if item["provider"] == side.key]
    return {"hooks": [asdict(hook) for hook in side.webhooks.all()], "sent": sent, "under_way": courier.under_way}


ROUTES = [
    Route("/state", state),
    Route("/faults", add_fault, methods=["POST"]),
    Route("/faults", faults, methods=["GET", "DELETE"]),
    Route("/faults/{id:int}", remove_fault, methods=["DELETE"]),
    Route("/grants", make_grant, methods=["POST"]),
    Route("/apps", make_app, methods=["POST"]),
    Route("/keys", make_key, methods=["POST"]),
    Route("/revoke", revoke, methods=["POST"]),
    Route("/expire", expire, methods=["POST"]),
    Route("/settings", settings, methods=["GET", "POST"]),
    Route("/churn", churn, methods=["POST"]),
    Route("/reset", reset, methods=["POST"]),
    Route("/webhooks", webhooks, methods=["POST"]),
    Route("/webhooks/{provider}", webhooks),
    Route("/page-tokens/{provider}", forget_page_tokens, methods=["DELETE"]),
]
