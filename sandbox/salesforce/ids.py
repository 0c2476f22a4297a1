"""Salesforce record ids.

15 characters of base 62, case-sensitive, and 3 more that make the 18-character form safe where case is lost.
Source: Salesforce help, "Convert 15-character record IDs to 18 characters", https://help.salesforce.com 000385008
"""

from __future__ import annotations

from sandbox.kit.ids import BASE62

CHECKSUM_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
INSTANCE = "5e"

ORGANIZATION_ID = "00D5e000000SandEAM"


def record_id(prefix: str, number: int) -> str:
    """The 18-character id of the `number`th record of the object with this 3-character key prefix."""
    short = prefix + INSTANCE + _base62(number, 15 - len(prefix) - len(INSTANCE))
    return short + checksum(short)


def checksum(short: str) -> str:
    """The 3 characters that make a 15-character id 18 long: one bit for each upper-case letter, 5 bits a letter."""
    letters = []
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if "A" <= letter <= "Z")
        letters.append(CHECKSUM_LETTERS[bits])
    return "".join(letters)


def full_id(text: str) -> str:
    """The 18-character form of either form; anything else comes back as it is."""
    return text + checksum(text) if len(text) == 15 else text


def _base62(number: int, width: int) -> str:
    letters = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        letters.append(BASE62[rest])
    return "".join(reversed(letters))
