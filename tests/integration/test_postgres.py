"""The log, reading and delivery hold on PostgreSQL too: the same tests, run again on a real server of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import postgres_server

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests" / "integration"


@pytest.mark.timeout(600)
def test_log_reading_and_delivery_hold_on_postgresql(tmp_path: Path) -> None:
    """Here invariant 2 is also proven with its guard taken out, for on PostgreSQL writers do run at the same time."""
    with postgres_server.running(tmp_path / "postgres") as url:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120"]
        files = [HERE / name for name in ("test_log.py", "test_reading.py", "test_consumers.py", "test_delivery.py")]
        done = subprocess.run(
            [*command, *files], cwd=ROOT, env={**outside, "DATABASE_URL": url}, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    print(done.stdout.splitlines()[-1])
