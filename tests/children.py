"""What every server that tests start has in common: a free port, and an end with us even if we are killed."""

import ctypes
import signal
import socket
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def tie_to_us(number: int = signal.SIGKILL) -> Callable[[], object] | None:
    """For `Popen(preexec_fn=…)`: the child gets this signal when we die, killed or not. Linux only.

    The kernel goes by thread: a child of any other thread than the main one would end with that thread, so gets none.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, number)
