"""What HubSpot's refusals mean. Bodies are `{"status":"error","category","message","errors"?,…}`, each field optional.

Docs    https://developers.hubspot.com/docs/api-reference/error-handling and …/usage-guidelines (read 2026-11-23)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from syncs.providers.kit.quota import DAY_S, Quota, Spare

BURST_PAUSE_S, SEARCH_PAUSE_S, LOCK_PAUSE_S = 10.0, 1.0, 2.0
DAY_PAUSE_S = 3600.0  # the day ends at the portal's midnight, and no header says when that is
MOVING_PAUSE_S = 900.0
_NOT_OFFERED = ("unable to infer object type", "not enabled", "not activated", "does not have access to", "upgrade")
_NO_PLACE = ("paging", "after value", "'after'")


class ObjectGone(ProviderError):
    """That one object does not exist, is archived, or was merged away."""


@dataclass(frozen=True)
class Inner:
    """One of `errors`: of a refusal, or of a batch that is answered in part. `context`: names to lists of texts."""

    category: str
    message: str
    context: Mapping[str, list[str]]


@dataclass(frozen=True)
class Said:
    """What an error body says; what is not spelled as documented counts as not said."""

    category: str = ""
    message: str = ""
    policy: str = ""
    errors: tuple[Inner, ...] = ()


def said_by(body: bytes) -> Said:
    """The error in a body."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Said()
    if not isinstance(answer, dict):
        return Said()
    listed = answer.get("errors")
    errors = tuple(inner(each) for each in listed if isinstance(each, dict)) if isinstance(listed, list) else ()
    return Said(_text(answer, "category"), _text(answer, "message"), _text(answer, "policyName"), errors)


def inner(error: Mapping[str, Any]) -> Inner:
    """`{"category":"OBJECT_NOT_FOUND","message":"…","context":{"ids":["502"]}}`, read leniently."""
    context = error.get("context")
    named = context if isinstance(context, dict) else {}
    texts = {key: [str(each) for each in values] for key, values in named.items() if isinstance(values, list)}
    return Inner(_text(error, "category"), _text(error, "message"), texts)


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    return found if isinstance(found, str) else ""


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer, else the error it means. Unknown refusals are left to the client's last word."""
    if answer.status < 300:
        return None
    said = said_by(answer.body)
    text = said.message.lower()
    match answer.status:
        case 429:
            return _too_fast(answer, said)
        case 401:
            return _refused(said)
        case 530:
            return CredentialsRefused("This is no access token of HubSpot’s.", next_step=_NEW_KEY)
        case 403:
            return _forbidden(said, text)
        case 404 if said.category == "OBJECT_NOT_FOUND":
            return ObjectGone("HubSpot does not know this record.")
        case 400 | 404 if any(words in text for words in _NOT_OFFERED):
            return _unavailable()
        case 404:
            return ObjectGone("HubSpot does not know this.")
        case 400 if any(words in text for words in _NO_PLACE):
            return CursorLost("HubSpot forgot our place in a list.")
        case 400 | 414:
            return UnexpectedShape("HubSpot did not understand our request.", next_step="Please report this.")
        case 423:
            return UpstreamFailed("HubSpot was busy with the same records.")
        case 477:
            wait_s = retry_after(answer)
            return RateLimited(
                "HubSpot is moving the account to another data centre.",
                retry_after_s=MOVING_PAUSE_S if wait_s is None else wait_s,
            )
        case status if status >= 500:
            return UpstreamFailed("HubSpot has trouble at the moment.")
    return None


_NEW_KEY = "Create a service key in HubSpot (Development, Keys, Service keys) and paste it into the connection."


def _refused(said: Said) -> ProviderError:
    if said.category == "EXPIRED_AUTHENTICATION":
        return CredentialsRefused("HubSpot’s access token has expired.")
    return CredentialsRefused("HubSpot refused the token: it was rotated, deleted or mistyped.", next_step=_NEW_KEY)


def _forbidden(said: Said, text: str) -> ProviderError:
    if any(words in text for words in _NOT_OFFERED):
        return _unavailable()
    names = [scope for each in said.errors for key, scopes in each.context.items() if "scope" in key.lower()
             for scope in scopes]  # fmt: skip
    listed = f" ({', '.join(dict.fromkeys(names))})" if names else ""
    return PermissionMissing(
        f"The HubSpot connection may not read this{listed}.",
        next_step="Add the scope to the service key (or to the app, then reconnect), then press Test connection.",
    )


def _unavailable() -> ProviderError:
    return CollectionGone(
        "This HubSpot account does not offer these records.",
        next_step="Leave this collection out, or turn the object on in HubSpot (Settings, Objects).",
    )


def _too_fast(answer: Answer, said: Said) -> RateLimited:
    """Three limits, told apart by `policyName` and message; only the first one's headers say how long it lasts."""
    wait_s = retry_after(answer)
    text = said.message.lower()
    if "DAILY" in said.policy or "daily" in text:
        return RateLimited(
            "The day’s API calls of your HubSpot account are used up.",
            next_step="Nothing to do: the sync goes on when HubSpot’s day is over.",
            retry_after_s=DAY_PAUSE_S if wait_s is None else wait_s,
        )
    if wait_s is None:
        interval = answer.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        wait_s = int(interval) / 1000 if interval.isdigit() else BURST_PAUSE_S
        if said.policy == "SECONDLY" or "your secondly limit" in text:
            wait_s = SEARCH_PAUSE_S
    return RateLimited("HubSpot asked us to slow down.", retry_after_s=wait_s)


def read_quota(headers: Mapping[str, str]) -> Sequence[Quota]:
    """The day's calls of the whole account, and those of ten seconds of this app.

    The day is told to keys alone; apps by OAuth have no published daily limit. Search tells neither.
    """
    interval = headers.get("x-hubspot-ratelimit-interval-milliseconds") or ""
    burst_s = int(interval) // 1000 if interval.isdigit() else round(BURST_PAUSE_S)
    told = (("day", "daily", "daily-remaining", DAY_S), ("burst", "max", "remaining", max(1, burst_s)))
    return tuple(_budgets(headers, told))


def _budgets(headers: Mapping[str, str], told: Sequence[tuple[str, str, str, int]]) -> Iterator[Quota]:
    for name, most, rest, period_s in told:
        allowed, left = (headers.get(f"x-hubspot-ratelimit-{each}") or "" for each in (most, rest))
        if allowed.isdigit() and left.isdigit():
            yield Quota(max(0, int(allowed) - int(left)), int(allowed), name, period_s)


# The day's calls belong to all apps of the portal together.
spare_quota = Spare(
    "day",
    0.95,
    "API calls your HubSpot has for a day",
    pause_s=1800,
    next_step="Nothing to do: the sync goes on when HubSpot’s day is over. A longer interval uses fewer calls.",
)
