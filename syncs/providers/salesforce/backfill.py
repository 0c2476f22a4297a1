"""All rows of an object: by keyset on Id, or by a bulk job where there are many."""

from collections.abc import AsyncIterator

from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.errors import UnexpectedShape, UpstreamFailed
from syncs.providers.kit.records import Cursor, Page
from syncs.providers.salesforce import apart, soql
from syncs.providers.salesforce.bulk import LONGEST_POLL_S, Bulk
from syncs.providers.salesforce.catalogue import NOT_IN_BULK
from syncs.providers.salesforce.errors import BulkRefused, FieldGone, LocatorGone, RecordGone, TooBig
from syncs.providers.salesforce.rest import Rest, Row, Size, to_page
from syncs.providers.salesforce.schema import Schema


async def backfill(rest: Rest, bulk: Bulk, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
    """Every row, deleted ones marked. A row that changes meanwhile comes as it is by then, and again as a change.

    Cursor, by REST {"after": last Id, "total"}; in bulk {"mode": "bulk", "job", "locator", "row", …} besides: the
    page of results, and the row within it.
    """
    schema, _ = await rest.describe(collection.upstream)
    if cursor is None:
        cursor = await _plan(rest, bulk, collection)
    if cursor.get("mode") == "bulk":
        try:
            async for page in _in_bulk(bulk, collection, schema, cursor):
                yield page
            return
        except BulkRefused:
            cursor = {"after": "", "total": cursor["total"]}
    async for page in by_id(rest, collection, schema, cursor):
        yield page


async def _plan(rest: Rest, bulk: Bulk, collection: Collection) -> Cursor:
    """The cursor before the first page: the count says whether a bulk job pays."""
    try:
        total = await rest.count(collection.upstream, deleted=True)
    except (TooBig, UnexpectedShape):
        total = None
    cursor: Cursor = {"after": "", "total": total}
    if total is not None and total >= bulk.threshold and collection.upstream not in NOT_IN_BULK:
        cursor["mode"] = "bulk"
    return cursor


async def by_id(rest: Rest, collection: Collection, schema: Schema, cursor: Cursor) -> AsyncIterator[Page]:
    """Keyset on Id: several pages a query; each next query begins after the last Id, whatever became of the pages."""
    after, total = cursor["after"], cursor["total"]
    size, described_again = Size(rest), False
    found = size.limit
    while found >= size.limit:
        found = 0
        try:
            async for batch in apart.batches(rest, schema, soql.after_id(after), ["Id"], size.limit):
                found += batch.found
                if batch.last is None:
                    continue
                after = batch.last.id
                place = {**cursor, "after": after}
                yield to_page(collection, schema, batch.rows, place, total=total, sick=batch.sick)
        except LocatorGone:
            found = size.limit
        except FieldGone:
            if described_again:
                raise
            schema, _ = await rest.describe(collection.upstream)
            found, described_again = size.limit, True
        except TooBig as error:
            size.halve(error)
            found = size.limit
    yield Page([], {**cursor, "after": after}, done=True, total=total)


async def _in_bulk(bulk: Bulk, collection: Collection, schema: Schema, cursor: Cursor) -> AsyncIterator[Page]:
    """A bulk job: made once, kept in the cursor, waited for with empty pages, then read on from its locator and row.

    1. Make the job, unless the cursor names one. Its rows bear the read number of this moment.
    2. Wait, looking ever less often; each look yields an empty page, so that the caller may stop here.
    3. Read page after page. A job that Salesforce has cleared away meanwhile is made anew.
    """
    if "job" not in cursor:
        job_id, read_no = await bulk.create(schema)
        cursor = {**cursor, "job": job_id, "read_no": read_no, "locator": None}
        yield Page([], cursor, done=False, total=cursor["total"])
    try:
        async for page in _wait_and_read(bulk, collection, schema, cursor):
            yield page
        return
    except RecordGone:
        cursor = {key: cursor[key] for key in ("after", "total", "mode")}
    async for page in _in_bulk(bulk, collection, schema, cursor):
        yield page


async def _wait_and_read(bulk: Bulk, collection: Collection, schema: Schema, cursor: Cursor) -> AsyncIterator[Page]:
    wait_s = bulk.first_poll_s
    while (await bulk.state(cursor["job"])).state != "JobComplete":
        yield Page([], cursor, done=False, total=cursor["total"])
        await bulk.client.wait(wait_s)
        wait_s = min(wait_s * 2, LONGEST_POLL_S)
    done = False
    while not done:
        try:
            results = await bulk.results(cursor["job"], cursor["locator"])
        except UpstreamFailed:
            await bulk.state(cursor["job"])  # raises in an outage
            raise BulkRefused("Salesforce could not send a page of a bulk job.") from None
        row = cursor.get("row", 0)
        for block in results.blocks(schema, skip=row):
            row += len(block)
            rows = [Row.of(values, cursor["read_no"]) for values in block]
            yield to_page(collection, schema, rows, {**cursor, "row": row}, total=cursor["total"])
        done = results.locator is None
        cursor = {**cursor, "locator": results.locator, "row": 0}
        del results  # its bytes need not stay while the next page comes
        yield Page([], cursor, done=done, total=cursor["total"])
