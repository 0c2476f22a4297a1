"""What is done to a running sync by one press. Each answers htmx with the sync's state as it is afterwards."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import services
from syncs.models import Sync, SyncCollection
from syncs.views.syncs import detail_context

DECISIONS = {
    "release": "The deletions go out now.",
    "drop": "The records stay. We compare again later.",
}


@require_POST
def sync_pause(request: HttpRequest, pk: UUID) -> HttpResponse:
    sync = get_object_or_404(Sync.objects.editable_by(request.user), pk=pk)
    services.pause_sync(sync, by=request.user)
    return done(request, pk, "Sync paused.")


@require_POST
def sync_resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    sync = get_object_or_404(Sync.objects.editable_by(request.user), pk=pk)
    services.resume_sync(sync, by=request.user)
    return done(request, pk, "Sync resumed.")


@require_POST
def sync_look(request: HttpRequest, pk: UUID) -> HttpResponse:
    sync = get_object_or_404(Sync.objects.editable_by(request.user), pk=pk)
    services.look_now(sync, by=request.user)
    return done(request, pk, "Looking for changes now.")


@require_POST
def sync_read_again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Read one collection (`collection_id`) or all of them from their beginning."""
    sync = get_object_or_404(Sync.objects.editable_by(request.user), pk=pk)
    only = request.POST.getlist("collection_id") or None
    services.resync(sync, only, by=request.user)
    return done(request, pk, "Reading again from the beginning.")


@require_POST
def decide_deletes(request: HttpRequest, pk: UUID, row: int) -> HttpResponse:
    """The answer to "deleted, or lost access?"."""
    sync = get_object_or_404(Sync.objects.editable_by(request.user), pk=pk)
    collection = get_object_or_404(SyncCollection, sync=sync, pk=row)
    decision = request.POST.get("decision", "")
    if decision not in DECISIONS:
        raise Problem("Say whether the records were deleted.", next_step="Press one of the two buttons.")
    services.decide_deletes(collection, decision, by=request.user)
    return done(request, pk, DECISIONS[decision])


def done(request: HttpRequest, pk: UUID, text: str) -> HttpResponse:
    """The sync's state, read afresh, with a toast; without htmx its page with a message."""
    sync = Sync.objects.select_related("credential").get(pk=pk)
    if not web.wants_fragment(request):
        return web.go_to(request, sync, text)
    response = render(request, "syncs/_detail.html", detail_context(sync))
    response["Vary"] = "HX-Request"
    return trigger_client_event(response, "toast", {"text": text, "level": "success"})
