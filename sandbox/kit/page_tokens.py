"""Page tokens: opaque text that says where the next page starts, signed, so that no client makes its own."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any

from sandbox.clock import SECOND_MS, Clock
from sandbox.rawjson import dump, load
from sandbox.store import Store

MAC_BYTES = 12


class PageTokens:
    """The page tokens of one side. They outlive a restart, and may be made to expire."""

    def __init__(self, store: Store, clock: Clock, key: str, life_s: float = 0):
        self.store, self.clock, self.key, self.life_s = store, clock, key, life_s
        secret = store.note("page_token_key", key)
        if secret is None:
            secret = secrets.token_hex(16)
            store.keep_note("page_token_key", key, secret)
        self._secret = secret.encode()

    def make(self, *content: Any) -> str:
        """A token that carries these values: the list it belongs to, the place its last page ended."""
        payload = dump([self.clock.now_ms(), self._generation(), list(content)])
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def read(self, token: str) -> list[Any] | None:
        """What the token carries; None for one that is not ours, was tampered with, has expired or was forgotten."""
        try:
            packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            return None
        mac, payload = packed[:MAC_BYTES], packed[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            return None
        made_ms, generation, content = load(payload)
        is_old = self.life_s and made_ms < self.clock.now_ms() - self.life_s * SECOND_MS
        return None if is_old or generation != self._generation() else content

    def forget(self) -> None:
        """All tokens given out so far become invalid."""
        self.store.keep_note("page_token_generation", self.key, str(self._generation() + 1))

    def _generation(self) -> int:
        return int(self.store.note("page_token_generation", self.key) or 0)

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._secret, payload, hashlib.sha256).digest()[:MAC_BYTES]
