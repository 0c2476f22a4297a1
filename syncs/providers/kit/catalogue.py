"""What a provider says of itself. The connect form, masking, collection list, API schema and docs derive from it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from syncs.providers.kit.answers import Answer, no_error, no_quota, no_stop
from syncs.providers.kit.auth import Headers, TokenGrant, TokenRequest, basic, bearer, parse_grant, token_error
from syncs.providers.kit.errors import ProviderError
from syncs.providers.kit.hosts import clean_url
from syncs.providers.kit.quota import Quota

if TYPE_CHECKING:
    from syncs.providers.kit.client import Client
    from syncs.providers.kit.reading import Reader
    from syncs.providers.kit.streaming import Stream
    from syncs.providers.kit.webhooks import Webhook


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

    aliases   other names the API takes it by
    lines     several lines are pasted (a PEM key)
    editable  says what is read, not whose or where: asked before a redirect, and changed later without the secrets
    clean     what was typed -> the same in its one spelling; raises BadValue, whose text stands at the field
    """

    key: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    example: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    lines: bool = False
    editable: bool = False
    clean: Callable[[str], str] = str.strip


@dataclass(frozen=True)
class Host:
    """A place the provider's logins live, offered to choose from. `url` empty: the person types it.

    Addresses may have places to fill (`kit.values.fill`): `https://{subdomain}.zendesk.com`, from the fields of the
    OAuth app or of the pasted kind; `{login_url}` is the address the person typed.

    token_url  where the token endpoint lives, if not at `url` (Stripe, HubSpot)
    api_url    where the API lives for accounts of this host, if not at the provider's `api_url` (GitHub Enterprise)
    """

    key: str
    label: str
    url: str = ""
    help: str = ""
    token_url: str = ""
    api_url: str = ""


class ClientAuth(StrEnum):
    """How an OAuth app proves itself to the token endpoint (RFC 6749 2.3.1)."""

    BODY = "body"  # client_id and client_secret among the parameters
    BASIC = "basic"  # both, as HTTP Basic
    KEY = "key"  # the secret alone, as bearer token (Stripe: the app developer's key)


@dataclass(frozen=True)
class OAuth2:
    """The provider's OAuth 2 endpoints, relative to the login host, and what to ask for.

    authorize_path     may have places (`/oauth/v2/{link}/authorize`) for the app's `fields`
    scopes             always asked for; what collections need (`Collection.scopes`) is asked for beside them
    optional_param     collections' scopes go into this parameter instead (HubSpot's `optional_scope`): left out by the
                       provider where the app or account lacks them
    scope_separator    between scopes
    authorize_params   further parameters of the redirect (`audience`, `prompt`)
    token_params       further parameters of every token request (`expires_in`)
    token_json         the token endpoint takes JSON, not a form
    proof_label        what the provider calls the client secret
    lifetime_s         taken when the token response names none; None: such a token is good until it is refused.
                       A grant without a refresh token is used until then, and the person is asked to reconnect
    fields             what an OAuth app has beside id and secret (a subdomain, a private key); secrets stay encrypted
    parse              a good token answer -> the grant in it
    error              (status, body) of a refusal -> what it means; an answer of 200 with an `error` is one, too
    """

    authorize_path: str
    token_path: str
    revoke_path: str = ""
    scopes: tuple[str, ...] = ()
    optional_param: str = ""
    scope_separator: str = " "
    pkce: bool = True
    authorize_params: tuple[tuple[str, str], ...] = ()
    token_params: tuple[tuple[str, str], ...] = ()
    token_json: bool = False
    client_auth: ClientAuth = ClientAuth.BODY
    proof_label: str = "Client secret"
    lifetime_s: int | None = 3600
    fields: tuple[SetupField, ...] = ()
    parse: Callable[[Mapping[str, Any]], TokenGrant] = parse_grant
    error: Callable[[int, bytes], ProviderError] = token_error

    def request(self, client_id: str, client_secret: str, asked: Mapping[str, str]) -> TokenRequest:
        """The request to the token endpoint for what is asked (grant_type and its parameters), with the app's proof."""
        asked, headers = {**asked, **dict(self.token_params)}, {}
        if self.client_auth == ClientAuth.BODY:
            asked |= {"client_id": client_id, "client_secret": client_secret}
        elif self.client_auth == ClientAuth.BASIC:
            headers = basic(client_id, client_secret)
        else:
            headers = {"Authorization": f"Bearer {client_secret}"}
        body = {"json": asked} if self.token_json else {"form": asked}
        return TokenRequest(self.token_path, headers=headers, **body)


