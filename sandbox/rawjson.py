"""JSON objects taken apart and put together without touching their values.

A record is kept as the text its author wrote. Decoding and encoding it again would change it: 2**53 + 1, 1.10 and a
23-digit decimal do not survive a float. So only the outermost level is ever split, and each value stays raw text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

Fields = dict[str, bytes]

_encoder = msgspec.json.Encoder()
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


def split_object(text: bytes | str) -> Fields:
    """`{"a": 1.10}` -> `{"a": b"1.10"}`. Raises ValueError when the text is no JSON object."""
    try:
        return {key: bytes(value).strip() for key, value in _raw_object.decode(text).items()}
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a JSON object: {error}") from error


def view_object(text: bytes | str) -> Mapping[str, msgspec.Raw]:
    """Like `split_object`, yet the values are views into `text`: for the routes that serve thousands of rows."""
    return _raw_object.decode(text)


def split_list(text: bytes | str) -> list[bytes]:
    """`[1.10, {"a": 2}]` -> `[b"1.10", b'{"a": 2}']`. Raises ValueError when the text is no JSON list."""
    try:
        return [bytes(value) for value in _raw_list.decode(text)]
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a JSON list: {error}") from error


def join_object(fields: Mapping[str, bytes]) -> bytes:
    """`{"a": b"1.10"}` -> `{"a":1.10}`."""
    return b"{" + b",".join([_key(key) + value for key, value in fields.items()]) + b"}"


@lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    return dump(name) + b":"


def dump(value: Any) -> bytes:
    """Compact JSON of a Python value, letters of all scripts written as they are (lone surrogates escaped)."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()


def dump_fields(values: Mapping[str, Any]) -> Fields:
    """The raw text of each value of a Python mapping."""
    return {key: dump(value) for key, value in values.items()}


def load(raw: bytes | str) -> Any:
    """The Python value, for looking at it; never for storing it again."""
    return json.loads(raw)


def indented(text: bytes) -> bytes:
    """The same JSON, two spaces a level, as Stripe sends it. No number is touched."""
    return msgspec.json.format(text, indent=2)


def compact(text: bytes | str) -> bytes:
    """The same JSON without any white space between tokens. No number is touched. Raises ValueError for no JSON."""
    try:
        return msgspec.json.format(text if isinstance(text, bytes) else text.encode(), indent=-1)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not JSON: {error}") from error
