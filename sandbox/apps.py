"""The OAuth apps that may ask users of the sandbox for access."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from sandbox.rawjson import dump, load
from sandbox.store import Store

DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET = "sandbox-console", "sandbox-console-secret"
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class Apps:
    """Client ids and secrets, valid at both providers."""

    def __init__(self, store: Store):
        self._store = store
        if store.note("app", DEFAULT_CLIENT_ID) is None:
            self.add(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)

    def add(self, client_id: str = "", client_secret: str = "") -> tuple[str, str]:
        """Register an app; what is left out is made up. Returns client id and secret."""
        client_id = client_id or f"3MVG9{secrets.token_urlsafe(24)}"
        client_secret = client_secret or secrets.token_hex(32).upper()
        self._store.keep_note("app", client_id, dump({"secret": client_secret}).decode())
        return client_id, client_secret

    def secret(self, client_id: str) -> str | None:
        note = self._store.note("app", client_id)
        return load(note)["secret"] if note else None

    def is_genuine(self, client_id: str, client_secret: str) -> bool:
        """Whether the secret is the app's."""
        secret = self.secret(client_id)
        return secret is not None and hmac.compare_digest(secret.encode(), client_secret.encode())


def is_allowed_redirect(uri: str) -> bool:
    """The sandbox's apps accept any loopback address as their callback, and nothing else."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK_HOSTS
