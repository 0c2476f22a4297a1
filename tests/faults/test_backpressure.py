"""Memory stays bounded, whatever comes in and however little goes out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import Rig
from tests.faults.test_upstream import rig, shared  # noqa: F401 - fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
Record = Callable[..., None]
MB = 1024 * 1024
HUGE_MB, ROWS = 50, 1_000


def memory_mb(name: str) -> float:
    """VmRSS or VmHWM (the peak) of this process."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


def test_huge_page(rig: Rig, settings: Any, record_fault: Record) -> None:  # noqa: F811
    """A page of 50 MB, as long as an API lets one be: read, stored and delivered in bounded memory."""
    settings.BUDGET_S, settings.TASK_TIMEOUT_S, settings.LEASE_S = 40, 80, 120
    rig.sandbox.control("POST", "settings", {"page_size_cap": 0})
    rig.connect("salesforce")
    body = {"Description": "x" * (HUGE_MB * MB // ROWS)}
    rig.sandbox.control("POST", f"records/salesforce/Contact?count={ROWS}&spread_s=3000", body)
    before_mb = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    rig.settle()
    rose_mb = memory_mb("VmHWM") - before_mb
    print(f"rose by {rose_mb:.0f} MB")
    assert rose_mb < 100, rose_mb
    record_fault(
        what=f"a page of {HUGE_MB} MB", times=1, outcome="a worker's memory rises by less than X MB", backend="SQLite",
        promise="fenced",
    )  # fmt: skip
