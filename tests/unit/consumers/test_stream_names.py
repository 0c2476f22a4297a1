"""The stream made for a prefix is named after it."""

import pytest

from consumers.streams import DEFAULT_STREAM, recommended_name


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("sequin-records", DEFAULT_STREAM), ("crm.eu", "CRM-EU"), ("a b/c*", "A-B-C"), ("…", DEFAULT_STREAM)],
)
def test_name_follows_the_prefix(prefix: str, name: str) -> None:
    assert recommended_name(prefix) == name
