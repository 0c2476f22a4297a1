"""Queries that Salesforce cannot answer, taken apart: the few rows to blame are set aside, and the walk goes on.

What tells a sick row from an outage: the bare ids of the same rows still come, and no more than a few rows fail alone.
"""

from collections.abc import AsyncIterator, Sequence

from syncs.providers.kit.errors import UpstreamFailed
from syncs.providers.salesforce import soql
from syncs.providers.salesforce.rest import Batch, Rest, Row, in_url_sized_parts
from syncs.providers.salesforce.schema import Schema

PART = 200  # rows that a failing query is taken apart by
MOST_SICK = 20  # of them; beyond, it is no row that is sick


async def batches(rest: Rest, schema: Schema, where: str, order: Sequence[str], limit: int) -> AsyncIterator[Batch]:
    """`rest.batches`, less what cannot be read: `sick` names it. Such a batch says that more may follow.

    1. A query that fails after some of its pages is left: the caller asks again from the last row.
    2. One that fails at once: ask for the bare ids of its next rows. When they do not come, it is an outage: raised.
    3. Read these rows by id, in ever smaller parts.
    """
    has_come = False
    try:
        async for batch in rest.batches(schema, where, order, limit):
            has_come = True
            yield batch
        return
    except UpstreamFailed:
        if has_come:
            yield Batch([], limit, None)
            return
    heads = await rest.rows(soql.select(schema.head, schema.name, where, order=order, limit=PART))
    rows, sick = await read(rest, schema, [row.id for row in heads])
    yield Batch(rows, limit if heads else 0, heads[-1] if heads else None, tuple(sick))


async def read(rest: Rest, schema: Schema, ids: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The rows of these ids as they are now, and the ids of those that cannot be read. What is gone is in neither."""
    used = max(sum(len(name) + 1 for name in chunk) for chunk in schema.chunks(rest.field_budget))
    rows: list[Row] = []
    sick: list[str] = []
    for part in in_url_sized_parts(ids, used):
        await _read_part(rest, schema, part, rows, sick)
    return rows, sick


async def _read_part(rest: Rest, schema: Schema, ids: Sequence[str], rows: list[Row], sick: list[str]) -> None:
    """Add to `rows` what can be read, and to `sick` what cannot; by halves where a query fails."""
    try:
        found = [row async for batch in rest.batches(schema, soql.among(ids)) for row in batch.rows]
    except UpstreamFailed:
        if len(ids) == 1:
            sick += ids
            if len(sick) > MOST_SICK:
                raise
            return
    else:
        rows += found
        return
    middle = len(ids) // 2
    await _read_part(rest, schema, ids[:middle], rows, sick)
    await _read_part(rest, schema, ids[middle:], rows, sick)
