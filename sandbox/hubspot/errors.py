"""HubSpot's refusals: `{"status","message","correlationId","category",…}`.

Docs    https://developers.hubspot.com/docs/api-reference/error-handling, …/usage-guidelines
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.refusals import JsonRefusal

BURST_MS = 10_000


def refusal(
    status: int, category: str, message: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JsonRefusal:
    body = {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), "category": category, **more}
    return JsonRefusal(status, body, headers)


def invalid(message: str) -> JsonRefusal:
    """What HubSpot says of a request it does not take."""
    return refusal(400, "VALIDATION_ERROR", message)


def unknown_type(name: str) -> JsonRefusal:
    return invalid(f"Unable to infer object type from: {name}")


def missing_scopes(scopes: Sequence[str]) -> JsonRefusal:
    url = "https://developers.hubspot.com/scopes"
    message = f"This app hasn't been granted all required scopes to make this call. Read more here: {url}."
    context = {"requiredGranularScopes": [*scopes]}
    lacking = {"message": "One or more of the following scopes are required.", "context": context}
    return refusal(403, "MISSING_SCOPES", message, errors=[lacking], links={"scopes": url})


def not_found(message: str = "resource not found") -> JsonRefusal:
    return refusal(404, "OBJECT_NOT_FOUND", message)


def too_fast(policy: str, message: str, headers: Mapping[str, str] | None = None) -> JsonRefusal:
    """429. `category` is missing from these; `errorType` and `policyName` say which limit it was."""
    body = {"status": "error", "message": message, "errorType": "RATE_LIMIT", "correlationId": str(uuid.uuid4()),
            "policyName": policy, "groupName": "publicapi:private-apps:api-calls:4242424"}  # fmt: skip
    return JsonRefusal(429, body, headers)


def over_ten_seconds() -> JsonRefusal:
    headers = {"X-HubSpot-RateLimit-Interval-Milliseconds": str(BURST_MS)}
    return too_fast("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit.", headers)


def over_second() -> JsonRefusal:
    return too_fast("SECONDLY", "You have reached your secondly limit.")


def over_day() -> JsonRefusal:
    return too_fast("DAILY", "You have reached your daily limit.")
