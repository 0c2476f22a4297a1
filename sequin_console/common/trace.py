"""A trace of what happens when, for benchmarks and kill tests: JSON lines, only when SEQUIN_TRACE_FILE is set."""

import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_path = os.environ.get("SEQUIN_TRACE_FILE", "")
_tells_beginnings = os.environ.get("SEQUIN_TRACE_BEGINNINGS") == "1"
_numbers = itertools.count(1)


@contextmanager
def span(name: str) -> Iterator[None]:
    """Note when a stage (`fetch`, `store`, `publish` …) began and ended, wall clock in seconds, and whether it failed.

    With SEQUIN_TRACE_BEGINNINGS=1 its beginning is a line of its own, written at once: a beginning that is never
    followed by an end with the same `pid` and `no` was under way when that process was killed.
    """
    if not _path:
        yield
        return
    fact: dict[str, Any] = {"span": name, "pid": os.getpid(), "no": next(_numbers), "began": time.time()}
    if _tells_beginnings:
        _write(fact)
    try:
        yield
    except BaseException:
        fact["failed"] = True
        raise
    finally:
        _write({**fact, "ended": time.time()})


def _write(fact: dict[str, Any]) -> None:
    line = json.dumps(fact).encode() + b"\n"
    descriptor = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line)  # one write, so that lines of several processes never mix
    finally:
        os.close(descriptor)
