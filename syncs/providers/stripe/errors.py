"""What Stripe's refusals mean. Docs: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-low-level"""

import re

import msgspec

from syncs.providers.kit.answers import Answer, retry_after
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    CursorLost,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)

_PERMISSION = re.compile(r"\brak_[a-z0-9_]+")
_UNAVAILABLE = ("Only Stripe Connect platforms", "not enabled", "not set up to use", "does not have access to")


class ObjectGone(ProviderError):
    """That one object does not exist, or no more."""


class PlaceGone(CursorLost):
    """The object a page starts after was deleted: go on from its creation time."""


class AgedOut(CursorLost):
    """The event a page starts after left Stripe's 30 days."""


class Refusal(msgspec.Struct):
    """The `error` of `{"error":{"type","code","message","param"}}`."""

    type: str = ""
    code: str | None = None
    message: str | None = None
    param: str | None = None


class _Body(msgspec.Struct):
    error: Refusal


def refusal(body: bytes) -> Refusal:
    """What an answer's body says went wrong; empty when it is no such body."""
    try:
        return msgspec.json.decode(body, type=_Body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refusal()


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer, else the error it means. Unknown refusals are left to the client's last word."""
    if answer.status < 300:
        return None
    said = refusal(answer.body)
    text = said.message or ""
    if answer.status == 429 or said.code == "rate_limit":
        return _too_fast(answer, said)
    if answer.status == 409 or answer.status >= 500:
        return UpstreamFailed("Stripe has trouble at the moment.")
    if answer.status == 401:
        return _refused(said)
    if answer.status == 403:
        return _forbidden(said, text)
    if said.code == "resource_missing" and said.param in ("starting_after", "ending_before"):
        return PlaceGone("The object our reading stood at was deleted in Stripe.")
    if "retention" in text or ("event" in text.lower() and "aged out" in text.lower()):
        return AgedOut("Stripe keeps events for 30 days only.")
    if "Unrecognized request URL" in text or any(words in text for words in _UNAVAILABLE):
        return _unavailable()
    if answer.status == 404 or said.code == "resource_missing":
        return ObjectGone("Stripe does not know this object.")
    if said.code == "secret_key_required":
        return CredentialsRefused("This is a publishable key; it cannot read.", next_step=_NEW_KEY)
    if said.code == "parameter_unknown" or "API version" in text:
        return UnexpectedShape("Stripe did not understand our request.", next_step="Please report this.")
    return None


_NEW_KEY = "Create a restricted key in Stripe (Developers, API keys) and paste it into the connection."


def _unavailable() -> ProviderError:
    return CollectionGone(
        "This Stripe account does not use the product these records belong to.",
        next_step="Leave this collection out, or turn the product on in Stripe.",
    )


def _too_fast(answer: Answer, said: Refusal) -> ProviderError:
    """A rate limit; a `lock_timeout` is only a busy object. Stripe documents no Retry-After."""
    if said.code == "lock_timeout":
        return UpstreamFailed("Stripe was busy with the same object.")
    return RateLimited("Stripe asked us to slow down.", retry_after_s=retry_after(answer))


def _refused(said: Refusal) -> ProviderError:
    if said.code == "api_key_expired":
        return CredentialsRefused("The Stripe key has expired.", next_step=_NEW_KEY)
    return CredentialsRefused("Stripe refused the key: it was rolled, deleted or mistyped.", next_step=_NEW_KEY)


def _forbidden(said: Refusal, text: str) -> ProviderError:
    if said.code == "account_invalid":
        return CredentialsRefused(
            "The Stripe account is gone, or access to it was taken back.",
            next_step="Check the account id of the connection, or reconnect.",
        )
    names = sorted(set(_PERMISSION.findall(text)))
    if names:
        return PermissionMissing(
            f"The Stripe key may not read this ({', '.join(names)}).",
            next_step="Edit the key in Stripe (Developers, API keys), set that permission to Read, "
            "then press Test connection.",
        )
    if any(words in text for words in _UNAVAILABLE):
        return _unavailable()
    if "IP" in text:
        return PermissionMissing(
            "Stripe does not let this server's address use the key.",
            next_step="Add this server's IP address to the key's allow list in Stripe.",
        )
    return PermissionMissing("The Stripe key may not read this.", next_step="Edit the key in Stripe, then test again.")
