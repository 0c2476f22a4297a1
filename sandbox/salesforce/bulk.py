"""Bulk API 2.0 query jobs: made, worked on for a while, read in pages of CSV.

Source: Bulk API 2.0 and Bulk API Developer Guide, "Query jobs" (v67.0)
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.clock import SECOND_MS, salesforce_time
from sandbox.rawjson import dump, load, view_object
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import Field
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.objects import API_VERSION
from sandbox.salesforce.queries import Queries
from sandbox.salesforce.soql import parse
from sandbox.salesforce.soql_sql import Compiler

DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
DEFAULT_PAGE = 50_000


class BulkJobs:
    """The query jobs of an org. A job's state follows from its age alone, so it goes on over a restart."""

    def __init__(self, queries: Queries):
        self.queries = queries
        self.org = queries.org

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Check the query and start the job. Raises what upstream answers for queries that cannot run in bulk."""
        operation = asked.get("operation")
        if operation not in ("query", "queryAll"):
            raise ApiError(400, "INVALIDJOB", "Operation must be query or queryAll")
        delimiter, ending = asked.get("columnDelimiter", "COMMA"), asked.get("lineEnding", "LF")
        if delimiter not in DELIMITERS or ending not in LINE_ENDINGS or asked.get("contentType", "CSV") != "CSV":
            raise ApiError(400, "INVALIDJOB", "contentType, columnDelimiter or lineEnding is not supported")
        now_ms = self.org.clock.now_ms()
        self.org.store.settle(now_ms)
        compiler = self._compiled(str(asked.get("query", "")))
        statement = compiler.statement(with_deleted=operation == "queryAll")
        found = self.org.store.read(f"SELECT id FROM records {statement.tail}", statement.params)
        job = {
            "id": record_id("750", self.org.store.count_up("salesforce/jobs")), "operation": operation,
            "object": compiler.object.name, "query": asked["query"], "created_ms": now_ms, "delimiter": delimiter,
            "ending": ending, "aborted": False, "ids": [row[0] for row in found],
        }  # fmt: skip
        self._keep(job)
        return self._told(job, short=True)

    def get(self, job_id: str) -> dict[str, Any]:
        return self._told(self._find(job_id))

    def all(self) -> dict[str, Any]:
        """The list of jobs."""
        told = [self._told(load(note), short=True) for note in self.org.store.notes("bulk_job").values()]
        return {"done": True, "records": told, "nextRecordsUrl": None}

    def abort(self, job_id: str, asked: dict[str, Any]) -> dict[str, Any]:
        job = self._find(job_id)
        if asked.get("state") != "Aborted":
            raise ApiError(400, "INVALIDJOBSTATE", "Only the state Aborted can be set")
        if self._state(job) == "JobComplete":
            raise ApiError(400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed")
        job["aborted"] = True
        self._keep(job)
        return self._told(job)

    def delete(self, job_id: str) -> None:
        job = self._find(job_id)
        if self._state(job) not in ("JobComplete", "Aborted"):
            raise ApiError(400, "INVALIDJOBSTATE", "Deleting not Completed Job not allowed")
        self.org.store.drop_note("bulk_job", job_id)

    def results(self, job_id: str, locator: str, max_records: int) -> tuple[bytes, dict[str, str]]:
        """One page of CSV with its headers. The last page says `Sforce-Locator: null`, in letters."""
        job = self._find(job_id)
        if self._state(job) != "JobComplete":
            raise ApiError(400, "JOB_NOT_COMPLETE", f"Job {job_id} is not complete: {self._state(job)}")
        start = offset_of(locator) if locator else 0
        cap = self.org.settings().page_size_cap
        size = min(max_records or DEFAULT_PAGE, cap or DEFAULT_PAGE)
        ids: Sequence[str] = job["ids"]
        if start > len(ids):
            raise ApiError(400, "INVALID_LOCATOR", "The locator is not valid for this job")
        compiler = self._compiled(job["query"])
        rows = self.queries.rows(compiler.object, ids[start : start + size])
        fields = [(reached.field, reached.field.name) for reached in compiler.selected()]
        body = csv_page(rows, fields, DELIMITERS[job["delimiter"]], LINE_ENDINGS[job["ending"]])
        more = start + size < len(ids)
        headers = {
            "Sforce-NumberOfRecords": str(len(rows)),
            "Sforce-Locator": locator_of(start + size) if more else "null",
        }
        return body, headers

    def result_pages(self, job_id: str) -> dict[str, Any]:
        """Where each page lies, so that several can be read at once."""
        job = self._find(job_id)
        cap = self.org.settings().page_size_cap or DEFAULT_PAGE
        root = f"/services/data/v{API_VERSION}/jobs/query/{job_id}/results"
        starts = range(0, max(len(job["ids"]), 1), cap)
        links = [f"{root}?locator={locator_of(start)}&maxRecords={cap}" if start else root for start in starts]
        return {"done": True, "nextRecordsUrl": None, "resultPages": [{"resultLink": link} for link in links]}

    def _compiled(self, text: str) -> Compiler:
        query = parse(text)
        compiler = Compiler(query, self.org.objects)
        if query.is_count or query.offset:
            raise ApiError(400, "API_ERROR", "Aggregate functions and OFFSET are not supported by Bulk Query")
        if not compiler.object.bulk:
            raise ApiError(400, "INVALIDENTITY", f"Entity '{compiler.object.name}' is not supported by the Bulk API.")
        selected = compiler.selected()
        if any(reached.field.is_compound for reached in selected):
            raise ApiError(400, "INVALIDENTITY", "Selecting compound data not supported in Bulk Query")
        if any(reached.through for reached in selected):
            raise ApiError(400, "INVALIDENTITY", "Fields of a parent are not supported by the sandbox's Bulk API")
        return compiler

    def _state(self, job: dict[str, Any]) -> str:
        if job["aborted"]:
            return "Aborted"
        step_ms = self.org.settings().bulk_step_s * SECOND_MS
        age_ms = self.org.clock.now_ms() - job["created_ms"]
        states = ("UploadComplete", "InProgress", "JobComplete")
        return states[min(int(age_ms / step_ms), 2)] if step_ms > 0 else "JobComplete"

    def _told(self, job: dict[str, Any], *, short: bool = False) -> dict[str, Any]:
        created = salesforce_time(job["created_ms"])
        state = self._state(job)
        told = {
            "id": job["id"], "operation": job["operation"], "object": job["object"],
            "createdById": self.org.admin_id, "createdDate": created, "systemModstamp": created, "state": state,
            "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": float(API_VERSION),
            "lineEnding": job["ending"], "columnDelimiter": job["delimiter"],
        }  # fmt: skip
        if short:
            return told
        done = state == "JobComplete"
        return told | {
            "jobType": "V2Query",
            "numberRecordsProcessed": len(job["ids"]) if done else 0,
            "retries": 0,
            "totalProcessingTime": round(self.org.settings().bulk_step_s * SECOND_MS) if done else 0,
            "isPkChunkingSupported": True,
        }

    def _find(self, job_id: str) -> dict[str, Any]:
        note = self.org.store.note("bulk_job", job_id)
        if note is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return load(note)

    def _keep(self, job: dict[str, Any]) -> None:
        self.org.store.keep_note("bulk_job", job["id"], dump(job).decode())


def locator_of(offset: int) -> str:
    """An opaque word for a place in the result: `25000` -> `MjUwMDA`."""
    return base64.b64encode(str(offset).encode()).rstrip(b"=").decode()


def offset_of(locator: str) -> int:
    """The place a locator stands for. Raises INVALID_LOCATOR."""
    try:
        return int(base64.b64decode(locator + "=" * (-len(locator) % 4), validate=True))
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "INVALID_LOCATOR", "The locator is not valid for this job") from error


def csv_page(
    rows: Sequence[tuple[str, str]], fields: Sequence[tuple[Field, str]], delimiter: str, ending: str
) -> bytes:
    """The rows as CSV: a header of API names, every value quoted, null as nothing, line feeds kept inside quotes."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow([name for _, name in fields])
    cells = [(name, cell_writer(field)) for field, name in fields]
    for _, body in rows:
        values = view_object(body)
        writer.writerow([write(bytes(values.get(name, b"null"))) for name, write in cells])
    return out.getvalue().encode("utf-8", "replace")


def cell_writer(field: Field) -> Callable[[bytes], str]:
    """How values of this field stand in CSV: numbers as sent, whole doubles as `12.0`, date-times with `Z`."""
    if field.type in ("double", "currency", "percent"):
        return _decimal_cell
    if field.type == "datetime":
        return lambda raw: _plain_cell(raw).replace("+0000", "Z")
    return _plain_cell


def _plain_cell(raw: bytes) -> str:
    if raw == b"null":
        return ""
    return load(raw) if raw.startswith(b'"') else raw.decode()


def _decimal_cell(raw: bytes) -> str:
    text = _plain_cell(raw)
    return f"{text}.0" if text.lstrip("-").isdigit() else text
