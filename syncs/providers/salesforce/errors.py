"""What Salesforce's refusals mean. Docs: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm"""

import json

from syncs.providers.kit.answers import Answer, retry_after
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    CursorLost,
    HostGone,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)

QUOTA_PAUSE_S = 15 * 60.0  # Salesforce names no time; every refused call counts too


class FieldGone(UnexpectedShape):
    """A selected field was removed or hidden meanwhile: describe again."""


class TooBig(ProviderError):
    """The query ran too long or touched too much: ask for less at once."""

    kind = "upstream"


class LocatorGone(CursorLost):
    """The server forgot the page token: go on from the last Id."""


class BulkRefused(ProviderError):
    """The object cannot be read by the Bulk API, or not today: read it by REST."""


class RecordGone(ProviderError):
    """That one thing is not there."""


_ADMIN = "Ask your Salesforce administrator, then press Test connection."


def error_code(body: bytes) -> tuple[str, str]:
    """`[{"errorCode":"INVALID_FIELD","message":"…"}]` as code and message; empty when the body is something else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return "", ""
    first = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(first, dict):
        return "", ""
    code = first.get("errorCode") or first.get("exceptionCode") or ""
    return str(code), str(first.get("message") or first.get("exceptionMessage") or "")


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer, else the error it means. Unknown refusals are left to the client's last word."""
    if answer.status < 300:
        return None
    if (
        answer.status < 400
    ):  # has the org moved? A renewed token names its instance; else it passes, as maintenance does
        return HostGone("Salesforce sends us to another address.")
    code, message = error_code(answer.body)
    if answer.status == 401:
        return CredentialsRefused("Salesforce no longer accepts our session.")
    if code in ("REQUEST_LIMIT_EXCEEDED", "EXCEEDED_QUOTA") or answer.status == 429:
        return RateLimited(
            "Salesforce's limit of API calls is used up.",
            next_step="Nothing to do: the sync goes on when Salesforce lets us. A longer interval uses fewer calls.",
            retry_after_s=retry_after(answer) or QUOTA_PAUSE_S,
        )
    return _by_code(code, message) or _by_status(answer.status, code)


def _by_code(code: str, message: str) -> ProviderError | None:
    match code:
        case "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED":
            return PermissionMissing(
                "This Salesforce user or edition may not use the API.",
                next_step='Give the connected user the permission "API Enabled", then press Test connection.',
            )
        case "INVALID_TYPE" | "INVALID_TYPE_FOR_OPERATION":
            return CollectionGone(
                "Salesforce does not show us this object.",
                next_step="Check that the object still exists, and give the connected user read access to it.",
            )
        case "INVALID_FIELD":
            return FieldGone("A field was removed or hidden in Salesforce.")
        case "INVALID_QUERY_LOCATOR":
            return LocatorGone("Salesforce forgot our place in a list.")
        case "QUERY_TIMEOUT" | "OPERATION_TOO_LARGE" | "QUERY_TOO_COMPLICATED":
            return TooBig("Salesforce could not answer a query of this size.", next_step=_TOO_BIG.get(code, ""))
        case "INVALIDENTITY" | "LIMIT_EXCEEDED" | "API_ERROR" | "FEATURENOTENABLED":
            return BulkRefused("Salesforce does not offer this object in bulk.")
        case "ENTITY_IS_DELETED":
            return RecordGone("The record was deleted in Salesforce.")
        case "UNSUPPORTED_API_VERSION" | "INVALIDVERSION":
            return UnexpectedShape("Salesforce retired the API version we use.", next_step="Update Sequin Console.")
    if "not supported by the Bulk API" in message or "compound data not supported" in message:
        return BulkRefused("Salesforce does not offer this object in bulk.")
    if code.startswith("INSUFFICIENT_ACCESS") or code == "TXN_SECURITY_METERING_ERROR":
        return PermissionMissing("A Salesforce policy keeps the connected user from reading this.", next_step=_ADMIN)
    return None


_TOO_BIG = {"OPERATION_TOO_LARGE": 'Give the connected user the permission "View All Data".'}


def _by_status(status: int, code: str) -> ProviderError | None:
    if status == 410:
        return UnexpectedShape("Salesforce retired the API version we use.", next_step="Update Sequin Console.")
    if status == 404:
        return RecordGone("Salesforce does not know this address.")
    if status == 403:
        return PermissionMissing("The connected Salesforce user may not read this.", next_step=_ADMIN)
    if status in (406, 409, 420) or status >= 500:  # 406 and 420 come from the edge while an org starts
        return UpstreamFailed("Salesforce has trouble at the moment.")
    if code == "MALFORMED_QUERY":
        return UnexpectedShape("Salesforce did not understand our query.")
    return None
