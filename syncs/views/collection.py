"""One collection of a sync, set up: how often all its ids are compared, which fields are kept, how fields changed."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import connections, queries, schema_watch, tuning
from syncs.connections import spec_of
from syncs.forms import FieldsForm, SweepForm
from syncs.models import Sync, SyncCollection
from syncs.views.sync_actions import done

NEWEST = 20


def collection(request: HttpRequest, pk: UUID, row: int) -> HttpResponse:
    sync, found = _found(request, pk, row)
    spec = spec_of(found)
    context: dict[str, Any] = {
        "sync": sync,
        "row": found,
        "deletes": queries.deletes_of(found, sync),
        "fields_in_words": queries.fields_in_words(found),
        "schema_changes": found.schema_changes.all()[:NEWEST],
    }
    if spec.sweep_every_h is not None:
        posted = request.POST if request.method == "POST" else None
        context["form"] = form = SweepForm(posted, own_h=spec.sweep_every_h, chosen_h=found.sweep_every_h)
        if form.is_valid():
            try:
                tuning.change(found, {"sweep_every_h": form.every_h}, by=request.user)
            except Problem as problem:
                web.form_problem(form, problem)
            else:
                return web.go_to(request, sync, "Changes saved.")
    return web.page_or_fragment(request, "syncs/collection.html", "syncs/_collection_form.html", context)


def pick_fields(request: HttpRequest, pk: UUID, row: int) -> HttpResponse:
    """Which fields of the collection are kept; other ones than before have it read from its beginning."""
    sync, found = _found(request, pk, row)
    context: dict[str, Any] = {"sync": sync, "row": found}
    try:
        described = connections.collection_fields(sync.credential, found.collection_id)
    except Problem as problem:
        described, context["problem"] = (), problem
    posted = request.POST if request.method == "POST" else None
    form = FieldsForm(posted, row=found, described=described, kept=spec_of(found).kept)
    if form.is_valid():
        try:
            tuning.change(found, {"fields": form.picks}, by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            return web.go_to(request, sync, "Fields saved.")
    context["form"] = form
    return web.page_or_fragment(request, "syncs/pick_fields.html", "syncs/_pick_fields.html", context)


@require_POST
def accept_schema(request: HttpRequest, pk: UUID, row: int) -> HttpResponse:
    """A person has looked at what changed of the fields."""
    _, found = _found(request, pk, row)
    schema_watch.accept(found, by=request.user)
    return done(request, pk, "Accepted.")


def _found(request: HttpRequest, pk: UUID, row: int) -> tuple[Sync, SyncCollection]:
    sync = get_object_or_404(Sync.objects.editable_by(request.user).select_related("credential"), pk=pk)
    return sync, get_object_or_404(SyncCollection.objects.select_related("sync", "feed"), sync=sync, pk=row)
