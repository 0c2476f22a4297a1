"""Values inside raw JSON by dotted path: `fields.updated`. Only the objects on the way are taken apart."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.rawjson import Fields, join_object, split_object


def value_at(fields: Mapping[str, bytes], path: str) -> bytes:
    """The raw value; `null` where there is none."""
    head, _, rest = path.partition(".")
    found = fields.get(head, b"null")
    if not rest:
        return found
    return value_at(split_object(found), rest) if found.startswith(b"{") else b"null"


def with_value(fields: Mapping[str, bytes], path: str, raw: bytes) -> Fields:
    """The fields with one value set, its objects made where they are missing."""
    head, _, rest = path.partition(".")
    if rest:
        inner = fields.get(head, b"null")
        raw = join_object(with_value(split_object(inner) if inner.startswith(b"{") else {}, rest, raw))
    return {**fields, head: raw}


def merged(before: Mapping[str, bytes], changes: Mapping[str, bytes]) -> Fields:
    """Changes laid over fields; where both have an object, the one inside the other. Lists are replaced."""
    after = dict(before)
    for name, raw in changes.items():
        old = after.get(name, b"null")
        if raw.startswith(b"{") and old.startswith(b"{"):
            raw = join_object(merged(split_object(old), split_object(raw)))
        after[name] = raw
    return after
