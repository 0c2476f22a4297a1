"""Webhooks: how a provider proves its deliveries, what they tell of, and how they are asked for.

A delivery is a hint and never the truth: it names records, which are then read as they are now. So a provider needs no
order, no memory of deliveries and no trust in what they hold; whatever is lost, the next look finds.
"""

import base64
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncs.providers.kit.catalogue import Collection, SetupField

if TYPE_CHECKING:
    from syncs.providers.kit.client import Client

RECORD, LOOK = "record", "look"  # what an event brings: the record it names, read again, or a look at its list
REPLAY_S = 300  # a signed time further back than this is not taken


@dataclass(frozen=True)
class Delivery:
    """One request that came to a connection's address.

    headers  names in lower case
    url      the address as upstream calls it: PUBLIC_URL's, whatever proxies made of it
    now      when it came
    """

    headers: Mapping[str, str]
    body: bytes
    url: str
    now: datetime


@dataclass(frozen=True)
class Told:
    """A record that a delivery names.

    upstream_id  empty: something in the collection, so it is looked for
    account      whose it is, where one address serves several accounts (HubSpot); empty: the connection's own
    """

    collection_id: str
    upstream_id: str = ""
    account: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is asked of the provider: deliveries about these collections, to this address.

    secret  ours to sign with, where the provider takes one
    known   what an earlier registration left (`Registered.upstream`); empty for the first
    """

    url: str
    secret: str
    collections: tuple[Collection, ...]
    known: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """What a registration left.

    upstream    what names it there, JSON: given back to renew and to remove it
    secret      what upstream signs with, where that is upstream's to choose
    expires_at  it ends by itself then, unless it is renewed; None: never
    lacking     what will not be told of, and why, in words; empty when all is
    """

    upstream: Mapping[str, Any]
    secret: str = ""
    expires_at: datetime | None = None
    lacking: str = ""


@dataclass(frozen=True)
class Webhook:
    """How one provider tells of changes.

    verify         (delivery, secrets) -> whether upstream sent it; in constant time. `secrets` are the webhook's
                   `secret` and, where the connection has one, its OAuth app's (`client_id`, `client_secret` …)
    told           what a proven delivery names; raises UnexpectedShape for what is no delivery of this provider's
    steps          how a person sets it up at the provider, one sentence a step
    secret         the field for upstream's signing secret; None where we make it, and the person pastes it there
    app_signs      deliveries are signed with the OAuth app's secret where the connection has one: nothing to paste
    register       asks for deliveries through the API, again and again to the same effect; raises the kit's errors
    remove         takes a registration back
    kinds          credential kinds that may register
    scopes         what a sign-in asks for besides, once a webhook is set up for the connection
    rights         what that needs, in words
    tells          what it tells of, in words for people
    about          the collections it tells of, by id, and what an event of theirs brings
    """

    verify: Callable[[Delivery, Mapping[str, str]], bool]
    told: Callable[[Delivery], Iterable[Told]]
    steps: tuple[str, ...]
    secret: SetupField | None = None
    app_signs: bool = False
    register: "Callable[[Client, Wanted], Awaitable[Registered]] | None" = None
    remove: "Callable[[Client, Mapping[str, Any]], Awaitable[None]] | None" = None
    kinds: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    rights: str = ""
    tells: str = ""
    about: Mapping[str, str] = field(default_factory=dict)


def signature(secret: str, message: bytes, encoding: str = "hex") -> str:
    """HMAC-SHA256 of a message, as upstreams write it: `hex`, or `base64`."""
    made = hmac.digest(secret.encode(), message, "sha256")
    return made.hex() if encoding == "hex" else base64.b64encode(made).decode()


def is_same(ours: str, theirs: str) -> bool:
    """Whether two signatures are the same, in a time that tells nothing of where they differ."""
    return bool(theirs) and hmac.compare_digest(ours.encode(), theirs.encode())


def is_recent(sent_at: float, now: datetime) -> bool:
    """Whether a signed time (unix seconds) lies within the replay window. One ahead of ours is a clock's fault."""
    return now.timestamp() - sent_at <= REPLAY_S
