"""How Linear says no: `errors` in the answer, mostly with status 200.

Source: https://linear.app/developers/graphql, …/rate-limiting
Kinds   github.com/linear/linear packages/sdk/src/error.ts
"""

from __future__ import annotations

from sandbox.refusals import JsonRefusal


def refusal(status: int, kind: str, code: str, message: str) -> JsonRefusal:
    """`extensions` as Linear fills them: the kind in small letters, and a code."""
    extensions = {"type": kind, "code": code, "userError": kind != "internal error", "userPresentableMessage": message}
    return JsonRefusal(status, {"errors": [{"message": message, "extensions": extensions}]})


def invalid(message: str) -> JsonRefusal:
    return refusal(400, "graphql error", "GRAPHQL_VALIDATION_FAILED", message)


def bad_input(message: str) -> JsonRefusal:
    return refusal(200, "invalid input", "INPUT_ERROR", message)


UNKNOWN = refusal(401, "authentication error", "AUTHENTICATION_ERROR", "Authentication required, not authenticated")
FORBIDDEN = refusal(200, "forbidden", "FORBIDDEN", "You don't have permission to access this resource")
LIMITED = refusal(400, "ratelimited", "RATELIMITED", "Rate limit exceeded. Only 2500 requests are allowed per 1 hour.")
TROUBLE = refusal(500, "internal error", "INTERNAL_SERVER_ERROR", "Internal server error")
LOST_CURSOR = bad_input("Argument Validation Error: after is not a valid cursor")


def not_found(kind: str) -> JsonRefusal:
    return refusal(200, "invalid input", "INPUT_ERROR", f"Entity not found: {kind}")
