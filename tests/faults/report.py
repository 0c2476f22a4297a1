"""What fault tests did, as facts: told at the end of a test run, and kept for the table in docs/reliability.md.

A fact travels as a property of its test's report, so that it comes through xdist, and says whether its test passed.

    SEQUIN_FAULTS=long        many more rounds; the default is the short form that every test run has
    SEQUIN_FAULTS_REPORT=…    a file to which each fact is added as a line of JSON
    SEQUIN_KILL_SEED=2        other moments, other victims
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROPERTY = "fault"
SEED = int(os.environ.get("SEQUIN_KILL_SEED", "1"))
IS_LONG = os.environ.get("SEQUIN_FAULTS") == "long"


def rounds(short: int, long: int) -> int:
    """How often to do something, in the form of the suite that runs now."""
    return long if IS_LONG else short


def facts_of(reports: Any) -> list[dict[str, Any]]:
    """The facts that these test reports carry, each with `passed`, and the test's name."""
    return [
        {**json.loads(value), "test": report.nodeid.rpartition("/")[2], "passed": report.passed}
        for report in reports
        if report.when == "call"
        for name, value in getattr(report, "user_properties", [])
        if name == PROPERTY
    ]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line a fact; with SEQUIN_FAULTS_REPORT, into that file too. Once: xdist's workers tell their controller."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    stats = terminalreporter.stats
    facts = facts_of([report for kind in ("passed", "failed") for report in stats.get(kind, [])])
    if not facts:
        return
    terminalreporter.section("faults: what was tried, how often, how often in mid-work")
    for fact in facts:
        place = ", ".join(filter(None, (fact["backend"], fact["promise"])))
        result = fact["outcome"] if fact["passed"] else "FAILED"
        terminalreporter.write_line(f"{fact['what']} ({place}): {fact['times']}, {fact['counted']} counted; {result}")
    if path := os.environ.get("SEQUIN_FAULTS_REPORT"):
        same = {"seed": SEED, "form": "long" if IS_LONG else "short", "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}"}
        with Path(path).open("a") as file:
            file.writelines(json.dumps({**fact, **same}) + "\n" for fact in facts)
