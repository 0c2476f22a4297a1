"""The sandbox's own pages: collections, records, faults. Plain forms, no script."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox import apps, seed
from sandbox.console import forms
from sandbox.console.ready_faults import READY_FAULTS
from sandbox.faults import KINDS as FAULT_KINDS
from sandbox.faults import PROVIDERS
from sandbox.rawjson import split_object, view_object
from sandbox.records import Collections
from sandbox.salesforce.errors import ApiError
from sandbox.store import Row
from sandbox.stripe.errors import StripeError
from sandbox.stripe.keys import DEMO_KEYS

PAGE_ROWS = 50
LABELS = {"salesforce": "Salesforce", "stripe": "Stripe"}


class UnknownCollection(Exception):
    """The address names a provider or a collection that does not exist."""


async def home(request: Request) -> Response:
    """One provider's collections with their counts, and how to connect to it."""
    provider = request.path_params.get("provider", "salesforce")
    if provider not in PROVIDERS:
        return _page(request, "missing.html", {"what": f"a provider called {provider}"}, 404)
    collections = _collections(request)
    counts = collections.sandbox.store.counts(collections.shelf(provider, ""))
    listed = [(name, counts.get(collections.shelf(provider, name), 0)) for name in collections.names(provider)]
    listed = [item for item in listed if item[0] != "events"]
    base = f"{request.url.scheme}://{request.headers['host']}/{provider}"
    connect = {"Base URL": base}
    if provider == "salesforce":
        connect |= {"Client ID": apps.DEFAULT_CLIENT_ID, "Client secret": apps.DEFAULT_CLIENT_SECRET}
    else:
        connect |= {"Test key": DEMO_KEYS["test"], "Live key": DEMO_KEYS["live"]}
    context = {"provider": provider, "collections": listed, "connect": connect, "mode": collections.mode,
               "total": sum(count for _, count in listed),
               "served": collections.sandbox.requests[provider]}  # fmt: skip
    return _page(request, "home.html", context)


