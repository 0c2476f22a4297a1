"""The store: versions never go back, delays hold, nothing touches a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import rawjson
from sandbox.store import BINNED, GONE, LIVE, Row, Store

SHELF = "salesforce/Contact"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "sandbox.sqlite3")
    yield store
    store.close()


def row(version, *, record="003A", deleted=LIVE, body="{}"):
    return Row(record, 1_000, 1_000 * version, version, deleted, None, body)


def test_newer_versions_replace_and_older_ones_do_not(store):
    store.write(SHELF, [row(1)], at_ms=0)
    store.write(SHELF, [row(3)], at_ms=0)
    store.write(SHELF, [row(2)], at_ms=0)
    assert store.visible(SHELF, "003A").version == 3
    assert store.next_version(SHELF, "003A") == 4


def test_delayed_rows_show_when_due(store):
    store.write(SHELF, [row(1)], at_ms=0)
    store.write(SHELF, [row(2)], at_ms=1_000, delay_ms=500)
    store.settle(1_499)
    assert store.visible(SHELF, "003A").version == 1
    assert store.newest(SHELF, "003A").version == 2
    store.settle(1_500)
    assert store.visible(SHELF, "003A").version == 2


def test_row_gone_for_good_is_not_brought_back_by_a_late_one(store):
    store.write(SHELF, [row(1)], at_ms=0)
    store.write(SHELF, [row(2)], at_ms=0, delay_ms=10)
    store.write(SHELF, [row(3, deleted=GONE)], at_ms=0)
    store.settle(1_000)
    assert store.visible(SHELF, "003A") is None
    assert store.next_version(SHELF, "003A") == 4


def test_counts_leave_the_bin_out(store):
    store.write(SHELF, [row(1), row(1, record="003B", deleted=BINNED)], at_ms=0)
    assert store.counts("salesforce/") == {SHELF: 1}


def test_everything_outlives_a_restart(store, tmp_path):
    store.write(SHELF, [row(1, body='{"a":1.10}')], at_ms=0)
    store.write(SHELF, [row(2)], at_ms=0, delay_ms=9_000)
    assert store.count_up("x", 5) == 1
    again = Store(tmp_path / "sandbox.sqlite3")
    assert again.visible(SHELF, "003A").body == '{"a":1.10}'
    assert again.newest(SHELF, "003A").version == 2
    assert again.count_up("x") == 6
    again.close()


def test_failed_transaction_leaves_nothing(store):
    def write_and_fail():
        with store.transaction():
            store.write(SHELF, [row(1)], at_ms=0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert store.visible(SHELF, "003A") is None


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists)))
def test_splitting_and_joining_keeps_every_byte_of_a_value(values):
    text = rawjson.dump(values)
    assert rawjson.join_object(rawjson.split_object(text)) == text


@pytest.mark.parametrize("number", ["9007199254740993", "1.10", "12345678901234567890.123", "1E+2", "-0", "0.0"])
def test_numbers_stay_as_written(number):
    text = f'{{"a":{number},"b":{{"c":[{number}]}}}}'.encode()
    assert rawjson.join_object(rawjson.split_object(text)) == text
    assert rawjson.compact(rawjson.indented(text)) == text
