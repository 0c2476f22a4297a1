"""Encrypted columns: secrets are ciphertext in the database and masked wherever they are printed."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class Secrets(dict[str, str]):
    """A dict of secrets that never shows its values: not in a traceback, a log line or a debugger."""

    def __repr__(self) -> str:
        return "Secrets(" + ", ".join(f"{key}=********" for key in self) + ")"

    __str__ = __repr__


@lru_cache(maxsize=4)
def _cipher(encryption_keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in encryption_keys])


def cipher() -> MultiFernet:
    """The installation's cipher: the first key of ENCRYPTION_KEYS encrypts, all of them decrypt."""
    return _cipher(tuple(settings.ENCRYPTION_KEYS))


class UnreadableSecret(Exception):
    """The encryption key that wrote this column is not among ENCRYPTION_KEYS."""


if TYPE_CHECKING:
    _SecretsColumn = models.TextField[Mapping[str, str], Secrets]
else:
    _SecretsColumn = models.TextField


class EncryptedJSONField(_SecretsColumn):
    """A JSON object of strings, stored as one Fernet token (AES-128-CBC with HMAC). Reads back as `Secrets`.

    Raises UnreadableSecret on read when no key fits.
    """

    def get_default(self) -> Any:
        return super().get_default() or Secrets()

    def get_prep_value(self, value: Any) -> str:
        return cipher().encrypt(json.dumps(dict(value or {})).encode()).decode()

    def from_db_value(self, value: str | None, *_args: Any) -> Secrets:
        if not value:
            return Secrets()
        try:
            return Secrets(json.loads(cipher().decrypt(value.encode())))
        except InvalidToken:
            raise UnreadableSecret("A stored secret cannot be decrypted: was keys.json lost or replaced?") from None

    def to_python(self, value: Any) -> Secrets:
        return value if isinstance(value, Secrets) else Secrets(value or {})

    def value_to_string(self, obj: Any) -> str:
        return "********"  # dumpdata must not leak
