"""The field picker: which fields of a collection's records reach the log, and which of them only as a hash. Pure.

Values stay the provider's own bytes, as everywhere. A field is named by its path (`email`, `fields.summary`); in a list
of `{"id": 7, "value": …}` an entry goes by its id (`custom_fields.7`), in other lists every entry is treated alike.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import msgspec

from syncs.providers.kit import raw

MARK = "hmac-sha256:"
Tree = dict[str, Union["Tree", bool]]
"""What is named, by key: True to keep as it is, False to hash, a tree for what is inside."""


@dataclass(frozen=True)
class Picks:
    """What a person picked.

    only    paths that are kept, None for all of them, also those that come later
    hashed  paths whose values are replaced by a keyed hash: equal values give equal hashes, and nobody can undo them
    """

    only: tuple[str, ...] | None = None
    hashed: tuple[str, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Picks":
        """From what is stored: `{"only": […] or null, "hash": […]}`; empty for all fields as they are."""
        only = stored.get("only")
        return cls(None if only is None else tuple(only), tuple(stored.get("hash") or ()))

    def stored(self) -> dict[str, Any]:
        """The same as JSON; empty when everything stays as it is."""
        if self.only is None and not self.hashed:
            return {}
        return {"only": None if self.only is None else sorted(self.only), "hash": sorted(self.hashed)}

    def tree(self, kept: Iterable[str]) -> Tree:
        """What is named, as a tree. `kept` (id and times) is never dropped and never hashed."""
        tree: Tree = {}
        for path in self.hashed:
            _name(tree, path.split("."), False)
        for path in self.only or ():
            if path not in self.hashed:
                _name(tree, path.split("."), True)
        for path in kept:
            _name(tree, path.split("."), True)
        return tree


def _name(tree: Tree, path: list[str], action: bool) -> None:
    for key in path[:-1]:
        inner = tree.get(key)
        if inner is True:  # all of it is kept already
            return
        if not isinstance(inner, dict):
            inner = tree[key] = {}
        tree = inner
    tree[path[-1]] = action


def picked(data: bytes, tree: Tree, *, keeps_rest: bool, key: bytes) -> bytes:
    """The record's JSON with only what the tree names (and the rest, if that is kept), hashed where it says so."""
    return bytes(_object(msgspec.Raw(data), tree, keeps_rest, key))


def _object(value: msgspec.Raw, tree: Tree, keeps_rest: bool, key: bytes) -> bytes:
    kept: list[tuple[str, msgspec.Raw | bytes]] = []
    for name, part in raw.split(value).items():
        action = tree.get(name, True if keeps_rest else None)
        if action is not None and (found := _value(part, action, keeps_rest, key)) is not None:
            kept.append((name, found))
    return raw.join(kept)


def _value(value: msgspec.Raw, action: "Tree | bool", keeps_rest: bool, key: bytes) -> msgspec.Raw | bytes | None:
    """What becomes of one value; None where it is dropped."""
    if action is True:
        return value
    if action is False:
        return hashed(value, key)
    kind = raw.value_type(value)
    if kind == "object":
        return _object(value, action, keeps_rest, key)
    if kind == "list":
        entries = [_entry(each, action, keeps_rest, key) for each in raw.split_list(value)]
        return b"[" + b",".join(bytes(each) for each in entries if each is not None) + b"]"
    return value if keeps_rest or not kind else None


def _entry(value: msgspec.Raw, tree: Tree, keeps_rest: bool, key: bytes) -> msgspec.Raw | bytes | None:
    """One entry of a list: named by its id where it is an id with a value, else treated as the others are."""
    if raw.value_type(value) != "object":
        return value if keeps_rest else None
    parts = raw.split(value)
    if "value" not in parts or "id" not in parts:
        return _object(value, tree, keeps_rest, key)
    action = tree.get(str(raw.scalar(parts["id"])), True if keeps_rest else None)
    if action is False:
        return raw.join((name, hashed(part, key) if name == "value" else part) for name, part in parts.items())
    return None if action is None else value


def hashed(value: msgspec.Raw, key: bytes) -> bytes:
    """The value's keyed hash as a JSON string; null stays null, for it says nothing of anybody.

    Of text it is the hash of its characters, so that two spellings of one text (`é`, `\\u00e9`) stay equal; of
    everything else, that of its bytes.
    """
    kind = raw.value_type(value)
    if not kind:
        return bytes(value)
    text = raw.text_of(value) if kind == "string" else None
    plain = bytes(value) if text is None else text.encode(errors="replace")
    return raw.json_string(MARK + hmac.new(key, plain, hashlib.sha256).hexdigest())
