"""`record_fault`: every fault test says what it did. In the long form a test may take an hour."""

import json
from collections.abc import Callable

import pytest
from django.db import connection

from tests.faults.report import IS_LONG, PROPERTY

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
LONG_S = 3_600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever a test allows itself, it is meant for the short form."""
    for item in items if IS_LONG else ():
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.timeout(LONG_S), append=False)


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
