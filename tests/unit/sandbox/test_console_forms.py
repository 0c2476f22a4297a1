"""The record page's form: what was not touched goes back byte for byte."""

import pytest

from sandbox.console.forms import changes_from, inputs_of, label_of, plain_names, raw_text
from sandbox.rawjson import split_object

FIELDS = split_object(
    '{"Id":"1","Name":"Zoë","Amount":1.10,"Paid":false,"Note":null,"List":[1, 2],"Big":9007199254740993}'
)
SYSTEM = frozenset({"Id"})


def form(**edits):
    shown = {f"field.{item.name}": item.value for item in inputs_of(plain_names(FIELDS, SYSTEM), FIELDS, {})}
    return {"raw": raw_text(FIELDS)} | shown | {f"field.{name}": text for name, text in edits.items()}


def test_untouched_form_changes_nothing():
    assert changes_from(form(), FIELDS, SYSTEM) == {}


def test_edited_inputs_keep_their_kind():
    changes = changes_from(form(Amount="2.50", Name="", Paid="true", Note="5"), FIELDS, SYSTEM)
    assert changes == {"Amount": b"2.50", "Name": b"null", "Paid": b"true", "Note": b'"5"'}


def test_raw_json_changes_what_inputs_did_not():
    edited = form(Name="Zoe")
    edited["raw"] = edited["raw"].replace("9007199254740993", "9007199254740995").replace("Zoë", "other")
    assert changes_from(edited, FIELDS, SYSTEM) == {"Big": b"9007199254740995", "Name": b'"Zoe"'}


def test_broken_json_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        changes_from({"raw": "{"}, FIELDS, SYSTEM)


@pytest.mark.parametrize(
    ("name", "label"), [("AnnualRevenue", "Annual revenue"), ("Due_Date__c", "Due date"), ("AccountId", "Account ID")]
)
def test_labels_read_as_words(name, label):
    assert label_of(name) == label
