"""The sandbox's own pages: collections, records, faults. Plain forms, no script."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.console import forms
from sandbox.rawjson import split_object, view_object
from sandbox.records import Records
from sandbox.refusals import Refusal
from sandbox.side import Side
from sandbox.store import Row

PAGE_ROWS = 50


class UnknownCollection(Exception):
    """The address names a provider or a collection that does not exist."""


async def home(request: Request) -> Response:
    """One provider's collections with their counts, and how to connect to it."""
    sandbox = request.app.state.sandbox
    side = sandbox.sides.get(request.path_params.get("provider", next(iter(sandbox.sides))))
    if side is None:
        return _page(request, "missing.html", {"what": f"a provider called {request.path_params['provider']}"}, 404)
    records = _records(request, side)
    counts = sandbox.store.counts(records.shelf(""))
    listed = [(name, counts.get(records.shelf(name), 0)) for name in records.shown()]
    base = f"{request.url.scheme}://{request.headers['host']}/{side.key}"
    context = _shown(side, records) | {
        "collections": listed, "connect": side.connect(base), "total": sum(count for _, count in listed),
        "served": sandbox.requests[side.key],
    }  # fmt: skip
    return _page(request, "home.html", context)


async def record_list(request: Request) -> Response:
    """The records of a collection, last changed first, narrowed by a search in their JSON."""
    side, records, name = _named(request)
    wanted = request.query_params.get("q", "").strip()
    asked = request.query_params.get("page", "1")
    page = max(int(asked), 1) if asked.isdigit() else 1
    sandbox = request.app.state.sandbox
    sandbox.store.settle(sandbox.clock.now_ms())
    where, params = "shelf = ?", [records.shelf(name)]
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
    context = _shown(side, records) | {
        "name": name, "rows": rows, "q": wanted, "page": page, "has_more": len(found) > PAGE_ROWS,
    }  # fmt: skip
    return _page(request, "records.html", context)


async def record_new(request: Request) -> Response:
    """A form filled with a believable record; POST creates it."""
    side, records, name = _named(request)
    form = await _form(request)
    fields = records.believable(name, 1)[0]
    if request.method == "GET":
        return _record_page(request, side, records, name, None, fields)
    try:
        given = {
            **split_object(form["raw"]),
            **forms.changes_from(form, split_object(form["raw_before"]), side.system_fields),
        }
        record = records.create(name, [given])[0]
    except (ValueError, KeyError, Refusal) as error:
        return _record_page(request, side, records, name, None, fields, _words(error), form.get("raw"))
    return _go(side, records, name, record, "created")


async def record_edit(request: Request) -> Response:
    """One record; POST saves, deletes or undeletes it."""
    side, records, name = _named(request)
    try:
        row = records.find(name, request.path_params["id"])
    except KeyError:
        return _page(request, "missing.html", {"what": f"a record {request.path_params['id']} in {name}"}, 404)
    fields = split_object(row.body)
    if request.method == "GET":
        return _record_page(request, side, records, name, row, fields)
    form = await _form(request)
    try:
        done = _act(side, records, name, row, form)
    except (ValueError, KeyError, Refusal) as error:
        return _record_page(request, side, records, name, row, fields, _words(error), form.get("raw"))
    if done == "deleted for good":
        return RedirectResponse(_url(side, name) + _query(side, records, done=done), 303)
    return _go(side, records, name, row.id, done)


def _act(side: Side, records: Records, name: str, row: Row, form: dict[str, str]) -> str:
    """Do what the pressed button says; what was done, in a word or two."""
    action = form.get("action", "save")
    if action == "undelete":
        records.undelete(name, row.id)
        return "brought back"
    if action in ("delete", "delete_hard"):
        records.delete(name, row.id, hard=action == "delete_hard")
        return "deleted for good" if action == "delete_hard" else "deleted"
    changes = forms.changes_from(form, split_object(row.body), side.system_fields)
    if not changes:
        return "left as it was"
    records.update(name, row.id, changes)
    return "saved"


async def faults(request: Request) -> Response:
    """Faults to set with one click, and those lying in wait. POST sets one, or takes one or all away."""
    sandbox = request.app.state.sandbox
    if request.method == "GET":
        kinds = {kind: words for side in sandbox.sides.values() for kind, words in side.fault_kinds().items()}
        context = {"active": sandbox.faults.active(), "kinds": kinds, "sides": sandbox.sides}
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
    request: Request, side: Side, records: Records, name: str, row: Row | None, fields: dict[str, bytes],
    error: str = "", raw: str | None = None,
) -> Response:  # fmt: skip
    text = forms.raw_text(fields)
    names = side.main_fields.get(name) or forms.plain_names(fields, side.system_fields)
    context = _shown(side, records) | {
        "name": name, "row": row, "error": error, "raw_before": text, "undeletes": side.undeletes,
        "inputs": forms.inputs_of(names, fields, records.choices(name)), "raw": raw or text,
        "title": forms.title_of(fields, row.id) if row else f"New record in {name}",
    }  # fmt: skip
    return _page(request, "record.html", context, 422 if error else 200)


def _named(request: Request) -> tuple[Side, Records, str]:
    sandbox, name = request.app.state.sandbox, request.path_params["collection"]
    try:
        side = sandbox.side(request.path_params["provider"])
        records = _records(request, side)
        records.check(name)
    except ValueError as error:
        raise UnknownCollection from error
    return side, records, name


def _records(request: Request, side: Side) -> Records:
    mode = request.query_params.get("mode", "")
    return side.records(mode if mode in side.modes else side.modes[0])


def _shown(side: Side, records: Records) -> dict[str, Any]:
    """What every page of a provider says: whose it is, and the mode in its links unless it is the usual one."""
    return {"provider": side.key, "modes": side.modes, "mode": records.mode, "usual": side.modes[0],
            "live": "" if records.mode == side.modes[0] else urlencode({"mode": records.mode})}  # fmt: skip


async def _form(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()} if request.method == "POST" else {}


def _url(side: Side, name: str, record: str = "") -> str:
    return f"/browse/{side.key}/{name}" + (f"/{quote(record, safe='')}" if record else "")


def _query(side: Side, records: Records, **params: str) -> str:
    more = {} if records.mode == side.modes[0] else {"mode": records.mode}
    return "?" + urlencode(params | more)


def _go(side: Side, records: Records, name: str, record: str, done: str) -> Response:
    return RedirectResponse(_url(side, name, record) + _query(side, records, done=done), 303)


def _words(error: Exception) -> str:
    return getattr(error, "message", "") or str(error).strip("'\"")


def _page(request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
    sandbox = request.app.state.sandbox
    labels = {key: side.label for key, side in sandbox.sides.items()}
    shared = {"labels": labels, "fault_count": len(sandbox.faults.active()),
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
