"""Stripe: the lists of one account, live or test, by a restricted key or an installed Stripe App.

Docs    https://docs.stripe.com/api, API version 2026-10-28.endive
Limits  live 100 requests a second, test 25; no Retry-After. Reading has a monthly allocation: poll slowly
Parts   catalogue (flat: lists, owned: what hangs on their members), lists and objects (reading them), parts,
        events and hints (changes), webhooks, reader, errors
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from syncs.providers.kit import auth
from syncs.providers.kit.auth import TokenGrant, bearer
from syncs.providers.kit.catalogue import ClientAuth, CredentialKind, Host, OAuth2, Provider, SetupField
from syncs.providers.kit.errors import ProviderError
from syncs.providers.stripe.catalogue import COLLECTIONS
from syncs.providers.stripe.errors import classify
from syncs.providers.stripe.reader import StripeReader
from syncs.providers.stripe.webhooks import WEBHOOK

STRIPE_VERSION = "2026-10-28.endive"  # sent with every request: the account's default must not decide
LIVE, TEST = "live", "test"


def request_headers(secrets: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The key or the app's token, our API version, and the connected account to read, if one was named."""
    key = secrets.get("access_token") or secrets.get("secret") or secrets.get("secret_key", "")
    headers = {**bearer({"secret": key}, settings)}
    headers["Stripe-Version"] = STRIPE_VERSION
    if settings.get("account"):
        headers["Stripe-Account"] = settings["account"]
    return headers


def key_mode(key: str) -> str:
    """`live` or `test`, by the key's prefix; empty for what is no secret or restricted key."""
    for prefix in ("sk_", "rk_", "rkcs_"):
        for mode in (LIVE, TEST):
            if key.startswith(f"{prefix}{mode}_"):
                return mode
    return ""


_YES = ("1", "true", "yes", "on")


def key_problems(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the key or the account, before Stripe is asked."""
    key = (values.get("secret") or values.get("secret_key") or "").strip()
    problems, field = {}, "secret"
    if key.startswith("pk_"):
        problems[field] = "This is a publishable key, which cannot read. Paste a restricted key (rk_…)."
    elif not key_mode(key):
        problems[field] = "A Stripe key begins with rk_live_, rk_test_, sk_live_ or sk_test_."
    elif values.get("test") and (str(values["test"]).lower() in _YES) != (key_mode(key) == TEST):
        problems["test"] = f"The key is a {key_mode(key)} key."
    account = values.get("account") or ""
    if account and not (account.startswith("acct_") and account.isascii() and account.replace("_", "").isalnum()):
        problems["account"] = "A Stripe account id begins with acct_."
    return problems


def app_grant(answer: Mapping[str, Any]) -> TokenGrant:
    """The grant in the token endpoint's answer; each refresh brings a new refresh token, and the old one is dead.

    {"access_token":"sk_live_…","refresh_token":"rt_…","token_type":"bearer","scope":"stripe_apps","livemode":true,
     "stripe_user_id":"acct_1Nabc","stripe_publishable_key":"pk_live_…"}
    """
    return replace(auth.parse_grant(answer), account_id=str(answer.get("stripe_user_id") or ""))


def app_error(status: int, body: bytes) -> ProviderError:
    """What a refusal of `/v1/oauth/token` means."""
    error = auth.token_error(status, body)
    code, _ = auth.oauth_error(body)
    if code == "invalid_grant":
        error.message = "Stripe does not accept this installation of the app."
        error.next_step = "Install it again. The app’s secret key and the installation must both be live, or both test."
    elif code == "invalid_client" or status == 401:
        error.message = "Stripe refused the secret key of our Stripe App."
        error.next_step = "Copy the app developer’s secret key into the OAuth app here."
    return error


APP = OAuth2(
    authorize_path="/oauth/v2/{link}/authorize",
    token_path="/v1/oauth/token",  # noqa: S106 - a path
    pkce=False,
    client_auth=ClientAuth.KEY,
    proof_label="Secret key of the app’s developer (sk_…)",
    fields=(
        SetupField(
            "link",
            "Install link id",
            "Only for an app that is not published: the part of its install link after /oauth/v2/.",
            required=False,
            example="chnlink_…",
        ),
    ),
    parse=app_grant,
    error=app_error,
)


PROVIDER = Provider(
    key="stripe",
    label="Stripe",
    docs="https://docs.stripe.com/api",
    kinds=(
        CredentialKind(
            "stripe_key",
            "Restricted key",
            fields=(
                SetupField(
                    "secret",
                    "Restricted key",
                    "From Developers, API keys. Give it Read on what you want to sync, and on Events.",
                    secret=True,
                    example="rk_live_…",
                    aliases=("secret_key",),
                ),
                SetupField(
                    "account",
                    "Connected account",
                    "Only for Connect platforms: whose records to read.",
                    required=False,
                    example="acct_…",
                ),
                SetupField(
                    "test",
                    "Mode",
                    "Told by the key; say it to be warned when the two differ.",
                    required=False,
                    choices=(("", "As the key says"), ("false", "Live"), ("true", "Test")),
                ),
            ),
            help="Live and test keys read different records.",
            problems=key_problems,
        ),
        CredentialKind(
            "stripe_app",
            "Install a Stripe App",
            oauth=APP,
            help="You are sent to Stripe to install your own Stripe App, which may then read.",
        ),
    ),
    hosts=(Host("stripe", "Stripe", "https://marketplace.stripe.com", token_url="https://api.stripe.com"),),  # noqa: S106
    api_url="https://api.stripe.com",
    reader=StripeReader,
    request_headers=request_headers,
    classify=classify,
    poll_s=60,
    quiet_poll_s=300,
    concurrency=4,
    collections=COLLECTIONS,
    webhook=WEBHOOK,
    dropped=(
        "White space between JSON tokens.",
        "Pages of nested lists: `items`, `lines`, `reversals` and `refunds` arrive whole, with `has_more` false.",
        "The stub Stripe sends for a deleted customer: a deletion arrives with the last known content.",
    ),
)
