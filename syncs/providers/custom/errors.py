"""What a described API's refusals mean. Nothing is known of its words: the status decides."""

from urllib.parse import urlsplit

from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import (
    CollectionGone,
    PermissionMissing,
    ProviderError,
    UnexpectedShape,
    UpstreamFailed,
)

CHECK = "An admin checks the definition: “Try it” shows what the API answers."


class RequestRefused(UnexpectedShape):
    """The API does not take this request: 400 and its like."""

    next_step = CHECK


def classify(answer: Answer) -> ProviderError | None:
    """401, 429 and 5xx are the kit's to tell."""
    status = answer.status
    if status == 403:
        return PermissionMissing(
            "The API does not let this connection read it (403).",
            next_step="Give the key or user the right to read it, then press Test connection.",
        )
    if status in (404, 410):
        return CollectionGone(f"The API says there is nothing at this address ({status}).", next_step=CHECK)
    if status in (408, 425):
        return UpstreamFailed("The API did not answer in time.")
    if 300 <= status < 400 and status != 304:
        to = urlsplit(answer.headers.get("location", "")).netloc
        where = f" to {to}" if to else ""
        return UnexpectedShape(
            f"The API sends us elsewhere{where} ({status}), and keys are not carried along.",
            next_step="An admin puts the address it sends us to into the definition.",
        )
    if 400 <= status < 500 and status not in (401, 429):
        return RequestRefused(f"The API did not take the request ({status}).")
    return None
