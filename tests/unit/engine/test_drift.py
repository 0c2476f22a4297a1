"""What counts as a change of fields."""

import pytest

from syncs.engine.drift import FieldChange, compared, learned, seen


def test_added_removed_and_retyped_fields_of_descriptions_are_told() -> None:
    found = compared({"id": "id", "age": "int", "old": "text"}, {"id": "id", "age": "text", "new": "text"})
    assert found == [
        FieldChange("age", "retyped", "int", "text"),
        FieldChange("new", "added", after="text"),
        FieldChange("old", "removed", before="text"),
    ]
    assert compared({"a": "int"}, {"a": "int"}) == []


@pytest.mark.parametrize(
    ("known", "record", "told"),
    [
        ({}, b'{"a":1}', [FieldChange("a", "added", after="number")]),
        ({"a": "number"}, b'{"a":2}', []),
        ({"a": "number"}, b'{"a":null}', []),
        ({"a": "number"}, b"{}", []),
        ({"a": ""}, b'{"a":"x"}', []),
        ({"a": "number"}, b'{"a":"x"}', [FieldChange("a", "retyped", "number", "number or string")]),
        ({"a": "number or string"}, b'{"a":"x"}', []),
    ],
)
def test_records_tell_of_new_fields_and_new_types_alone(known: dict, record: bytes, told: list) -> None:
    assert learned(known, seen([record], known)) == told


def test_records_of_one_page_are_told_of_together() -> None:
    news = seen([b'{"a":1}', b'{"a":"x","b":true}', b'{"b":null}'], {})
    assert news == {"a": "number or string", "b": "boolean"}
