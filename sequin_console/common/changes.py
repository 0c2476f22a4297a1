"""Tell open pages that something changed: "sync-7", never what.

`announce` only notes the topic. A thread of this process writes what was noted, at most every half second, on a
connection of its own: so it is never part of the caller's transaction, never makes one sync wait for another, and the
last change of a burst is never lost. watcher.py reads the other end.
"""

import atexit
import json
import os
import threading
import time
from datetime import timedelta

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from sequin_console.common.models import Change

PAUSE_S = 0.5
CHANNEL = "sequin_changes"  # PostgreSQL's NOTIFY
KEPT = timedelta(days=1)
PRUNE_EVERY = 1000  # writes
NOTIFY_TOPICS = 60  # a NOTIFY carries less than 8,000 bytes

log = structlog.get_logger(__name__)


def announce(*topics: str) -> None:
    """Say that these changed; pages showing them look again. Takes effect once the surrounding transaction commits.

    A topic is at most 100 characters of letters, digits and dashes: it becomes the name of a browser event.
    """
    transaction.on_commit(lambda: _announcer.add(topics))


def write(topics: list[str]) -> None:
    """Make topics known to every web process: rows with a growing `no` on SQLite, NOTIFY on PostgreSQL."""
    if connection.vendor == "postgresql":
        parts = [json.dumps(topics[at : at + NOTIFY_TOPICS]) for at in range(0, len(topics), NOTIFY_TOPICS)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, part) FROM unnest(%s::text[]) AS part", [CHANNEL, parts])
        return
    with transaction.atomic():
        last = Change.objects.aggregate(last=Max("no"))["last"] or 0
        now = timezone.now()
        rows = [Change(topic=topic, no=no, at=now) for no, topic in enumerate(topics, start=last + 1)]
        Change.objects.bulk_create(rows, update_conflicts=True, update_fields=["no", "at"], unique_fields=["topic"])
        if last // PRUNE_EVERY != (last + len(topics)) // PRUNE_EVERY:
            Change.objects.filter(at__lt=now - KEPT).delete()  # never the newest row, so `no` keeps growing


class Announcer:
    """This process's pending topics and the thread that writes them; the thread starts with the first topic."""

    def __init__(self) -> None:
        self._pending: set[str] = set()
        self._lock = threading.Lock()  # of the pending topics; held for an instant
        self._writing = threading.Lock()  # held while writing, so that a process that ends waits for it
        self._noted = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, topics: tuple[str, ...]) -> None:
        with self._lock:
            self._pending.update(topics)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_flushing, name="sequin-announcer", daemon=True)
                self._thread.start()
        self._noted.set()

    def flush(self) -> None:
        """Write what is pending, on the calling thread; wait for a write under way. What fails stays pending."""
        with self._writing:
            with self._lock:
                topics, self._pending = sorted(self._pending), set()
            if not topics:
                return
            try:
                write(topics)
            except DatabaseError as error:
                log.warning("announcing changes failed; trying again", error=str(error))
                with self._lock:
                    self._pending.update(topics)
                self._noted.set()

    def _keep_flushing(self) -> None:
        while True:
            self._noted.wait()
            self._noted.clear()
            self.flush()
            connection.close_if_unusable_or_obsolete()
            time.sleep(PAUSE_S)


_announcer = Announcer()


def flush() -> None:
    """Write what this process announced and has not written yet; a command that ends at once need not call it."""
    _announcer.flush()


def _start_afresh() -> None:
    """After a fork: the thread did not come along, and the parent writes what the parent noted."""
    global _announcer
    _announcer = Announcer()


os.register_at_fork(after_in_child=_start_afresh)
atexit.register(flush)
