"""Unsafe settings are refused at the start, each with a hint."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as project

from sequin_console import checks

RULES = (
    checks.queue_errors,
    checks.time_errors,
    checks.database_errors,
    checks.data_folder_errors,
    checks.address_errors,
)


def ids() -> set[str]:
    return {error.id for rule in RULES for error in rule()}


def test_the_settings_we_ship_are_safe() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"timeout": None}, "sequin.E001"),
        ({"retry": 120}, "sequin.E002"),  # 40 x (1 + ceil(3 / 2))
        ({"queue_limit": 20}, "sequin.E002"),
        ({"max_attempts": 0}, "sequin.E003"),
        ({"ack_failures": False}, "sequin.E004"),
        ({"save_limit": 250}, "sequin.E005"),
        ({"timeout": 15}, "sequin.E006"),
        ({"timeout": 60}, "sequin.E006"),
    ],
)
def test_an_unsafe_queue_is_refused(settings, change: dict[str, Any], found: str) -> None:
    safe = {"workers": 2, "queue_limit": 2, "bulk": 1, "timeout": 40, "retry": 130, "max_attempts": 3}
    settings.Q_CLUSTER = {**safe, "ack_failures": True, "save_limit": -1}
    assert ids() == set()
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert found in ids()
    assert all(error.hint for rule in RULES for error in rule())


@pytest.mark.parametrize(("age_s", "is_refused"), [(0, True), (59, True), (60, False), (None, False)])
def test_short_lived_connections_to_postgresql_are_refused(settings, age_s: int | None, is_refused: bool) -> None:
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": age_s}}
    assert ("sequin.E007" in ids()) is is_refused


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
    done = subprocess.run(command, cwd=project.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
