"""The control API's record routes: make, change, delete and count what the providers hold. See README.md."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import seed
from sandbox.clock import SECOND_MS, salesforce_time
from sandbox.control import body_of, plain
from sandbox.rawjson import Fields, dump, join_object, split_list, split_object
from sandbox.records import Collections

BULK_SLICE = 2_000


async def fields_of(request: Request) -> Fields:
    raw = await request.body()
    return split_object(raw) if raw.strip() else {}


@plain
async def create_records(request: Request) -> Any:
    """One from the body, a list from a list, or `?count=N` believable ones: `same_stamp=1` gives all one
    stamp, `spread_s=S` spreads Salesforce stamps over the last S seconds.

    The body's fields are laid over a believable record; `?bare=1` takes them as they are. Values stay byte-true.
    """
    collections, provider, name = collections_of(request)
    count, mode = int(request.query_params.get("count", "0")), collections.mode
    if count:
        return await _create_many(request, collections, provider, name, count)
    raw = (await request.body()).strip() or b"{}"
    given = [split_object(item) for item in split_list(raw)] if raw.startswith(b"[") else [split_object(raw)]
    if not _flag(request, "bare"):
        made = seed.believable(collections.sandbox, provider, name, len(given), mode)
        given = [{**defaults, **fields} for defaults, fields in zip(made, given, strict=True)]
    ids = collections.create(provider, name, given)
    return {"ids": ids} if raw.startswith(b"[") else collections.told(provider, name, ids[0])


async def _create_many(
    request: Request, collections: Collections, provider: str, name: str, count: int
) -> dict[str, Any]:
    """Many records, a slice at a time so that others are answered meanwhile.

    Slices after the first repeat its values, with other ids; unique fields then stay empty.
    """
    now_ms, spread_s = collections.sandbox.clock.now_ms(), int(request.query_params.get("spread_s", "0"))
    stamp_ms = now_ms if _flag(request, "same_stamp") else None
    over, ids = await fields_of(request), []
    made = seed.believable(collections.sandbox, provider, name, min(BULK_SLICE, count), collections.mode)
    made = [{**fields, **over} for fields in made]
    unique = collections.unique_fields(provider, name)
    for start in range(0, count, BULK_SLICE):
        batch = [dict(fields) for fields in made[: count - start]]
        for number, fields in enumerate(batch, start):
            if spread_s and provider == "salesforce":
                stamp = salesforce_time(now_ms - spread_s * SECOND_MS * (count - number) // count)
                fields["SystemModstamp"] = fields["CreatedDate"] = dump(stamp)
            if start:
                fields.update(dict.fromkeys(unique, b"null"))
        ids += collections.create(provider, name, batch, at_ms=stamp_ms)
        await asyncio.sleep(0)
    return {"count": len(ids), "first": ids[0], "last": ids[-1]}


@plain
async def list_records(request: Request) -> Any:
    """Id, version and delete mark of every record, changes not yet visible included; `?bodies=1`: the records."""
    collections, provider, name = collections_of(request)
    if _flag(request, "bodies"):
        bodies = join_object(collections.bodies(provider, name))
        return Response(join_object({"records": bodies}), media_type="application/json")
    return {"records": collections.current(provider, name)}


@plain
async def change_record(request: Request) -> Any:
    """`?keep_stamp=1` changes values without moving the stamp, as formulas do."""
    collections, provider, name = collections_of(request)
    record = request.path_params["id"]
    collections.update(provider, name, record, await fields_of(request), keep_stamp=_flag(request, "keep_stamp"))
    return collections.told(provider, name, record)


@plain
async def delete_record(request: Request) -> Any:
    """`?hard=1` leaves nothing to be found."""
    collections, provider, name = collections_of(request)
    record = request.path_params["id"]
    row = collections.delete(provider, name, record, hard=_flag(request, "hard"))
    return {"id": record, "version": row.version, "deleted": row.deleted > 0}


@plain
async def show_record(request: Request) -> Any:
    """The record as JSON text, byte-true."""
    collections, provider, name = collections_of(request)
    row = collections.find(provider, name, request.path_params["id"])
    head = {"id": dump(row.id), "version": dump(row.version), "deleted": dump(row.deleted > 0)}
    return Response(join_object({**head, "record": row.body.encode()}), media_type="application/json")


@plain
async def undelete_record(request: Request) -> Any:
    collections, provider, name = collections_of(request)
    row = collections.undelete(provider, name, request.path_params["id"])
    return {"id": row.id, "version": row.version, "deleted": False}


@plain
async def merge_records(request: Request) -> Any:
    """`{"losers": [ids]}` are merged into the record of the URL (Salesforce)."""
    losers = (await body_of(request))["losers"]
    org = request.app.state.sandbox.salesforce.org
    rows = org.merge(request.path_params["collection"], request.path_params["id"], losers)
    return {"merged": [row.id for row in rows]}


@plain
async def versions(request: Request) -> Any:
    """Every version ever made, in order; `deleted` 2 is gone for good."""
    collections, provider, name = collections_of(request)
    return {"versions": collections.versions(provider, name)}


def collections_of(request: Request) -> tuple[Collections, str, str]:
    """What a records URL speaks of; `?mode=live` for Stripe's live mode."""
    collections = Collections(request.app.state.sandbox, request.query_params.get("mode", "test"))
    provider, name = request.path_params["provider"], request.path_params["collection"]
    collections.check(provider, name)
    return collections, provider, name


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
    Route(f"{_RECORDS}/{{id}}/merge", merge_records, methods=["POST"]),
    Route("/versions/{provider}/{collection}", versions),
]
