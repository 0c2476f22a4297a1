"""The routes of Bulk API 2.0 query jobs.

Source: Bulk API 2.0 and Bulk API Developer Guide, "Query jobs" (v67.0)
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.rest import DATA, resource


@resource
async def jobs(request: Request) -> Response:
    """Make a query job, or list them."""
    bulk = request.scope["side"].bulk
    if request.method == "GET":
        return JSONResponse(bulk.all())
    return JSONResponse(bulk.create(json.loads(await request.body() or b"{}")))


@resource
async def job(request: Request) -> Response:
    """Look at, abort or delete a query job."""
    bulk, job_id = request.scope["side"].bulk, request.path_params["job"]
    if request.method == "DELETE":
        bulk.delete(job_id)
        return Response(status_code=204)
    if request.method == "PATCH":
        return JSONResponse(bulk.abort(job_id, json.loads(await request.body() or b"{}")))
    return JSONResponse(bulk.get(job_id))


@resource
async def job_results(request: Request) -> Response:
    """A page of a job's CSV."""
    size = request.query_params.get("maxRecords", "0")
    if not size.isdigit():
        raise ApiError(400, "INVALID_PARAMETER", "maxRecords must be a number")
    body, headers = request.scope["side"].bulk.results(
        request.path_params["job"], request.query_params.get("locator", ""), int(size)
    )
    return Response(body, media_type="text/csv; charset=UTF-8", headers=headers)


@resource
async def job_pages(request: Request) -> Response:
    """Where a job's result pages lie."""
    return JSONResponse(request.scope["side"].bulk.result_pages(request.path_params["job"]))


ROUTES = [
    Route(f"{DATA}/jobs/query", jobs, methods=["GET", "POST"]),
    Route(f"{DATA}/jobs/query/{{job}}", job, methods=["GET", "PATCH", "DELETE"]),
    Route(f"{DATA}/jobs/query/{{job}}/results", job_results),
    Route(f"{DATA}/jobs/query/{{job}}/resultPages", job_pages),
]
