"""What changed in an object since the cursor: rows in order of change time and Id, deletions among them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.records import Cursor, Page
from syncs.providers.kit.times import parse_time, to_millis_z
from syncs.providers.salesforce import apart, soql
from syncs.providers.salesforce.backfill import by_id
from syncs.providers.salesforce.errors import FieldGone, LocatorGone, TooBig
from syncs.providers.salesforce.rest import Rest, Row, Size, to_page
from syncs.providers.salesforce.schema import Schema

HOLD_BACK = timedelta(minutes=5)  # rows show when their transaction commits, under an earlier stamp
LOOK_BACK = timedelta(minutes=5)  # read again on purpose, before the cursor
EPOCH = "1970-01-01T00:00:00.000Z"
READ_WHOLE_EVERY = timedelta(hours=24)  # objects without any change time


async def changes(rest: Rest, collection: Collection, cursor: Cursor) -> AsyncIterator[Page]:
    """Rows changed since the cursor, up to this very moment; only the cursor stays 5 minutes behind.

    The same rows come again for 10 minutes; the log drops what it knows already. The cursor moves by the change times
    of rows alone: a wrong clock upstream can settle it early or late, but never carry it over unread rows.
    The object is described first: a field added meanwhile would else be missing from rows never read again.
    Cursor: {"t": change time, "id": the last row's Id once nothing can show up late below it, else ""}.
    """
    schema, answer = await rest.describe(collection.upstream)
    now = answer.moment()
    try:
        walk = _since(rest, collection, schema, cursor, now) if schema.change_field else None
        async for page in walk or _whole(rest, collection, schema, cursor, now):
            yield page
    except FieldGone:  # changed between describe and query: once more, then give up
        schema, _ = await rest.describe(collection.upstream)
        async for page in _since(rest, collection, schema, cursor, now):
            yield page


async def start(rest: Rest, collection: Collection) -> Cursor:
    """The change time of the newest row, less the hold-back; the beginning of time for an empty object."""
    schema, _ = await rest.describe(collection.upstream)
    field = schema.change_field
    if field is None:
        return {"t": EPOCH, "id": ""}
    rows = await rest.rows(soql.select(["Id", field], schema.name, order=[f"{field} DESC"], limit=1))
    return {"t": to_millis_z(change_time(rows[0], field) - HOLD_BACK) if rows else EPOCH, "id": ""}


async def _since(
    rest: Rest, collection: Collection, schema: Schema, cursor: Cursor, now: datetime
) -> AsyncIterator[Page]:
    """Keyset on (change time, Id), beginning before the cursor. The cursor never goes back."""
    field = schema.change_field or ""
    old = safe = parse_time(cursor["t"])
    moment, last_id = cursor["t"], cursor.get("id") or ""
    if not last_id:
        moment = to_millis_z(old - LOOK_BACK)
    size = Size(rest)
    found = size.limit
    while found >= size.limit:
        found = 0
        where = soql.changed_after(field, moment, last_id)
        try:
            async for batch in apart.batches(rest, schema, where, [field, "Id"], size.limit):
                found += batch.found
                if batch.last is None:
                    continue
                stamp = change_time(batch.last, field)
                moment, last_id = to_millis_z(stamp), batch.last.id
                safe = max(old, min(stamp, now - HOLD_BACK))
                place = {"t": to_millis_z(safe), "id": ""}
                yield to_page(collection, schema, batch.rows, place, sick=batch.sick)
        except LocatorGone:
            found = size.limit
        except TooBig as error:
            size.halve(error)
            found = size.limit
    reached = parse_time(moment)
    settled = bool(last_id) and reached >= old and now - reached >= HOLD_BACK + LOOK_BACK
    yield Page([], {"t": moment, "id": last_id} if settled else {"t": to_millis_z(safe), "id": ""}, done=True)


async def _whole(
    rest: Rest, collection: Collection, schema: Schema, cursor: Cursor, now: datetime
) -> AsyncIterator[Page]:
    """All rows once a day, for an object that keeps no change time.

    Cursor: {"whole_at": when they were last read}; while a look is under way also {"place": where it stands}.
    """
    due = "whole_at" not in cursor or now - parse_time(cursor["whole_at"]) >= READ_WHOLE_EVERY
    if due:
        place = cursor.get("place") or {"after": "", "total": None}
        async for page in by_id(rest, collection, schema, place):
            yield Page(page.records, {**cursor, "place": page.cursor}, done=False, skipped=page.skipped)
        cursor = {"t": cursor["t"], "id": "", "whole_at": to_millis_z(now)}
    yield Page([], cursor, done=True)


def change_time(row: Row, field: str) -> datetime:
    """The row's change time. Raises UnexpectedShape without one: the walk could not go on from it."""
    text = raw.text_of(row.values.get(field))
    if not text:
        raise UnexpectedShape(f"A Salesforce record came without {field}.")
    return parse_time(text)
