"""Announcing changes: after commit, together, none lost."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from sequin_console.common import changes
from sequin_console.common.models import Change

sqlite_only = pytest.mark.only_on("sqlite")  # PostgreSQL has NOTIFY, no rows


def numbers() -> dict[str, int]:
    return dict(Change.objects.values_list("topic", "no"))


@pytest.mark.django_db(transaction=True)
def test_an_announcement_waits_for_the_commit(announcer) -> None:
    with transaction.atomic():
        changes.announce("sync-1", "syncs")
        assert announcer.announced == set()
    assert announcer.announced == {"sync-1", "syncs"}


@pytest.mark.django_db(transaction=True)
def test_what_is_undone_is_not_announced(announcer) -> None:
    class Undone(Exception):
        pass

    @transaction.atomic
    def change() -> None:
        changes.announce("sync-1")
        raise Undone

    with pytest.raises(Undone):
        change()
    assert announcer.announced == set()


@sqlite_only
@pytest.mark.django_db
def test_numbers_grow_over_all_topics() -> None:
    changes.write(["a", "b"])
    changes.write(["a"])
    assert numbers() == {"b": 2, "a": 3}
    changes.write(["c"])
    assert numbers()["c"] == 4


@sqlite_only
@pytest.mark.django_db
def test_old_topics_are_forgotten_and_numbers_still_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PRUNE_EVERY", 1)
    changes.write(["old"])
    Change.objects.update(at=timezone.now() - timedelta(days=2))
    changes.write(["new"])
    assert numbers() == {"new": 2}


@sqlite_only
@pytest.mark.django_db
def test_what_could_not_be_written_stays_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(topics: list[str]) -> None:
        raise OperationalError("gone")

    announcer = changes.Announcer()
    announcer._pending = {"a"}
    with monkeypatch.context() as patch:
        patch.setattr(changes, "write", fail)
        announcer.flush()
    announcer.flush()
    assert numbers() == {"a": 1}


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_burst_is_few_writes_and_its_last_change_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, list[str]]] = []

    def write(topics: list[str]) -> None:
        written.append((threading.current_thread().name, topics))

    monkeypatch.setattr(changes, "write", write)
    monkeypatch.setattr(changes, "PAUSE_S", 0.05)
    monkeypatch.setattr(changes, "_announcer", changes.Announcer())
    started = time.monotonic()
    while time.monotonic() - started < 0.3:
        changes.announce("sync-1")
    changes.announce("last")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not any("last" in topics for _, topics in written):
        time.sleep(0.01)
    assert any("last" in topics for _, topics in written)
    assert 2 <= len(written) <= 10
    assert {thread for thread, _ in written} == {"sequin-announcer"}


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_writer_at_work_is_not_waited_for() -> None:
    """Announcing takes no lock on the caller's side, however long another transaction holds the database."""
    connection.ensure_connection()
    with transaction.atomic():
        Change.objects.count()
        started = time.monotonic()
        thread = threading.Thread(target=changes.announce, args=("sync-2",))
        thread.start()
        thread.join(2)
        assert not thread.is_alive()
        assert time.monotonic() - started < 1


def test_a_forked_child_starts_with_nothing_pending(announcer) -> None:
    announcer.add(("parents-own",))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(len(changes._announcer._pending)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"0"
    os.close(read)
    os.close(write)


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_command_that_ends_at_once_still_tells() -> None:
    """Its thread may be at the first write when the interpreter ends."""
    script = (
        "import sys, django; from django.conf import settings; settings.DATABASES['default']['NAME'] = sys.argv[1];"
        "django.setup(); from sequin_console.common import changes; changes.announce('from-a-command')"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sequin_console.settings"}
    command = [sys.executable, "-c", script, str(connection.settings_dict["NAME"])]
    subprocess.run(command, env=environment, cwd=settings.BASE_DIR, check=True, timeout=300)
    assert numbers() == {"from-a-command": 1}
