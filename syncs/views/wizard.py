"""A new sync in three steps: a connection, its collections, a name and an interval.

Nothing is kept between the steps but what the pages themselves carry: an abandoned wizard leaves nothing behind.
"""

from collections.abc import Collection as Ids
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import budget, connections, forecasting, queries, services
from syncs.catalogue import PROVIDERS
from syncs.coverage import Coverage, coverage
from syncs.forms import POLL_CHOICES, StartForm
from syncs.models import Credential
from syncs.providers.kit.catalogue import Collection


@dataclass(frozen=True)
class Option:
    """One line of the collection picker."""

    collection: Collection
    checked: bool

    @property
    def deletes(self) -> Coverage:
        """How deletions are found, how late at worst, at what cost."""
        return coverage(self.collection, every_h=self.collection.sweep_every_h, poll_s=None)

    @property
    def mark(self) -> str:
        """An HTML id of the place where this collection's size appears."""
        return size_mark(self.collection.id)


def size_mark(collection_id: str) -> str:
    return "size-" + "".join(letter if letter.isalnum() else "-" for letter in collection_id)


def groups(offered: Ids[Collection], picked: Ids[str]) -> dict[str, list[Option]]:
    """The picker's lists: what most want, what the account itself defined, and the rest, less what is picked."""
    found: dict[str, list[Option]] = {"usual": [], "custom": [], "rest": []}
    for collection in offered:
        is_picked = collection.id in picked
        group = "rest" if not collection.shown and not is_picked else "custom" if collection.custom else "usual"
        found[group].append(Option(collection, is_picked))
    return found


def create(request: HttpRequest) -> HttpResponse:
    """Step 1: an account we are connected to, or a new one."""
    Credential.objects.editable_by(request.user)
    context = {"rows": queries.connection_rows(request.user), "providers": PROVIDERS.values()}
    return render(request, "syncs/create.html", context)


def create_pick(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Step 2: which collections. Posting the picks leads to step 3, which carries them along."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=credential_id)
    picked = request.POST.getlist("collection_ids")
    if picked and "again" not in request.POST:
        provider = PROVIDERS[credential.provider]
        poll_s = provider.poll_s if provider.poll_s in dict(POLL_CHOICES) else 60
        form = StartForm(initial={"name": credential.name, "poll_s": poll_s, "quiet_poll_s": provider.quiet_poll_s})
        return start_page(request, credential, picked, form)
    context: dict[str, Any] = {"credential": credential, "nothing_picked": request.method == "POST" and not picked}
    try:
        offered = connections.discover(credential, fresh="fresh" in request.GET)
    except Problem as problem:
        context["problem"] = problem
    else:
        context |= {"groups": groups(offered, picked), "offered_total": len(offered)}
    status = 422 if context["nothing_picked"] else 200
    return web.page_or_fragment(request, "syncs/create_pick.html", "syncs/_pick_form.html", context, status=status)


def create_sizes(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """How many records there are, of each collection offered; for picks that are posted, what reading them takes."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=credential_id)
    if not web.wants_fragment(request):
        return redirect("syncs:create_pick", credential.pk)
    if request.method == "POST":
        percent = request.POST.get("quota_percent", "")
        share = int(percent) if percent.isdigit() and 1 <= int(percent) <= budget.ALL else budget.ALL
        costs = forecasting.costs_of(credential, request.POST.getlist("collection_ids"), share)
        return render(request, "syncs/_size_total.html", {"costs": costs})
    shown = [collection.id for collection in connections.discover(credential) if collection.shown]
    sizes = connections.estimate(credential, shown)
    return render(request, "syncs/_sizes.html", {"sizes": [(size_mark(key), count) for key, count in sizes.items()]})


@require_POST
def create_start(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Step 3: a name, an interval, and off it goes."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=credential_id)
    form, picked = StartForm(request.POST), request.POST.getlist("collection_ids")
    if form.is_valid():
        data = {**form.cleaned_data, "credential": credential, "collection_ids": picked}
        try:
            sync = services.create_sync(data, by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            return web.go_to(request, sync, "Sync started. Records appear below as they are read.")
    return start_page(request, credential, picked, form)


def start_page(request: HttpRequest, credential: Credential, picked: list[str], form: StartForm) -> HttpResponse:
    """Step 3's page; titles come from the collections just discovered, ids alone where that fails."""
    try:
        titles = {collection.id: collection.title for collection in connections.discover(credential)}
    except Problem:
        titles = {}
    context = {
        "credential": credential,
        "picked": [(key, titles.get(key, key)) for key in dict.fromkeys(picked)],
        "form": form,
    }
    return web.page_or_fragment(request, "syncs/create_start.html", "syncs/_start_form.html", context)
