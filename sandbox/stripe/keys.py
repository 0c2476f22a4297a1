"""Keys of the Stripe account, and the tokens of Stripe Apps installed on it.

Source: https://docs.stripe.com/keys, https://docs.stripe.com/stripe-apps/api-authentication/oauth
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from starlette.datastructures import Headers

from sandbox.clock import SECOND_MS
from sandbox.kit.access import presented
from sandbox.rawjson import dump, load
from sandbox.stripe.account import ACCOUNT_ID, Account
from sandbox.stripe.catalogue import KINDS, Kind
from sandbox.stripe.errors import StripeError, invalid_key, missing_permission

DEMO_KEYS = {"test": "rk_test_sandbox_demo", "live": "rk_live_sandbox_demo"}
DEVELOPER_KEYS = {"test": "sk_test_sandbox_console", "live": "sk_live_sandbox_console"}
ALL = ("*",)
ACCOUNT_RIGHT = "rak_accounts_kyc_basic_read"
WEBHOOK_READ, WEBHOOK_WRITE = "rak_webhook_read", "rak_webhook_write"


@dataclass(frozen=True)
class Key:
    """A key or an app's access token. `expires_ms` 0: never. `grant` names the app grant a token belongs to."""

    mode: str
    permissions: tuple[str, ...] = ALL
    expires_ms: int = 0
    grant: str = ""

    def may(self, right: str) -> bool:
        return "*" in self.permissions or right in self.permissions


class Keys:
    """Who may read what."""

    def __init__(self, account: Account):
        self.account = account
        self.store = account.store
        self._keys: dict[str, Key] = {}
        for secret, note in self.store.notes("stripe_key").items():
            made = load(note)
            self._keys[secret] = Key(**made | {"permissions": tuple(made["permissions"])})
        for mode, secret in DEMO_KEYS.items():
            if secret not in self._keys:
                self.keep(secret, Key(mode))

    def make(self, mode: str, permissions: list[str] | None = None, expires_in_s: float = 0) -> str:
        """A new restricted key. Permissions are rights (`rak_charge_read`) or collections (`charges`); None is all."""
        rights = ALL if permissions is None else tuple(right_of(name) for name in permissions)
        secret = f"rk_{mode}_{secrets.token_hex(24)}"
        expires_ms = self.account.clock.now_ms() + round(expires_in_s * SECOND_MS) if expires_in_s else 0
        self.keep(secret, Key(mode, rights, expires_ms))
        return secret

    def keep(self, secret: str, key: Key) -> None:
        self._keys[secret] = key
        self.store.keep_note("stripe_key", secret, dump(asdict(key)).decode())

    def drop(self, secret: str) -> bool:
        self.store.drop_note("stripe_key", secret)
        return self._keys.pop(secret, None) is not None

    def drop_grant(self, grant: str) -> int:
        """Take away the access tokens of one app grant, or of all (empty name)."""
        found = [secret for secret, key in self._keys.items() if key.grant and grant in ("", key.grant)]
        for secret in found:
            self.drop(secret)
        return len(found)

    def expire(self, secret: str) -> bool:
        """Let a key or token be past its time."""
        key = self._keys.get(secret)
        if key is not None:
            self.keep(secret, Key(key.mode, key.permissions, 1, key.grant))
        return key is not None

    def check(self, headers: Headers) -> tuple[str, Key]:
        """The caller's key. Raises 401 in the words upstream has for each case."""
        secret = secret_of(headers)
        if not secret:
            raise StripeError(
                401,
                "You did not provide an API key. You need to provide your API key in the Authorization header, using"
                " Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            )
        if secret.startswith("pk_"):
            raise StripeError(
                401, "This API call cannot be made with a publishable API key.", code="secret_key_required"
            )
        key = self._keys.get(secret)
        if key is None:
            raise invalid_key(secret)
        if key.expires_ms and key.expires_ms <= self.account.clock.now_ms():
            raise StripeError(401, f"Expired API Key provided: {secret[:8]}***", code="api_key_expired")
        return secret, key

    def check_right(self, secret: str, key: Key, right: str) -> None:
        """Raises the 403 that names the missing permission."""
        if not key.may(right):
            raise missing_permission(secret, ACCOUNT_ID, right)

    def all(self) -> dict[str, Any]:
        return {secret: asdict(key) for secret, key in self._keys.items()}


def right_of(name: str) -> str:
    """`charges` or `charge` or `rak_charge_read` -> `rak_charge_read`. Raises ValueError for an unknown word."""
    if name in KINDS:
        return KINDS[name].right
    rights: set[str] = {kind.right for kind in _all_kinds()} | {ACCOUNT_RIGHT, WEBHOOK_READ, WEBHOOK_WRITE, "*"}
    wanted = name if name.startswith("rak_") or name == "*" else f"rak_{name}_read"
    if name == "account":
        return ACCOUNT_RIGHT
    if wanted not in rights:
        raise ValueError(f"unknown permission {name!r}")
    return wanted


def _all_kinds() -> list[Kind]:
    return list(KINDS.values())


def secret_of(headers: Headers) -> str:
    """The key of a request: as bearer, or as the user name of HTTP Basic with an empty password."""
    shown = presented(headers)
    return {"bearer": shown.secret, "basic": shown.user}.get(shown.scheme, "")
