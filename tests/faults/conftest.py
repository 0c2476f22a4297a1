"""`record_fault`: every fault test says what it did."""

import json
from collections.abc import Callable

import pytest
from django.db import connection

from tests.faults.report import PROPERTY

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@pytest.fixture
def record_fault(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Note what this test did; call it before the last judgement, for a fact of a test that then fails says so.

    what     the fault in words, the same in every run: rows of the table are told apart by it
    times    how often it was done
    counted  how often something was in flight at that moment; None where that cannot be said
    outcome  what is true afterwards when the test passes, in words
    backend  `SQLite`, `PostgreSQL`, `PostgreSQL + Redis`; None: the database that this run stands on, without a queue
    promise  `fenced`, `basic`, `fenced and basic`; empty when delivery takes no part
    """

    def record(
        *,
        what: str,
        times: int,
        outcome: str,
        counted: int | None = None,
        backend: str | None = None,
        promise: str = "",
    ) -> None:
        place = DATABASES[connection.vendor] if backend is None else backend
        fact = {"what": what, "times": times, "counted": counted, "outcome": outcome}
        record_property(PROPERTY, json.dumps({**fact, "backend": place, "promise": promise}))

    return record
