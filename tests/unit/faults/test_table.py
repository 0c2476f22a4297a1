"""The table of faults: figures added up, and a failure never hidden by runs that passed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import table
from tests.faults.report import facts_of

FACT = {"what": "SIGKILL of a worker", "backend": "SQLite", "promise": "fenced", "times": 3, "counted": 2}
FACT |= {"outcome": "nothing lost", "passed": True}


def test_runs_of_one_fault_are_one_row() -> None:
    assert table.render([FACT, {**FACT, "times": 2_000}]).splitlines()[-1] == (
        "| SIGKILL of a worker | SQLite | fenced | 2,003 | 4 | nothing lost |"
    )


def test_backends_share_a_row_and_each_is_counted() -> None:
    facts = [FACT, {**FACT, "backend": "PostgreSQL", "times": 40}]
    assert table.render(facts).splitlines()[-1] == (
        "| SIGKILL of a worker | PostgreSQL 40, SQLite 3 | fenced | 43 | 4 | nothing lost |"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_a_failure_is_told_whatever_came_after_it(order: int) -> None:
    facts = [FACT, {**FACT, "passed": False}][::order]
    assert "failed in 1 of 2 runs" in table.render(facts)
    assert "nothing lost" not in table.render(facts)


def test_where_nothing_can_be_counted_nothing_is_claimed() -> None:
    assert "| 3 | – | nothing lost |" in table.render([{**FACT, "counted": None}])


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    facts, page = tmp_path / "facts.jsonl", tmp_path / "page.md"
    facts.write_text(json.dumps(FACT) + "\n")
    page.write_text(f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n")
    for _ in range(2):  # rendering again changes nothing
        table.main(facts, page)
    assert page.read_text() == f"above\n{table.BEGIN}\n{table.render([FACT])}\n{table.END}\nbelow\n"


def test_a_fact_of_a_test_that_failed_says_so(reports: list[Any]) -> None:
    assert [(fact["what"], fact["passed"]) for fact in facts_of(reports)] == [("x", True), ("y", False)]


@pytest.fixture
def reports() -> list[Any]:
    def report(what: str, *, passed: bool, when: str = "call") -> Any:
        properties = [("fault", json.dumps({**FACT, "what": what})), ("other", "value")]
        return SimpleNamespace(nodeid="tests/faults/t.py::t", when=when, passed=passed, user_properties=properties)

    return [report("x", passed=True), report("x", passed=True, when="teardown"), report("y", passed=False)]
