"""Stripe's v1 resources: lists, objects by id, the account, events.

Source: https://docs.stripe.com/api/pagination, https://docs.stripe.com/api/versioning, each resource's own page
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.rawjson import dump, indented
from sandbox.stripe import webhooks
from sandbox.stripe.account import ACCOUNT_ID
from sandbox.stripe.catalogue import KINDS, Kind
from sandbox.stripe.errors import StripeError
from sandbox.stripe.keys import ACCOUNT_RIGHT, Key
from sandbox.stripe.lists import Lists

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")
Endpoint = Callable[[Request, str, Key], Awaitable[bytes]]


def resource(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The way in for every resource: version, key; and the headers on every way out."""

    async def guarded(request: Request) -> Response:
        sandbox = request.app.state.sandbox
        version = request.headers.get("stripe-version", sandbox.settings.stripe_api_version)
        try:
            if not VERSION.fullmatch(version):
                raise StripeError(400, f"Invalid Stripe API version: {version}")
            secret, key = request.scope["side"].keys.check(request.headers)
            _check_account(request)
            body = indented(await endpoint(request, secret, key))
            response = Response(body, media_type="application/json")
        except StripeError as error:
            response = error.response()
        response.headers["request-id"] = f"req_{secrets.token_hex(7)}"
        response.headers["stripe-version"] = version
        response.headers["vary"] = "Origin"
        return response

    return guarded


def _check_account(request: Request) -> None:
    """`Stripe-Account` may name this account alone: the sandbox has no connected ones."""
    named, context = request.headers.get("stripe-account"), request.headers.get("stripe-context")
    if named and context:
        raise StripeError(400, "Only one of Stripe-Account and Stripe-Context may be sent.")
    if named and named != ACCOUNT_ID:
        raise StripeError(
            403,
            f"The provided key does not have access to account '{named}' (or that account does not exist). Application"
            " access may have been revoked.",
            code="account_invalid",
        )


def list_of(kind: Kind) -> Endpoint:
    """The endpoint of a kind's list."""

    async def listed(request: Request, secret: str, key: Key) -> bytes:
        stripe = request.scope["side"]
        stripe.keys.check_right(secret, key, kind.right)
        lists: Lists = stripe.lists
        parent = request.path_params.get("parent", "")
        url = request.url.path.removeprefix("/stripe")
        return lists.page(kind, key.mode, url, request.query_params.multi_items(), parent)

    return listed


def one_of(kind: Kind) -> Endpoint:
    """The endpoint of one object of a kind."""

    async def found(request: Request, secret: str, key: Key) -> bytes:
        stripe = request.scope["side"]
        stripe.keys.check_right(secret, key, kind.right)
        return stripe.lists.one(kind, key.mode, request.path_params["id"], request.query_params.getlist("expand[]"))

    return found


async def account(request: Request, secret: str, key: Key) -> bytes:
    """The key's own account."""
    request.scope["side"].keys.check_right(secret, key, ACCOUNT_RIGHT)
    return dump({
        "id": ACCOUNT_ID, "object": "account", "business_profile": {"name": "Sandbox Coffee Works", "url": None},
        "business_type": "company", "charges_enabled": True, "country": "DE", "created": 1_600_000_000,
        "default_currency": "eur", "details_submitted": True, "email": "owner@sandbox.example", "metadata": {},
        "payouts_enabled": True, "settings": {"dashboard": {"display_name": "Sandbox Coffee Works"}},
        "type": "standard",
    })  # fmt: skip


def of_customer(kind: Kind) -> Endpoint:
    """A kind's list cut down to one customer: `/v1/customers/{id}/payment_methods`."""

    async def listed(request: Request, secret: str, key: Key) -> bytes:
        stripe = request.scope["side"]
        stripe.keys.check_right(secret, key, kind.right)
        customer, url = request.path_params["parent"], request.url.path.removeprefix("/stripe")
        stripe.account.find(key.mode, "customers", customer)
        return stripe.lists.page(kind, key.mode, url, [*request.query_params.multi_items(), ("customer", customer)], "")

    return listed


async def unknown(request: Request, secret: str, key: Key) -> bytes:
    url = request.url.path.removeprefix("/stripe")
    raise StripeError(404, f"Unrecognized request URL ({request.method}: {url}).")


def _routes() -> list[Route]:
    routes = [Route("/v1/account", resource(account))]
    for kind in KINDS.values():
        path = f"/v1/{kind.path}"
        routes.append(Route(path, resource(list_of(kind)), methods=["GET"]))
        if "{parent}" not in path or kind.name == "customer_balance_transactions":
            routes.append(Route(f"{path}/{{id}}", resource(one_of(kind)), methods=["GET"]))
    for name in ("payment_methods", "tax_ids"):
        routes.append(Route(f"/v1/customers/{{parent}}/{name}", resource(of_customer(KINDS[name])), methods=["GET"]))
    path = "/v1/webhook_endpoints"
    routes += [
        Route(path, resource(webhooks.create), methods=["POST"]),
        Route(path, resource(webhooks.listed), methods=["GET"]),
        Route(f"{path}/{{id}}", resource(webhooks.one), methods=["GET"]),
        Route(f"{path}/{{id}}", resource(webhooks.change), methods=["POST"]),
        Route(f"{path}/{{id}}", resource(webhooks.remove), methods=["DELETE"]),
    ]
    return [*routes, Route("/{rest:path}", resource(unknown), methods=["GET", "POST", "DELETE"])]


ROUTES = _routes()
