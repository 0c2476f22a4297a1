"""The SQLite backend: writers wait in one line, readers never, and no lock is left behind."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from sequin_console.common.models import Heartbeat

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("sqlite"),
]

WRITER = """
import sys, time
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from django.db import transaction
from sequin_console.common.models import Change
for _ in range(int(sys.argv[2])):
    with transaction.atomic():
        row, _ = Change.objects.get_or_create(topic="count", defaults={"no": 0})
        time.sleep(0.001)
        Change.objects.filter(pk="count").update(no=row.no + 1)
"""


def is_locked() -> bool:
    """Whether somebody holds the write lock, asked as another process would."""
    descriptor = os.open(f"{connection.settings_dict['NAME']}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def beat(name: str) -> Heartbeat:
    return Heartbeat.objects.create(name=name, at=timezone.now())


def test_two_processes_that_read_and_write_lose_no_update(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sequin_console.settings"}
    command = [sys.executable, "-c", WRITER, str(connection.settings_dict["NAME"]), "100"]
    writers = [
        subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    with connection.cursor() as cursor:
        assert cursor.execute("SELECT no FROM common_change WHERE topic = 'count'").fetchone()[0] == 200


def test_the_lock_is_held_for_the_transaction_and_no_longer() -> None:
    assert not is_locked()
    with transaction.atomic():
        beat("a")
        assert is_locked()
        with transaction.atomic():
            beat("b")
        assert is_locked()
    assert not is_locked()


def test_an_undone_transaction_gives_the_lock_back() -> None:
    class Undone(Exception):
        pass

    @transaction.atomic
    def change() -> None:
        beat("a")
        raise Undone

    with pytest.raises(Undone):
        change()
    assert not is_locked()
    assert not Heartbeat.objects.exists()


def test_a_write_on_its_own_takes_the_lock_for_its_statement() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO common_heartbeat (name, at) VALUES ('a', '2026-01-01')")
        assert not is_locked()
        with pytest.raises(IntegrityError):
            cursor.execute("INSERT INTO common_heartbeat (name, at) VALUES ('a', '2026-01-01')")
    assert not is_locked()


def test_a_closed_connection_gives_the_lock_back() -> None:
    transaction.set_autocommit(False)
    try:
        beat("a")
    finally:
        connection.close()
    assert not is_locked()


def test_a_failed_begin_gives_the_lock_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when another program than ours holds SQLite's own lock too long."""
    other = connection.Database.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    try:
        with pytest.raises(OperationalError), transaction.atomic():
            beat("a")
    finally:
        other.execute("ROLLBACK")
        other.close()
        connection.close()
    assert not is_locked()


def in_thread(work: Callable[[], None]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_reader_does_not_wait_for_a_writer() -> None:
    beat("a")
    seen: list[int] = []
    with transaction.atomic():
        beat("b")
        reader = in_thread(lambda: seen.append(Heartbeat.objects.count()))
        reader.join(3)
        assert seen == [1]


def test_a_writer_waits_for_its_turn() -> None:
    order: list[str] = []

    def write() -> None:
        beat("second")
        order.append("second")

    with transaction.atomic():
        beat("first")
        writer = in_thread(write)
        time.sleep(0.2)
        order.append("first")
    writer.join(5)
    assert order == ["first", "second"]
