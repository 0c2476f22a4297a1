"""One answer of an upstream API, and what its headers say of waiting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from syncs.providers.kit.errors import ProviderError, UnexpectedShape
from syncs.providers.kit.quota import Quota
from syncs.providers.kit.times import parse_http_date


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. Header names are looked up without regard to case."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    read_no: int = 0
    date: datetime | None = None

    def moment(self) -> datetime:
        """The provider's own time when it answered, but never later than ours.

        "Now" says below which time nothing can show up late: too early only costs reading twice, too late loses rows.
        Raises UnexpectedShape when it did not say.
        """
        if self.date is None:
            raise UnexpectedShape("The provider answered without a date, so we cannot tell where reading stands.")
        return min(self.date, datetime.now(UTC))

    def seconds_until(self, moment: datetime) -> float:
        """From this answer to that moment, by the provider's clock where it told its time; 0 for what is past."""
        return max(0.0, (moment - (self.date or datetime.now(UTC))).total_seconds())


def no_error(_answer: Answer) -> ProviderError | None:
    return None


def no_quota(_headers: Mapping[str, str]) -> Sequence[Quota]:
    return ()


def no_stop(_quota: Quota) -> ProviderError | None:
    return None


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait by the `Retry-After` header: a number, or a date less the answer's own date. None without."""
    text = (answer.headers.get("retry-after") or "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        until = parse_http_date(text)
    return None if until is None else answer.seconds_until(until)
