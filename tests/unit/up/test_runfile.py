"""run.json and the lock on the data folder."""

import os
import stat
from pathlib import Path

import pytest

from sequin_console.up import runfile


def test_run_file_is_for_its_owner_only(tmp_path: Path) -> None:
    runfile.write(tmp_path, {"console_url": "http://127.0.0.1:1"})
    runfile.write(tmp_path, {"console_url": "http://127.0.0.1:2"})
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600
    assert runfile.read(tmp_path) == {"console_url": "http://127.0.0.1:2"}
    assert os.listdir(tmp_path) == ["run.json"]


def test_second_lock_is_refused_naming_process_and_address(tmp_path: Path) -> None:
    fd = runfile.lock(tmp_path)
    runfile.write(tmp_path, {"console_url": "http://127.0.0.1:8000"})
    with pytest.raises(runfile.AlreadyRunning, match=rf"process {os.getpid()} at http://127.0.0.1:8000"):
        runfile.lock(tmp_path)
    os.close(fd)


def test_lock_ends_with_its_owner_and_the_next_one_clears_what_was_left(tmp_path: Path) -> None:
    os.close(runfile.lock(tmp_path))
    runfile.write(tmp_path, {"console_url": "http://127.0.0.1:8000"})
    os.close(runfile.lock(tmp_path))
    assert runfile.read(tmp_path) is None


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    fd = runfile.lock(tmp_path)
    assert not os.get_inheritable(fd)
    os.close(fd)
