"""Wait or give up: what a failed walk means, for whom, and when to try again. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sequin_console.common.backoff import backoff_s
from syncs.engine.drift import SchemaHeld
from syncs.providers.kit.errors import (
    CollectionGone,
    CredentialsRefused,
    CursorLost,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
)

Scope = Literal["credential", "collection", "feed", "walk"]
HOUR_S = 3600.0


@dataclass(frozen=True)
class Verdict:
    """Who is held back, and how long.

    scope   credential: everything that uses it; collection: that one alone; feed: the walk tries again later;
            walk: upstream lost our place, begin the walk anew at once
    wait_s  seconds to wait; None: until a person acts
    """

    scope: Scope
    wait_s: float | None


def judge(error: Exception, failures: int, chance: Callable[[], float]) -> Verdict:
    """What this error means after `failures` earlier ones in a row (invariant 9: hold back one, not its neighbours)."""
    if isinstance(error, CredentialsRefused):
        return Verdict("credential", None)
    if isinstance(error, RateLimited):
        return Verdict("credential", error.retry_after_s or backoff_s(failures + 2, chance))
    if isinstance(error, CursorLost):
        return Verdict("walk", 0)
    if isinstance(error, SchemaHeld):
        return Verdict("collection", None)
    if isinstance(error, PermissionMissing | CollectionGone | UnexpectedShape):
        return Verdict("collection", HOUR_S)
    if isinstance(error, ProviderError):
        wait_s = error.retry_after_s or backoff_s(failures, chance)
        return Verdict("feed", wait_s)
    return Verdict("feed", backoff_s(failures + 3, chance))
