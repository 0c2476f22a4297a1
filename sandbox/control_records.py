"""The control API's record routes: make, change, delete and count what the providers hold. See README.md."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import SECOND_MS
from sandbox.control import plain, side_of
from sandbox.rawjson import Fields, dump, join_object, split_list, split_object
from sandbox.records import Records

BULK_SLICE = 2_000


async def fields_of(request: Request) -> Fields:
    raw = await request.body()
    return split_object(raw) if raw.strip() else {}


@plain
async def create_records(request: Request) -> Any:
    """One from the body, a list from a list, or `?count=N` believable ones: `same_stamp=1` gives all one
    stamp, `spread_s=S` spreads stamps over the last S seconds (where records bear one).

    The body's fields are laid over a believable record; `?bare=1` takes them as they are. Values stay byte-true.
    """
    records, name = records_of(request)
    count = int(request.query_params.get("count", "0"))
    if count:
        return await _create_many(request, records, name, count)
    raw = (await request.body()).strip() or b"{}"
    given = [split_object(item) for item in split_list(raw)] if raw.startswith(b"[") else [split_object(raw)]
    if not _flag(request, "bare"):
        made = records.believable(name, len(given))
        given = [{**defaults, **fields} for defaults, fields in zip(made, given, strict=True)]
    ids = records.create(name, given)
    return {"ids": ids} if raw.startswith(b"[") else records.told(name, ids[0])


async def _create_many(request: Request, records: Records, name: str, count: int) -> dict[str, Any]:
    """Many records, a slice at a time so that others are answered meanwhile.

    Slices after the first repeat its values, with other ids; unique fields then stay empty.
    """
    now_ms, spread_s = request.app.state.sandbox.clock.now_ms(), int(request.query_params.get("spread_s", "0"))
    over, ids = await fields_of(request), []
    made = [{**fields, **over} for fields in records.believable(name, min(BULK_SLICE, count))]
    unique = records.unique_fields(name)
    for start in range(0, count, BULK_SLICE):
        batch = [dict(fields) for fields in made[: count - start]]
        for fields in batch if start else ():
            fields.update(dict.fromkeys(unique, b"null"))
        stamps = [now_ms] * len(batch) if _flag(request, "same_stamp") else None
        if spread_s:
            ages = range(count - start, count - start - len(batch), -1)
            stamps = [now_ms - spread_s * SECOND_MS * age // count for age in ages]
        ids += records.create(name, batch, stamps)
        await asyncio.sleep(0)
    return {"count": len(ids), "first": ids[0], "last": ids[-1]}


@plain
async def list_records(request: Request) -> Any:
    """Id, version and delete mark of every record, changes not yet visible included; `?bodies=1`: the records."""
    records, name = records_of(request)
    if _flag(request, "bodies"):
        bodies = join_object(records.bodies(name))
        return Response(join_object({"records": bodies}), media_type="application/json")
    return {"records": records.current(name)}


@plain
async def change_record(request: Request) -> Any:
    """`?keep_stamp=1` changes values without moving the stamp, as formulas do."""
    records, name = records_of(request)
    record = request.path_params["id"]
    records.update(name, record, await fields_of(request), keep_stamp=_flag(request, "keep_stamp"))
    return records.told(name, record)


@plain
async def delete_record(request: Request) -> Any:
    """`?hard=1` leaves nothing to be found."""
    records, name = records_of(request)
    record = request.path_params["id"]
    row = records.delete(name, record, hard=_flag(request, "hard"))
    return {"id": record, "version": row.version, "deleted": row.deleted > 0}


@plain
async def show_record(request: Request) -> Any:
    """The record as JSON text, byte-true."""
    records, name = records_of(request)
    row = records.find(name, request.path_params["id"])
    head = {"id": dump(row.id), "version": dump(row.version), "deleted": dump(row.deleted > 0)}
    return Response(join_object({**head, "record": row.body.encode()}), media_type="application/json")


@plain
async def undelete_record(request: Request) -> Any:
    records, name = records_of(request)
    row = records.undelete(name, request.path_params["id"])
    return {"id": row.id, "version": row.version, "deleted": False}


@plain
async def versions(request: Request) -> Any:
    """Every version ever made, in order; `deleted` 2 is gone for good."""
    records, name = records_of(request)
    return {"versions": records.versions(name)}


def records_of(request: Request) -> tuple[Records, str]:
    """What a records URL speaks of; `?mode=live` for another mode than the usual one."""
    side, name = side_of(request, request.path_params), request.path_params["collection"]
    records = side.records(side.mode_of(request.query_params.get("mode")))
    records.check(name)
    return records, name


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "") in ("1", "true", "yes")


_RECORDS = "/records/{provider}/{collection}"
ROUTES = [
    Route(_RECORDS, create_records, methods=["POST"]),
    Route(_RECORDS, list_records),
    Route(f"{_RECORDS}/{{id}}", show_record),
    Route(f"{_RECORDS}/{{id}}", change_record, methods=["PATCH"]),
    Route(f"{_RECORDS}/{{id}}", delete_record, methods=["DELETE"]),
    Route(f"{_RECORDS}/{{id}}/undelete", undelete_record, methods=["POST"]),
    Route("/versions/{provider}/{collection}", versions),
]
