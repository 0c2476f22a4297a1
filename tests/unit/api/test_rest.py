"""Cursors, containment and the mask: the parts of the API that need no request."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequin_console.common import rest
from sequin_console.common.problems import Problem
from syncs import inputs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_cursor_comes_back_as_the_place_it_was_made_of() -> None:
    at, key = datetime(2026, 11, 23, tzinfo=UTC), uuid4()
    rows, cursor = rest.cut([1, 2, 3], 2, lambda _row: (at.isoformat(), str(key)))
    assert rows == [1, 2]
    assert rest.open_cursor(cursor or "", datetime.fromisoformat, UUID) == [at, key]


def test_last_page_has_no_cursor() -> None:
    assert rest.cut([1, 2], 2, lambda row: (row,)) == ([1, 2], None)


@given(st.text())
def test_any_text_is_a_cursor_or_a_problem(text: str) -> None:
    try:
        rest.open_cursor(text, UUID, rest.sequence_no)
    except Problem as problem:
        assert "cursor" in problem.fields  # noqa: PT017 - either is right, nothing else is


@pytest.mark.parametrize(
    ("part", "is_in"),
    [
        ({}, True),
        ({"team": "sales"}, True),
        ({"team": "sale"}, False),
        ({"nested": {"b": None}}, True),
        ({"nested": {"c": None}}, False),
        ({"tags": ["y"]}, True),
        ({"tags": ["y", "z"]}, False),
        ({"count": 1}, True),
        ({"count": True}, False),
        ({"missing": None}, False),
    ],
)
def test_containment_is_postgresqls(part: object, is_in: bool) -> None:
    whole = {"team": "sales", "nested": {"a": 1, "b": None}, "tags": ["x", "y"], "count": 1}
    assert rest.contains(whole, part) is is_in


@given(JSON)
def test_everything_contains_itself(value: object) -> None:
    assert rest.contains(value, value)


@pytest.mark.parametrize("value", ["********", "sk_***", "••••"])
def test_masked_secrets_are_known(value: str) -> None:
    assert rest.is_masked(value)


@given(JSON)
def test_state_of_a_sign_in_comes_back_as_it_was(state: object) -> None:
    assert inputs.unpack_state(inputs.pack_state(state)) == state


def test_text_as_state_stands_in_the_redirect_as_it_is() -> None:
    assert inputs.pack_state("customer-42") == "customer-42"
