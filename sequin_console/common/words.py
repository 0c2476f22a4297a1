"""What is wrong with a value, in words a person would use; pydantic has the rules, and words of its own."""

from collections.abc import Mapping
from typing import Any

_WORDS = {  # pydantic's own words, where a person would say it otherwise
    "missing": "This field is missing.",
    "extra_forbidden": "There is no such field here.",
    "string_type": "This is not a text.",
    "dict_type": "This is not a JSON object.",
    "model_type": "This is not a JSON object.",
    "model_attributes_type": "This is not a JSON object.",
    "list_type": "This is not a list.",
    "uuid_type": "This is not an id.",
    "uuid_parsing": "This is not an id.",
    "bool_type": "This is neither true nor false.",
    "bool_parsing": "This is neither true nor false.",
    "int_type": "This is not a whole number.",
    "int_parsing": "This is not a whole number.",
    "int_from_float": "This is not a whole number.",
    "int_parsing_size": "This number is too large.",
    "less_than_equal": "This is more than {le}.",
    "greater_than_equal": "This is less than {ge}.",
    "string_too_long": "This is longer than {max_length} characters.",
    "string_too_short": "This is empty.",
    "string_pattern_mismatch": "Only these are taken: {pattern}",
    "union_tag_invalid": "This is none of {expected_tags}.",
    "union_tag_not_found": "“type” is missing.",
    "too_long": "There are more than {max_length}.",
    "too_short": "There is none.",
    "greater_than": "This is not more than {gt}.",
    "float_parsing": "This is not a number.",
    "float_type": "This is not a number.",
    "literal_error": "This is none of {expected}.",
    "datetime_from_date_parsing": "This is not a moment such as 2026-11-23T16:20:35Z.",
    "timezone_aware": "This moment has no time zone; end it with Z for UTC.",
}


def sentence(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence."""
    told = _WORDS.get(error["type"], "").format(**error.get("ctx", {}))
    return told or str(error["msg"]).removeprefix("Value error, ")
