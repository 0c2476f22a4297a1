"""A bell between processes of one machine: who waits for work is woken at once, and looks by itself if nobody rings.

A named pipe in the data folder. Nothing is lost with it: it only shortens a wait that ends anyway.
"""

import contextlib
import os
import select
import time
from pathlib import Path

from django.conf import settings

_open: dict[str, tuple[int, int]] = {}  # name: (process, descriptor); one that came along in a fork is not ours


def ring(name: str) -> None:
    """Wake whoever waits under this name; nobody may, and that is no matter."""
    with contextlib.suppress(OSError):  # nobody has it open, or it is full: rung already
        bell = os.open(_path(name), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(bell, b".")
        finally:
            os.close(bell)


def wait(name: str, seconds: float) -> None:
    """Wait until somebody rings, but no longer than so many seconds."""
    try:
        bell = _mine(name)
    except OSError:  # a folder that holds no pipes
        time.sleep(seconds)
        return
    if select.select([bell], [], [], seconds)[0]:
        with contextlib.suppress(BlockingIOError):  # somebody else was quicker
            os.read(bell, 4096)


def _mine(name: str) -> int:
    """This process's end of the pipe: open for both, so that it does not end when a ringer goes."""
    process, bell = _open.get(name, (0, -1))
    if process != os.getpid():
        path = _path(name)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        bell = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        _open[name] = os.getpid(), bell
    return bell


def _path(name: str) -> Path:
    return Path(settings.DATA_DIR) / f"{name}.bell"
