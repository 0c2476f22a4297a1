"""Which database and queue a whole test run stands on: SEQUIN_TEST_BACKEND = sqlite | postgres | postgres-redis.

The process that was typed starts one PostgreSQL (and one Redis) for the run; xdist's workers, and what tests start,
find them by the environment. Each worker has a test database, a Redis database and a data folder of its own. All of it
ends with the run, however that ends. tests/settings.py calls `take`; a test that starts a console of its own takes what
`console()` gives for its environment.
"""

import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests import postgres_server, redis_server
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parent.parent
SQLITE, POSTGRES, REDIS = NAMES = ("sqlite", "postgres", "postgres-redis")
MIGRATED = "migrated"  # the database that all others are copied from
CONSOLES_A_WORKER = 1000  # Redis databases
_numbers = itertools.count(1)


def name() -> str:
    """The backend of this run."""
    chosen = os.environ.get("SEQUIN_TEST_BACKEND") or SQLITE
    assert chosen in NAMES, f"SEQUIN_TEST_BACKEND must be one of {', '.join(NAMES)}, not {chosen!r}"
    return chosen


def take() -> None:
    """Before settings are read: this process's data folder, and where its database and queue are.

    What the person has in the environment for a console of theirs is not touched by tests. A process that a test starts
    finds that all is chosen already.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    if os.environ.get("SEQUIN_TEST_WORKER") == worker:
        return
    if worker == "main":
        _start_servers()
    os.environ["SEQUIN_TEST_WORKER"] = worker
    os.environ["SEQUIN_DATA_DIR"] = _folder()
    os.environ["DATABASE_URL"] = _postgres().url if name() != SQLITE else ""
    os.environ["REDIS_URL"] = _redis().url_of(_worker_number() * CONSOLES_A_WORKER) if name() == REDIS else ""


@contextlib.contextmanager
def console(*, migrated: bool = True) -> Iterator[dict[str, str]]:
    """A database and a queue for one more console: DATABASE_URL and REDIS_URL for its environment, empty on SQLite.

    migrated   its tables are there; else the database is empty
    """
    if name() == SQLITE:
        yield {"DATABASE_URL": "", "REDIS_URL": ""}
        return
    number = next(_numbers)
    database = f"console_{os.environ['SEQUIN_TEST_WORKER']}_{os.getpid()}_{number}"
    url = _postgres().create(database, template=MIGRATED if migrated else "template1")
    place = _worker_number() * CONSOLES_A_WORKER + number % CONSOLES_A_WORKER
    try:
        yield {"DATABASE_URL": url, "REDIS_URL": _redis().url_of(place) if name() == REDIS else ""}
    finally:
        _postgres().drop(database)
        if name() == REDIS:
            redis.Redis.from_url(_redis().url_of(place)).flushdb()


def _start_servers() -> None:
    if name() == SQLITE:
        return
    folder = Path(_folder())
    os.environ["SEQUIN_TEST_POSTGRES"] = _until_exit(postgres_server.running(folder / "postgres")).url
    if name() == REDIS:
        os.environ["SEQUIN_TEST_REDIS"] = _until_exit(redis_server.running(folder / "redis")).url
    environ = {**os.environ, "DATABASE_URL": _postgres().create(MIGRATED), "SEQUIN_DATA_DIR": str(folder / "migrating")}
    environ["DJANGO_SETTINGS_MODULE"] = "sequin_console.settings"
    command = [sys.executable, "manage.py", "migrate", "--skip-checks", "-v", "0"]
    subprocess.run(command, cwd=ROOT, env=environ, check=True)


def _until_exit(context: contextlib.AbstractContextManager) -> PostgresServer | RedisServer:
    server = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return server


def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="sequin-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _postgres() -> PostgresServer:
    return PostgresServer(Path(), urlsplit(os.environ["SEQUIN_TEST_POSTGRES"]).port or 0)


def _redis() -> RedisServer:
    return RedisServer(Path(), urlsplit(os.environ["SEQUIN_TEST_REDIS"]).port or 0)


def _worker_number() -> int:
    """0 where xdist is not; gw3 is 4."""
    digits = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    return int(digits) + 1 if digits else 0
