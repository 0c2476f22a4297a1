"""The replication feeds: which ids were deleted or changed in a span of time.

Deleted rows are found as long as they lie in the recycle bin; a hard delete is not told, as upstream.
Source: REST API guide, "Get Deleted" and "Get Updated" (v67.0)
"""

from __future__ import annotations

from typing import Any

from sandbox.clock import DAY_MS, SECOND_MS, parse_time, salesforce_time
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.objects import SObject
from sandbox.salesforce.org import Org

MINUTE_MS = 60 * SECOND_MS
BIN_DAYS, UPDATED_DAYS = 15, 30
MAX_IDS = 600_000


def deleted_ids(org: Org, sobject: SObject, start: str, end: str) -> dict[str, Any]:
    """The body of `/sobjects/X/deleted/`."""
    if not sobject.has_delete_mark:
        raise ApiError(400, "INVALID_TYPE", f"entity type {sobject.name} does not support getDeleted")
    start_ms, end_ms, covered_ms = _span(org, start, end, BIN_DAYS)
    found = _found(org, sobject, "deleted = 1", start_ms, end_ms)
    earliest_ms = org.clock.now_ms() - BIN_DAYS * DAY_MS
    return {
        "deletedRecords": [{"id": record, "deletedDate": salesforce_time(at_ms)} for record, at_ms in found],
        "earliestDateAvailable": salesforce_time(earliest_ms),
        "latestDateCovered": salesforce_time(covered_ms),
    }


def updated_ids(org: Org, sobject: SObject, start: str, end: str) -> dict[str, Any]:
    """The body of `/sobjects/X/updated/`."""
    start_ms, end_ms, covered_ms = _span(org, start, end, UPDATED_DAYS)
    found = _found(org, sobject, "deleted = 0", start_ms, end_ms)
    return {"ids": [record for record, _ in found], "latestDateCovered": salesforce_time(covered_ms)}


def _span(org: Org, start: str, end: str, days: int) -> tuple[int, int, int]:
    """Start and end to the minute (seconds are ignored), and how far the answer reaches."""
    try:
        start_ms, end_ms = parse_time(start), parse_time(end)
    except ValueError as error:
        raise ApiError(400, "INVALID_REPLICATION_DATE", f"invalid date: {error}") from error
    now_ms = org.clock.now_ms()
    start_ms -= start_ms % MINUTE_MS
    end_ms -= end_ms % MINUTE_MS
    if start_ms < now_ms - days * DAY_MS:
        raise ApiError(400, "INVALID_REPLICATION_DATE", f"startDate before org max date, {days} days back")
    if end_ms - start_ms < MINUTE_MS:
        raise ApiError(400, "INVALID_REPLICATION_DATE", "endDate must be at least one minute greater than startDate")
    return start_ms, end_ms, min(end_ms, now_ms - now_ms % MINUTE_MS)


def _found(org: Org, sobject: SObject, which: str, start_ms: int, end_ms: int) -> list[tuple[str, int]]:
    org.store.settle(org.clock.now_ms())
    rows = org.store.read(
        f"SELECT id, stamp_ms FROM records WHERE shelf = ? AND {which} AND stamp_ms >= ? AND stamp_ms < ?"
        " ORDER BY stamp_ms, id LIMIT ?",
        (org.shelf(sobject.name), start_ms, end_ms, MAX_IDS + 1),
    )
    if len(rows) > MAX_IDS:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", f"more than {MAX_IDS} ids; use a shorter span of time")
    return [(record, at_ms) for record, at_ms in rows]
