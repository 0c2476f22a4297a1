"""The bell: it wakes who waits, is harmless when nobody does, and is nobody's whole hope."""

import subprocess
import sys
import threading
import time

import pytest

from sequin_console.common import bell


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    bell._open.clear()
    yield tmp_path
    bell._open.clear()


def waited(seconds: float) -> float:
    began = time.monotonic()
    bell.wait("syncs", seconds)
    return time.monotonic() - began


def test_a_ring_ends_the_wait_and_a_silent_bell_lets_it_end_by_itself() -> None:
    assert waited(0.05) >= 0.05
    threading.Timer(0.05, bell.ring, ["syncs"]).start()
    assert waited(60) < 30


def test_a_ring_before_the_wait_is_kept_and_many_are_one() -> None:
    waited(0)
    for _ in range(100_000):  # more than a pipe holds
        bell.ring("syncs")
    assert waited(60) < 30
    while waited(0.01) < 0.01:
        continue
    assert waited(0.05) >= 0.05


def test_ringing_where_nobody_waits_is_no_matter() -> None:
    bell.ring("nobody")
    waited(0)
    bell.ring("other")


def test_another_process_rings(folder) -> None:
    waited(0)
    code = f"import os; os.write(os.open({str(folder / 'syncs.bell')!r}, os.O_WRONLY), b'.')"
    subprocess.Popen([sys.executable, "-c", code])
    assert waited(60) < 30


def test_a_folder_that_holds_no_pipes_only_waits(settings, tmp_path) -> None:
    settings.DATA_DIR = tmp_path / "missing"
    assert waited(0.05) >= 0.05
    bell.ring("syncs")
