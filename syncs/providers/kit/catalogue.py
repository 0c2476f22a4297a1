"""What a provider says of itself. The connect form, masking, collection list, API schema and docs derive from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from syncs.providers.kit.answers import Answer, no_error, no_quota, no_stop
from syncs.providers.kit.auth import TokenGrant, parse_grant, token_error
from syncs.providers.kit.errors import ProviderError
from syncs.providers.kit.hosts import clean_url

if TYPE_CHECKING:
    from syncs.providers.kit.client import Client
    from syncs.providers.kit.reading import Reader


class Deletes(StrEnum):
    """How a collection's deletions are found. The wording people see is `DELETES_IN_WORDS`."""

    FLAG = "flag"
    EVENT = "event"
    SWEEP = "sweep"
    NONE = "none"


DELETES_IN_WORDS = {
    Deletes.FLAG: "The provider marks deleted records; they arrive with the next look for changes.",
    Deletes.EVENT: "The provider announces deletions; they arrive with the next look for changes.",
    Deletes.SWEEP: "Found by comparing ids from time to time.",
    Deletes.NONE: "Records of this kind are never deleted.",
}


@dataclass(frozen=True)
class SetupField:
    """One thing a person types or pastes to connect. `secret` ones are encrypted and never shown again.

    aliases  other names the API takes it by
    """

    key: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    example: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Host:
    """A place the provider's logins live, offered to choose from. `url` empty: the person types it."""

    key: str
    label: str
    url: str = ""
    help: str = ""


@dataclass(frozen=True)
class OAuth2:
    """The provider's OAuth 2 endpoints, relative to the login host, and what to ask for.

    parse  a good token answer -> the grant in it
    error  (status, body) of a refusal -> what it means
    """

    authorize_path: str
    token_path: str
    revoke_path: str = ""
    scopes: tuple[str, ...] = ()
    pkce: bool = True
    authorize_params: tuple[tuple[str, str], ...] = ()
    lifetime_s: int = 3600  # taken when the token response names none
    parse: Callable[[Mapping[str, Any]], TokenGrant] = parse_grant
    error: Callable[[int, bytes], ProviderError] = token_error


def no_problems(_values: Mapping[str, str]) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class CredentialKind:
    """One way to be let in. With `oauth` set, the person is redirected (or a refresh token is imported).

    imports   the field that holds a refresh token brought along instead of a redirect
    problems  field values -> what is wrong with them, by field, before anything is asked upstream
    """

    key: str
    label: str
    fields: tuple[SetupField, ...] = ()
    oauth: OAuth2 | None = None
    help: str = ""
    imports: str = ""
    problems: Callable[[Mapping[str, str]], dict[str, str]] = no_problems


@dataclass(frozen=True)
class Collection:
    """One upstream list.

    feed               collections with the same feed are read together when looking for changes
    versioned_by_time  the record's `updated_at` orders its versions; else the order of reading does
    every_s            look for changes only so often (full re-reads); None = the sync's poll interval
    reread_every_h     read all records again so often, for changes upstream does not tell of; None = never
    sweep_every_h      compare ids so often; None = never
    custom             defined by the account itself, found by discovery
    shown              offered by default; the rest stands behind "show all"
    volatile           paths (`a.b`) left out of the digest: changes there alone are not changes
    upstream           the provider's own name for it (`Contact`, `/v1/customers`)
    cost               what reading it costs, in words for the picker
    """

    id: str
    title: str
    feed: str
    upstream: str
    deletes: Deletes
    versioned_by_time: bool = False
    every_s: int | None = None
    reread_every_h: int | None = None
    sweep_every_h: int | None = 24 * 7
    custom: bool = False
    shown: bool = True
    volatile: tuple[str, ...] = ()
    help: str = ""
    cost: str = ""
    params: tuple[tuple[str, str], ...] = ()
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """One field of a collection, as the collection page and the API show it. `note`: what to know of its values."""

    accessor: str
    type: str
    label: str = ""
    primary_key: bool = False
    note: str = ""


@dataclass(frozen=True)
class Account:
    """Whose account a credential opens; shown so that people see what they connected. `id` empty: not told."""

    id: str
    name: str
    live: bool = True


@dataclass(frozen=True)
class Quota:
    """What the provider's headers said last: requests used and allowed in the current window."""

    used: int
    allowed: int


def bearer(secrets: Mapping[str, str], _settings: Mapping[str, str]) -> dict[str, str]:
    """The headers most APIs want: the access token, or the pasted key, as a bearer token."""
    return {"Authorization": f"Bearer {secrets.get('access_token') or secrets['secret']}"}


@dataclass(frozen=True)
class Provider:
    """An upstream API: what it is called, how one is let in, and the reader that knows its ways.

    request_headers  (secrets, settings) -> the headers every request carries
    poll_s           the default interval between looks for changes
    concurrency      requests in flight per credential
    classify         an answer -> what went wrong, None if nothing did
    read_quota       an answer's headers -> how much of the quota is used, if they say so
    spare_quota      quota used -> why reading pauses before it is used up; None while there is enough
    check_host       a login host someone typed -> the same, cleaned; raises BadHost
    dropped          what does not arrive as sent, in words, for the docs
    """

    key: str
    label: str
    kinds: tuple[CredentialKind, ...]
    reader: "Callable[[Client], Reader]"
    hosts: tuple[Host, ...]
    api_url: str = ""  # where the API lives, if it is not told by the token response
    docs: str = ""
    poll_s: int = 60
    concurrency: int = 4
    collections: tuple[Collection, ...] = ()

    request_headers: "Callable[[Mapping[str, str], Mapping[str, str]], dict[str, str]]" = bearer
    classify: Callable[[Answer], ProviderError | None] = no_error
    read_quota: "Callable[[Mapping[str, str]], Quota | None]" = no_quota
    spare_quota: "Callable[[Quota], ProviderError | None]" = no_stop
    check_host: Callable[[str], str] = clean_url
    dropped: tuple[str, ...] = ()

    def kind(self, key: str) -> CredentialKind:
        """The credential kind of that key. Raises KeyError."""
        for kind in self.kinds:
            if kind.key == key:
                return kind
        raise KeyError(key)
