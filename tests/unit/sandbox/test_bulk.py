"""Bulk results: CSV that gives every value back, and locators."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import rawjson
from sandbox.salesforce.bulk import csv_page, locator_of, offset_of
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import Field, number
from sandbox.salesforce.ids import checksum, full_id, record_id


def page(fields, **values):
    row = ("001", rawjson.dump_fields(values))
    body = rawjson.join_object(row[1]).decode()
    return csv_page([("001", body)], [(field, field.name) for field in fields], ",", "\n").decode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")))
def test_any_text_comes_back(text):
    written = page([Field("A"), Field("B")], A=text, B="x")
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert rows == [["A", "B"], [text, "x"]]


def test_values_are_written_as_bulk_writes_them():
    fields = [number("N__c"), Field("D", "datetime"), Field("Z"), Field("B", "boolean"), Field("I", "int")]
    written = page(fields, N__c=12, D="2026-11-20T08:15:00.000+0000", Z=None, B=True, I=7)
    assert written == '"N__c","D","Z","B","I"\n"12.0","2026-11-20T08:15:00.000Z","","true","7"\n'


def test_locators_are_opaque_and_lead_back():
    assert locator_of(25_000) == "MjUwMDA"
    assert all(offset_of(locator_of(offset)) == offset for offset in (0, 1, 99, 25_000))
    with pytest.raises(ApiError, match="not valid"):
        offset_of("?!")


def test_ids_have_the_published_checksum():
    assert checksum("001D000000IRFmz") == "IAH"  # an example of Salesforce's own documentation
    assert full_id(record_id("001", 5)[:15]) == record_id("001", 5)
    assert len({record_id("001", at) for at in range(5_000)}) == 5_000
    assert record_id("001", 61) < record_id("001", 62)
