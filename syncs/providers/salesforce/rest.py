"""Rows by REST: queries with their pages, field lists in chunks merged by Id, smaller bites when asked for too much."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import CollectionGone, UnexpectedShape
from syncs.providers.kit.paging import NextRecordsUrl, Request
from syncs.providers.kit.records import Cursor, Page, RawRecord, Skipped
from syncs.providers.kit.times import parse_time
from syncs.providers.salesforce import soql
from syncs.providers.salesforce.errors import RecordGone, TooBig
from syncs.providers.salesforce.schema import Schema, parse_describe

PAGE = 2_000
SMALLEST_PAGE = 200
PAGES_A_QUERY = 10
PAGING = NextRecordsUrl()


class _Query(msgspec.Struct):
    totalSize: int = 0
    records: list[raw.Split] = []


_decoder = msgspec.json.Decoder(_Query)


@dataclass(frozen=True)
class Row:
    """One row as it came, with the number of the oldest read that brought a part of it."""

    id: str
    values: Mapping[str, msgspec.Raw | bytes]
    read_no: int

    @classmethod
    def of(cls, values: Mapping[str, msgspec.Raw | bytes], read_no: int) -> "Row":
        """The row of these values. Raises UnexpectedShape without an Id."""
        found = raw.text_of(values.get("Id"))
        if not found:
            raise UnexpectedShape("A Salesforce record came without an Id.")
        return cls(found, values, read_no)


@dataclass(frozen=True)
class Batch:
    """One page of a query: the whole rows, how many it found (some may be left to the next pass), and the last.

    sick  ids of rows that Salesforce cannot serve
    """

    rows: list[Row]
    found: int
    last: Row | None
    sick: tuple[str, ...] = ()


class Size:
    """How many rows a query of a walk asks for: several pages, and half as many each time that was too much."""

    def __init__(self, rest: "Rest") -> None:
        self.limit = rest.page * PAGES_A_QUERY

    def halve(self, error: TooBig) -> None:
        """Ask for less. Raises the error when there is nothing left to halve."""
        if self.limit <= SMALLEST_PAGE:
            raise error
        self.limit = max(self.limit // 2, SMALLEST_PAGE)


class Rest:
    """The REST API of one org."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.field_budget = int(client.settings.get("field_budget", soql.FIELD_BUDGET))
        self.page = int(client.settings.get("page_size", PAGE))

    async def describe(self, name: str) -> tuple[Schema, Answer]:
        """The object's schema as it is now. Raises CollectionGone."""
        try:
            answer = await self.client.get(f"{soql.API}/sobjects/{name}/describe")
        except RecordGone:
            raise CollectionGone("Salesforce does not show us this object.") from None
        return parse_describe(answer.body), answer

    async def count(self, name: str, *, deleted: bool) -> int:
        answer = await self.client.get(soql.url(soql.select(["COUNT()"], name), deleted=deleted))
        return decode(answer).totalSize

    async def rows(self, query: str) -> list[Row]:
        """All rows of a small query."""
        return [row async for page in self._pages(soql.url(query)) for row in page]

    async def ids(self, name: str, after: str, limit: int) -> list[str]:
        """The next ids of live rows after that one."""
        query = soql.select(["Id"], name, soql.after_id(after), order=["Id"], limit=limit)
        found: list[str] = []
        async for rows in self._pages(soql.url(query, deleted=False)):
            found += [row.id for row in rows]
        return found

    async def batches(
        self, schema: Schema, where: str, order: Sequence[str] = (), limit: int | None = None
    ) -> AsyncIterator[Batch]:
        """The rows a query finds, page by page, whole: with a long field list each page is completed by its ids."""
        first, *others = schema.chunks(self.field_budget)
        query = soql.select(first, schema.name, where, order=order, limit=limit)
        async for found in self._pages(soql.url(query)):
            rows = found
            for fields in others:
                rows = await self._complete(schema, fields, rows, by_range=tuple(order) == ("Id",))
            yield Batch(rows, len(found), found[-1] if found else None)

    async def _complete(self, schema: Schema, fields: Sequence[str], rows: list[Row], *, by_range: bool) -> list[Row]:
        """The rows with these fields added. One that changed or went between the two reads is left to the next pass.

        by_range  the rows are neighbours by Id, so that one query from the first to the last finds them
        """
        by_id: dict[str, Row] = {}
        if by_range and rows:
            wheres = [soql.between(rows[0].id, rows[-1].id)]
        else:
            parts = in_url_sized_parts([row.id for row in rows], sum(len(name) + 1 for name in fields))
            wheres = [soql.among(ids) for ids in parts]
        for where in wheres:
            async for found in self._pages(soql.url(soql.select(fields, schema.name, where))):
                by_id.update((row.id, row) for row in found)
        stamp = schema.change_field or "Id"
        merged = []
        for row in rows:
            other = by_id.get(row.id)
            if other and bytes(other.values[stamp]) == bytes(row.values[stamp]):
                merged.append(Row(row.id, {**other.values, **row.values}, min(row.read_no, other.read_no)))
        return merged

    async def _pages(self, url: str) -> AsyncIterator[list[Row]]:
        """All pages of one query. Their read number is the first's: later pages show what the query found then."""
        request: Request | None = Request(url, headers={"Sforce-Query-Options": f"batchSize={self.page}"})
        read_no = None
        while request is not None:
            answer = await self.client.get(request.path, request.params, request.headers)
            read_no = answer.read_no if read_no is None else read_no
            yield [Row.of(values, read_no) for values in decode(answer).records]
            request = PAGING.after(answer, request)


def decode(answer: Answer) -> _Query:
    """A query's answer, its values uncut. Raises UnexpectedShape."""
    try:
        return _decoder.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedShape("Salesforce answered a query in a form we do not know.", detail=str(error)) from None


def in_url_sized_parts(ids: Sequence[str], used: int) -> list[list[str]]:
    """The ids, cut so that a query naming them fits a URL beside `used` characters of field list."""
    size = max(20, (soql.URI_LIMIT - 2_000 - used) // 28)  # an id with its quotes (3 characters each) and comma
    size = min(size, 400)
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def to_page(
    collection: Collection,
    schema: Schema,
    rows: Sequence[Row],
    cursor: Cursor | None,
    *,
    done: bool = False,
    total: int | None = None,
    sick: Sequence[str] = (),
) -> Page:
    """A page of these rows; one that cannot be read is named in `skipped`, and the page goes on."""
    records = []
    skipped = [Skipped(collection.id, each, "Salesforce could not send it.") for each in sick]
    for row in rows:
        try:
            records.append(to_record(collection.id, schema, row))
        except (ValueError, UnexpectedShape, msgspec.MsgspecError) as error:
            skipped.append(Skipped(collection.id, row.id, str(error)[:200]))
    return Page(records, cursor, done, total, tuple(skipped))


def to_record(collection_id: str, schema: Schema, row: Row) -> RawRecord:
    """The row as a record: shaped, with its times and delete mark read."""
    changed = raw.text_of(row.values.get(schema.change_field)) if schema.change_field else None
    created = raw.text_of(row.values.get("CreatedDate"))
    return RawRecord(
        collection_id=collection_id,
        upstream_id=row.id,
        data=schema.shape(row.values),
        read_no=row.read_no,
        created_at=parse_time(created) if created else None,
        updated_at=parse_time(changed) if changed else None,
        deleted=bytes(row.values.get("IsDeleted", b"false")) == b"true",
    )
