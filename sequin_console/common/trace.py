"""A trace of what happens when, for benchmarks: one JSON line a span, only when SEQUIN_TRACE_FILE is set."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

_path = os.environ.get("SEQUIN_TRACE_FILE", "")


@contextmanager
def span(name: str) -> Iterator[None]:
    """Note when a stage (`fetch`, `store`, `publish`) began and ended, wall clock in seconds."""
    if not _path:
        yield
        return
    began = time.time()
    try:
        yield
    finally:
        line = json.dumps({"span": name, "pid": os.getpid(), "began": began, "ended": time.time()}) + "\n"
        with open(_path, "a", encoding="utf-8") as file:
            file.write(line)
