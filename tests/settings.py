"""The console's own settings, on the backend of this test run (tests/backends.py)."""

from tests import backends

backends.take()

from sequin_console.settings import *  # noqa: E402, F403
from sequin_console.settings import DATA_DIR, DATABASE_URL, DATABASES  # noqa: E402

for _alias, _database in DATABASES.items():
    # Files, not memory: threads and processes share them, and the write lock is the real one.
    _test = {"TEMPLATE": backends.MIGRATED} if DATABASE_URL else {"NAME": str(DATA_DIR / f"test-{_alias}.sqlite3")}
    _database["TEST"] = _test
PRIVATE_APIS = "127.0.0.0/8"  # the sandbox
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nobody's real password
