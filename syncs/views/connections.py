"""Connections: all of them, and one with its test, its name, its renewal and its end."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import connections as services
from syncs import forecasting, queries
from syncs.budget import budgets
from syncs.catalogue import PROVIDERS
from syncs.connection_forms import NameForm, ReplaceForm
from syncs.disconnecting import delete_credential
from syncs.models import Credential
from syncs.views.connect import show_at_fields
from syncs.views.webhook import webhook_context


def connections(request: HttpRequest) -> HttpResponse:
    """Every account we may read, with its state; for admins also the OAuth apps."""
    context = {
        "rows": queries.connection_rows(request.user),
        "apps": queries.oauth_app_rows(request.user),
        "oauth_providers": [p for p in PROVIDERS.values() if any(kind.oauth for kind in p.kinds)],
    }
    return web.page_or_fragment(request, "syncs/connections.html", "syncs/_connections.html", context)


def connection(request: HttpRequest, pk: UUID) -> HttpResponse:
    rows = Credential.objects.visible_to(request.user).select_related("oauth_app", "webhook", "change_stream")
    credential = get_object_or_404(rows, pk=pk)
    context = {
        **webhook_context(credential, request.user),
        "kind": PROVIDERS[credential.provider].kind(credential.kind),
        "trouble": queries.credential_trouble(credential),
        "syncs": credential.syncs.all(),
        "name_form": NameForm(credential=credential, kind=PROVIDERS[credential.provider].kind(credential.kind)),
        "budgets": budgets(credential),
        "spent": forecasting.spent_by(credential),
    }
    return web.page_or_fragment(request, "syncs/connection.html", "syncs/_connection_state.html", context)


@require_POST
def connection_test(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Try the connection and show each result. Asks upstream, so operators only: it spends quota."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=pk)
    results = services.test_credential(credential)
    context = {"credential": credential, "results": results, "all_ok": all(r.ok for r in results), "tested_at": now()}
    return web.page_or_fragment(request, "syncs/connection_test.html", "syncs/_checks.html", context)


@require_POST
def connection_rename(request: HttpRequest, pk: UUID) -> HttpResponse:
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=pk)
    kind = PROVIDERS[credential.provider].kind(credential.kind)
    form = NameForm(request.POST, credential=credential, kind=kind)
    if form.is_valid():
        data = {"name": form.cleaned_data["name"], "settings": form.settings()}
        services.update_credential(credential, data, by=request.user)
        return web.go_to(request, _page(credential), "Saved." if kind.editable else "Name saved.")
    context = {"credential": credential, "kind": kind, "name_form": form}
    return web.page_or_fragment(request, "syncs/connection_rename.html", "syncs/_name_form.html", context)


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
def connection_reconnect(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A new key for the same account, or the provider's sign-in once more."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user).select_related("oauth_app"), pk=pk)
    kind = PROVIDERS[credential.provider].kind(credential.kind)
    form = ReplaceForm(request.POST if request.method == "POST" else None, credential=credential, kind=kind)
    if form.is_valid():
        try:
            data = {"secrets": form.secrets(), "settings": form.settings()}
            services.update_credential(credential, data, by=request.user)
        except Problem as problem:
            show_at_fields(form, problem)
        else:
            return web.go_to(request, _page(credential), "Connected again. Syncs go on by themselves.")
    context = {"credential": credential, "provider": PROVIDERS[credential.provider], "kind": kind, "form": form}
    return web.page_or_fragment(request, "syncs/connection_reconnect.html", "syncs/_reconnect_form.html", context)


def connection_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=pk)
    if request.method == "POST":
        delete_credential(credential, by=request.user)
        return web.go_to(request, "syncs:connections", f"Connection {credential.name} deleted.")
    context = {"credential": credential, "syncs": credential.syncs.all(), "provider": PROVIDERS[credential.provider]}
    return render(request, "syncs/connection_delete.html", context)


def collection_fields(request: HttpRequest, pk: UUID, collection_id: str) -> HttpResponse:
    """What a record of this collection is made of, as the provider describes it now."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=pk)
    context = {
        "credential": credential,
        "collection": services.collection_of(credential, collection_id),
        "fields": services.collection_fields(credential, collection_id),
    }
    return web.page_or_fragment(request, "syncs/collection_fields.html", "syncs/_collection_fields.html", context)


def _page(credential: Credential) -> str:
    return reverse("syncs:connection", args=[credential.pk])
