"""The installation's own keys: Django's SECRET_KEY and the keys that encrypt secret columns."""

import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


def for_settings(data_dir: Path) -> tuple[str, list[str]]:
    """Return (secret key, encryption keys): from the environment when it names them, else from the data folder.

    `ENCRYPTION_KEYS` is a comma-separated list of Fernet keys; the first encrypts, all decrypt, so that a key is
    rotated by putting a new one in front. Raises ImproperlyConfigured when only one of the two is given, or a key is
    malformed: half of them from elsewhere would leave secrets that nobody can read after a move.
    """
    secret, encryption = os.environ.get("SECRET_KEY", ""), os.environ.get("ENCRYPTION_KEYS", "")
    if not secret and not encryption:
        return load_or_create(data_dir / "keys.json")
    if not secret or not encryption:
        raise ImproperlyConfigured("Set both SECRET_KEY and ENCRYPTION_KEYS, or neither (see docs/settings.md).")
    keys = [key.strip() for key in encryption.split(",") if key.strip()]
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured("ENCRYPTION_KEYS holds something that is not a Fernet key.") from None
    return secret, keys


def load_or_create(path: Path) -> tuple[str, list[str]]:
    """Read the keys file, or create it with mode 0600. Safe when two processes start at once: one file wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        body = json.dumps(
            {"secret_key": secrets.token_urlsafe(50), "encryption_keys": [Fernet.generate_key().decode()]}
        )
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(body)
        try:
            os.link(draft, path)  # atomic, and refused if another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    stored = json.loads(path.read_text())
    return stored["secret_key"], stored["encryption_keys"]
