"""The installation's own keys: made once, for the owner's eyes only."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from sequin_console.common import keys


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("ENCRYPTION_KEYS", raising=False)


def test_keys_are_made_once_with_mode_0600(tmp_path: Path) -> None:
    first = keys.for_settings(tmp_path / "data")
    assert keys.for_settings(tmp_path / "data") == first
    file = tmp_path / "data" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    Fernet(first[1][0])
    assert len(first[0]) >= 50


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    together = Barrier(8)

    def load(_: int) -> tuple[str, list[str]]:
        together.wait()
        return keys.load_or_create(tmp_path / "keys.json")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(load, range(8)))
    assert len({json.dumps(one) for one in found}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_the_environment_wins_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv("SECRET_KEY", "s" * 50)
    monkeypatch.setenv("ENCRYPTION_KEYS", f"{new}, {old}")
    assert keys.for_settings(tmp_path) == ("s" * 50, [new, old])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given", [{"SECRET_KEY": "s"}, {"ENCRYPTION_KEYS": "k"}, {"SECRET_KEY": "s", "ENCRYPTION_KEYS": "no fernet key"}]
)
def test_half_of_the_keys_or_a_malformed_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        keys.for_settings(tmp_path)
    assert "no fernet key" not in str(refused.value)
