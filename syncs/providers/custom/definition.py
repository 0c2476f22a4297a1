"""What an admin says of an API: the definition, as the form, the API and the file bear it. It holds no secret."""

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from syncs.providers.custom.parts import Dotted, HeaderName, Hours, Param, Part, Path, Scopes, Url, Values

PREFIX = "custom-"


# --- How we are let in -----------------------------------------------------------------------------------------------


class KeyInHeader(Part):
    """A key in a header of every request."""

    type: Literal["header"]
    name: HeaderName = "X-Api-Key"
    prefix: str = Field(default="", max_length=40, description="Stands before the key: `Token `.")

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class KeyInQuery(Part):
    """A key among the parameters of every request."""

    type: Literal["query"]
    name: Param = "api_key"


class UserAndPassword(Part):
    """HTTP Basic."""

    type: Literal["basic"]


class BearerToken(Part):
    """`Authorization: Bearer …`, pasted."""

    type: Literal["bearer"]


class _OAuth(Part):
    token_url: Url
    scopes: Scopes = []
    client_auth: Literal["body", "basic"] = Field(
        default="body", description="Where client id and secret stand in a request for a token."
    )
    params: Values = Field(default={}, description="Further parameters: `audience`.")


class SignIn(_OAuth):
    """OAuth 2, authorization code: a person signs in at the provider."""

    type: Literal["oauth_code"]
    authorize_url: Url
    pkce: bool = True


class ClientCredentials(_OAuth):
    """OAuth 2, client credentials: no person takes part."""

    type: Literal["client_credentials"]


Auth = Annotated[
    KeyInHeader | KeyInQuery | UserAndPassword | BearerToken | SignIn | ClientCredentials, Field(discriminator="type")
]


# --- How lists go on -------------------------------------------------------------------------------------------------


class OnePage(Part):
    """All records come at once."""

    type: Literal["none"]


class ByLinkHeader(Part):
    """The next page stands in the `Link` header, as at GitHub."""

    type: Literal["link_header"]
    rel: str = Field(default="next", min_length=1, max_length=40)


class ByNextUrl(Part):
    """The next page's URL stands in the body."""

    type: Literal["next_url"]
    path: Annotated[Dotted, Field(min_length=1)] = "links.next"
    more: Dotted = Field(default="", description="Where a true says that more pages follow.")


class ByPageToken(Part):
    """The body has a token for the next page, sent as a parameter."""

    type: Literal["page_token"]
    path: Annotated[Dotted, Field(min_length=1)] = "next_page_token"
    param: Param = "page_token"
    more: Dotted = Field(default="", description="Where a true says that more pages follow.")


class ByOffset(Part):
    """A parameter says how many records to skip."""

    type: Literal["offset"]
    param: Param = "offset"
    total: Dotted = Field(default="", description="Where the number of all records is.")


class ByPageNumber(Part):
    """Pages are counted."""

    type: Literal["page_number"]
    param: Param = "page"
    first: int = Field(default=1, ge=0, le=1)
    pages: Dotted = Field(default="", description="Where the number of all pages is.")


class ByKeyset(Part):
    """The next page begins after the last record: after its change time and id, or after its id alone."""

    type: Literal["keyset"]
    id_param: Param = "after_id"
    time_param: Param | Literal[""] = Field(default="", description="Empty: the list is in order of ids.")
    more: Dotted = Field(default="", description="Where a true says that more pages follow.")


Paging = Annotated[
    OnePage | ByLinkHeader | ByNextUrl | ByPageToken | ByOffset | ByPageNumber | ByKeyset, Field(discriminator="type")
]
MAY_SHIFT = ("link_header", "next_url", "offset", "page_number")  # a deletion meanwhile may move a record out of sight


class Incremental(Part):
    """The parameter that asks for what changed since a time."""

    param: Param = "updated_since"
    format: Literal["rfc3339", "unix_s", "unix_ms", "date"] = "rfc3339"
    overlap_s: int = Field(
        default=900, ge=0, le=7 * 86_400, description="Seconds read again: indexes run late, and clocks are set."
    )


