"""Ids that look random and are not: the same name gives the same id, so that a seed is repeatable."""

from __future__ import annotations

import hashlib

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE16 = "0123456789abcdef"


def letters_of(name: str, length: int, alphabet: str = BASE62) -> str:
    """`length` letters made of a name: at most 42 of base 62, or 64 of base 16."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest())
    letters = []
    for _ in range(length):
        digest, rest = divmod(digest, len(alphabet))
        letters.append(alphabet[rest])
    return "".join(letters)
