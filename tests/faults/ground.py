"""What a world stands on: SQLite in its own folder, or a PostgreSQL, or a PostgreSQL and a Redis, which can be killed.

    with ground("postgres-redis", folder) as on:
        on.environ              # DATABASE_URL and REDIS_URL for the console's processes
        on.query("SELECT …")    # by a stock client, past the console's code
        on.postgres.kill(); on.postgres.start()

A PostgreSQL is kept from one world to the next (each has a database of its own, copied from one whose tables are made);
it syncs to disk, for it gets killed.
"""

import atexit
import contextlib
import itertools
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import postgres_server, redis_server
from tests.faults.report import IS_LONG
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer

LABELS = {"sqlite": "SQLite", "postgres": "PostgreSQL", "postgres-redis": "PostgreSQL + Redis"}
BACKENDS = tuple(LABELS)
DURABLE = {"fsync": "on", "full_page_writes": "on"}
SMALL = {"max_wal_size": "32MB", "min_wal_size": "32MB"}
MIGRATED = "migrated"
DATABASE_ERRORS = (sqlite3.Error, psycopg.Error)  # it is away, or being killed
Row = tuple[Any, ...]
_numbers = itertools.count(1)


def on(*usual: str, among: Sequence[str] = BACKENDS) -> pytest.MarkDecorator:
    """Parametrize by `backend`: the one this run is on; the short form on SQLite, `make test`, is on the usual ones."""

    def run_on(name: str) -> set[str]:
        by_usual = {"sqlite"} if name in usual and not IS_LONG else set()
        return by_usual | ({name} if name != "sqlite" or IS_LONG else set())

    cases = [pytest.param(name, marks=pytest.mark.only_on(*run_on(name))) for name in among]
    return pytest.mark.parametrize("backend", cases)


class Ground:
    """One world's database and queue."""

    def __init__(self, name: str, folder: Path, url: str, postgres: PostgresServer | None, redis: RedisServer | None):
        self.name, self.label = name, LABELS[name]
        self.postgres, self.redis = postgres, redis
        self.environ = {"DATABASE_URL": url, "REDIS_URL": redis.url if redis else ""}
        self._file = folder / "data/console.sqlite3"
        self._mine = threading.local()

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Rows of the console's own database; `?` stands for a parameter. Raises one of DATABASE_ERRORS."""
        if self.postgres is not None:
            return self._ask_postgres(sql.replace("?", "%s").encode(), params)
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as db:
            return db.execute(sql, params).fetchall()

    def _ask_postgres(self, sql: bytes, params: Sequence[Any]) -> list[Row]:
        """Once more where a server killed since has left its end of the connection: only using it tells."""
        was_open = getattr(self._mine, "connection", None)
        connection = self._connection()
        try:
            return connection.execute(sql, params).fetchall()
        except psycopg.OperationalError:
            if connection is not was_open or not connection.closed:
                raise
        return self._connection().execute(sql, params).fetchall()

    def _connection(self) -> psycopg.Connection[Row]:
        """This thread's; another one once it is broken."""
        found: psycopg.Connection[Row] | None = getattr(self._mine, "connection", None)
        if found is None or found.closed:
            options = "-c default_transaction_read_only=on -c statement_timeout=20s"
            url = self.environ["DATABASE_URL"]
            found = self._mine.connection = psycopg.connect(url, autocommit=True, connect_timeout=5, options=options)
        return found


@contextlib.contextmanager
def ground(
    name: str, folder: Path, *, migrate: Callable[[str], None], postgres_in: Path | None = None
) -> Iterator[Ground]:
    """A database for one more world, and a Redis of its own.

    migrate      makes the tables, given a DATABASE_URL; called once for each PostgreSQL
    postgres_in  a folder for a PostgreSQL of its own
    """
    if name == "sqlite":
        yield Ground(name, folder, "", None, None)
        return
    if postgres_in is not None:
        with postgres_server.running(postgres_in, **DURABLE, **SMALL) as own:
            url = own.create("world")
            migrate(url)
            yield Ground(name, folder, url, own, None)
        return
    postgres = _postgres(migrate)
    database = f"world_{next(_numbers)}"
    url = postgres.create(database, template=MIGRATED)
    with redis_server.running(folder / "redis") if name == "postgres-redis" else contextlib.nullcontext() as redis:
        try:
            yield Ground(name, folder, url, postgres, redis)
        finally:
            postgres.resume()
            postgres.drop(database)


_servers: dict[int, PostgresServer] = {}


def _postgres(migrate: Callable[[str], None]) -> PostgresServer:
    """This test process's; started, and its tables made, at the first call."""
    if os.getpid() not in _servers:
        folder = tempfile.TemporaryDirectory(prefix="sequin-world-")
        context = postgres_server.running(Path(folder.name) / "postgres", **DURABLE)
        server = context.__enter__()
        atexit.register(folder.cleanup)
        atexit.register(context.__exit__, None, None, None)
        migrate(server.create(MIGRATED))
        _servers[os.getpid()] = server
    return _servers[os.getpid()]
