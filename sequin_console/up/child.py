"""Runs one child of `up` so that it cannot outlive it. Called as `python -m sequin_console.up.child PARENT WHAT …`.

The kernel sends SIGKILL to a process whose parent dies if it asked for that (PR_SET_PDEATHSIG). The wish survives exec,
which is how nats-server gets it, but not fork; so every process a Python child forks (django-q2's sentinel, workers,
pusher and monitor) asks anew right after its fork. A supervisor that is killed thus takes its children along, they
take theirs, and so on down. Asking here rather than between fork and exec keeps the supervisor free to use threads.
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
_parent_pid = 0


def die_with(parent_pid: int) -> None:
    """Be killed when this parent dies; end at once if it is dead already. Linux only; elsewhere nothing happens."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def _before_fork() -> None:
    global _parent_pid
    _parent_pid = os.getpid()


def main(parent_pid: int, what: str, args: list[str]) -> None:
    """Become `what`: `-m` and a module, a Python script, or any other program."""
    die_with(parent_pid)
    if what != "-m" and not what.endswith(".py"):
        os.execv(what, [what, *args])
    os.register_at_fork(before=_before_fork, after_in_child=lambda: die_with(_parent_pid))
    if what == "-m":
        sys.argv = args
        runpy.run_module(args[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [what, *args]
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
