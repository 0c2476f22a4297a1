"""Change detection: which of the records just read are news, and which are old or the same. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from syncs.providers.kit.records import RawRecord

Kind = Literal["create", "update", "delete", "same"]


class Known(msgspec.Struct, frozen=True, gc=False):
    """What the log holds of a record: enough to tell whether a read of it is news."""

    pk: int
    digest: bytes
    deleted: bool
    read_no: int
    updated_at: datetime | None


class Change(msgspec.Struct, frozen=True, gc=False):
    """A record that moves to the end of the log. `known` is what it replaces; `digest` is of the new content.

    Or, of kind `same`, one that a newer read found unchanged: it stays where it is, but no older read may follow.
    """

    record: RawRecord
    kind: Kind
    digest: bytes
    known: Known | None


def digest(data: bytes, volatile: tuple[str, ...] = ()) -> bytes:
    """sha256 of the record's bytes, less the paths (`a.b`) whose changes alone are not changes."""
    if volatile:
        tree = msgspec.json.decode(data)
        for path in volatile:
            _drop(tree, path.split("."))
        data = msgspec.json.encode(tree, order="deterministic")
    return hashlib.sha256(data).digest()


def _drop(tree: object, path: list[str]) -> None:
    for key in path[:-1]:
        if not isinstance(tree, dict):
            return
        tree = tree.get(key)
    if isinstance(tree, dict):
        tree.pop(path[-1], None)


def is_older(record: RawRecord, known: Known | RawRecord, *, versioned_by_time: bool) -> bool:
    """Whether this read must not overwrite what the log holds, or another read (invariant 4).

    Where upstream tells a change time, that decides, and the order of reading only between equal times; else the order
    of reading alone.
    """
    if versioned_by_time and record.updated_at and known.updated_at and record.updated_at != known.updated_at:
        return record.updated_at < known.updated_at
    return record.read_no < known.read_no


def news(
    records: Iterable[RawRecord],
    known: Mapping[str, Known],
    *,
    versioned_by_time: bool = False,
    volatile: tuple[str, ...] = (),
) -> list[Change]:
    """The changes among the records of one collection, one per id, in the order they came.

    1. Of several reads of one id, the newest counts.
    2. A read older than what the log holds is dropped.
    3. Same digest and same `deleted`: silent (invariant 3). Where the order of reading decides, the newer read is
       noted all the same (kind `same`), or an older one that arrives late would pass for newer than the last change.
    4. The deletion of a record we never had is not news: nobody was ever told of it.
    """
    newest: dict[str, RawRecord] = {}
    for record in records:
        rival = newest.get(record.upstream_id)
        if rival is None or not is_older(record, rival, versioned_by_time=versioned_by_time):
            newest[record.upstream_id] = record
    changes = []
    for upstream_id, record in newest.items():
        old = known.get(upstream_id)
        if old is None:
            if not record.deleted and record.data is not None:
                changes.append(Change(record, "create", digest(record.data, volatile), None))
            continue
        if is_older(record, old, versioned_by_time=versioned_by_time):
            continue
        new_digest = old.digest if record.data is None else digest(record.data, volatile)
        if new_digest == old.digest and record.deleted == old.deleted:
            if not versioned_by_time and record.read_no > old.read_no:
                changes.append(Change(record, "same", old.digest, old))
            continue
        kind: Kind = "delete" if record.deleted else "create" if old.deleted else "update"
        changes.append(Change(record, kind, new_digest, old))
    return changes
