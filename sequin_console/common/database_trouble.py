"""A database that cannot work for a while: what a person is told, and a write that finds out within seconds."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from sequin_console.common.models import Heartbeat
from sequin_console.common.problems import Problem

AWAY = (OperationalError, InterfaceError)
"""What Django raises when it is the database that is in trouble, not the statement."""
WRITE_S = 2
ROOM = 512 * 1024  # bytes: rows that are there can be changed on a full disk, new ones not stored
PROBE = "readyz"  # the name of the row that is written
_NEXT = "Nothing is lost: work goes on by itself once it can."
_CAUSES = (  # words of SQLite's and PostgreSQL's own messages, what happened, what to do
    (
        ("is full", "no space left", "disk i/o error", "could not extend file"),
        "The disk of the database is full.",
        f"Make room on it. {_NEXT}",
    ),
    (
        ("is locked", "lock timeout", "statement timeout"),
        "Another program holds the database.",
        f"Try again in a moment; if it stays, end what holds it. {_NEXT}",
    ),
    (
        ("too many clients", "too many connections", "connection slots"),
        "PostgreSQL takes no more connections.",
        f"Raise its max_connections, or run fewer workers. {_NEXT}",
    ),
)


def as_problem(error: Exception) -> Problem:
    """The trouble in words, never the database's own: those may name hosts and users."""
    said = str(error).lower()
    for words, message, next_step in _CAUSES:
        if any(word in said for word in words):
            return Problem(message, kind="database", next_step=next_step, status=503)
    return Problem(
        "The database does not answer.", kind="database", next_step=f"Check that it runs. {_NEXT}", status=503
    )


def try_to_write() -> None:
    """Commit one row. Raises DatabaseError after WRITE_S at the latest, whoever holds the database meanwhile."""
    if connection.vendor == "sqlite":
        with connection.wrap_database_errors:
            _write_to_sqlite()
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{WRITE_S}s'")
            cursor.execute("SET LOCAL work_mem = '64kB'")  # the next wants about ROOM for a moment, in a temporary file
            cursor.execute("SELECT count(*) FROM generate_series(1, 30000)")
        Heartbeat.objects.bulk_create(
            [Heartbeat(name=PROBE, at=timezone.now())],
            update_conflicts=True,
            update_fields=["at"],
            unique_fields=["name"],
        )


def _write_to_sqlite() -> None:
    """Past the line that writers stand in, for it knows no time-out; SQLite's own lock still keeps it apart."""
    at = connection.ops.adapt_datetimefield_value(timezone.now())
    path = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path, timeout=WRITE_S, isolation_level=None)) as db:
        db.execute(
            f"INSERT INTO {Heartbeat._meta.db_table} (name, at) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET at = excluded.at",
            (PROBE, at),
        )
    _ask_for_room(Path(path).parent)


def _ask_for_room(folder: Path) -> None:
    """The write-ahead log may have room where the disk has none left for the tables, or for the queue's own file."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise OperationalError("database or disk is full") from error
