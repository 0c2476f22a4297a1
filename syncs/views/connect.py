"""Connecting an account: the provider gallery, then a provider's own page with the ways it can be connected."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import connections as services
from syncs import oauth_apps
from syncs.catalogue import PROVIDERS, is_described
from syncs.connection_forms import PasteForm, RedirectForm, ReplaceForm
from syncs.models import Credential, OAuthApp
from syncs.providers.kit.catalogue import CredentialKind, Provider

FOR_SYNC = "sync"  # `?for=sync`: the person is on her way to a new sync


@dataclass(frozen=True)
class Way:
    """One way to connect: by the provider's sign-in, or by pasting what it gave out."""

    kind: CredentialKind
    by_redirect: bool

    @property
    def key(self) -> str:
        return self.kind.key

    @property
    def label(self) -> str:
        return self.kind.label


def ways(provider: Provider) -> list[Way]:
    """A kind that needs nothing typed is a redirect; the others are pasted."""
    return [
        Way(kind, by_redirect=kind.oauth is not None and not any(field.required for field in kind.fields))
        for kind in provider.kinds
    ]


def provider_or_404(key: str) -> Provider:
    if key not in PROVIDERS:
        raise Http404
    return PROVIDERS[key]


def connect(request: HttpRequest) -> HttpResponse:
    Credential.objects.editable_by(request.user)
    return render(request, "syncs/connect.html", {"providers": PROVIDERS.values(), "query": next_query(request)})


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
def connect_provider(request: HttpRequest, provider_key: str) -> HttpResponse:
    """How to connect this provider; the pasted way posts here, the redirect goes through `oauth_begin`."""
    Credential.objects.editable_by(request.user)
    provider = provider_or_404(provider_key)
    offered = ways(provider)
    way = next((way for way in offered if way.key == request.GET.get("way")), offered[0])
    apps = apps_for(request, provider, way.kind)
    if way.by_redirect:
        context = connect_context(request, provider, way, apps, RedirectForm(apps=apps, kind=way.kind))
        return web.page_or_fragment(request, "syncs/connect_provider.html", "syncs/_connect_form.html", context)
    posted = request.POST if request.method == "POST" else None
    form = PasteForm(posted, provider=provider, kind=way.kind, apps=apps)
    if form.is_valid() and (credential := store_pasted(form, provider, apps, request.user)):
        return web.go_to(request, after(credential, request.GET.get("for", "")), f"{credential.name} is connected.")
    context = connect_context(request, provider, way, apps, form)
    return web.page_or_fragment(request, "syncs/connect_provider.html", "syncs/_connect_form.html", context)


def apps_for(request: HttpRequest, provider: Provider, kind: CredentialKind) -> list[OAuthApp]:
    """The OAuth apps a kind can go through: those that have all it needs."""
    if kind.oauth is None:
        return []
    apps = OAuthApp.objects.visible_to(request.user).filter(provider=provider.key)
    return [app for app in apps if not oauth_apps.lacking_of(app, kind.oauth)]


def store_pasted(form: PasteForm, provider: Provider, apps: list[OAuthApp], by: Any) -> Credential | None:
    """The connection made of what was pasted; None when the form now says why not."""
    app = next((app for app in apps if str(app.pk) == form.cleaned_data.get("oauth_app_id")), None)
    data = {
        "provider": provider.key,
        "kind": form.kind.key,
        "name": form.cleaned_data["name"],
        "secrets": form.secrets(),
        "settings": form.settings(),
        "oauth_app": app,
    }
    try:
        return services.create_credential(data, by=by)
    except Problem as problem:
        show_at_fields(form, problem)
        return None


def show_at_fields(form: PasteForm | ReplaceForm, problem: Problem) -> None:
    """A refused secret stands at the field it was pasted into, whatever this kind calls it."""
    refused = problem.fields.pop("credential.properties.secret", None)
    if refused:
        pasted = next((field.key for field in form.kind.fields if field.secret), "secret")
        problem.fields[pasted] = [*refused, problem.next_step] if problem.next_step else refused
        problem.next_step = ""  # said there
    web.form_problem(form, problem)


def connect_context(
    request: HttpRequest, provider: Provider, way: Way, apps: list[OAuthApp], form: Any
) -> dict[str, Any]:
    return {
        "provider": provider,
        "ways": ways(provider),
        "way": way,
        "apps": apps,
        "form": form,
        "setup_template": setup_template(provider),
        "redirect_url": oauth_apps.redirect_uri(provider.key),
        "query": next_query(request),
        "is_for_sync": request.GET.get("for") == FOR_SYNC,
        "nav": "syncs:list" if request.GET.get("for") == FOR_SYNC else "",
    }


def setup_template(provider: Provider) -> str:
    """The provider's setup steps, if it has any written."""
    name = f"providers/{'custom' if is_described(provider.key) else provider.key}.html"
    try:
        get_template(name)
    except TemplateDoesNotExist:
        return ""
    return name


def next_query(request: HttpRequest) -> str:
    """What to hang on links of this task, so that it ends where it should."""
    return f"&{urlencode({'for': FOR_SYNC})}" if request.GET.get("for") == FOR_SYNC else ""


def after(credential: Credential, wanted_for: str) -> str:
    """Where the person goes with her new connection."""
    if wanted_for == FOR_SYNC:
        return reverse("syncs:create_pick", args=[credential.pk])
    return reverse("syncs:connection", args=[credential.pk])
