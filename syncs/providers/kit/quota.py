"""How much may still be asked of a provider, as the headers of its answers say."""

from dataclasses import dataclass

from syncs.providers.kit.errors import RateLimited

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


@dataclass(frozen=True)
class Quota:
    """One budget of a provider: what is used and allowed in the window that runs now, whoever used it.

    name         tells a provider's budgets apart: `day`, `core`, `exports`
    period_s     how long its windows are
    resets_in_s  seconds until it starts anew, by the provider's own clock; None where it rolls, or nobody says
    price        the most that one request can cost, where the provider counts in something else (points)
    """

    used: int
    allowed: int
    name: str = "requests"
    period_s: int = DAY_S
    resets_in_s: float | None = None
    price: int = 1

    @property
    def unit(self) -> str:
        """What is counted, in words."""
        return "requests" if self.price == 1 else "points"

    @property
    def period_in_words(self) -> str:
        """`an hour`, `a day`, `in 10 seconds`, as in "5,000 requests an hour"."""
        return {MINUTE_S: "a minute", HOUR_S: "an hour", DAY_S: "a day"}.get(
            self.period_s, f"in {self.period_s} seconds"
        )


@dataclass(frozen=True)
class Spare:
    """A `spare_quota`: reading pauses at a share of one budget, whoever used it, and leaves the rest to other tools.

    name     the budget's; the others hold up nothing
    words    what is counted, as in "80 of the 100 {words} are used": `API calls your HubSpot has for a day`
    pause_s  how long, where nobody says when the budget starts anew
    """

    name: str
    share: float
    words: str
    pause_s: float
    next_step: str = ""

    def __call__(self, quota: Quota) -> RateLimited | None:
        """Why reading pauses; None while enough is left."""
        if quota.name != self.name or quota.used < self.share * quota.allowed:
            return None
        return RateLimited(
            f"{quota.used:,} of the {quota.allowed:,} {self.words} are used. "
            f"We stop at {self.share:.0%} and leave the rest to your other tools.",
            next_step=self.next_step,
            retry_after_s=self.pause_s if quota.resets_in_s is None else quota.resets_in_s + 1,
        )
