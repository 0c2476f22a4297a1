"""JSON as bytes: cut apart, tidied and joined without re-encoding a value, so that `1.10` stays `1.10`.

Source: https://jcristharif.com/msgspec/api.html#msgspec.Raw, read 2026-11-23
"""

import re
from collections.abc import Collection as AnyOf
from collections.abc import Iterable

import msgspec

from syncs.providers.kit.errors import UnexpectedShape

Split = dict[str, msgspec.Raw]

_split = msgspec.json.Decoder(Split)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_scalar = msgspec.json.Decoder(str | int | bool | None)
_encode = msgspec.json.Encoder().encode

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: fine
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)


def repaired(body: bytes) -> bytes:
    """The body as valid UTF-8 without lone surrogates: what is broken becomes U+FFFD, all else stays byte for byte."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            body = body.decode(errors="replace").encode()
    if b"\\" in body and _SURROGATE.search(body):  # most pages have no escape at all: that is seen at once
        body = _ESCAPES.sub(lambda found: rb"\ufffd" if found["lone"] else found[0], body)
    return body


def is_json(body: bytes) -> bool:
    """Whether the body is one whole JSON value. Only scanned, not built."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def compact(body: bytes) -> bytes:
    """The same JSON without white space between its tokens. Touches no number and no string."""
    return msgspec.json.format(body, indent=-1)


def split(raw: msgspec.Raw | bytes) -> Split:
    """`{"a": 1.10}` as `{"a": Raw(b"1.10")}`: one level, values uncut. Raises UnexpectedShape if it is no object."""
    try:
        return _split.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape("A record is not the JSON object we expected.", detail=str(error)[:200]) from None


def split_list(raw: msgspec.Raw | bytes) -> list[msgspec.Raw]:
    """`[1.10, {}]` as two uncut values. Raises UnexpectedShape if it is no list."""
    try:
        return _list.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape("An answer is not the JSON list we expected.", detail=str(error)[:200]) from None


def find(body: msgspec.Raw | bytes, path: str) -> msgspec.Raw | None:
    """The uncut value at a dotted path: `paging.next.after`; the whole body for an empty path.

    None where a key is missing, or a level is no object. Only what stands on the path is opened.
    """
    found = body if isinstance(body, msgspec.Raw) else msgspec.Raw(body)
    for key in path.split(".") if path else ():
        try:
            inner = _split.decode(found).get(key)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if inner is None:
            return None
        found = inner
    return found


def records_at(body: msgspec.Raw | bytes, path: str) -> list[msgspec.Raw]:
    """The list at a dotted path, its records uncut: `records_at(answer.body, "data.tickets")`; empty path: the body.

    Raises UnexpectedShape when there is none. A page without records says so by an empty list.
    """
    found = find(body, path)
    if found is None:
        raise UnexpectedShape(f"An answer has no list at “{path}”.")
    return split_list(found)


def join(parts: Iterable[tuple[str, msgspec.Raw | bytes]]) -> bytes:
    """`("a", b"1.10")` as `{"a":1.10}`."""
    return b"{" + b",".join(_encode(key) + b":" + bytes(value) for key, value in parts) + b"}"


def without(raw: msgspec.Raw | bytes, keys: AnyOf[str]) -> bytes:
    """The object less these keys, on every level. Compact on every level it had to open."""
    text = bytes(raw)
    if not any(key.encode() in text for key in keys):
        return text
    kept = ((key, _without_inside(value, keys)) for key, value in split(text).items() if key not in keys)
    return join(kept)


def _without_inside(raw: msgspec.Raw, keys: AnyOf[str]) -> bytes:
    text = bytes(raw)
    if text[:1] == b"{":
        return without(text, keys)
    if text[:1] == b"[" and any(key.encode() in text for key in keys):
        return b"[" + b",".join(_without_inside(item, keys) for item in split_list(text)) + b"]"
    return text


def text_of(raw: msgspec.Raw | bytes | None) -> str | None:
    """The string a raw value holds; None for null, for a missing value and for anything that is no string."""
    if raw is None:
        return None
    try:
        return _text.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def scalar(raw: msgspec.Raw | None) -> str | int | bool | None:
    """The text, whole number or boolean a raw value holds; None for null, a missing value and everything else."""
    if raw is None:
        return None
    try:
        return _scalar.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def plain_string(raw: bytes) -> bytes:
    """A raw JSON string with as few escapes as JSON allows, so that two spellings of one text give equal bytes."""
    if b"\\" not in raw or raw[:1] != b'"':
        return raw
    return _encode(_text.decode(raw))


def json_string(text: str) -> bytes:
    """The text as a raw JSON string with as few escapes as JSON allows; a lone surrogate becomes U+FFFD."""
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return _encode(text.encode(errors="replace").decode())


_TYPES = {b'"': "string", b"{": "object", b"[": "list", b"t": "boolean", b"f": "boolean", b"n": ""}


def value_type(value: msgspec.Raw | bytes) -> str:
    """The JSON type of a raw value, in words people know; empty for null."""
    return _TYPES.get(bytes(value)[:1], "number")
