"""Start-up checks of the database: what it is, how we are set to use it, and what the server itself is set to.

Those that ask the server run with `manage.py migrate` and `manage.py check --database default`.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connections

OURS = "sequin_console.common.sqlite"
OF_DJANGO = {"conn_max_age", "conn_health_checks", "atomic_requests"}
NETWORKED = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}
LEAST_STATEMENT_MS = 60_000
LEAST_SQLITE = (3, 35)
OTHERS = 20  # connections for web processes, the scheduler, commands and people


def setting_errors() -> Iterable[CheckMessage]:
    """How we are set to use it; nobody is asked."""
    every: dict[str, Any] = dict(settings.DATABASES)
    database = every["default"]
    if "postgresql" in database["ENGINE"]:
        yield from _postgresql_setting_errors(database)
    else:
        for one in every.values():
            yield from _sqlite_setting_errors(one)
        yield from _folder_errors(settings.DATA_DIR)
    if database.get("ATOMIC_REQUESTS"):
        hint = "Take ATOMIC_REQUESTS out: pages that talk to APIs and NATS would hold a transaction open meanwhile."
        yield Error("ATOMIC_REQUESTS is set.", hint=hint, id="sequin.E013")


def _postgresql_setting_errors(database: dict[str, Any]) -> Iterator[CheckMessage]:
    age_s = database.get("CONN_MAX_AGE", 0)
    if age_s is not None and age_s < 60:
        hint = "Set CONN_MAX_AGE to 600: opening a connection for each task costs more than the work."
        yield Error(f"CONN_MAX_AGE is {age_s} seconds; at least 60 are needed.", hint=hint, id="sequin.E007")
    if not database.get("CONN_HEALTH_CHECKS"):
        hint = "Set CONN_HEALTH_CHECKS to True: after a restart of PostgreSQL the first task on each connection fails."
        yield Error("Connections are kept but never looked at.", hint=hint, id="sequin.E014")
    if strange := sorted(OF_DJANGO & set(database.get("OPTIONS", {}))):
        hint = "DATABASE_URL takes PostgreSQL's own options only, such as ?sslmode=verify-full. Take these out."
        yield Error(f"DATABASE_URL has {', '.join(strange)}.", hint=hint, id="sequin.E015")


def _sqlite_setting_errors(database: dict[str, Any]) -> Iterator[CheckMessage]:
    if database["ENGINE"] != OURS:
        hint = f"Use {OURS}: writers wait in one line; Django's own fails half of all page writes under load."
        yield Error(f"The database engine is {database['ENGINE']}.", hint=hint, id="sequin.E016")
    if (mode := database.get("OPTIONS", {}).get("transaction_mode")) != "IMMEDIATE":
        hint = "Set transaction_mode to IMMEDIATE: a transaction that reads first and writes later fails as 'locked'."
        yield Error(f"SQLite's transaction_mode is {mode}.", hint=hint, id="sequin.E017")
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        hint = "Use a Python that brings a newer one, or PostgreSQL: the log is written by UPDATE … FROM and RETURNING."
        yield Error(f"SQLite is {sqlite3.sqlite_version}; 3.35 is needed.", hint=hint, id="sequin.E032")


def _folder_errors(folder: Path, mounts: str | None = None) -> Iterator[CheckMessage]:
    kind = file_system(folder, mounts if mounts is not None else _mounts())
    if kind in NETWORKED:
        hint = "Name a folder on a local disk by SEQUIN_DATA_DIR, or use PostgreSQL: SQLite's locks do not hold there."
        yield Error(f"The data folder {folder} is on a network file system ({kind}).", hint=hint, id="sequin.E018")


def _mounts() -> str:
    path = Path("/proc/mounts")
    return path.read_text() if path.exists() else ""


def file_system(folder: Path, mounts: str) -> str:
    """The kind of file system a folder is on, by lines as /proc/mounts has them; empty when none tells."""
    found = [line.split()[1:3] for line in mounts.splitlines() if len(line.split()) > 2]
    holding = [(Path(place.replace("\\040", " ")), kind) for place, kind in found]
    own = [(len(place.parts), number, kind) for number, (place, kind) in enumerate(holding) if _holds(place, folder)]
    return max(own, default=(0, 0, ""))[2]


def _holds(place: Path, folder: Path) -> bool:
    return place == folder or place in folder.parents


# --- What the server says ------------------------------------------------------------------------------------------


@register(Tags.database)
def check_servers(app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """A server that cannot be reached is not judged: whoever asked is about to hear of that."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if connections[alias].vendor != "postgresql":
            continue
        try:
            with connections[alias].cursor() as cursor:
                facts = server_facts(cursor)
            found += [*server_errors(facts), *pooler_errors(lambda alias=alias: second_session(alias))]
        except DatabaseError:
            continue
    return found


