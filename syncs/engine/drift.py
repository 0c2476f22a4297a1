"""Schema drift: which fields a collection's records have gained, lost or changed the type of. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from syncs.providers.kit import raw
from syncs.providers.kit.errors import ProviderError

OR = " or "
SAMPLED = 10  # records of a page that are looked at, unless a new field must stop reading

Types = dict[str, str]
"""Field to type, in words; several joined by `or`, empty while only null was seen."""


class SchemaHeld(ProviderError):
    """A collection's fields have changed, and its sync is to stop for that."""

    kind = "schema"
    next_step = "Look at what changed, then press Accept and go on."


@dataclass(frozen=True)
class FieldChange:
    """One field that was added, removed or retyped; `before` and `after` are its types."""

    path: str
    kind: str
    before: str = ""
    after: str = ""

    def stored(self) -> dict[str, Any]:
        return asdict(self)


def compared(before: Mapping[str, str], now: Mapping[str, str]) -> list[FieldChange]:
    """What differs between two descriptions of a collection, in the order of the fields' names."""
    changes = []
    for path in sorted({*before, *now}):
        old, new = before.get(path), now.get(path)
        if old is None:
            changes.append(FieldChange(path, "added", after=new or ""))
        elif new is None:
            changes.append(FieldChange(path, "removed", before=old))
        elif old != new and old and new:
            changes.append(FieldChange(path, "retyped", old, new))
    return changes


def seen(records: Iterable[bytes], known: Mapping[str, str]) -> Types:
    """The fields of these records that are new, or of a type that is, with all types they have had so far.

    Nobody describes these fields: one that is missing now says nothing, and null says nothing of a type.
    """
    news: Types = {}
    for data in records:
        for name, value in raw.split(data).items():
            kind = raw.value_type(value)
            types = news.get(name, known.get(name))
            if types is None:
                news[name] = kind
            elif kind and kind not in types.split(OR):
                news[name] = OR.join(filter(None, (types, kind)))
    return news


def learned(known: Mapping[str, str], news: Mapping[str, str]) -> list[FieldChange]:
    """What of the news is worth telling: not that a field turned out to hold something after all."""
    changes = []
    for path in sorted(news):
        if path not in known:
            changes.append(FieldChange(path, "added", after=news[path]))
        elif known[path]:
            changes.append(FieldChange(path, "retyped", known[path], news[path]))
    return changes
