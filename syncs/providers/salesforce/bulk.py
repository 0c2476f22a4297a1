"""Rows by Bulk API 2.0 query jobs: made, waited for, read in pages of CSV that become the same bytes as REST's.

Docs    https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/queries.htm
Limits  10,000 query jobs and 1 TB of results in 24 hours; results are kept 7 days. Jobs are left for Salesforce to
        clear away: a job deleted after its last page would be missing if that page had to be read again
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import TRIES, Client
from syncs.providers.kit.errors import UnexpectedShape, UpstreamFailed
from syncs.providers.kit.paging import LocatorHeader, Request
from syncs.providers.salesforce import soql
from syncs.providers.salesforce.errors import BulkRefused
from syncs.providers.salesforce.schema import NUMBERS, Schema

BULK_THRESHOLD = 100_000  # below, REST needs at most 50 calls
MAX_RECORDS = 10_000  # of a page of results, which is held as the CSV that came
BLOCK = 2_000  # rows of it at a time, as many as REST sends, are held as values, which take several times the bytes
FIRST_POLL_S, LONGEST_POLL_S = 2.0, 30.0
PAGING = LocatorHeader()
RAW_TYPES = NUMBERS | {"boolean"}

csv.field_size_limit(16 * 1024 * 1024)  # rich text fields exceed the module's 128 kB


class Job(msgspec.Struct):
    id: str
    state: str = ""
    numberRecordsProcessed: int = 0
    errorMessage: str = ""


@dataclass(frozen=True)
class Results:
    """One page of a job's results, known to be whole; `locator` None after the last."""

    body: bytes
    locator: str | None

    def blocks(self, schema: Schema, skip: int = 0) -> Iterator[list[dict[str, bytes]]]:
        """Its rows, less the first `skip`, in blocks."""
        rows = islice(parse_csv(self.body, schema), skip, None)
        while block := list(islice(rows, BLOCK)):
            yield block


class Bulk:
    """The Bulk API of one org."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.threshold = int(client.settings.get("bulk_threshold", BULK_THRESHOLD))
        self.max_records = int(client.settings.get("bulk_max_records", MAX_RECORDS))
        self.first_poll_s = float(client.settings.get("bulk_poll_s", FIRST_POLL_S))

    async def create(self, schema: Schema) -> tuple[str, int]:
        """Start a job for all rows, deleted ones too: its id, and the number of the read it stands for."""
        job = {
            "operation": "queryAll",
            "query": soql.select(schema.names, schema.name),
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        answer = await self.client.post(f"{soql.API}/jobs/query", json=job)
        return _job(answer).id, answer.read_no

    async def state(self, job_id: str) -> Job:
        """How far the job is. Raises BulkRefused when it failed."""
        job = _job(await self.client.get(f"{soql.API}/jobs/query/{job_id}"))
        if job.state in ("Failed", "Aborted"):
            raise BulkRefused("Salesforce gave up a bulk job.", detail=job.errorMessage[:200])
        return job

    async def results(self, job_id: str, locator: str | None) -> Results:
        """One page of the job's results. Downloads get cut off: a page that lacks rows is asked for three times."""
        for left in reversed(range(TRIES)):
            try:
                return await self._results(job_id, locator)
            except UpstreamFailed:
                if not left:
                    raise
                await self.client.wait(self.first_poll_s)
        raise AssertionError("unreachable")

    async def _results(self, job_id: str, locator: str | None) -> Results:
        params: dict[str, str | int] = {"maxRecords": self.max_records}
        if locator:
            params["locator"] = locator
        request = Request(f"{soql.API}/jobs/query/{job_id}/results", params, {"Accept": "text/csv"})
        answer = await self.client.send("GET", request.path, is_json=False, params=params, headers=request.headers)
        body = answer.body if answer.status != 204 else b""
        count = max(sum(1 for _ in _lines(body)) - 1, 0)
        told = answer.headers.get("Sforce-NumberOfRecords", "")
        if told.isdigit() and int(told) != count:
            raise UpstreamFailed(f"Salesforce sent {count} of {told} rows of a bulk page.")
        following = PAGING.after(answer, request)
        return Results(body, str((following.params or {})["locator"]) if following else None)


def parse_csv(body: bytes, schema: Schema) -> Iterator[dict[str, bytes]]:
    """Rows of a result page as raw JSON values by field name: what REST would have sent.

    Empty is null; date-times get REST's `+0000`; numbers and booleans stand as they are, all else becomes text.
    """
    types = {field.name: field.type for field in schema.fields}
    lines = _lines(body)
    header = next(lines, [])
    kinds = [types.get(name, "string") for name in header]
    for line in lines:
        yield {name: to_json(cell, kind) for name, cell, kind in zip(header, line, kinds, strict=True)}


def _lines(body: bytes) -> Iterator[list[str]]:
    """The lines of a result page, its header first. Raises UpstreamFailed where it was cut off."""
    text = io.TextIOWrapper(io.BytesIO(body), errors="replace", newline="", encoding="utf-8")
    width = 0
    try:
        for line in csv.reader(text, strict=True):
            width = width or len(line)
            if len(line) != width:
                raise UpstreamFailed("A row of a Salesforce bulk page was cut off.")
            yield line
    except csv.Error:
        raise UpstreamFailed("A Salesforce bulk page was cut off.") from None


def to_json(cell: str, kind: str) -> bytes:
    """One cell as raw JSON, by the field's described type."""
    if cell == "":
        return b"null"
    if kind in RAW_TYPES:
        value = cell.encode()
        return value if raw.is_json(value) and value[:1] not in b'"{[' else raw.json_string(cell)
    if kind == "datetime" and cell.endswith("Z"):
        return raw.json_string(cell[:-1] + "+0000")
    return raw.json_string(cell)


def _job(answer: Answer) -> Job:
    try:
        return msgspec.json.decode(answer.body, type=Job)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape(
            "Salesforce answered about a bulk job in a form we do not know.", detail=str(error)
        ) from None
