"""JSON as bytes: nothing that was sent is changed by cutting and joining."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncs.providers.kit import raw
from syncs.providers.kit.errors import UnexpectedShape

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
numbers = st.sampled_from([b"1.10", b"9007199254740993", b"12345678901234567890123", b"-0.0", b"1E400", b"0.1000"])
values = st.one_of(
    numbers,
    st.none().map(lambda _: b"null"),
    st.booleans().map(lambda value: json.dumps(value).encode()),
    st.text().map(lambda text: json.dumps(text).encode()),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])).map(
        lambda t: json.dumps(t, ensure_ascii=False).encode()
    ),
)
objects = st.dictionaries(texts, values)


@given(objects)
def test_split_and_join_change_no_value(fields):
    text = raw.join(fields.items())
    parts = raw.split(text)
    assert {name: bytes(value) for name, value in parts.items()} == fields
    assert raw.join(parts.items()) == text


@given(objects)
def test_compact_takes_out_white_space_only(fields):
    text = raw.join(fields.items())
    indented = b"{\n  " + text[1:-1] + b"\n}" if fields else b"{ }"
    assert raw.compact(indented) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_two_spellings_of_a_text_give_equal_bytes(text):
    escaped = json.dumps(text).encode().replace(b"/", b"\\/")
    assert raw.plain_string(escaped) == raw.json_string(text) or b"\\" not in escaped
    assert json.loads(raw.plain_string(escaped)) == text


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        (rb'"\ud800"', rb'"\ufffd"'),
        (rb'"\udc00x\uD83D\uDE00"', rb'"\ufffdx\uD83D\uDE00"'),
        (rb'"\\ud800"', rb'"\\ud800"'),
        (rb'"\\\ud800"', rb'"\\\ufffd"'),
        (b'"\xff"', '"�"'.encode()),
        ('"é😀"'.encode(), '"é😀"'.encode()),
    ],
)
def test_broken_text_is_repaired_and_nothing_else(broken, whole):
    assert raw.repaired(broken) == whole
    assert raw.is_json(raw.repaired(broken))


@given(st.binary())
def test_repaired_is_always_utf8(body):
    raw.repaired(body).decode()


def test_keys_are_dropped_on_every_level():
    row = b'{"attributes":{"type":"A"},"n":1.10,"o":{"attributes":{"url":"/x"},"k":2},"l":[{"attributes":{},"m":3}]}'
    assert raw.without(row, ("attributes",)) == b'{"n":1.10,"o":{"k":2},"l":[{"m":3}]}'
    assert raw.without(b'{"a":1}', ("attributes",)) == b'{"a":1}'


@pytest.mark.parametrize("body", [b"[1]", b"{", b"", b'{"a":1} x'])
def test_what_is_no_object_is_told(body):
    with pytest.raises(UnexpectedShape):
        raw.split(body)


@pytest.mark.parametrize(("body", "good"), [(b"{}", True), (b"[1,2", False), (b"", False), (b"<html>", False)])
def test_is_json_sees_a_cut_body(body, good):
    assert raw.is_json(body) is good


def test_a_value_is_found_by_its_path_and_stays_uncut():
    body = b'{"a": {"b": {"n": 1.10}}, "list": [{"id":1},{"id":2.50}]}'
    assert bytes(raw.find(body, "a.b.n")) == b"1.10"
    assert bytes(raw.find(body, "")) == body
    assert [bytes(each) for each in raw.records_at(body, "list")] == [b'{"id":1}', b'{"id":2.50}']
    assert [bytes(each) for each in raw.records_at(b"[1.0, 2]", "")] == [b"1.0", b"2"]
    assert [raw.find(body, path) for path in ("x", "a.x", "a.b.n.x", "list.x")] == [None] * 4


@pytest.mark.parametrize(("body", "path"), [(b"{}", "data"), (b'{"data":{}}', "data"), (b"[]", "data"), (b"{}", "")])
def test_a_list_that_is_not_there_is_told(body, path):
    with pytest.raises(UnexpectedShape):
        raw.records_at(body, path)


@pytest.mark.parametrize(
    ("text", "value"), [(b'"t"', "t"), (b"12", 12), (b"true", True), (b"null", None), (b"{}", None), (b"1.5", None)]
)
def test_a_small_value_is_read(text, value):
    assert raw.scalar(msgspec.Raw(text)) == value
