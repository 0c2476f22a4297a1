"""What Zendesk's refusals mean, and what its headers say of limits.

Docs    https://developer.zendesk.com/api-reference/introduction/rate-limits/ (read 2026-11-23)
Bodies come in four forms, as plain text and as HTML; nothing relies on one.
"""

import re
from collections.abc import Mapping, Sequence
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
from syncs.providers.kit.quota import MINUTE_S, Quota, Spare

_EXPORTS = ("zendesk-ratelimit-incremental-exports", "zendesk-rate-limit-incremental-exports")
_RESET = ("ratelimit-reset", "rate-limit-reset")
_LIMIT = ("x-rate-limit", "ratelimit-limit", "rate-limit")
_LEFT = ("x-rate-limit-remaining", "ratelimit-remaining", "rate-limit-remaining")


class ObjectGone(ProviderError):
    """That one record does not exist, or no more."""


class NoAccount(CollectionGone):
    """An answer that is not the API's: there is no such account, or it was cancelled."""


class PlaceLost(CursorLost):
    """A cursor that Zendesk does not know (any more)."""


class TooRecent(ProviderError):
    """An export may not begin within the last minute: nothing to read yet."""


class TooSlow(UpstreamFailed):
    """504: Zendesk could not gather a page of this size in time."""


class ExportsBusy(ProviderError):
    """The account's ten exports of this minute are used up. Only exports wait, the rest goes on."""

    kind = "rate_limit"
    next_step = "Nothing to do: it goes on by itself."

    def __init__(self, retry_after_s: float | None) -> None:
        super().__init__(
            "Zendesk allows ten pages of exports a minute, shared by all tools of the account.",
            retry_after_s=retry_after_s or 60.0,
        )


def said(body: bytes) -> tuple[str, str]:
    """(code or title, text) of what went wrong, in whichever form it came; empty for what is no JSON object."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    if isinstance(listed := answer.get("errors"), list) and listed and isinstance(listed[0], dict):
        return _texts(listed[0], "code", "detail")
    if isinstance(inner := answer.get("error"), dict):
        return _texts(inner, "title", "message")
    code, text = _texts(answer, "error", "description")
    return code, text or _texts(answer, "error", "error_description")[1]


def _texts(found: Mapping[str, Any], code: str, text: str) -> tuple[str, str]:
    return str(found.get(code) or ""), str(found.get(text) or "")


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer, else the error it means. Unknown refusals are left to the client's last word."""
    if answer.status < 300:
        return None
    if answer.status == 429:
        return _too_fast(answer)
    if answer.status >= 500 or answer.status == 409:
        kind = TooSlow if answer.status == 504 else UpstreamFailed
        return kind("Zendesk has trouble at the moment.")
    code, text = said(answer.body)
    if answer.status == 401:
        return _refused(code)
    if answer.status == 403:
        return _forbidden(text)
    if answer.status == 404 or answer.status < 400:
        return _missing(code)
    if code == "InvalidPaginationDepth":
        return UnexpectedShape("Zendesk does not list that many records by page numbers.")
    if "too recent" in text.lower():
        return TooRecent("Zendesk exports nothing of the last minute.")
    if "cursor" in f"{code} {text}".lower() or code.startswith("InvalidPagination"):
        return PlaceLost("Zendesk forgot our place in a list.")
    return None


def _too_fast(answer: Answer) -> ProviderError:
    """Exports have a bucket of their own; its header, used up, tells which one it was."""
    wait_s = retry_after(answer)
    exports = exports_left(answer.headers)
    if exports is not None and exports[0] == 0:
        return ExportsBusy(wait_s if wait_s is not None else exports[1])
    reset = _number(answer.headers, _RESET)
    return RateLimited("Zendesk asked us to slow down.", retry_after_s=wait_s if wait_s is not None else reset)


def _refused(code: str) -> ProviderError:
    if code == "invalid_token":
        return CredentialsRefused("Zendesk ended this access: it expired or was revoked.")
    return CredentialsRefused(
        "Zendesk refused the credentials.",
        next_step="Connect again. API tokens stop working on 30 April 2027: use an OAuth client instead.",
    )


def _forbidden(text: str) -> ProviderError:
    if "scope" in text:
        return PermissionMissing(
            "The connection may not read this: its scope “read” is missing.",
            next_step="Allow the scope “read” on the OAuth client in Zendesk’s Admin Center, then reconnect.",
        )
    return PermissionMissing(
        "The connected Zendesk user may not read this, or the plan does not have it.",
        next_step="Connect as an administrator of Zendesk, or leave this collection out.",
    )


def _missing(code: str) -> ProviderError:
    if code == "RecordNotFound":
        return ObjectGone("Zendesk does not know this record.")
    if code:
        return CollectionGone(
            "This Zendesk account does not have the feature these records belong to.",
            next_step="Leave this collection out, or turn the feature on in Zendesk.",
        )
    return NoAccount(
        "There is no Zendesk account at this address.",
        next_step="Check the subdomain: “acme” of acme.zendesk.com.",
    )


# --- Limits -----------------------------------------------------------------------------------------------------------


def exports_left(headers: Mapping[str, str]) -> tuple[int, float] | None:
    """`total=10; remaining=3; resets=43` as (3, 43.0); None where exports are not spoken of."""
    found = _exports(headers)
    return (found["remaining"], float(found.get("resets", MINUTE_S))) if "remaining" in found else None


def _exports(headers: Mapping[str, str]) -> dict[str, int]:
    text = next((headers[name] for name in _EXPORTS if name in headers), "")
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", text)}


def read_quota(headers: Mapping[str, str]) -> Sequence[Quota]:
    """The account's calls of this minute, and its exports: `x-rate-limit: 700`, `x-rate-limit-remaining: 699`.

    In any of the spellings Zendesk has used.
    """
    told: list[Quota] = []
    limit, left = _number(headers, _LIMIT), _number(headers, _LEFT)
    if limit is not None and left is not None:
        used = max(0, int(limit - left))
        told.append(Quota(used, int(limit), "account", MINUTE_S, _number(headers, _RESET)))
    exports = _exports(headers)
    if {"total", "remaining"} <= exports.keys():
        used = max(0, exports["total"] - exports["remaining"])
        told.append(Quota(used, exports["total"], "exports", MINUTE_S, exports.get("resets")))
    return told


# A fifth is left to others. Exports wait by themselves (ExportsBusy), and hold up nothing else.
spare_quota = Spare("account", 0.8, "calls your Zendesk has for a minute", pause_s=20)


def _number(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    text = next((headers[name] for name in names if name in headers), "")
    return float(text) if text.replace(".", "", 1).isdigit() else None
