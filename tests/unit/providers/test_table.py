"""The documents say what the catalogue says."""

from pathlib import Path

from syncs.providers import PROVIDERS
from syncs.providers.table import BEGIN, END, tables

DOC = Path(__file__).resolve().parents[3] / "docs/providers.md"


def test_the_table_in_the_docs_is_current():
    text = DOC.read_text()
    shown = text[text.index(BEGIN) : text.index(END) + len(END)]
    assert shown == tables(), "run: python -m syncs.providers.table, and put its lines into docs/providers.md"


def test_every_collection_and_everything_dropped_is_described():
    text = DOC.read_text()
    for provider in PROVIDERS.values():
        assert all(f"`{each.id}`" in text for each in provider.collections)
        assert all(dropped in text for dropped in provider.dropped)
