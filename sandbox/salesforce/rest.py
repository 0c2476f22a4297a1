"""Salesforce's REST resources: catalogue, queries, deletes, bulk jobs, batch.

Source: REST API Developer Guide, v67.0, https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.salesforce.changes import deleted_ids, updated_ids
from sandbox.salesforce.errors import ApiError, invalid_session, malformed_query, not_found, over_quota
from sandbox.salesforce.objects import SObject

OLDEST_VERSION, NEWEST_VERSION = 31, 68
MAX_BATCH_REQUESTS = 25
DATA = "/services/data/v{version}"
BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
Endpoint = Callable[[Request], Awaitable[Response]]


def resource(endpoint: Endpoint) -> Endpoint:
    """The way in for every data resource: version, session, quota; and the limit header on every way out."""

    async def guarded(request: Request) -> Response:
        try:
            check_version(request.path_params["version"])
            enter(request)
            response = await endpoint(request)
        except ApiError as error:
            response = error.response()
        response.headers["Sforce-Limit-Info"] = limit_header(request.app.state.sandbox)
        return response

    return guarded


def check_version(text: str) -> None:
    """Raises 410 for retired versions, 404 for those that are not there yet."""
    try:
        version = float(text)
    except ValueError as error:
        raise not_found() from error
    if version < OLDEST_VERSION:
        raise ApiError(410, "UNSUPPORTED_API_VERSION", "API version is no longer supported")
    if version > NEWEST_VERSION:
        raise not_found()


def enter(request: Request) -> None:
    """Let a caller with a living session and some quota left in. Raises INVALID_SESSION_ID, REQUEST_LIMIT_EXCEEDED."""
    sandbox = request.app.state.sandbox
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "oauth") or request.scope["side"].grants.session(token.strip()) is None:
        raise invalid_session()
    settings = sandbox.settings
    if settings.quota_used >= settings.quota_max:
        raise over_quota()
    request.scope["side"].use_quota()


def limit_header(sandbox: Any) -> str:
    """`api-usage=10018/100000`, in the form the settings choose."""
    settings = sandbox.settings
    usage = f"api-usage={settings.quota_used}/{settings.quota_max}"
    if settings.limit_info_format == "long":
        return f"{usage}; api-bursts=1/750"
    if settings.limit_info_format == "per_app":
        return f"{usage}; per-app-api-usage={settings.quota_used}/{settings.quota_max}(appName=Sandbox Console)"
    return usage


async def versions(request: Request) -> Response:
    """All API versions. Open to everyone, and without a limit header."""
    seasons = ("Spring", "Summer", "Winter")
    years = {
        number: 14 + (number - 30) // 3 + (number % 3 == 2) for number in range(OLDEST_VERSION, NEWEST_VERSION + 1)
    }
    return JSONResponse([
        {"label": f"{seasons[number % 3]} '{year}", "url": f"/services/data/v{number}.0", "version": f"{number}.0"}
        for number, year in years.items()
    ])  # fmt: skip


@resource
async def root(request: Request) -> Response:
    base = f"/services/data/v{request.path_params['version']}"
    names = ("limits", "sobjects", "query", "queryAll", "composite", "jobs")
    return JSONResponse({name: f"{base}/{name}" for name in names})


@resource
async def limits(request: Request) -> Response:
    """The org's limits and what is left of them."""
    settings = request.app.state.sandbox.settings
    jobs = len(request.app.state.sandbox.store.notes("bulk_job"))
    return JSONResponse({
        "DailyApiRequests": {"Max": settings.quota_max, "Remaining": max(settings.quota_max - settings.quota_used, 0)},
        "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000 - jobs},
        "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
        "DailyStreamingApiEvents": {"Max": 10_000, "Remaining": 10_000}, "DataStorageMB": {"Max": 5, "Remaining": 5},
    })  # fmt: skip


@resource
async def sobjects(request: Request) -> Response:
    """The global describe."""
    org = request.scope["side"].org
    listed = [sobject.listed() for sobject in org.objects.values()]
    return JSONResponse({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})


@resource
async def describe(request: Request) -> Response:
    """All about one object; 304 when nothing changed since `If-Modified-Since`."""
    sobject = find_object(request)
    changed = formatdate(request.scope["side"].schema_changed_ms / 1000, usegmt=True)
    if request.headers.get("if-modified-since") == changed:
        return Response(status_code=304)
    return JSONResponse(described(sobject), headers={"Last-Modified": changed})


def described(sobject: SObject) -> dict[str, Any]:
    return sobject.listed() | {
        "fields": [field.describe() for field in sobject.fields], "childRelationships": [], "recordTypeInfos": [],
        "supportedScopes": [{"label": "All", "name": "everything"}], "compactLayoutable": True,
    }  # fmt: skip


def find_object(request: Request) -> SObject:
    name = request.path_params["name"].lower()
    for known, sobject in request.scope["side"].org.objects.items():
        if known.lower() == name:
            return sobject
    raise not_found()


