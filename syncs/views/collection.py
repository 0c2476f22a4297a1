"""One collection of a sync, set up: how often all its ids are compared."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import queries, tuning
from syncs.connections import spec_of
from syncs.forms import SweepForm
from syncs.models import Sync, SyncCollection


def collection(request: HttpRequest, pk: UUID, row: int) -> HttpResponse:
    sync = get_object_or_404(Sync.objects.editable_by(request.user).select_related("credential"), pk=pk)
    found = get_object_or_404(SyncCollection.objects.select_related("sync", "feed"), sync=sync, pk=row)
    spec = spec_of(found)
    posted = request.POST if request.method == "POST" else None
    context = {"sync": sync, "row": found, "deletes": queries.deletes_of(found, sync), "spec": spec}
    if spec.sweep_every_h is not None:
        form = SweepForm(posted, own_h=spec.sweep_every_h, chosen_h=found.sweep_every_h)
        context["form"] = form
        if form.is_valid():
            try:
                tuning.change(found, {"sweep_every_h": form.every_h}, by=request.user)
            except Problem as problem:
                web.form_problem(form, problem)
            else:
                return web.go_to(request, sync, "Changes saved.")
    return web.page_or_fragment(request, "syncs/collection.html", "syncs/_collection_form.html", context)
