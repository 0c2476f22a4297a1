"""The settings page, for admins: people and API tokens. Each section is a fragment that posts and redraws itself."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from sequin_console.accounts import links, services, tokens
from sequin_console.accounts.forms import InviteForm, RoleForm, TokenForm
from sequin_console.accounts.models import ApiToken, User
from sequin_console.accounts.rights import Role
from sequin_console.common import web
from sequin_console.common.problems import Problem

PAGE = "accounts/settings.html"


def _context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    """Both sections; raises PermissionDenied for all but admins."""
    people = User.objects.administered_by(request.user)
    all_tokens = ApiToken.objects.administered_by(request.user).select_related("created_by")
    context = {
        "people": people,
        "roles": Role,
        "tokens": all_tokens,
        "invite_form": InviteForm(),
        "token_form": TokenForm(),
    }
    return context | more


def _people(request: HttpRequest, **more: Any) -> HttpResponse:
    return web.page_or_fragment(request, PAGE, "accounts/_people.html", _context(request, **more))


@never_cache
def settings(request: HttpRequest) -> HttpResponse:
    fragment = "accounts/_tokens.html" if request.GET.get("part") == "tokens" else "accounts/_people.html"
    return web.page_or_fragment(request, PAGE, fragment, _context(request))


@never_cache
@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Create a person and show her one-time link, this once."""
    User.objects.administered_by(request.user)
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            person, path = services.invite(**form.cleaned_data, by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            return _people(request, link_for=person, link_url=links.full_url(path))
    return _people(request, invite_form=form)


@never_cache
@require_POST
def new_link(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User.objects.administered_by(request.user), pk=pk)
    path = services.new_link(person, by=request.user)
    return _people(request, link_for=person, link_url=links.full_url(path))


@require_POST
def change_role(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User.objects.administered_by(request.user), pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise Problem("There is no such role.", next_step="Choose viewer, operator or admin.")
    services.change_role(person, form.cleaned_data["role"], by=request.user)
    return web.go_to(request, "accounts:settings", f"{person.actor_name} is now {form.cleaned_data['role']}.")


@require_POST
def deactivate(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User.objects.administered_by(request.user), pk=pk)
    services.deactivate(person, by=request.user)
    return web.go_to(request, "accounts:settings", f"{person.actor_name} can no longer sign in.")


@require_POST
def activate(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User.objects.administered_by(request.user), pk=pk)
    services.activate(person, by=request.user)
    return web.go_to(request, "accounts:settings", f"{person.actor_name} can sign in again.")


@never_cache
@require_POST
@sensitive_variables("text")
def create_token(request: HttpRequest) -> HttpResponse:
    """Create an API token and show it, this once."""
    ApiToken.objects.administered_by(request.user)
    form = TokenForm(request.POST)
    more: dict[str, Any] = {"token_form": form}
    if form.is_valid():
        wanted = form.cleaned_data
        token, text = tokens.create(wanted["name"], wanted["role"], request.user, wanted["expires"])
        more = {"new_token": token, "new_token_text": text}
    return web.page_or_fragment(request, PAGE, "accounts/_tokens.html", _context(request, **more))


@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.administered_by(request.user), pk=pk)
    tokens.revoke(token, request.user)
    return web.go_to(request, "accounts:settings", f"{token.name} no longer works.")
