"""Who is calling: the Authorization header taken apart, and the tokens and keys a side has given out."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from starlette.datastructures import Headers

from sandbox.clock import SECOND_MS, Clock
from sandbox.rawjson import dump, load
from sandbox.store import Store

ALL = "*"


@dataclass(frozen=True)
class Presented:
    """What a request shows. Basic: user and secret, as sent; else the secret alone. All empty without any header."""

    scheme: str = ""
    user: str = ""
    secret: str = ""


def presented(headers: Headers) -> Presented:
    """`Bearer x`, `token x` (GitHub), `OAuth x` (Salesforce), `Basic base64(user:secret)`; the scheme in small letters.

    A key may stand there bare (Linear). Basic that is no base64 shows nothing.
    """
    scheme, space, rest = headers.get("authorization", "").partition(" ")
    if not space:
        return Presented("", "", scheme)
    scheme, rest = scheme.lower(), rest.strip()
    if scheme != "basic":
        return Presented(scheme, "", rest)
    try:
        user, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Presented(scheme)
    return Presented(scheme, user, secret)


def secret_of(headers: Headers) -> str:
    """The one secret of a request, whatever the scheme; of Basic without a password, the user name."""
    shown = presented(headers)
    return shown.secret or shown.user


@dataclass(frozen=True)
class Pass:
    """What one token or key allows. `expires_ms` 0: never. `grant` 0: a key that no grant made. `user`: whose it is."""

    scopes: tuple[str, ...] = (ALL,)
    expires_ms: int = 0
    grant: int = 0
    user: str = ""

    def may(self, *scopes: str) -> bool:
        """Whether it has one of these scopes."""
        return ALL in self.scopes or any(scope in self.scopes for scope in scopes)


class Passes:
    """All tokens and keys of a side, kept over restarts. The ready-made ones are told at the making."""

    def __init__(self, store: Store, clock: Clock, key: str, ready: Mapping[str, Pass] | None = None):
        self.store, self.clock, self.kind = store, clock, f"{key}_pass"
        self._passes = {secret: _read(note) for secret, note in store.notes(self.kind).items()}
        for secret, made in (ready or {}).items():
            if secret not in self._passes:
                self.keep(secret, made)

    def make(
        self, prefix: str, scopes: Iterable[str] = (ALL,), *, life_s: float = 0, grant: int = 0, user: str = ""
    ) -> str:
        """A new secret; `life_s` 0: it never expires."""
        secret = f"{prefix}{secrets.token_hex(20)}"
        expires_ms = self.clock.now_ms() + round(life_s * SECOND_MS) if life_s else 0
        self.keep(secret, Pass(tuple(scopes), expires_ms, grant, user))
        return secret

    def keep(self, secret: str, made: Pass) -> None:
        self._passes[secret] = made
        self.store.keep_note(self.kind, secret, dump(asdict(made)).decode())

    def find(self, secret: str) -> Pass | None:
        """The living pass of a secret; None for unknown, revoked and expired ones (`is_expired` tells those apart)."""
        found = self._passes.get(secret)
        return None if found is None or self.is_expired(secret) else found

    def is_expired(self, secret: str) -> bool:
        """Whether this was a good secret once, and is past its time."""
        found = self._passes.get(secret)
        return found is not None and 0 < found.expires_ms <= self.clock.now_ms()

    def expire(self, secret: str) -> int:
        """Let one be past its time. Returns how many were: 0 for an unknown one."""
        found = self._passes.get(secret)
        if found is not None:
            self.keep(secret, replace(found, expires_ms=1))
        return int(found is not None)

    def expire_granted(self) -> int:
        """Let all that grants made be past their time; keys made by hand live on."""
        return sum(self.expire(secret) for secret, made in list(self._passes.items()) if made.grant)

    def drop(self, secret: str) -> int:
        self.store.drop_note(self.kind, secret)
        return int(self._passes.pop(secret, None) is not None)

    def drop_grant(self, grant: int) -> int:
        """Take away all that one grant made."""
        return sum(self.drop(secret) for secret, made in list(self._passes.items()) if made.grant == grant)


def _read(note: str) -> Pass:
    kept = load(note)
    return Pass(**kept | {"scopes": tuple(kept["scopes"])})
