"""What Linear's refusals mean, and what its headers say of limits.

Docs    https://linear.app/developers/graphql (errors), https://linear.app/developers/rate-limiting
Kinds   github.com/linear/linear packages/sdk/src/error.ts, read 2026-11-26: `extensions.type`, in small letters
Most refusals come with status 200 and `errors`; a spent budget with 400 and `extensions.code` RATELIMITED. Whether
every error has both `code` and `type` is unverified: either is taken. Limits: requests 2,500 an hour by
key, 5,000 by OAuth; points of complexity 3,000,000 and 2,000,000. Reset times are UTC milliseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from syncs.providers.kit import graphql
from syncs.providers.kit.answers import Answer, retry_after
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.quota import HOUR_S, Quota
from syncs.providers.kit.times import parse_http_date

POINTS_A_PAGE = 2_500  # the dearest of our queries, a page of issues, and some to spare
UNTOLD_S = 60.0
BUDGETS = (("requests", "x-ratelimit-requests", 1), ("complexity", "x-ratelimit-complexity", POINTS_A_PAGE))


class ObjectGone(ProviderError):
    """That one object does not exist, or no more, or is hidden from us."""


class Misunderstood(UnexpectedShape):
    """Linear takes our question, or the cursor in it, for a wrong one."""


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer, else the error it means. The unknown is left to the client's last word."""
    said = graphql.refused(answer.body)
    if said is None:
        return _by_status(answer)
    kinds = {str(said.extensions.get(key, "")).lower().replace("_", " ") for key in ("type", "code")}
    if kinds & {"ratelimited", "rate limited"} or answer.status == 429:
        return _limited(answer)
    if kinds & {"authentication error", "unauthenticated"} or answer.status == 401:
        return CredentialsRefused(
            "Linear refused the key: it was revoked, or never was one.",
            next_step="Create a new key in Linear (Settings, Security & access) and paste it into the connection.",
        )
    if "forbidden" in kinds or answer.status == 403:
        return PermissionMissing(
            "This key may not read this in Linear.",
            next_step="Let somebody with the right to see it make the key, or give the key access to the team.",
        )
    if "feature not accessible" in kinds:
        return CollectionGone("This Linear workspace does not have the feature these records belong to.")
    if "not found" in said.message.lower():
        return ObjectGone("Linear does not know this object.")
    if kinds & {"invalid input", "graphql error", "user error", "input error", "graphql validation failed"}:
        return Misunderstood("Linear did not understand our request.", next_step="Please report this.")
    return UpstreamFailed("Linear has trouble at the moment.")


def _by_status(answer: Answer) -> ProviderError | None:
    if answer.status == 429:
        return _limited(answer)
    if answer.status == 403:
        return PermissionMissing("This key may not read this in Linear.")
    return None


def _limited(answer: Answer) -> RateLimited:
    wait_s = retry_after(answer)
    if wait_s is None:
        spent = [quota.resets_in_s or UNTOLD_S for quota in read_quota(answer.headers) if quota.used >= quota.allowed]
        wait_s = max(spent, default=UNTOLD_S)
    return RateLimited("Linear asked us to slow down.", retry_after_s=wait_s)


def read_quota(headers: Mapping[str, str]) -> Sequence[Quota]:
    """Both budgets: requests, and points of complexity. They refill steadily; the reset is when they are full again."""
    return list(_budgets(headers))


def _budgets(headers: Mapping[str, str]) -> Iterator[Quota]:
    for name, header, price in BUDGETS:
        allowed, left = headers.get(f"{header}-limit", ""), headers.get(f"{header}-remaining", "")
        if allowed.isdigit() and left.isdigit() and int(allowed):
            used = max(0, int(allowed) - int(left))
            yield Quota(used, int(allowed), name, HOUR_S, _resets_in_s(headers, f"{header}-reset"), price)


def _resets_in_s(headers: Mapping[str, str], name: str) -> float | None:
    """By Linear's own clock: both times are its."""
    told = headers.get(name, "")
    if not told.isdigit():
        return None
    now = parse_http_date(headers.get("date")) or datetime.now(UTC)
    return max(1.0, int(told) / 1000 - now.timestamp())