@resource
async def query(request: Request) -> Response:
    """`/query?q=` and `/queryAll?q=`."""
    text = request.query_params.get("q")
    if text is None:
        raise malformed_query("A query string has to be specified")
    asked = BATCH_SIZE.search(request.headers.get("sforce-query-options", ""))
    with_deleted = request.url.path.rstrip("/").lower().endswith("queryall")
    queries = request.scope["side"].queries
    body = queries.run(text, with_deleted=with_deleted, batch=int(asked[1]) if asked else 2_000)
    return Response(body, media_type="application/json;charset=UTF-8")


@resource
async def query_more(request: Request) -> Response:
    """The page behind a `nextRecordsUrl`."""
    body = request.scope["side"].queries.more(request.path_params["locator"])
    return Response(body, media_type="application/json;charset=UTF-8")


@resource
async def record(request: Request) -> Response:
    """One record with all its fields; one in the bin answers ENTITY_IS_DELETED."""
    salesforce = request.scope["side"]
    sobject, wanted = find_object(request), request.path_params["id"]
    salesforce.org.store.settle(salesforce.org.clock.now_ms())
    row = salesforce.org.store.visible(salesforce.org.shelf(sobject.name), wanted)
    if row is None:
        raise not_found()
    if row.deleted:
        raise ApiError(404, "ENTITY_IS_DELETED", "entity is deleted")
    names = request.query_params.get("fields") or ",".join(field.name for field in sobject.fields)
    answer = salesforce.queries.run(
        f"SELECT {names} FROM {sobject.name} WHERE Id = '{row.id}' LIMIT 1", with_deleted=False, batch=2_000
    )
    return Response(answer.split(b'"records":[', 1)[1][:-2], media_type="application/json;charset=UTF-8")


@resource
async def deleted(request: Request) -> Response:
    """Ids deleted in a span of time."""
    start, end = request.query_params.get("start", ""), request.query_params.get("end", "")
    return JSONResponse(deleted_ids(request.scope["side"].org, find_object(request), start, end))


@resource
async def updated(request: Request) -> Response:
    """Ids changed in a span of time."""
    start, end = request.query_params.get("start", ""), request.query_params.get("end", "")
    return JSONResponse(updated_ids(request.scope["side"].org, find_object(request), start, end))


@resource
async def batch(request: Request) -> Response:
    """Up to 25 GETs in one request; describes and queries, which is what readers batch."""
    asked = json.loads(await request.body() or b"{}")
    parts = asked.get("batchRequests", [])
    if not 0 < len(parts) <= MAX_BATCH_REQUESTS:
        raise ApiError(400, "INVALID_BATCH_REQUEST", f"A batch holds 1 to {MAX_BATCH_REQUESTS} requests")
    results = [_batched(request, part) for part in parts]
    return JSONResponse({"hasErrors": any(result["statusCode"] >= 400 for result in results), "results": results})


def _batched(request: Request, part: dict[str, Any]) -> dict[str, Any]:
    match = re.fullmatch(r"/?(?:services/data/)?v[\d.]+/sobjects(?:/(\w+)/describe/?|/?)", part.get("url", ""))
    org = request.scope["side"].org
    try:
        if part.get("method", "GET").upper() != "GET" or match is None:
            raise not_found()
        if match[1] is None:
            return {"statusCode": 200, "result": {"sobjects": [sobject.listed() for sobject in org.objects.values()]}}
        if match[1] not in org.objects:
            raise not_found()
        return {"statusCode": 200, "result": described(org.objects[match[1]])}
    except ApiError as error:
        return {"statusCode": error.status, "result": [{"errorCode": error.code, "message": error.message}]}


ROUTES = [
    Route("/services/data", versions),
    Route("/services/data/", versions),
    Route(DATA, root),
    Route(f"{DATA}/", root),
    Route(f"{DATA}/limits", limits),
    Route(f"{DATA}/sobjects", sobjects),
    Route(f"{DATA}/sobjects/", sobjects),
    Route(f"{DATA}/sobjects/{{name}}/describe", describe),
    Route(f"{DATA}/sobjects/{{name}}/describe/", describe),
    Route(f"{DATA}/sobjects/{{name}}/deleted", deleted),
    Route(f"{DATA}/sobjects/{{name}}/deleted/", deleted),
    Route(f"{DATA}/sobjects/{{name}}/updated", updated),
    Route(f"{DATA}/sobjects/{{name}}/updated/", updated),
    Route(f"{DATA}/sobjects/{{name}}/{{id}}", record),
    Route(f"{DATA}/query", query),
    Route(f"{DATA}/query/", query),
    Route(f"{DATA}/queryAll", query),
    Route(f"{DATA}/queryAll/", query),
    Route(f"{DATA}/query/{{locator}}", query_more),
    Route(f"{DATA}/queryAll/{{locator}}", query_more),
    Route(f"{DATA}/composite/batch", batch, methods=["POST"]),
]