FACTS = (
    "max_connections",
    "superuser_reserved_connections",
    "statement_timeout",
    "idle_session_timeout",
    "default_transaction_isolation",
    "transaction_read_only",
    "server_encoding",
)


def server_facts(cursor: Any) -> dict[str, str]:
    """PostgreSQL's settings as they are for us, by name; times in milliseconds. An older server lacks some."""
    cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(FACTS)])
    return dict(cursor.fetchall())


def connections_needed(workers: int) -> int:
    """Of one node: in each of two clusters three a worker, for its task, its announcer and its courier, and three for
    pusher, monitor and guard; and all others."""
    return 2 * (3 * workers + 3) + OTHERS


def server_errors(facts: dict[str, str]) -> Iterator[CheckMessage]:
    most = int(facts.get("max_connections", 100)) - int(facts.get("superuser_reserved_connections", 3))
    needed = connections_needed(settings.WORKERS)
    if needed > most:
        hint = f"Raise max_connections, or lower SEQUIN_WORKERS: {settings.WORKERS} workers a cluster need {needed}."
        yield Error(f"PostgreSQL allows {most} connections; one node may need {needed}.", hint=hint, id="sequin.E019")
    elif 2 * needed > most:
        hint = f"Each node with {settings.WORKERS} workers a cluster may need {needed}; raise max_connections first."
        yield Warning(f"PostgreSQL's {most} connections are enough for one node only.", hint=hint, id="sequin.W001")
    if 0 < (limit_ms := int(facts.get("statement_timeout", 0))) < LEAST_STATEMENT_MS:
        hint = f"Set it to 0 or at least {LEAST_STATEMENT_MS // 1000} s for our user: migrations and sweeps take long."
        yield Error(f"PostgreSQL's statement_timeout is {limit_ms} ms.", hint=hint, id="sequin.E020")
    if (limit_ms := int(facts.get("idle_session_timeout", 0))) > 0:
        hint = "Set it to 0 for our user: pages hear of changes by a session that only listens."
        yield Error(f"PostgreSQL's idle_session_timeout is {limit_ms} ms.", hint=hint, id="sequin.E021")
    isolation = facts.get("default_transaction_isolation", "read committed")
    if isolation != "read committed":
        hint = "Set it to 'read committed' for our user: the log's order is kept by row locks, others would be refused."
        yield Error(f"PostgreSQL's default_transaction_isolation is {isolation}.", hint=hint, id="sequin.E022")
    if facts.get("transaction_read_only") == "on":
        hint = "Point DATABASE_URL at the primary server: this one takes no writes."
        yield Error("The database is read-only, a standby perhaps.", hint=hint, id="sequin.E023")
    if (encoding := facts.get("server_encoding", "UTF8")) != "UTF8":
        hint = "Make the database with ENCODING 'UTF8': records hold text in any language."
        yield Error(f"The database's encoding is {encoding}.", hint=hint, id="sequin.E024")


def second_session(alias: str) -> AbstractContextManager[Any]:
    """One more connection, past Django's own."""
    connection = connections[alias].copy()
    return connection.temporary_connection()


def pooler_errors(session: Any) -> Iterator[CheckMessage]:
    """Whether a pooler deals out server sessions by the transaction: two clients then meet in one of them.

    session   opens a client's connection; a context manager that gives a cursor
    """
    with session() as one, session() as other:
        one.execute("SELECT set_config('sequin.seen', 'yes', false)")
        other.execute("SELECT current_setting('sequin.seen', true)")
        if other.fetchone()[0] == "yes":
            hint = "Connect to PostgreSQL itself, or set the pooler to pool_mode = session: LISTEN is lost otherwise."
            yield Error("DATABASE_URL leads to a pooler in transaction mode.", hint=hint, id="sequin.E025")
