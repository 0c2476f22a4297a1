"""How the faults that Salesforce itself causes look."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response

from sandbox.faults import Fault
from sandbox.salesforce.errors import EDGE_PAGE, ApiError, invalid_locator, over_quota, unsupported_object


def answer(salesforce: Any, fault: Fault, headers: Headers) -> Response | None:
    """The answer of a fault; None when it only changes what the API itself will answer."""
    if fault.kind == "unavailable":
        return HTMLResponse(EDGE_PAGE, 503)
    if fault.kind == "expired_token":
        salesforce.grants.end_session(headers.get("authorization", "").partition(" ")[2])
        return None
    if fault.kind == "revoked_grant":
        salesforce.grants.revoke_client(None)
        salesforce.grants.end_all_sessions()
        return None
    errors = {
        "rate_limit": ApiError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests. Please slow down."),
        "quota": over_quota(),
        "server_error": ApiError(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this"
                                 " ErrorId if you contact support: 1183772910-23041 (-1402283119)"),
        "lost_page_token": invalid_locator(),
        "forbidden": ApiError(403, "INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id"),
        "no_read_right": unsupported_object(fault.path.rpartition(" ")[2] or "Unknown"),
        "lock_timeout": ApiError(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
    }  # fmt: skip
    response = errors[fault.kind].response()
    if fault.retry_after is not None:
        response.headers["Retry-After"] = f"{fault.retry_after:g}"
    return response
