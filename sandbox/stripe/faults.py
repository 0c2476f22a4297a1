"""How the faults that Stripe itself causes look.

Source: https://docs.stripe.com/rate-limits, https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response

from sandbox.faults import Fault
from sandbox.stripe.account import ACCOUNT_ID
from sandbox.stripe.catalogue import KINDS
from sandbox.stripe.errors import StripeError, invalid_key, missing_permission, no_such
from sandbox.stripe.keys import secret_of

REASON = {"Stripe-Rate-Limited-Reason": "global-rate"}
EDGE_PAGE = "<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>"


def answer(stripe: Any, fault: Fault, headers: Headers) -> Response | None:
    """The answer of a fault; None when it only changes what the API itself will answer."""
    secret = secret_of(headers)
    if fault.kind == "unavailable":
        return HTMLResponse(EDGE_PAGE, 503)
    if fault.kind == "expired_token":
        stripe.keys.expire(secret)
        return None
    if fault.kind == "revoked_grant":
        stripe.grants.end()
        return invalid_key(secret).response()
    errors = {
        "rate_limit": StripeError(429, "Request rate limit exceeded. Learn more about rate limits here"
                                  " https://docs.stripe.com/rate-limits.", code="rate_limit", headers=REASON),
        "quota": StripeError(429, "Request rate limit exceeded.", code="rate_limit", headers=REASON),
        "lock_timeout": StripeError(429, "This object cannot be accessed right now because another API request or"
                                    " Stripe process is currently accessing it.", code="lock_timeout", retry=True),
        "server_error": StripeError(500, "An unknown error occurred", kind="api_error", retry=True),
        "lost_page_token": no_such("object", "gone", "starting_after", 400),
        "forbidden": missing_permission(secret, ACCOUNT_ID, _right(fault.path)),
        "no_read_right": missing_permission(secret, ACCOUNT_ID, _right(fault.path)),
    }  # fmt: skip
    response = errors[fault.kind].response()
    if fault.retry_after is not None:
        response.headers["Retry-After"] = f"{fault.retry_after:g}"
    return response


def _right(path: str) -> str:
    """The permission a path needs, as far as the path tells."""
    below = path.removeprefix("/v1/").strip("/")
    return next((kind.right for kind in KINDS.values() if kind.path == below), "rak_customer_read")