async def record_list(request: Request) -> Response:
    """The records of a collection, last changed first, narrowed by a search in their JSON."""
    collections, provider, name = _named(request)
    wanted = request.query_params.get("q", "").strip()
    asked = request.query_params.get("page", "1")
    page = max(int(asked), 1) if asked.isdigit() else 1
    sandbox = collections.sandbox
    sandbox.store.settle(sandbox.clock.now_ms())
    where, params = "shelf = ?", [collections.shelf(provider, name)]
    if wanted:
        where += " AND body LIKE ? ESCAPE '\\'"
        params.append("%" + wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
    found = sandbox.store.read(
        f"SELECT id, stamp_ms, version, deleted, body FROM records WHERE {where} ORDER BY stamp_ms DESC, id DESC"
        " LIMIT ? OFFSET ?",
        [*params, PAGE_ROWS + 1, (page - 1) * PAGE_ROWS],
    )
    rows = [
        {"id": record, "title": forms.title_of(view_object(body), record), "stamp_ms": stamp_ms, "version": version,
         "deleted": deleted}
        for record, stamp_ms, version, deleted, body in found[:PAGE_ROWS]
    ]  # fmt: skip
    context = {"provider": provider, "name": name, "mode": collections.mode, "rows": rows, "q": wanted, "page": page,
               "has_more": len(found) > PAGE_ROWS}  # fmt: skip
    return _page(request, "records.html", context)


async def record_new(request: Request) -> Response:
    """A form filled with a believable record; POST creates it."""
    collections, provider, name = _named(request)
    form = await _form(request)
    fields = seed.believable(collections.sandbox, provider, name, 1, collections.mode)[0]
    if request.method == "GET":
        return _record_page(request, collections, provider, name, None, fields)
    try:
        given = {**split_object(form["raw"]), **forms.changes_from(form, split_object(form["raw_before"]))}
        record = collections.create(provider, name, [given])[0]
    except (ValueError, KeyError, ApiError, StripeError) as error:
        return _record_page(request, collections, provider, name, None, fields, _words(error), form.get("raw"))
    return _go(collections, provider, name, record, "created")


async def record_edit(request: Request) -> Response:
    """One record; POST saves, deletes or undeletes it."""
    collections, provider, name = _named(request)
    try:
        row = collections.find(provider, name, request.path_params["id"])
    except KeyError:
        return _page(request, "missing.html", {"what": f"a record {request.path_params['id']} in {name}"}, 404)
    fields = split_object(row.body)
    if request.method == "GET":
        return _record_page(request, collections, provider, name, row, fields)
    form = await _form(request)
    try:
        done = _act(collections, provider, name, row, form)
    except (ValueError, KeyError, ApiError, StripeError) as error:
        return _record_page(request, collections, provider, name, row, fields, _words(error), form.get("raw"))
    if done == "deleted for good":
        return RedirectResponse(_url(provider, name) + _query(collections, done=done), 303)
    return _go(collections, provider, name, row.id, done)


def _act(collections: Collections, provider: str, name: str, row: Row, form: dict[str, str]) -> str:
    """Do what the pressed button says; what was done, in a word or two."""
    action = form.get("action", "save")
    if action == "undelete":
        collections.undelete(provider, name, row.id)
        return "brought back"
    if action in ("delete", "delete_hard"):
        collections.delete(provider, name, row.id, hard=action == "delete_hard")
        return "deleted for good" if action == "delete_hard" else "deleted"
    changes = forms.changes_from(form, split_object(row.body))
    if not changes:
        return "left as it was"
    collections.update(provider, name, row.id, changes)
    return "saved"


async def faults(request: Request) -> Response:
    """Faults to set with one click, and those lying in wait. POST sets one, or takes one or all away."""
    sandbox = request.app.state.sandbox
    if request.method == "GET":
        context = {"active": sandbox.faults.active(), "ready": READY_FAULTS, "kinds": FAULT_KINDS,
                   "providers": LABELS}  # fmt: skip
        return _page(request, "faults.html", context)
    form = await _form(request)
    if form.get("action") == "clear":
        sandbox.faults.clear()
    elif form.get("action") == "remove":
        sandbox.faults.remove(int(form["id"]))
    else:
        asked: dict[str, Any] = {name: form[name] for name in ("provider", "kind", "path") if form.get(name)}
        asked |= {name: float(form[name]) for name in ("seconds", "share", "retry_after") if form.get(name)}
        if form.get("times"):
            asked["times"] = int(form["times"])
        try:
            sandbox.faults.add(asked)
        except ValueError as error:
            return RedirectResponse("/faults?" + urlencode({"error": str(error)}), 303)
    return RedirectResponse("/faults", 303)


def _record_page(
    request: Request, collections: Collections, provider: str, name: str, row: Row | None, fields: dict[str, bytes],
    error: str = "", raw: str | None = None,
) -> Response:  # fmt: skip
    sobject = collections.org.objects.get(name) if provider == "salesforce" else None
    choices = {field.name: field.choices for field in sobject.fields if field.type == "picklist"} if sobject else {}
    text = forms.raw_text(fields)
    context = {
        "provider": provider, "name": name, "mode": collections.mode, "row": row, "error": error, "raw_before": text,
        "inputs": forms.inputs_of(name, fields, choices), "raw": raw or text,
        "title": forms.title_of(fields, row.id) if row else f"New record in {name}",
    }  # fmt: skip
    return _page(request, "record.html", context, 422 if error else 200)


def _named(request: Request) -> tuple[Collections, str, str]:
    collections = _collections(request)
    provider, name = request.path_params["provider"], request.path_params["collection"]
    try:
        collections.check(provider, name)
    except ValueError as error:
        raise UnknownCollection from error
    return collections, provider, name


def _collections(request: Request) -> Collections:
    mode = request.query_params.get("mode", "test")
    return Collections(request.app.state.sandbox, mode if mode == "live" else "test")


async def _form(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()} if request.method == "POST" else {}


def _url(provider: str, name: str, record: str = "") -> str:
    return f"/browse/{provider}/{name}" + (f"/{quote(record, safe='')}" if record else "")


def _query(collections: Collections, **params: str) -> str:
    more = {"mode": "live"} if collections.mode == "live" else {}
    return "?" + urlencode(params | more)


def _go(collections: Collections, provider: str, name: str, record: str, done: str) -> Response:
    return RedirectResponse(_url(provider, name, record) + _query(collections, done=done), 303)


def _words(error: Exception) -> str:
    return getattr(error, "message", "") or str(error).strip("'\"")


def _page(request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
    sandbox = request.app.state.sandbox
    shared = {"labels": LABELS, "fault_count": len(sandbox.faults.active()),
              "done": request.query_params.get("done", ""),
              "problem": request.query_params.get("error", "")}  # fmt: skip
    return sandbox.pages.TemplateResponse(request, template, shared | context, status)


async def _missing(request: Request, error: Exception) -> Response:
    return _page(request, "missing.html", {"what": f"anything at {request.url.path}"}, 404)


EXCEPTION_HANDLERS = {UnknownCollection: _missing}
ROUTES = [
    Route("/", home),
    Route("/faults", faults, methods=["GET", "POST"]),
    Route("/browse/{provider}", home),
    Route("/browse/{provider}/{collection}", record_list),
    Route("/browse/{provider}/{collection}/new", record_new, methods=["GET", "POST"]),
    Route("/browse/{provider}/{collection}/{id}", record_edit, methods=["GET", "POST"]),
]