@dataclass(frozen=True)
class Mint:
    """Access made from secrets, without a redirect and without a person: client credentials, JWT bearer, GitHub App.

    request     (values, login host's address, now) -> the request for a token. Pure. `values` are the credential's
                settings and secrets and, where it has an OAuth app, that app's fields, `client_id` and `client_secret`.
                Raises BadValue for what cannot be signed
    parse       a good answer -> the grant in it. No refresh token is wanted: access is minted again
    error       (status, body) of a refusal -> what it means
    lifetime_s  taken when the answer names none; None: good until it is refused
    on_api      the request goes to the API's host, not to the token host (GitHub's installation tokens)
    scout       (values, login host's address, now) -> the headers to ask for sites with, where nothing can be minted
                before one is chosen (GitHub: the app itself, signed, lists its installations)
    """

    request: Callable[[Mapping[str, str], str, datetime], TokenRequest]
    parse: Callable[[Mapping[str, Any]], TokenGrant] = parse_grant
    error: Callable[[int, bytes], ProviderError] = token_error
    lifetime_s: int | None = 3600
    on_api: bool = False
    scout: Callable[[Mapping[str, str], str, datetime], dict[str, str]] | None = None


@dataclass(frozen=True)
class Site:
    """One of the accounts a grant opens: an Atlassian site, a GitHub App's installation.

    id        unique at the provider; it becomes the credential's account id, unless the reader's `check` tells one
    label     for the person who chooses
    api_url   where its API lives, if that is told and not made of the kind's `api_path`
    settings  stored on the credential, for `api_path` and the reader: `{"cloud_id": "8d2f…"}`
    """

    id: str
    label: str
    api_url: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def no_problems(_values: Mapping[str, str]) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class CredentialKind:
    """One way to be let in. With `oauth` set, the person is redirected (or a refresh token is imported).

    imports          the field that holds a refresh token brought along instead of a redirect
    problems         field values -> what is wrong with them, by field, before anything is asked upstream
    mint             access is made from secrets, again and again. With `oauth` beside it, the redirect only finds out
                     whose account it is (GitHub App), and access is minted from the app's fields
    sites            the accounts this access opens, asked once when connecting (below the API's host, `api_path` left
                     out). None at all is an error, a single one is taken, of several a person chooses one. A pasted
                     kind that may meet several has a field `site_id`, for an id or label. Kept as that setting
    sites_url        where sites are asked for, if not at the API's host (`https://{site}.atlassian.net`)
    api_url          where the API lives for this kind (`https://{site}.atlassian.net`), if not at the provider's
    api_path         added to the API's host, whatever that is (`/ex/jira/{cloud_id}`); left out until a site is chosen
    hosts            keys of the hosts this kind works at; empty: all
    request_headers  (secrets, settings) -> the headers every request carries, if not the provider's: `auth.basic_by`
    request_params   (secrets, settings) -> the parameters every request's query carries, where a key stands there
    """

    key: str
    label: str
    fields: tuple[SetupField, ...] = ()
    oauth: OAuth2 | None = None
    help: str = ""
    imports: str = ""
    problems: Callable[[Mapping[str, str]], dict[str, str]] = no_problems
    mint: Mint | None = None
    sites: "Callable[[Client], Awaitable[tuple[Site, ...]]] | None" = None
    sites_url: str = ""
    api_url: str = ""
    api_path: str = ""
    hosts: tuple[str, ...] = ()
    request_headers: Headers | None = None
    request_params: Headers | None = None

    @property
    def editable(self) -> tuple[SetupField, ...]:
        """The fields that may be changed by themselves."""
        return tuple(field for field in self.fields if field.editable)


