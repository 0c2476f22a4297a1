"""Salesforce: standard and custom objects of one org, as its API user may read them.

Docs    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest, API version 67.0 (Summer '26)
Limits  requests of 24 hours per org, told by `Sforce-Limit-Info` on every answer; 4 requests at once are safe
Parts   catalogue (objects and ids), schema (fields, shape), soql (queries), rest and bulk (rows), backfill, changes,
        reader, streaming and change_events (what it tells by itself), signin (hosts, tokens), minting (access without a
        person), errors
"""

from collections.abc import Mapping, Sequence

from syncs.providers.kit.catalogue import CredentialKind, OAuth2, Provider, SetupField
from syncs.providers.kit.hosts import BadHost
from syncs.providers.kit.jwt import private_key
from syncs.providers.kit.quota import DAY_S, Quota, Spare
from syncs.providers.salesforce.catalogue import STANDARD
from syncs.providers.salesforce.errors import QUOTA_PAUSE_S, classify
from syncs.providers.salesforce.minting import CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_PATH
from syncs.providers.salesforce.reader import SalesforceReader
from syncs.providers.salesforce.signin import HOSTS, check_host, token_error, token_grant
from syncs.providers.salesforce.streaming import STREAM

OAUTH = OAuth2(
    authorize_path="/services/oauth2/authorize",
    token_path=TOKEN_PATH,
    revoke_path="/services/oauth2/revoke",
    scopes=("api", "refresh_token"),
    lifetime_s=3600,  # none is announced; a session lives 15 minutes to 24 hours
    parse=token_grant,
    error=token_error,
)


def read_quota(headers: Mapping[str, str]) -> Sequence[Quota]:
    """`api-usage=10018/100000; api-bursts=1/750; per-app-api-usage=17/250(appName=X)`: the first of these."""
    for part in (headers.get("Sforce-Limit-Info") or "").split(";"):
        name, _, numbers = part.strip().partition("=")
        used, _, allowed = numbers.partition("/")
        if name == "api-usage" and used.isdigit() and allowed.isdigit():
            return (Quota(int(used), int(allowed), "day", DAY_S),)
    return ()


spare_quota = Spare(
    "day",
    0.8,
    "API calls your Salesforce has for 24 hours",
    pause_s=QUOTA_PAUSE_S,
    next_step="Nothing to do: the sync goes on when fewer are used. A longer interval uses fewer calls.",
)


def instance_problems(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with an imported connection, before Salesforce is asked."""
    try:
        check_host(values.get("instance_url", ""))
    except BadHost as problem:
        return {"instance_url": str(problem)}
    return {}


CONSUMER_KEY = SetupField("client_id", "Consumer key", "Of the app in Salesforce.", example="3MVG9…")

PROVIDER = Provider(
    key="salesforce",
    label="Salesforce",
    docs="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest",
    kinds=(
        CredentialKind(
            "salesforce_oauth2",
            "Sign in with Salesforce",
            fields=(
                SetupField(
                    "secret",
                    "Refresh token",
                    "Only to bring along a connection made elsewhere with the same app.",
                    secret=True,
                    required=False,
                ),
            ),
            oauth=OAUTH,
            imports="secret",
            help="You are sent to Salesforce to allow reading.",
        ),
        CredentialKind(
            "salesforce",
            "Bring a refresh token",
            fields=(
                SetupField("instance_url", "Instance URL", example="https://acme.my.salesforce.com"),
                SetupField("refresh_token", "Refresh token", secret=True),
            ),
            oauth=OAUTH,
            imports="refresh_token",
            help="For a connection that was made elsewhere with the same app.",
            problems=instance_problems,
        ),
        CredentialKind(
            "salesforce_client_credentials",
            "Client credentials",
            fields=(CONSUMER_KEY, SetupField("client_secret", "Consumer secret", secret=True)),
            mint=CLIENT_CREDENTIALS,
            hosts=("my_domain",),
            help="No browser: the app reads as the user its policies name under Run As.",
        ),
        CredentialKind(
            "salesforce_jwt",
            "Signed by a key",
            fields=(
                CONSUMER_KEY,
                SetupField("username", "User name", "Of the integration user.", example="reader@acme.com.sandbox"),
                SetupField(
                    "private_key",
                    "Private key",
                    "RSA, in PEM form, without a pass phrase. Its certificate is uploaded to the app in Salesforce.",
                    secret=True,
                    lines=True,
                    clean=private_key,
                ),
            ),
            mint=JWT_BEARER,
            help="No browser: a key signs for an integration user (JWT bearer flow).",
        ),
    ),
    hosts=HOSTS,
    reader=SalesforceReader,
    classify=classify,
    read_quota=read_quota,
    spare_quota=spare_quota,
    check_host=check_host,
    poll_s=60,
    concurrency=4,
    stream=STREAM,
    collections=STANDARD,
    dropped=(
        "`attributes` (type and URL of the record), on every level.",
        "Compound fields of the types address and location (`MailingAddress`): their parts (`MailingStreet` …) arrive. "
        "`Name` of people is plain text upstream, and stays.",
        "File contents (`VersionData`, `Body`), which are only links to the file.",
        "A whole number's `.0`: REST and bulk answers write `12` and `12.0` for the same value; we keep `12`.",
        "Needless escapes in text (`\\/`, `\\u00e9`): the text is the same, written once.",
    ),
)
