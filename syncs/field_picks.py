"""Picked fields, applied to every record on its way into the log: `log.append` calls this, and nothing goes past it."""

import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sequin_console.common.problems import field_problem
from syncs.engine.picking import Picks, Tree, picked
from syncs.models import Feed, HashKey, SyncCollection
from syncs.providers.kit.catalogue import KEPT
from syncs.providers.kit.records import RawRecord

MOST_PATHS = 2_000


def applied(collections: Mapping[str, SyncCollection], records: Sequence[RawRecord]) -> Sequence[RawRecord]:
    """The records with the fields that were picked. Costs nothing where all are kept as they are."""
    chosen = {key: row for key, row in collections.items() if row.fields}
    if not chosen:
        return records
    rows = (chosen.get(record.collection_id) for record in records)
    return [_shaped(record, row) if row else record for record, row in zip(records, rows, strict=True)]


def _shaped(record: RawRecord, row: SyncCollection) -> RawRecord:
    if record.data is None:
        return record
    picks = Picks.of(row.fields)
    tree = _tree(picks, tuple(row.spec.get("kept", KEPT)))
    key = workspace_key() if picks.hashed else b""
    return msgspec.structs.replace(record, data=picked(record.data, tree, keeps_rest=picks.only is None, key=key))


@lru_cache(maxsize=256)
def _tree(picks: Picks, kept: tuple[str, ...]) -> Tree:
    return picks.tree(kept)


@lru_cache(maxsize=1)
def workspace_key() -> bytes:
    """The key that hashes are made with: one for the whole installation, made when it is first wanted, never changed.

    Equal values thus have equal hashes in all collections, and encryption keys can be changed without new hashes.
    """
    row, _ = HashKey.objects.get_or_create(pk=1, defaults={"secrets": {"key": secrets.token_hex(32)}})
    return bytes.fromhex(row.secrets["key"])


def parsed(sent: Mapping[str, Any] | None, kept: Sequence[str]) -> dict[str, Any]:
    """A person's picks as they are stored. Raises Problem (`fields`).

    sent  `only` (paths, or None for all) and `hash` (paths); None: all fields as they are
    kept  id and times: always there, and never hashed
    """
    sent = sent or {}
    only, hashed = sent.get("only"), list(sent.get("hash") or ())
    paths = [*(only or ()), *hashed]
    if len(paths) > MOST_PATHS:
        raise field_problem("fields", f"These are more than {MOST_PATHS:,} fields.")
    if wrong := [path for path in paths if not path or not all(path.split("."))]:
        raise field_problem(
            "fields", f"“{wrong[0]}” is no field.", next_step="Name fields as the collection lists them."
        )
    if wrong := [path for path in hashed if any(_is_within(each, path) for each in kept)]:
        raise field_problem("fields", f"“{wrong[0]}” cannot be hashed.", next_step="Id and times stay as they are.")
    return Picks(None if only is None else tuple(dict.fromkeys(only)), tuple(dict.fromkeys(hashed))).stored()


def _is_within(path: str, outer: str) -> bool:
    return path == outer or path.startswith(f"{outer}.")


def store(row: SyncCollection, fields: Mapping[str, Any], fresh: Mapping[str, Any]) -> None:
    """Set a collection's picks and have it read from its beginning (`fresh`: columns of a collection not read yet).

    Whoever reads its feed now loses the lease: not one record more is stored with the fields of before.
    """
    with transaction.atomic():
        feed = Feed.objects.filter(pk=row.feed_id)
        feed.update(lease_no=F("lease_no") + 1, lease_until=None, due_at=timezone.now(), queued_until=None)
        SyncCollection.objects.filter(pk=row.pk).update(fields=dict(fields), **fresh)
    row.refresh_from_db()