KEPT = ("id", "created", "updated", "created_at", "updated_at", "createdAt", "updatedAt")


@dataclass(frozen=True)
class Collection:
    """One upstream list.

    feed               collections with the same feed are read together when looking for changes
    versioned_by_time  the record's `updated_at` orders its versions; else the order of reading does
    every_s            look for changes only so often (full re-reads); None = the sync's poll interval
    reread_every_h     read all records again so often, for changes upstream does not tell of; None = never
    sweep_every_h      compare ids so often; None = never, for ids that go missing here say nothing of deletions
    page_size          how many records a request for history brings
    sweep_page         how many ids a sweep's request brings
    ids_only           those requests bring ids alone, not whole records
    remembers_s        how far back upstream can still tell all changes, deletions among them; None = without end.
                       Whoever was away longer reads everything again (a census)
    kept               paths of id and times in the record: the field picker never drops or hashes them
    described          `fields()` tells all fields as upstream describes them, not those of some record
    custom             defined by the account itself, found by discovery
    shown              offered by default; the rest stands behind "show all"
    volatile           paths (`a.b`) left out of the digest: changes there alone are not changes
    upstream           the provider's own name for it (`Contact`, `/v1/customers`)
    cost               what reading it costs, in words for the picker
    scopes             OAuth scopes that reading it needs
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
    page_size: int = 100
    sweep_page: int = 100
    ids_only: bool = False
    remembers_s: int | None = None
    kept: tuple[str, ...] = KEPT
    described: bool = False
    custom: bool = False
    shown: bool = True
    volatile: tuple[str, ...] = ()
    help: str = ""
    cost: str = ""
    params: tuple[tuple[str, str], ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()


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
class Provider:
    """An upstream API: what it is called, how one is let in, and the reader that knows its ways.

    request_headers  (secrets, settings) -> the headers every request carries
    poll_s           the default interval between looks for changes
    quiet_poll_s     the same while nothing changes, where looking costs of a small allowance; 0: poll_s
    concurrency      requests in flight per credential
    per_s            requests a second at most, per credential and worker; 0: as fast as they go
    is_guarded       people described where it lives, so no private address is connected to (kit.guard)
    classify         an answer -> what went wrong, None if nothing did
    read_quota       an answer's headers -> each budget they tell of; none, where they do not
    spare_quota      one of those budgets -> why reading pauses before it is used up; None while there is enough
    check_host       a login host someone typed -> the same, cleaned; raises BadHost
    dropped          what does not arrive as sent, in words, for the docs
    webhook          how it tells of changes by itself; None where it does not
    stream           the same over a connection that we hold open
    """

    key: str
    label: str
    kinds: tuple[CredentialKind, ...]
    reader: "Callable[[Client], Reader]"
    hosts: tuple[Host, ...]
    api_url: str = ""  # where the API lives, if it is not told by the token response
    docs: str = ""
    poll_s: int = 60
    quiet_poll_s: int = 0
    concurrency: int = 4
    per_s: float = 0.0
    is_guarded: bool = False
    collections: tuple[Collection, ...] = ()

    request_headers: Headers = bearer
    classify: Callable[[Answer], ProviderError | None] = no_error
    read_quota: Callable[[Mapping[str, str]], Sequence[Quota]] = no_quota
    spare_quota: Callable[[Quota], ProviderError | None] = no_stop
    check_host: Callable[[str], str] = clean_url
    dropped: tuple[str, ...] = ()
    webhook: "Webhook | None" = None
    stream: "Stream | None" = None

    def kind(self, key: str) -> CredentialKind:
        """The credential kind of that key. Raises KeyError."""
        for kind in self.kinds:
            if kind.key == key:
                return kind
        raise KeyError(key)

    def app_fields(self) -> tuple[SetupField, ...]:
        """What an OAuth app of this provider may have beside id and secret; needed where every kind needs it."""
        ways = [{field.key: field for field in kind.oauth.fields} for kind in self.kinds if kind.oauth]
        fields = {key: field for way in ways for key, field in way.items()}
        return tuple(
            replace(field, required=all(key in way and way[key].required for way in ways))
            for key, field in fields.items()
        )
