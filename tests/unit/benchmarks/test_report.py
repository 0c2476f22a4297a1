"""Figures become tables, verdicts and charts."""

from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import charts, report, tables_of_costs, tables_of_speed
from benchmarks.charts import Bar
from benchmarks.targets import targets
from benchmarks.wording import table

FACTS = {
    "machine": "2 cores",
    "system": "Linux",
    "python": "3.11",
    "sqlite": "3",
    "nats-server": "v2",
    "postgres": "15",
    "redis": "7",
    "packages": {"django": "5.2"},
    "peers": {"dlt": ["dlt==1"]},
    "commit": "abc",
}


def run(seconds: float, **more: Any) -> dict[str, Any]:
    """One run of 1,000 records."""
    cpu = {"syncs workers": 0.02, "consumers workers": 0.01, "nats-server": 0.02}
    peak = {"syncs workers": 100e6, "consumers workers": 90e6}
    sizes = {"upstream answers": 1e6, "sent to nats": 2e6, "stream": 2e6}
    sizes |= {"database before": {"a": 1000}, "database": {"a": 2_001_000}}
    times = {"from_first_request_s": seconds, "whole_s": seconds + 1}
    return {"records": 1000, **times, "cpu_s": cpu, "peak_bytes": peak, "bytes": sizes, **more}


def peer_run(seconds: float) -> dict[str, Any]:
    return run(seconds, cpu_s={"peer": 0.3, "nats-server": 0.02}, peak_bytes={"peer": 50e6})


WHOLE = {
    "fresh": {"sqlite": [run(0.1), run(0.2)], "dlt": [peer_run(0.5), peer_run(0.6)]},
    "unchanged": {"sqlite": [run(0.09)]},
    "changed": {},
    "reading_alone": {"records": 1000, "cpu_s": 0.012},
    "failed": {"singer": "it would not start"},
}
LATENCY = {
    "backends": {
        "sqlite": {"ms": {"p50": 9.0, "p90": 12.0, "p99": 401.0, "max": 500.0}, "rate": 100, "arrived": 9, "changes": 9}
    },
    "failed": {},
}
SIZE = {"append": {"console": 10.0}, "update": {"console": 10.0}, "unchanged": {"console": 5.0}}
REPLAY = {"messages": 100, "per_s": 26_000.0, "cpu_us": {"consumers workers": 9.0, "nats-server": 20.0}}
REPLAY |= {"peak_bytes": {"consumers workers": 201e6}}
GROWTH = {
    "backends": {
        "sqlite": [
            {"held": 100, **SIZE, "scattered update": {"console": 10.0}, "replay": REPLAY, "writer_peak_bytes": 1e6},
            {"held": 900, **SIZE, "scattered update": {"console": 13.0}, "replay": REPLAY, "writer_peak_bytes": 1e6},
        ]
    },
    "failed": {},
}
PARTS = {"whole_path": WHOLE, "latency": LATENCY, "growth": GROWTH, "idle": {"failed": "not done within 5 s"}}
RESULT = {"at": "2026-11-26T15:00", "minutes": 3, "machine": FACTS, "parts": PARTS}


def test_the_fastest_stands_first_and_who_failed_is_told() -> None:
    lines = tables_of_speed.whole_path(WHOLE).splitlines()
    assert lines[2].startswith("| Sequin Console, SQLite | 7,500 (5,000–10,000) |")
    assert lines[3].startswith("| dlt |")
    assert lines[-1] == "singer-sdk failed: it would not start"


def test_both_views_of_a_ratio_are_told() -> None:
    line = tables_of_speed.ratios(WHOLE).splitlines()[2]
    assert line == "| dlt | 4.00 (3.00–5.00) | – | 1.35 (1.33–1.36) | – |"


def test_a_ceiling_follows_from_what_is_spent() -> None:
    """50 µs a record in all: two cores could do 40,000 a second."""
    rows = tables_of_speed.roles(WHOLE).splitlines()
    assert rows[rows.index("| syncs workers | 20.0 |") + 1].endswith("| 12.0 |")
    assert "| all | 50.0 |" in rows
    assert "| ceiling of 2 cores at this cost, records/s | 40,000 |" in rows


def test_bytes_a_record_leave_out_what_was_there_before() -> None:
    assert "| on disk: a | 2,000 |" in tables_of_costs.sizes(WHOLE)


def test_verdicts_follow_the_figures() -> None:
    verdicts = {each.what: each.is_met for each in targets(RESULT)}
    assert verdicts["Sequin Console, SQLite against dlt"]
    assert not verdicts["Sequin Console, SQLite: nothing changed"]
    assert verdicts["commit to stream, sqlite, p50"]
    assert not verdicts["commit to stream, sqlite, p99"]
    assert verdicts["Sequin Console, SQLite: cost of append, 100 to 900"]
    assert not verdicts["Sequin Console, SQLite: cost of scattered update, 100 to 900"]
    assert verdicts["Sequin Console, SQLite: replay of 100"]
    assert not verdicts["Sequin Console, SQLite: memory, replay and growth"]


def test_every_table_is_rendered_and_a_lost_part_says_why() -> None:
    found = report.tables(RESULT)
    assert set(report.RENDERED) | {"targets", "machine"} == set(found)
    assert found["idle"] == "Not measured: not done within 5 s."
    assert found["delayed"] == "Not measured: not run."
    assert all(found.values())


def test_a_page_is_filled_between_its_markers_again_and_again() -> None:
    page = "before\n<!-- bench:idle -->\nold\n<!-- /bench:idle -->\nafter\n"
    once = report.fill(page, {"idle": "new"})
    assert once == "before\n<!-- bench:idle -->\nnew\n<!-- /bench:idle -->\nafter\n"
    assert report.fill(once, {"idle": "new"}) == once
    with pytest.raises(ValueError, match="nobody renders idle"):
        report.fill(page, {})


def test_the_page_of_the_docs_asks_for_what_is_rendered() -> None:
    rendered = report.tables(RESULT) | report.pictures(RESULT)
    filled = report.fill((report.DOCS / "performance.md").read_text(), rendered)
    assert all(f"<!-- bench:{name} -->\n{text}\n" in filled for name, text in rendered.items())


def test_charts_are_drawn_of_what_was_measured() -> None:
    found = report.drawings(RESULT)
    assert set(found) == {"speed", "cpu", "latency", "growth"}
    for chart in found.values():
        ElementTree.fromstring(chart)
    nothing = {**RESULT, "parts": {}}
    assert report.drawings(nothing) == {}
    assert set(report.pictures(nothing).values()) == {"No chart: not measured."}


def test_the_longest_bar_fills_the_room_and_labels_are_escaped() -> None:
    drawn = charts.bars("A & B", [Bar("x<y", 10.0, "ten"), Bar("half", 5.0, "five")])
    assert 'width="420.0"' in drawn
    assert 'width="210.0"' in drawn
    assert "x&lt;y" in drawn


def test_a_table_has_its_words_left_and_its_figures_right() -> None:
    assert table(("a", "b"), [("x", 1)]) == "| a | b |\n|---|---:|\n| x | 1 |"
