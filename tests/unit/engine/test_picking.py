"""Picked fields: what is kept, hashed and dropped, with every kept value's own bytes."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncs.engine.picking import MARK, Picks, picked

KEY = b"k" * 32
KEPT = ("id", "updated_at")


def through(data: str, only: list[str] | None = None, hashed: tuple[str, ...] = ()) -> str:
    picks = Picks.of({"only": only, "hash": hashed})
    return picked(data.encode(), picks.tree(KEPT), keeps_rest=only is None, key=KEY).decode()


def hash_of(plain: str) -> str:
    return f'"{MARK}{hmac.new(KEY, plain.encode(), "sha256").hexdigest()}"'


def test_only_what_was_picked_is_kept_and_id_and_times_always_are() -> None:
    data = '{"id":7,"email":"a@x.test","n":1.10,"updated_at":"2026-01-01","b":{"c":1,"d":2}}'
    assert through(data, ["n", "b.c"]) == '{"id":7,"n":1.10,"updated_at":"2026-01-01","b":{"c":1}}'
    assert through(data, []) == '{"id":7,"updated_at":"2026-01-01"}'
    assert through(data) == data


def test_hashed_fields_are_no_longer_there_in_clear() -> None:
    data = '{"id":7,"email":"a@x.test","b":{"c":[1,2],"d":null}}'
    expected = f'{{"id":7,"email":{hash_of("a@x.test")},"b":{{"c":{hash_of("[1,2]")},"d":null}}}}'
    assert through(data, hashed=("email", "b.c", "b.d")) == expected
    assert through(data, ["email"], ("email",)) == f'{{"id":7,"email":{hash_of("a@x.test")}}}'


def test_two_spellings_of_one_text_have_one_hash() -> None:
    assert through('{"a":"\\u00e9"}', hashed=("a",)) == through('{"a":"é"}', hashed=("a",))


def test_entries_of_lists_go_by_their_id_or_alike() -> None:
    data = '{"id":1,"custom":[{"id":7,"value":"x"},{"id":8,"value":"y"}],"lines":[{"a":1,"b":2},{"a":3}]}'
    assert (
        through(data, ["custom.7", "lines.a"]) == '{"id":1,"custom":[{"id":7,"value":"x"}],"lines":[{"a":1},{"a":3}]}'
    )
    found = through(data, hashed=("custom.8", "lines.b"))
    assert hash_of("y") in found
    assert '"value":"x"' in found
    assert f'"b":{hash_of("2")}' in found


def test_what_has_no_inside_where_one_was_named_is_dropped_unless_all_is_kept() -> None:
    assert through('{"id":1,"a":5}', ["a.b"]) == '{"id":1}'
    assert through('{"id":1,"a":5}', hashed=("a.b",)) == '{"id":1,"a":5}'


@pytest.mark.parametrize("hashed", [("id",), ("updated_at",)])
def test_id_and_times_are_never_hashed(hashed: tuple[str, ...]) -> None:
    assert through('{"id":7,"updated_at":"t"}', hashed=hashed) == '{"id":7,"updated_at":"t"}'


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), values))
def test_any_record_goes_through_whole_when_all_is_kept(record: dict[str, object]) -> None:
    import msgspec

    data = msgspec.json.encode(record)
    assert picked(data, Picks().tree(()), keeps_rest=True, key=KEY) == data
