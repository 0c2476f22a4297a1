"""What every test stands on: a data folder and SQLite files of its own, and the cast.

Cast: Ada edits, Vera views, Stan is a stranger, Root is the admin.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# One folder a process, so that xdist's workers never meet. Child processes find it in the environment.
_folder = tempfile.TemporaryDirectory(prefix="sequin-test-")
DATA_DIR = Path(_folder.name)
os.environ["SEQUIN_DATA_DIR"] = _folder.name

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import AnonymousUser  # noqa: E402
from django.test import Client  # noqa: E402

settings.DATA_DIR = DATA_DIR  # pytest-django has read the settings by now
if not settings.DATABASE_URL:
    # Files, not memory: threads and processes share them, and the write lock is the real one.
    for _alias, _database in settings.DATABASES.items():
        _database["NAME"] = DATA_DIR / f"{_alias}.sqlite3"
        _database.setdefault("TEST", {})["NAME"] = str(DATA_DIR / f"test-{_alias}.sqlite3")
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nobody's real password

from sequin_console.accounts.models import User  # noqa: E402
from sequin_console.accounts.rights import Role  # noqa: E402
from sequin_console.common import changes, heartbeats  # noqa: E402
from tests import factories  # noqa: E402
from tests.faults.report import pytest_terminal_summary  # noqa: E402, F401 - a hook


class SilentAnnouncer(changes.Announcer):
    """Keeps what was announced, and has no thread that would write after the test is over."""

    def add(self, topics: tuple[str, ...]) -> None:
        self._pending.update(topics)

    @property
    def announced(self) -> set[str]:
        return set(self._pending)


@pytest.fixture(autouse=True)
def announcer(monkeypatch: pytest.MonkeyPatch) -> SilentAnnouncer:
    """What was announced in this test; `changes.flush()` writes it."""
    silent = SilentAnnouncer()
    monkeypatch.setattr(changes, "_announcer", silent)
    return silent


@pytest.fixture(autouse=True)
def forget_heartbeats() -> Iterator[None]:
    yield
    heartbeats._last.clear()


@pytest.fixture
def ada(db: None) -> User:
    return factories.make_user("ada", Role.OPERATOR)


@pytest.fixture
def vera(db: None) -> User:
    return factories.make_user("vera", Role.VIEWER)


@pytest.fixture
def root(db: None) -> User:
    return factories.make_user("root", Role.ADMIN)


@pytest.fixture
def stan() -> AnonymousUser:
    return AnonymousUser()


@pytest.fixture
def browser_of() -> Callable[[User | AnonymousUser | None], Client]:
    """`browser_of(ada).get(...)`: a test client in which this person is signed in; a stranger's is not."""

    def make(user: User | AnonymousUser | None = None) -> Client:
        client = Client(REMOTE_ADDR="192.0.2.7")
        if user is not None and user.is_authenticated:
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make
