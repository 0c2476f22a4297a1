"""What every test stands on, and the cast. Database, queue and data folder: tests/settings.py.

Cast: Ada edits, Vera views, Stan is a stranger, Root is the admin.
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.utils import timezone

from consumers import courier, scheduling
from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Role
from sequin_console.common import changes, heartbeats, task_queue
from tests import backends, factories
from tests.faults.report import IS_LONG, pytest_terminal_summary  # noqa: F401 - a hook

# By itself Hypothesis fails an example that takes 200 ms: on a busy machine any may.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

# Files whose tests wait for real processes are begun first, so that two workers end at about the same time.
LONGEST_FIRST = ("tests/faults/", "tests/integration/test_up.py", "tests/integration/test_secrets.py", "tests/browser/")
PROCESSES_S, LONG_FORM_S = 600, 3_600


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Mark what touches the database, put in order; leave out what is about another backend or for the long form.

    What waits for real processes has deadlines of its own, and a machine at work on other things may be slow.
    """
    for item in items:
        if item.get_closest_marker("django_db") or "db" in getattr(item, "fixturenames", ()):
            item.add_marker("database")
        if IS_LONG and item.nodeid.startswith("tests/faults/"):
            item.add_marker(pytest.mark.timeout(LONG_FORM_S), append=False)
        elif item.nodeid.startswith(LONGEST_FIRST) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PROCESSES_S))
    left_out = {
        item
        for item in items
        if any(backends.name() not in marker.args for marker in item.iter_markers("only_on"))
        or (item.get_closest_marker("long_form") and not IS_LONG)
    }
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    yield
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST_FIRST))


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """Databases of a server that ends with the run need not be dropped one by one."""
    return django_db_keepdb or backends.name() != backends.SQLITE


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


class QueueingCourier(courier.Courier):
    """Queues every drain, as for a large lag, and has no thread that would deliver after the test is over."""

    def note(self, sync_id: UUID) -> None:
        scheduling.make_missing_cursors(sync_id)
        scheduling.queue(scheduling.lagging(timezone.now()).filter(sync_id=sync_id))


@pytest.fixture(autouse=True)
def no_courier(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tests' own process nothing is delivered behind their back."""
    monkeypatch.setattr(courier, "_courier", QueueingCourier())


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was queued, in place of a broker: nothing runs by itself."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(task_queue, "async_task", lambda *args, **_: calls.append(args))
    return calls


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
