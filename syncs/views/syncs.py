"""Syncs: the list, one sync with its collections, changing it and ending it."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import connections, queries, services
from syncs.forms import RemovalForm, SyncForm
from syncs.models import Sync
from syncs.states import Phase, Removal
from syncs.views.wizard import groups


def sync_list(request: HttpRequest) -> HttpResponse:
    context = {"rows": queries.sync_rows(request.user)}
    return web.page_or_fragment(request, "syncs/list.html", "syncs/_rows.html", context)


def sync_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One sync: each collection with its phase, progress, counts, freshness and what is wrong with it."""
    sync = get_object_or_404(Sync.objects.visible_to(request.user).select_related("credential"), pk=pk)
    return web.page_or_fragment(request, "syncs/detail.html", "syncs/_detail.html", detail_context(sync))


def sync_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Name, interval and collections; taking a collection away asks what becomes of its messages."""
    sync = get_object_or_404(Sync.objects.editable_by(request.user).select_related("credential"), pk=pk)
    posted = request.POST if request.method == "POST" else None
    form, removal_form = SyncForm(posted, sync=sync), RemovalForm(posted)
    if form.is_valid() and removal_form.is_valid():
        data = {**form.cleaned_data, **removal_form.cleaned_data}
        if "has_picker" in request.POST:  # absent when the provider did not answer: then the picks stay
            data["collection_ids"] = request.POST.getlist("collection_ids")
        try:
            services.update_sync(sync, data, by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            return web.go_to(request, sync, "Changes saved.")
    context = {"sync": sync, "form": form, "removal_form": removal_form} | _picker(sync, request)
    return web.page_or_fragment(request, "syncs/edit.html", "syncs/_edit_form.html", context)


def sync_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    sync = get_object_or_404(Sync.objects.editable_by(request.user), pk=pk)
    form = RemovalForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        services.remove_sync(sync, Removal(form.cleaned_data["removal"]), by=request.user)
        return web.go_to(request, "syncs:list", f"Sync {sync.name} is being removed.")
    context = {**queries.sync_page(sync), "form": form}
    return web.page_or_fragment(request, "syncs/delete.html", "syncs/_delete_form.html", context)


def _picker(sync: Sync, request: HttpRequest) -> dict[str, Any]:
    """The collections offered with this sync's own ticked; the provider's problem when it does not answer."""
    rows = sync.collections.exclude(phase=Phase.REMOVING).values_list("collection_id", flat=True)
    picked = request.POST.getlist("collection_ids") if request.method == "POST" else list(rows)
    try:
        offered = connections.discover(sync.credential)
    except Problem as problem:
        return {"problem": problem}
    return {"groups": groups(offered, picked), "offered_total": len(offered)}


def detail_context(sync: Sync) -> dict[str, Any]:
    """What `_detail.html` shows."""
    page = queries.sync_page(sync)
    sync, credential = page["sync"], page["credential"]
    return page | {
        "connection_trouble": queries.credential_trouble(credential),
        "share_trouble": queries.share_trouble(sync),
    }
