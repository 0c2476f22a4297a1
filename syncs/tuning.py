"""What is set for one collection of a sync."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from sequin_console.common import audit, changes
from sequin_console.common.problems import Problem, field_problem
from syncs import field_picks, sweeping
from syncs.connections import spec_of
from syncs.models import SyncCollection
from syncs.services import FRESH_BACKFILL
from syncs.states import Phase

LONGEST_SWEEP_H = 90 * 24


def change(row: SyncCollection, data: Mapping[str, Any], *, by: Any) -> SyncCollection:
    """Set what `data` names of one collection; the rest stays. Raises Problem naming the field.

    sweep_every_h  hours between comparisons of all ids; None: the provider's own; 0: never
    fields         `only` (paths, None for all) and `hash` (paths); None: all as they are. Other fields than before
                   mean that the collection is read from its beginning
    """
    if row.phase == Phase.REMOVING:
        raise Problem("This collection is being removed.", kind="conflict", status=409)
    with transaction.atomic():
        if "sweep_every_h" in data:
            _set_sweeps(row, data["sweep_every_h"])
        if "fields" in data:
            _set_fields(row, data["fields"])
        told = {key: data[key] for key in ("sweep_every_h", "fields") if key in data}
        audit.record(by, "collection.changed", row, told)
    transaction.on_commit(lambda: changes.announce(row.sync.topic, "syncs"))
    return row


def _set_sweeps(row: SyncCollection, hours: int | None) -> None:
    spec = spec_of(row)
    if hours is not None and not 0 <= hours <= LONGEST_SWEEP_H:
        raise field_problem("sweep_every_h", f"Ids are compared every 1 to {LONGEST_SWEEP_H} hours, or never (0).")
    if hours is not None and spec.sweep_every_h is None:
        raise field_problem(
            "sweep_every_h",
            "Ids of this collection are not compared: those that go missing say nothing of deletions.",
            next_step="Leave it as it is.",
        )
    row.sweep_every_h = hours
    every_h = sweeping.every_h(row, spec)
    columns: dict[str, Any] = {"sweep_every_h": hours}
    is_waiting = not row.sweep_read_no and not row.held_deletes and not row.is_braked
    if is_waiting and row.backfilled_at:
        since = row.swept_at or row.backfilled_at
        columns["sweep_due_at"] = max(since + timedelta(hours=every_h), timezone.now()) if every_h else None
    SyncCollection.objects.filter(pk=row.pk).update(**columns)
    if columns.get("sweep_due_at"):
        row.feed.wake()
    row.refresh_from_db()


def _set_fields(row: SyncCollection, sent: Mapping[str, Any] | None) -> None:
    fields = field_picks.parsed(sent, spec_of(row).kept)
    if fields != row.fields:
        field_picks.store(row, fields, FRESH_BACKFILL)
