"""The OAuth redirect: out to the provider, and back in."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import oauth, site_choice
from syncs.catalogue import PROVIDERS
from syncs.connection_forms import RedirectForm, SiteForm
from syncs.models import Credential
from syncs.providers.kit.catalogue import Provider
from syncs.views.connect import FOR_SYNC, apps_for, connect_context, provider_or_404, ways


@never_cache
@require_POST
def oauth_begin(request: HttpRequest, provider_key: str) -> HttpResponse:
    """Send the person to the provider to allow reading."""
    Credential.objects.editable_by(request.user)
    provider = provider_or_404(provider_key)
    redirects = [way for way in ways(provider) if way.by_redirect]
    way = next((way for way in redirects if way.key == request.GET.get("way")), redirects[0] if redirects else None)
    if way is None:
        raise Http404
    apps = apps_for(request, provider, way.kind)
    form = RedirectForm(request.POST, apps=apps, kind=way.kind)
    if not form.is_valid():
        context = connect_context(request, provider, way, apps, form)
        return web.page_or_fragment(request, "syncs/connect_provider.html", "syncs/_connect_form.html", context)
    url = oauth.begin(
        form.cleaned_data["app"],
        way.key,
        by=request.user,
        session_key=session_key(request),
        name=form.cleaned_data["name"],
        settings=form.settings(),
        return_url=reverse("syncs:create") if request.GET.get("for") == FOR_SYNC else "",
    )
    return leave(request, url, provider.label)


@never_cache
@require_POST
def oauth_again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The provider's sign-in once more, for a connection there is."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user).select_related("oauth_app"), pk=pk)
    if credential.oauth_app is None:
        raise Problem("This connection has no OAuth app.", next_step="Paste a new key instead.")
    url = oauth.begin(
        credential.oauth_app,
        credential.kind,
        by=request.user,
        session_key=session_key(request),
        credential=credential,
    )
    return leave(request, url, PROVIDERS[credential.provider].label)


@web.public
@never_cache
@require_safe
def oauth_callback(request: HttpRequest, provider_key: str) -> HttpResponse:
    """Back from the provider. `state` proves whose redirect it was: who came by a link need not be signed in."""
    provider = provider_or_404(provider_key)
    try:
        finished = oauth.finish(
            state=request.GET.get("state", ""),
            code=request.GET.get("code", ""),
            error=request.GET.get("error", ""),
            error_description=request.GET.get("error_description", ""),
            session_key=session_key(request),
        )
    except Problem as problem:
        return _failed(request, problem, provider)
    if finished.site_token:
        return HttpResponseRedirect(reverse("syncs:oauth_sites", args=[finished.site_token]))
    return _go_on(request, finished)


@web.public
@never_cache
def oauth_sites(request: HttpRequest, token: str) -> HttpResponse:
    """Which of several accounts shall be read. The token and the session say whose choice it is."""
    try:
        pending, offered = site_choice.shown(token, session_key=session_key(request))
    except Problem as problem:
        return _failed(request, problem, None)
    provider = PROVIDERS[pending.oauth_app.provider]
    form = SiteForm(request.POST if request.method == "POST" else None, offered=offered)
    if form.is_valid():
        try:
            finished = oauth.choose_site(token, form.cleaned_data["site"], session_key=session_key(request))
        except Problem as problem:
            return _failed(request, problem, provider)
        return _go_on(request, finished)
    context = {"form": form, "provider": provider}
    return render(request, "syncs/sites.html", context, status=422 if form.is_bound else 200)


def _failed(request: HttpRequest, problem: Problem, provider: Provider | None) -> HttpResponse:
    context = {"problem": problem, "provider": provider}
    return render(request, "syncs/connect_failed.html", context, status=problem.status)


def _go_on(request: HttpRequest, finished: oauth.Finished) -> HttpResponse:
    """To where the person began, with the connection."""
    if finished.next_url.startswith(("http://", "https://")):  # begun by a caller of the API, checked when it began
        if request.method == "POST":  # our CSP lets no form's redirect lead to another site
            return render(request, "syncs/return.html", {"url": finished.next_url})
        return HttpResponseRedirect(finished.next_url)
    name = "syncs:create_pick" if finished.next_url else "syncs:connection"
    url = reverse(name, args=[finished.credential.pk])
    return web.go_to(request, url, f"{finished.credential.name} is connected.")


@web.public
@never_cache
@require_safe
def oauth_start(request: HttpRequest, token: str) -> HttpResponse:
    """A single-use link that the API made: whoever opens it is sent on to the provider."""
    return HttpResponseRedirect(oauth.follow_link(token, session_key=session_key(request)))


def leave(request: HttpRequest, url: str, label: str) -> HttpResponse:
    """Out of the console. A page of ours in between, for our CSP lets no form's redirect lead to another site."""
    if web.wants_fragment(request):
        return web.go_to(request, url)
    return render(request, "syncs/leave.html", {"url": url, "label": label})


def session_key(request: HttpRequest) -> str:
    """This browser's session, begun here for a stranger with a link."""
    if not request.session.session_key:
        request.session.create()
    return str(request.session.session_key)
