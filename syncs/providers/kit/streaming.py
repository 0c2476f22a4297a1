"""Streams: providers that tell of changes over a connection which we hold open.

What is heard is a hint and never the truth, as a webhook's delivery is (`kit/webhooks.py`): it names records, which are
then read as they are now. Whatever is lost, the next look finds.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.webhooks import Told

if TYPE_CHECKING:
    from syncs.providers.kit.client import Client


@dataclass(frozen=True)
class Heard:
    """What one wait brought; nothing at all is a sign of life.

    told     records that changed
    place    where to go on once everything told is remembered, JSON; None: where we were
    lacking  collections of which it does not tell: by their ids, what a person can do about it; None: as before
    """

    told: tuple[Told, ...] = ()
    place: Mapping[str, Any] | None = None
    lacking: Mapping[str, str] | None = None


Listen = Callable[["Client", Sequence[Collection], Mapping[str, Any]], AsyncIterator[Heard]]


@dataclass(frozen=True)
class Stream:
    """How one provider lets us listen.

    name    what upstream calls it, for people
    listen  (client, collections, place) -> what is heard, wait by wait, each of them bounded. It ends by itself when it
            is to be begun anew: at once, or later where `lacking` named all collections. Raises the kit's errors;
            when it is closed it takes leave upstream
    steps   how an administrator switches it on, one sentence a step
    """

    name: str
    listen: Listen = field(repr=False)
    steps: tuple[str, ...] = ()
