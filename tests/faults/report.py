"""Says at the end of a test run how many kills counted; a kill test that killed nobody busy has proved nothing."""

from typing import Any

PROPERTY = "counted kills"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line a test that recorded `counted kills`, under xdist too: properties travel with the reports."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == PROPERTY and report.when == "call"
    ]
    if lines:
        terminalreporter.section("kills that counted (a batch or transaction was in flight), of all sent")
        for line in lines:
            terminalreporter.write_line(line)
