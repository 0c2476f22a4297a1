"""Unsafe settings are refused at the start, each with a hint."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as project

from sequin_console import checks, database_checks

SQLITE = {"ENGINE": "sequin_console.common.sqlite", "OPTIONS": {"transaction_mode": "IMMEDIATE"}}


def ids() -> set[str]:
    """What is refused; each refusal says what to do."""
    found = checks.check_settings(None)
    assert all(error.hint for error in found)
    return {error.id for error in found}


def test_the_settings_we_ship_are_safe() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"timeout": None}, "sequin.E001"),
        ({"retry": 120}, "sequin.E002"),  # 40 x (1 + ceil(3 / 2))
        ({"queue_limit": 20}, "sequin.E002"),
        ({"queue_limit": 5, "retry": 999}, "sequin.E011"),
        ({"workers": 4, "queue_limit": None, "retry": 999}, "sequin.E011"),  # django-q2 then takes 16
        ({"bulk": 3, "retry": 999}, "sequin.E012"),
        ({"max_attempts": 0}, "sequin.E003"),
        ({"ack_failures": False}, "sequin.E004"),
        ({"save_limit": 250}, "sequin.E005"),
        ({"timeout": 15}, "sequin.E006"),
        ({"timeout": 60}, "sequin.E006"),
        ({"recycle": 10}, "sequin.E026"),
        ({"poll": 0.001}, "sequin.E027"),
        ({"poll": 5}, "sequin.E027"),
        ({"sync": True}, "sequin.E028"),
        ({"orm": "default", "redis": None}, "sequin.E029"),
        ({"broker_class": None}, "sequin.E030"),
    ],
)
def test_an_unsafe_queue_is_refused(settings, change: dict[str, Any], found: str) -> None:
    settings.DATABASES = {"default": SQLITE, "queue": SQLITE}
    settings.Q_CLUSTER = {**project.Q_CLUSTER, "redis": None, "orm": "queue"}
    settings.Q_CLUSTER["broker_class"] = "sequin_console.common.task_queue.OrmBroker"
    assert ids() == set()
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert found in ids()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"CONN_MAX_AGE": 0}, {"sequin.E007"}),
        ({"CONN_MAX_AGE": 59}, {"sequin.E007"}),
        ({"CONN_MAX_AGE": 60}, set()),
        ({"CONN_MAX_AGE": None}, set()),
        ({"ATOMIC_REQUESTS": True}, {"sequin.E013"}),
        ({"CONN_HEALTH_CHECKS": False}, {"sequin.E014"}),
        ({"OPTIONS": {"conn_max_age": 0}}, {"sequin.E015"}),
        ({"OPTIONS": {"sslmode": "verify-full"}}, set()),
    ],
)
def test_unsafe_use_of_postgresql_is_refused(settings, change: dict[str, Any], found: set[str]) -> None:
    safe = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
    settings.DATABASES = {"default": {**safe, **change}}
    settings.Q_CLUSTER = {**project.Q_CLUSTER, "orm": "default", "redis": None}
    settings.Q_CLUSTER["broker_class"] = "sequin_console.common.task_queue.OrmBroker"
    assert ids() == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"ENGINE": "django.db.backends.sqlite3"}, {"sequin.E016"}),
        ({"OPTIONS": {"transaction_mode": "DEFERRED"}}, {"sequin.E017"}),
        ({"OPTIONS": {}}, {"sequin.E017"}),
    ],
)
def test_unsafe_use_of_sqlite_is_refused(settings, change: dict[str, Any], found: set[str]) -> None:
    settings.DATABASES = {"default": SQLITE, "queue": {**SQLITE, **change}}
    assert {error.id for error in database_checks.setting_errors()} == found


def test_sqlite_that_knows_no_returning_is_refused(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATABASES = {"default": SQLITE}
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    (error,) = database_checks.setting_errors()
    assert error.id == "sequin.E032"
    assert error.hint


def test_a_data_folder_on_a_network_is_refused() -> None:
    mounts = "overlay / overlay rw 0 0\nfiler:/a /srv nfs4 rw 0 0\n/dev/sdb /srv/local\\040disk ext4 rw 0 0\n"
    refused = {
        place: [error.id for error in database_checks._folder_errors(Path(place), mounts)]
        for place in ("/var/lib/sequin", "/srv/sequin", "/srv", "/srv/local disk/sequin", "/srvice")
    }
    assert {place for place, found in refused.items() if found == ["sequin.E018"]} == {"/srv/sequin", "/srv"}


@pytest.mark.parametrize("workers", [2, 40])
def test_what_postgresql_itself_is_set_to_is_judged(settings, workers: int) -> None:
    settings.WORKERS = 2
    assert list(database_checks.server_errors({})) == []
    unsafe = {
        "max_connections": "30",
        "statement_timeout": "5000",
        "idle_session_timeout": "60000",
        "default_transaction_isolation": "serializable",
        "transaction_read_only": "on",
        "server_encoding": "SQL_ASCII",
    }
    found = list(database_checks.server_errors(unsafe))
    assert all(error.hint for error in found)
    assert [error.id for error in found] == [f"sequin.E{number:03}" for number in (19, 20, 21, 22, 23, 24)]
    settings.WORKERS = workers
    assert [error.id for error in database_checks.server_errors({})] == {2: [], 40: ["sequin.E019"]}[workers]


def test_connections_for_one_node_only_are_warned_of(settings) -> None:
    settings.WORKERS = 10
    assert [error.id for error in database_checks.server_errors({})] == ["sequin.W001"]


@pytest.mark.only_on("postgres", "postgres-redis")
@pytest.mark.django_db(transaction=True)
def test_a_postgresql_as_it_comes_is_good() -> None:
    assert database_checks.check_servers(None, databases=["default"]) == []


@pytest.mark.only_on("postgres", "postgres-redis")
@pytest.mark.django_db(transaction=True)
def test_a_pooler_that_lets_clients_meet_in_a_session_is_refused() -> None:
    with database_checks.second_session("default") as shared:
        found = list(database_checks.pooler_errors(lambda: contextlib.nullcontext(shared)))
    assert [error.id for error in found] == ["sequin.E025"]
    assert "session" in found[0].hint


@pytest.mark.parametrize(
    ("engine", "cache", "is_refused"),
    [
        ("cache", "django.core.cache.backends.locmem.LocMemCache", True),
        ("cache", "django.core.cache.backends.redis.RedisCache", False),
        ("db", "django.core.cache.backends.locmem.LocMemCache", False),
    ],
)
def test_sessions_that_only_one_process_knows_are_refused(settings, engine: str, cache: str, is_refused: bool) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.CACHES = {"default": {"BACKEND": cache}}
    assert ("sequin.E031" in {error.id for error in checks.session_errors()}) is is_refused


def test_a_data_folder_that_cannot_be_is_refused(settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.DATA_DIR = tmp_path / "file" / "data"
    assert "sequin.E008" in ids()
    settings.DATA_DIR = tmp_path / "new" / "data"
    assert ids() == set()


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("https://console.example.com", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("console.example.com", False),
        ("ftp://console.example.com", False),
        ("https://console.example.com/sequin", False),
        ("https://console.example.com:port", False),
        ("https://user@console.example.com", False),
        ("https://", False),
        ("http://[", False),
    ],
)
def test_a_public_url_is_scheme_and_host(address: str, is_good: bool) -> None:
    assert checks.is_address(address) is is_good


def test_check_deploy_is_clean_in_production(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SEQUIN_DATA_DIR": str(tmp_path),
        "PUBLIC_URL": "https://console.example.com",
        "SECRET_KEY": "production-key-" + "aB3$" * 20,
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DATABASE_URL": "postgres://console:secret@db.example.com/console",
        "REDIS_URL": "redis://redis.example.com:6379/0",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=project.BASE_DIR, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
