"""The control API under `/_control`: what tests and the sandbox's own pages do to the other side. See README.md.

Plain JSON, no authentication: the sandbox listens on loopback only. A mistake answers 400 `{"error": "a sentence"}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.rawjson import load
from sandbox.salesforce.errors import ApiError
from sandbox.stripe.errors import StripeError

Endpoint = Callable[[Request], Awaitable[Any]]


def plain(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Turn what an endpoint returns into JSON, and its refusals into 400."""

    async def answered(request: Request) -> Response:
        try:
            answer = await endpoint(request)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except (ApiError, StripeError) as error:
            return JSONResponse({"error": error.message}, error.status)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return answered


async def body_of(request: Request) -> dict[str, Any]:
    raw = await request.body()
    return load(raw) if raw else {}


@plain
async def state(request: Request) -> Any:
    """Counts per provider and collection, requests served, faults lying in wait, settings."""
    sandbox = request.app.state.sandbox
    counts = {
        provider: {shelf.split("/", 1)[1]: count for shelf, count in sandbox.store.counts(f"{provider}/").items()}
        for provider in ("salesforce", "stripe")
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
    """A ready Salesforce connection, or a Stripe App's tokens: what a user's approval would have given."""
    sandbox, asked = request.app.state.sandbox, await body_of(request)
    base = f"{request.url.scheme}://{request.headers['host']}"
    client_id = asked.get("client_id", "sandbox-console")
    client_secret = sandbox.apps.secret(client_id)
    if client_secret is None:
        client_id, client_secret = sandbox.apps.add(client_id, asked.get("client_secret", ""))
    app = {"client_id": client_id, "client_secret": client_secret}
    if asked.get("provider") == "stripe":
        mode = asked.get("mode", "test")
        code = sandbox.stripe.grants.issue_code(client_id, mode)
        return app | sandbox.stripe.grants.redeem(code, mode)
    if asked.get("provider") != "salesforce":
        raise ValueError("provider must be salesforce or stripe")
    return app | sandbox.salesforce.grants.open_grant(client_id) | {"instance_url": f"{base}/salesforce"}


@plain
async def make_app(request: Request) -> Any:
    """Register an OAuth app; what is left out is made up."""
    asked = await body_of(request)
    client_id, secret = request.app.state.sandbox.apps.add(asked.get("client_id", ""), asked.get("client_secret", ""))
    return {"client_id": client_id, "client_secret": secret}


@plain
async def make_key(request: Request) -> Any:
    """A restricted Stripe key; `permissions` are collections or rights, left out for all."""
    asked = await body_of(request)
    keys, mode = request.app.state.sandbox.stripe.keys, asked.get("mode", "test")
    if mode not in ("test", "live"):
        raise ValueError("mode must be test or live")
    return {"secret": keys.make(mode, asked.get("permissions"), asked.get("expires_in_s", 0)), "mode": mode}


@plain
async def revoke(request: Request) -> Any:
    """`{"provider", "client_id"?, "token"?, "secret"?}`: end grants, one token, or a Stripe key."""
    sandbox, asked = request.app.state.sandbox, await body_of(request)
    if asked.get("provider") == "stripe":
        if "secret" in asked:
            return {"revoked": int(sandbox.stripe.keys.drop(asked["secret"]))}
        return {"revoked": sandbox.stripe.grants.end()}
    grants = sandbox.salesforce.grants
    if "token" in asked:
        return {"revoked": int(grants.revoke(asked["token"]))}
    return {"revoked": grants.revoke_client(asked.get("client_id"))}


@plain
async def expire(request: Request) -> Any:
    """`{"provider", "token"?}`: access tokens die, grants live on. A Stripe token or key must be named."""
    sandbox, asked = request.app.state.sandbox, await body_of(request)
    if asked.get("provider") == "stripe":
        return {"expired": int(sandbox.stripe.keys.expire(asked["token"]))}
    if "token" in asked:
        sandbox.salesforce.grants.end_session(asked["token"])
        return {"expired": 1}
    return {"expired": sandbox.salesforce.grants.end_all_sessions()}


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
async def forget_locators(request: Request) -> Any:
    """All open Salesforce query locators become invalid."""
    request.app.state.sandbox.salesforce.queries.forget_locators()
    return {"forgotten": True}


@plain
async def change_fields(request: Request) -> Any:
    """POST `{"name", "type"}` adds a custom field to an object; DELETE takes a field away."""
    salesforce, name = request.app.state.sandbox.salesforce, request.path_params["object"]
    if request.method == "DELETE":
        salesforce.org.hide_field(name, request.path_params["field"])
    else:
        asked = await body_of(request)
        salesforce.org.add_field(name, asked["name"], asked.get("type", "string"))
    salesforce.schema_changed()
    return {"fields": [field.name for field in salesforce.org.object(name).fields]}


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
    Route("/locators", forget_locators, methods=["DELETE"]),
    Route("/fields/{object}", change_fields, methods=["POST"]),
    Route("/fields/{object}/{field}", change_fields, methods=["DELETE"]),
]
