"""Schema drift noticed, kept and decided on: what fields a collection's records have, as upstream sends them.

Where upstream describes its fields, it is asked once an hour, before changes are looked for. Elsewhere they are those
of the records that come; a first reading of history only learns them. Picked fields apply after this.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from sequin_console.common import audit
from sequin_console.common import changes as pages
from sequin_console.common.problems import Problem
from syncs.engine import drift
from syncs.engine.drift import FieldChange, SchemaHeld, Types
from syncs.models import SchemaChange, SyncCollection
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.errors import CollectionGone, PermissionMissing, UnexpectedShape
from syncs.providers.kit.records import RawRecord
from syncs.states import OnDrift, Phase

if TYPE_CHECKING:
    from syncs.reading import FeedRun

EVERY = timedelta(hours=1)
TOGETHER = timedelta(hours=1)  # what is noticed so soon after is told together
DESCRIBED, SEEN = "described", "seen"


async def look(run: "FeedRun", row: SyncCollection) -> None:
    """Ask upstream for the fields of a collection, where it describes them and the last answer is an hour old."""
    spec, now = run.specs[row.collection_id], timezone.now()
    if not spec.described or (row.schema_at and row.schema_at + EVERY > now):
        return
    try:
        found = {field.accessor: field.type for field in await run.reader.fields(spec)}
    except (PermissionMissing, CollectionGone, UnexpectedShape):
        found = {}  # whoever may not describe may still read
    await run.orm(_note_described, run, row, found)


def notice(run: "FeedRun", records: Sequence[RawRecord]) -> None:
    """Learn the fields of records about to be stored. Raises SchemaHeld where a person must look first."""
    stops = run.feed.sync.on_drift == OnDrift.STOP
    by_collection: dict[str, list[bytes]] = defaultdict(list)
    for record in records:
        if record.data is not None:
            by_collection[record.collection_id].append(record.data)
    for collection_id, documents in by_collection.items():
        row, spec = run.rows[collection_id], run.specs[collection_id]
        if spec.described and not stops and not is_learning(row):  # it is asked in time
            continue
        step = 1 if stops else -(-len(documents) // drift.SAMPLED)
        known = _known(row, spec)
        if news := drift.seen(documents[::step], known):
            _note_seen(run, row, news, [] if is_learning(row) else _worth_telling(spec, drift.learned(known, news)))


def is_learning(row: SyncCollection) -> bool:
    """Whether its first history is still being read: all fields are new then."""
    return row.backfilled_at is None


def columns(row: SyncCollection) -> dict[str, Any]:
    """What a page of a first history has taught, to be stored with the page."""
    return {"schema": row.schema} if is_learning(row) else {}


def _known(row: SyncCollection, spec: Collection) -> Types:
    """The types of fields as records show them; of described ones only that they are there."""
    described = {path.partition(".")[0] for path in row.schema.get(DESCRIBED, {})} if spec.described else set()
    return {**dict.fromkeys(described, ""), **row.schema.get(SEEN, {})}


def _worth_telling(spec: Collection, changes: list[FieldChange]) -> list[FieldChange]:
    """Of described fields upstream itself tells the types: only what it does not describe is news."""
    return [change for change in changes if not (spec.described and change.kind == "retyped")]


def _note_seen(run: "FeedRun", row: SyncCollection, news: Types, changes: list[FieldChange]) -> None:
    if changes:
        _keep(run, row, changes)
    row.schema = {**row.schema, SEEN: {**row.schema.get(SEEN, {}), **news}}
    if not is_learning(row):
        SyncCollection.objects.filter(pk=row.pk).update(schema=row.schema)


def _note_described(run: "FeedRun", row: SyncCollection, found: Types) -> None:
    before = row.schema.get(DESCRIBED)
    if before and found and (changes := drift.compared(before, found)):
        _keep(run, row, changes)
    row.schema, row.schema_at = {**row.schema, DESCRIBED: found or before or {}}, timezone.now()
    run.fenced(SyncCollection.objects.filter(pk=row.pk).update, schema=row.schema, schema_at=row.schema_at)


def _keep(run: "FeedRun", row: SyncCollection, changes: list[FieldChange]) -> None:
    """Note what changed, for people. Raises SchemaHeld where the sync is to stop for it."""
    policy, now = run.feed.sync.on_drift, timezone.now()
    stored = [change.stored() for change in changes]
    is_holding = policy == OnDrift.STOP
    with transaction.atomic():
        run.feed.prove_lease()
        latest = SchemaChange.objects.filter(collection=row, decided_at=None, found_at__gt=now - TOGETHER).first()
        if latest is not None:
            latest.changes = [*(each for each in latest.changes if each not in stored), *stored]
            latest.is_holding = is_holding
            latest.save(update_fields=["changes", "is_holding"])
        else:
            decided_at = now if policy == OnDrift.CARRY_ON else None
            SchemaChange.objects.create(collection=row, changes=stored, is_holding=is_holding, decided_at=decided_at)
        audit.record(None, "schema.changed", row, {"fields": [change.path for change in changes][:50]})
    pages.announce(run.feed.sync.topic)
    if is_holding:
        error = SchemaHeld(f"Its fields have changed: {in_words(changes)}.")
        error.collection_id = row.collection_id
        row.phase = Phase.ERROR  # for the rest of this run, too
        raise error


def in_words(changes: Sequence[FieldChange]) -> str:
    """`email added, age retyped and 3 more`."""
    told = ", ".join(f"{change.path} {change.kind}" for change in changes[:3])
    return told + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")


def accept(row: SyncCollection, *, by: Any) -> None:
    """A person has looked at what changed. What was stopped for it goes on. Raises Problem if nothing is open."""
    with transaction.atomic():
        open_changes = list(SchemaChange.objects.filter(collection=row, decided_at=None))
        if not open_changes:
            raise Problem("No change of fields is open here.", kind="conflict", status=409)
        paths = [each["path"] for change in open_changes for each in change.changes]
        is_holding = any(change.is_holding for change in open_changes)
        SchemaChange.objects.filter(pk__in=[change.pk for change in open_changes]).update(
            decided_at=timezone.now(), decided_by=getattr(by, "actor_name", "Console")[:150], is_holding=False
        )
        if is_holding:
            _go_on(row, [FieldChange(**each) for change in reversed(open_changes) for each in change.changes])
        audit.record(by, "schema.accepted", row, {"fields": paths[:50]})
    transaction.on_commit(lambda: pages.announce(row.sync.topic, "syncs"))


def _go_on(row: SyncCollection, changes: Sequence[FieldChange]) -> None:
    """Take the new fields for known, and try again. Described ones are asked for afresh."""
    row.refresh_from_db(fields=["schema", "phase"])
    types: Types = dict(row.schema.get(SEEN, {}))
    types |= {change.path: change.after for change in changes if change.kind != "removed"}
    schema = {SEEN: types, **({DESCRIBED: {}} if DESCRIBED in row.schema else {})}
    rows = SyncCollection.objects.filter(pk=row.pk)
    rows.update(schema=schema, schema_at=None)
    rows.filter(phase=Phase.ERROR).update(retry_at=timezone.now())
    row.feed.wake()
