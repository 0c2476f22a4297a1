"""What Jira's refusals mean. A product answers `{"errorMessages":[…],"errors":{}}`, the gateway `{"code":401,…}`.

Docs    https://developer.atlassian.com/cloud/jira/platform/rate-limiting, …/cloud/jira/platform/rest/v3 (status codes)
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from syncs.providers.kit.answers import Answer, retry_after
from syncs.providers.kit.errors import (
    CredentialsRefused,
    CursorLost,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.quota import HOUR_S, Quota
from syncs.providers.kit.times import parse_time

BURST_PAUSE_S = 2.0
FULL_PAGE_PRICE = 101  # points: one for the request, one for each issue of its page
_GOOD_LOGINS = ("OK", "AUTHENTICATED_TRUE")
_NO_PLACE = ("nextpagetoken", "next page token", "page token")
_NOT_HERE = ("does not support sprints", "next-gen issue", "no columns with a mapped status")


class ObjectGone(ProviderError):
    """That one object does not exist, or is hidden from the connected user."""


class NotHere(ProviderError):
    """This project or board has no such list."""


class PlaceGone(CursorLost):
    """A page token is older than 7 days, or not of this query: the walk goes on from the last time seen."""


class TooSlow(ProviderError):
    """Jira gave up on a page of this size: a smaller one may come."""

    next_step = "We try again by ourselves, with smaller pages."


def words(body: bytes) -> str:
    """All texts of an error body, joined; empty for one that is no JSON object."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    if not isinstance(answer, dict):
        return ""
    listed, by_field = answer.get("errorMessages"), answer.get("errors")
    texts = [answer.get("message"), answer.get("errorMessage")]
    texts += listed if isinstance(listed, list) else []
    texts += by_field.values() if isinstance(by_field, dict) else []
    return " ".join(text for text in texts if isinstance(text, str))


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer, else the error it means. Unknown refusals are left to the client's last word."""
    login = answer.headers.get("x-seraph-loginreason")
    if login and login.partition(",")[0].strip() not in _GOOD_LOGINS:
        return CredentialsRefused(
            "Jira did not count our sign-in: after several wrong ones it asks for a CAPTCHA.",
            next_step="Log in to Jira in a browser as this user, solve the CAPTCHA, then reconnect with the token.",
        )
    if answer.status < 300:
        return None
    said = words(answer.body).lower()
    match answer.status:
        case 429:
            return _too_fast(answer)
        case 401:
            return _refused(said)
        case 403:
            return PermissionMissing(
                "The connected Jira user may not read this.",
                next_step="Give the user the permission in Jira, or take this collection out, then test again.",
            )
        case 400 | 422 if any(text in said for text in _NOT_HERE):
            return NotHere("Jira has no such list here.")
        case 400 if any(text in said for text in _NO_PLACE):
            return PlaceGone("Jira forgot our place in a list.")
        case 400:
            return UnexpectedShape("Jira did not understand our request.", next_step="Please report this.")
        case 404:
            return ObjectGone("Jira does not know this, or does not show it to the connected user.")
        case 409:
            return TooSlow("Jira took too long over a page.")
        case 410:
            return UnexpectedShape("Jira took this part of its API away.", next_step="Update Sequin Console.")
        case status if status >= 500:
            return UpstreamFailed("Jira has trouble at the moment.")
    return None


def _refused(said: str) -> ProviderError:
    if "scope does not match" in said:
        return PermissionMissing(
            "The connection lacks a scope that this collection needs.",
            next_step="Reconnect the account and allow what is asked, or make a token with the scopes listed.",
        )
    return CredentialsRefused(
        "Jira refused the credentials: the token has expired, was deleted or is of another kind.",
        next_step="Make a new token and reconnect. A token with scopes needs the way “Scoped token”.",
    )


def _too_fast(answer: Answer) -> RateLimited:
    """A burst passes in seconds. The points of an hour come back at the full hour, whatever `Retry-After` leaves out.

    RateLimit-Reason: jira-quota-global-based | jira-quota-tenant-based | jira-burst-based | jira-per-issue-on-write
    """
    wait_s = retry_after(answer)
    is_quota = "quota" in answer.headers.get("ratelimit-reason", "")
    if wait_s is None:
        wait_s = _until_reset(answer)
    if wait_s is None:
        wait_s = _until_full_hour(answer) if is_quota else BURST_PAUSE_S
    if is_quota:
        return RateLimited("The app's hourly points for Jira are used up.", retry_after_s=wait_s)
    return RateLimited("Jira asked us to slow down.", retry_after_s=wait_s)


def _until_reset(answer: Answer) -> float | None:
    """`X-RateLimit-Reset: 2026-11-23T10:00Z`, as seconds from the answer's own time."""
    try:
        reset = parse_time(answer.headers.get("x-ratelimit-reset", ""))
    except ValueError:
        return None
    return answer.seconds_until(reset)


def _until_full_hour(answer: Answer) -> float:
    now = answer.date or datetime.now(UTC)
    return (now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) - now).total_seconds()


def read_quota(headers: Mapping[str, str]) -> Sequence[Quota]:
    """The points of the hour, once Jira tells what is left of them.

    RateLimit-Policy: "global-app-quota";q=65000;w=3600
    RateLimit: "global-app-quota";r=1200;t=840
    """
    allowed = _number(headers.get("RateLimit-Policy") or "", "q")
    left = _number(headers.get("RateLimit") or "", "r")
    if allowed is None or left is None:
        return ()
    resets_in_s = _number(headers.get("RateLimit") or "", "t")
    return (Quota(max(0, allowed - left), allowed, "points", HOUR_S, resets_in_s, price=FULL_PAGE_PRICE),)


def _number(header: str, name: str) -> int | None:
    """`r` of the quota policy in `"burst";r=9, "global-app-quota";r=1200;t=840`."""
    for policy in header.split(","):
        key, *pairs = (part.strip() for part in policy.split(";"))
        if "quota" in key:
            for pair in pairs:
                key, _, value = pair.partition("=")
                if key == name and value.isdigit():
                    return int(value)
    return None