# --- Lists, and the whole --------------------------------------------------------------------------------------------


class CustomCollection(Part):
    """One list of the API."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Small letters, digits, dashes: `contacts`.")
    title: str = Field(min_length=1, max_length=100)
    path: Path
    params: Values = Field(default={}, description="Sent with the first request: the order, a filter.")
    list_at: Dotted = Field(default="", description="Where the list is: `data.items`. Empty: the answer is the list.")
    id_at: Annotated[Dotted, Field(min_length=1)] = "id"
    updated_at: Dotted = Field(default="", description="Where the time of the last change is.")
    created_at: Dotted = ""
    size_param: Param | Literal[""] = Field(default="", description="The parameter that says how long a page may be.")
    size: int = Field(default=100, ge=1, le=10_000)
    paging: Paging = OnePage(type="none")
    incremental: Incremental | None = Field(default=None, description="None: the whole list is read each time.")
    whole_every_s: int = Field(
        default=3600, ge=60, le=7 * 86_400, description="How often, where the whole list is read to find changes."
    )
    record_path: Path | Literal[""] = Field(default="", description="One record: `/contacts/{id}`.")
    record_at: Dotted = Field(default="", description="Where the record is in that answer; empty: it is the answer.")
    sweep_every_h: Hours | None = Field(
        default=168, description="Compare ids so often, to find deletions; None: never."
    )
    scopes: Scopes = []

    @model_validator(mode="after")
    def _fits(self) -> Self:
        paging = self.paging
        if isinstance(paging, ByKeyset) and paging.time_param and not self.updated_at:
            raise ValueError("Say where the change time is: the next page begins after the last record's.")
        if self.record_path and "{id}" not in self.record_path:
            raise ValueError("The path of one record has {id} where the id goes.")
        if self.sweep_every_h and not self.record_path and paging.type in MAY_SHIFT:
            raise ValueError(
                "Give the path of one record, or let deletions be. Where pages shift while they are read, a record may "
                "be missing from a list and not be deleted: it is looked up once more."
            )
        return self


class Definition(Part):
    """An API as an admin describes it."""

    schema_: Literal["sequin-custom-provider/1"] = Field(default="sequin-custom-provider/1", alias="schema")
    key: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$", description="Small letters, digits, dashes: `acme-crm`."
    )
    label: str = Field(min_length=1, max_length=60)
    base_url: Url
    docs: Url | Literal[""] = Field(default="", description="Where people read about this API.")
    help: str = Field(default="", max_length=2000, description="For whoever connects an account: where the key is.")
    headers: Values = Field(default={}, description="Sent with every request: a version. Never a secret.")
    auth: Auth
    per_s: float = Field(default=5, gt=0, le=1000, description="Requests a second at most.")
    poll_s: int = Field(default=60, ge=2, le=7 * 86_400, description="Seconds between looks for changes, by default.")
    collections: list[CustomCollection] = Field(min_length=1, max_length=50)

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, populate_by_name=True)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        ids = [each.id for each in self.collections]
        if len(set(ids)) < len(ids):
            raise ValueError("Two collections have the same id.")
        return self

    @property
    def provider_key(self) -> str:
        """Its key among all providers: `custom-acme`."""
        return PREFIX + self.key

    def collection(self, collection_id: str) -> CustomCollection | None:
        """The collection of that id, with or without the provider's key before it."""
        wanted = collection_id.removeprefix(f"{self.provider_key}:")
        return next((each for each in self.collections if each.id == wanted), None)

    def as_json(self) -> dict[str, Any]:
        """As it is stored and exported."""
        return self.model_dump(mode="json", by_alias=True)


def origins(definition: Definition) -> set[str]:
    """Where secrets of connections go: scheme, host and port of each address."""
    auth = definition.auth
    urls = [definition.base_url, auth.token_url if isinstance(auth, SignIn | ClientCredentials) else ""]
    return {"{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in urls if url}
