"""Stripe: the lists of one account, live or test, by a restricted key.

Docs    https://docs.stripe.com/api, API version 2026-10-28.endive
Limits  live 100 requests a second, test 25; no Retry-After. Reading has a monthly allocation: poll slowly
Parts   catalogue (lists), lists (pages, nested lists), events (changes), reader, errors
"""

from collections.abc import Mapping

from syncs.providers.kit.auth import bearer
from syncs.providers.kit.catalogue import CredentialKind, Host, Provider, SetupField
from syncs.providers.stripe.catalogue import COLLECTIONS
from syncs.providers.stripe.errors import classify
from syncs.providers.stripe.reader import StripeReader

STRIPE_VERSION = "2026-10-28.endive"  # sent with every request: the account's default must not decide
LIVE, TEST = "live", "test"


def request_headers(secrets: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The key, our API version, and the connected account to read, if one was named."""
    headers = {**bearer({"secret": secrets.get("secret") or secrets.get("secret_key", "")}, settings)}
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
    ),
    hosts=(Host("stripe", "Stripe", "https://api.stripe.com"),),
    api_url="https://api.stripe.com",
    reader=StripeReader,
    request_headers=request_headers,
    classify=classify,
    poll_s=60,
    concurrency=4,
    collections=COLLECTIONS,
    dropped=(
        "White space between JSON tokens.",
        "Pages of nested lists: `items`, `lines`, `reversals` and `refunds` arrive whole, with `has_more` false.",
        "The stub Stripe sends for a deleted customer: a deletion arrives with the last known content.",
    ),
)
