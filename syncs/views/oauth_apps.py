"""OAuth apps, for admins: the customer's own application at a provider."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import oauth_apps
from syncs.catalogue import PROVIDERS
from syncs.connection_forms import OAuthAppForm
from syncs.models import OAuthApp
from syncs.providers.kit.catalogue import Provider
from syncs.views.connect import next_query, provider_or_404, setup_template

PAGE, FRAGMENT = "syncs/oauth_app.html", "syncs/_oauth_app_form.html"


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
def oauth_app_create(request: HttpRequest, provider_key: str) -> HttpResponse:
    OAuthApp.objects.administered_by(request.user)
    provider = provider_or_404(provider_key)
    form = OAuthAppForm(request.POST if request.method == "POST" else None, provider=provider)
    if form.is_valid():
        try:
            oauth_apps.create({**form.values(), "provider": provider.key}, by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            back = reverse("syncs:connect_provider", args=[provider.key]) + next_query(request).replace("&", "?", 1)
            return web.go_to(request, back, "OAuth app saved. Now connect an account through it.")
    return web.page_or_fragment(request, PAGE, FRAGMENT, _context(form, provider, None))


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
def oauth_app_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    app = get_object_or_404(OAuthApp.objects.administered_by(request.user), pk=pk)
    provider = PROVIDERS[app.provider]
    form = OAuthAppForm(request.POST if request.method == "POST" else None, provider=provider, app=app)
    if form.is_valid():
        try:
            oauth_apps.update(app, form.values(), by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            return web.go_to(request, "syncs:connections", "OAuth app saved.")
    return web.page_or_fragment(request, PAGE, FRAGMENT, _context(form, provider, app))


def oauth_app_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    app = get_object_or_404(OAuthApp.objects.administered_by(request.user), pk=pk)
    if request.method == "POST":
        oauth_apps.delete(app, by=request.user)
        return web.go_to(request, "syncs:connections", f"OAuth app {app.name} deleted.")
    context = {"app": app, "provider": PROVIDERS[app.provider], "connections": app.credentials.all()}
    return render(request, "syncs/oauth_app_delete.html", context)


def _context(form: OAuthAppForm, provider: Provider, app: OAuthApp | None) -> dict[str, Any]:
    return {
        "form": form,
        "provider": provider,
        "app": app,
        "redirect_url": oauth_apps.redirect_uri(provider.key),
        "setup_template": setup_template(provider),
    }
